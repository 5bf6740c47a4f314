"""Trials: what SQLite, Tessera and TigerBeetle do to theirs, done to this product.

No part of the product: the wheel holds ``lfr_edge`` only, and nothing there imports this. See docs/trials.md.
"""
