"""Decision → Record: the append-only Merkle log that anyone can check.

This room imports nothing but the standard library and ``cryptography``, so that its verifier runs alone on an
auditor's laptop. The byte-exact format is in ``audit_logs/README.md``.
"""
