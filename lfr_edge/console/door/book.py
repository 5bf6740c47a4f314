"""The accounts file: who there is and which codes are out, as it lies on the disk."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from lfr_edge.audit.disk import write_new
from lfr_edge.errors import AccessError
from lfr_edge.formats import Ladder
from lfr_edge.sentences import say

# 1: release 0.1.0 before formats were numbered; passkeys may be missing.
FORMATS: Final = Ladder("lfr-edge accounts", (lambda raw: raw,), unnumbered=True)


class Role(StrEnum):
    OPERATOR = "operator"
    ENGAGEMENT_OFFICER = "engagement_officer"
    DEPLOYMENT_OFFICER = "deployment_officer"
    AUTHORISING_OFFICER = "authorising_officer"
    AUDITOR = "auditor"
    ENGINEER = "engineer"


@dataclass(frozen=True, slots=True)
class Passkey:
    """A credential of :mod:`lfr_edge.console.door.passkeys`; only its public half is here."""

    id: str  # base64url, chosen by the device
    public_key: str  # COSE, base64url
    sign_count: int
    name: str
    added_wall_s: int


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    role: Role
    password_hash: str | None  # Argon2id; None until its code was used
    disabled: bool
    generation: int  # rises whenever sessions of this account must end
    passkeys: tuple[Passkey, ...] = ()


@dataclass(frozen=True, slots=True)
class SetupCode:
    """A code as it is kept: hashed, bound to one account (or, with `account` None, to the first one)."""

    sha256: str
    account: str | None
    expires_wall_s: int


@dataclass(frozen=True, slots=True)
class Book:
    accounts: dict[str, Account]
    codes: tuple[SetupCode, ...]


def read_book(path: Path) -> Book:
    """Raises AccessError ``access_file_unreadable``; ConfigError ``format_newer``."""
    try:
        raw = FORMATS.climb(json.loads(path.read_text(encoding="utf-8")), path)
        accounts = {a["name"]: _account(a) for a in raw["accounts"]}
        return Book(accounts, tuple(SetupCode(**code) for code in raw["codes"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise AccessError(
            "access_file_unreadable",
            say("{path} is not a readable accounts file", path=path),
            hint="move it aside; the next start prints a code for a new first account",
        ) from None


def _account(raw: dict[str, Any]) -> Account:
    passkeys = tuple(Passkey(**item) for item in raw.get("passkeys", ()))
    return Account(**{**raw, "role": Role(raw["role"]), "passkeys": passkeys})


def write_book(path: Path, book: Book) -> None:
    """Replace the file in one step, durably, readable by nobody else."""
    document = {
        "format": FORMATS.stamp,
        "accounts": [asdict(a) for a in book.accounts.values()],
        "codes": [asdict(c) for c in book.codes],
    }
    write_new(path, json.dumps(document, indent=1).encode())
