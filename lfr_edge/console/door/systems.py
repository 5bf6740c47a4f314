"""Other systems that may read: each with its own token, its own events, and nothing else."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from typing import Final

from lfr_edge.errors import ConfigError
from lfr_edge.sentences import say
from lfr_edge.settings import SystemSettings

TOKEN_MIN: Final = 32


class Systems:
    """Tokens are kept as hashes and compared in constant time."""

    def __init__(self, settings: Iterable[SystemSettings]) -> None:
        """Raises ConfigError ``system_token_unfit``."""
        self._by_digest = {_digest(_token(one)): one for one in settings}

    def find(self, authorization: str) -> SystemSettings | None:
        """Whose ``Authorization: Bearer …`` this is."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        asked = _digest(token.strip())
        found = None
        for digest, system in self._by_digest.items():
            if secrets.compare_digest(digest, asked):
                found = system
        return found

    def __bool__(self) -> bool:
        return bool(self._by_digest)


def _digest(token: str) -> str:
    return hashlib.sha256(b"lfr-edge system token\0" + token.encode()).hexdigest()


def _token(settings: SystemSettings) -> str:
    try:
        token = settings.token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        token = ""
    if len(token) < TOKEN_MIN or not token.isascii():
        raise ConfigError(
            "system_token_unfit",
            say(
                "system {id}: {token_file} holds no token of {token_min} characters",
                id=settings.id,
                token_file=settings.token_file,
                token_min=TOKEN_MIN,
            ),
            hint="openssl rand -hex 32 > FILE; give the same to the system",
        )
    return token
