"""Which networks may run: what a pack says about itself, where packs are kept, how they are fetched and converted.

Nothing in this room runs a network. It hands out bytes that have been verified, and says how they want to be fed.
"""
