"""Naming things in a log that never forgets, so that they can still be forgotten (reliability.md 1.10).

The log holds references and commitments only. A reference is an HMAC under the deployment's reference key; a
commitment is an HMAC under a salt that lies beside the material, outside the log. When key and salt are
destroyed, the tree still verifies and nothing in it can be linked to a person again, not even by guessing.
"""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256
from typing import Final

SALT_BYTES: Final = 32
REFERENCE_BYTES: Final = 10  # 80 bits: no collision to be expected among 10⁹ references


def new_salt() -> bytes:
    return secrets.token_bytes(SALT_BYTES)


def commit(material: bytes, salt: bytes) -> str:
    """Salted commitment to `material`, 64 hex digits. Keep the salt with the material, never in the log."""
    if len(salt) < SALT_BYTES:
        raise ValueError(f"a salt has at least {SALT_BYTES} bytes")
    return hmac.digest(salt, b"lfr-edge/commitment/v1\n" + material, sha256).hex()


def opens(commitment: str, material: bytes, salt: bytes) -> bool:
    """Whether `commitment` was made from this material and salt."""
    return hmac.compare_digest(commitment, commit(material, salt))


def reference(key: bytes, identifier: str) -> str:
    """The name of `identifier` in the log, 20 hex digits; without the key it means nothing."""
    return hmac.digest(key, b"lfr-edge/reference/v1\n" + identifier.encode(), sha256)[:REFERENCE_BYTES].hex()
