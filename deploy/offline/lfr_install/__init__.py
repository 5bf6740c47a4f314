"""Puts a signed bundle on a box that has no network: standard library and the ``openssl`` program, nothing else.

It runs before anything of the product is there, so it can use nothing of the product.
"""
