"""The code on a stopped person's receipt: typed by hand, it leads an auditor to the record, without face or name.

Eleven random characters (55 bits) and a check character, in three groups: ``K7QM-2XRD-9FTT``. The record holds
only the code's digest, so a log that is passed on does not tell who holds which receipt.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from typing import Final

from lfr_edge.audit.entry import Entry
from lfr_edge.errors import AuditError
from lfr_edge.sentences import say

# Crockford's base 32: no I, L, O or U. What people write instead is read as what it looks like.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOKS_LIKE: Final = str.maketrans({"I": "1", "L": "1", "O": "0", "U": "V"})
_RANDOM: Final = 11
_GROUP: Final = 4


def new_code() -> str:
    """A fresh code, in groups."""
    random = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return _grouped(random + _check(random))


def read_code(typed: str) -> str:
    """The code as issued, from whatever a person typed: any case, spaces, dashes or none.

    Raises:
        AuditError: ``audit_receipt_mistyped``. Every single wrong character is found, and nearly every swap of
            two neighbours (Luhn's check, modulo 32).
    """
    plain = "".join(c for c in typed.upper() if not c.isspace() and c not in "-–—.").translate(_LOOKS_LIKE)
    wrong = len(plain) != _RANDOM + 1 or not set(plain) <= set(_ALPHABET)
    if wrong or _check(plain[:-1]) != plain[-1]:
        raise AuditError(
            "audit_receipt_mistyped",
            "this is no receipt code: a character is wrong, missing or too many",
            hint=say(
                "a code has {random} letters and digits, as in K7QM-2XRD-9FTT; compare it with the receipt",
                random=_RANDOM + 1,
            ),
        )
    return _grouped(plain)


def code_digest(code: str) -> str:
    """What the record holds of a code, hex."""
    return hashlib.sha256(b"lfr-edge receipt v1\0" + code.replace("-", "").encode()).hexdigest()


def entries_of(entries: Iterable[Entry], code: str) -> tuple[Entry, ...]:
    """Every entry about the alert for which `code` was issued, in order; empty where this log did not issue it."""
    digest = code_digest(code)
    found: dict[str, list[Entry]] = {}
    ref = None
    for entry in entries:
        if entry.event.ref:
            found.setdefault(entry.event.ref, []).append(entry)
        if entry.event.ev == "receipt.issued" and entry.event.data.get("code_sha256") == digest:
            ref = entry.event.ref
    return tuple(found[ref]) if ref is not None else ()


def _grouped(plain: str) -> str:
    return "-".join(plain[at : at + _GROUP] for at in range(0, len(plain), _GROUP))


def _check(text: str) -> str:
    """Luhn's algorithm over 32 characters."""
    total, factor = 0, 2
    for character in reversed(text):
        product = factor * _ALPHABET.index(character)
        total += product // 32 + product % 32
        factor = 3 - factor
    return _ALPHABET[-total % 32]
