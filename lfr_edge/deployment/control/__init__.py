"""Two persons: proposals, approvals, and whose signatures this box believes."""
