"""The end of a deployment: what is destroyed, receipts for it, and the last head on paper."""
