"""“Was I on a list?”: answered for a reference, without keeping a list that anybody could read.

One page per deployment: its day, and for each reference an HMAC under a key of that page's own. Whoever holds the
pages alone learns how many people were sought on which day, which is published anyway. Whoever asks needs the
reference (the force's records lead from a person to it), and the box's key store. Two pages share no code, so
nobody can be followed from list to list. What the keys cannot prevent: whoever holds pages *and* keys can try
references until one fits, so every question is an entry of the box's log. A page that ends loses its key first.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from lfr_edge.audit.disk import make_folder, write_new
from lfr_edge.audit.keys import KeyStore
from lfr_edge.clock import Clock, utc_day
from lfr_edge.errors import AuditError, DeploymentError
from lfr_edge.formats import Ladder
from lfr_edge.sentences import say
from lfr_edge.watchlist.destroy import destroy_file

FORMATS: Final = Ladder("lfr-edge/register", between="/v")
FORMAT: Final = FORMATS.stamp
_TAG_BYTES: Final = 16  # 128 bits: no two of 10⁹ references meet
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DAY_NS: Final = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Listing:
    """One deployment on whose list a reference was."""

    deployment: str
    origin: str
    day: date


@dataclass(frozen=True, slots=True)
class Page:
    """What one page tells without a reference. `readable` false: its key is gone, and with it every answer."""

    deployment: str
    origin: str
    entered_wall_ns: int
    entries: int
    readable: bool

    @property
    def day(self) -> date:
        return utc_day(self.entered_wall_ns)

    def over(self, now_wall_ns: int, days: int) -> bool:
        return now_wall_ns >= self.entered_wall_ns + days * _DAY_NS


class Register:
    """The pages in `folder`, their keys in `keys`. **Thread rule:** any thread, one call at a time; blocks."""

    def __init__(self, folder: Path, keys: KeyStore, clock: Clock) -> None:
        self._folder = folder
        self._keys = keys
        self._clock = clock

    def enter(self, deployment: str, origin: str, references: Iterable[str]) -> int:
        """Write the page of a deployment; a page that is there keeps what it has. Returns the entries on it.

        Raises:
            DeploymentError: ``register_unwritable``, ``register_page_damaged``, ``register_page_ended``.
        """
        raw = self._read(deployment) or {
            "format": FORMAT,
            "deployment": deployment,
            "origin": origin,
            "entered_us": self._clock.wall_ns() // 1000,
            "codes": [],
        }
        key = self._keys.read(_key_name(deployment))
        if key is None and raw["codes"]:
            raise DeploymentError(
                "register_page_ended",
                say(
                    "the register's page of {deployment} has ended: its key is destroyed",
                    deployment=deployment,
                ),
                hint="a deployment that is over gets no further entries",
            )
        try:
            if key is None:
                key = secrets.token_bytes(32)
                self._keys.write(_key_name(deployment), key)
            # Sorted: the order on the page says nothing of the order on the list.
            codes = sorted({*raw["codes"], *(_code(key, deployment, one) for one in references)})
            if codes != raw["codes"] or not self._path(deployment).exists():
                make_folder(self._folder)
                write_new(self._path(deployment), json.dumps(raw | {"codes": codes}).encode())
        except (OSError, AuditError) as error:
            why = error.message if isinstance(error, AuditError) else error.strerror
            raise DeploymentError(
                "register_unwritable",
                say("the register cannot be written: {strerror}", strerror=why),
                hint="free disk space; without the register nobody can later be told that they were sought",
            ) from None
        return len(codes)

    def add(self, deployment: str, references: Iterable[str]) -> int:
        """Further entries of a live list. Raises DeploymentError ``register_page_missing`` and as :meth:`enter`."""
        raw = self._read(deployment)
        if raw is None:
            raise DeploymentError(
                "register_page_missing",
                say("the register has no page of {deployment}", deployment=deployment),
                hint="enter it first",
            )
        return self.enter(deployment, raw["origin"], references)

    def ask(self, reference: str) -> tuple[Listing, ...]:
        """Every deployment in the register on whose list `reference` was, oldest first.

        The caller records the question first: it is a consultation (DPA 2018 s62).
        """
        found = []
        for page in self.pages():
            key = self._keys.read(_key_name(page.deployment))
            raw = self._read(page.deployment)
            if key is not None and raw and _code(key, page.deployment, reference) in raw["codes"]:
                found.append(Listing(page.deployment, page.origin, page.day))
        return tuple(found)

    def pages(self) -> tuple[Page, ...]:
        """Every page, oldest first. Raises DeploymentError ``register_page_damaged``."""
        pages = []
        for path in self._folder.glob("*.json") if self._folder.is_dir() else ():
            raw = self._read(path.stem)
            if raw is not None:
                readable = self._keys.read(_key_name(path.stem)) is not None
                entered = raw["entered_us"] * 1000
                pages.append(Page(path.stem, raw["origin"], entered, len(raw["codes"]), readable))
        return tuple(sorted(pages, key=lambda page: (page.entered_wall_ns, page.deployment)))

    def destroy(self, deployment: str) -> None:
        """Destroy the page's key, then the page. Twice is no error.

        Raises:
            WatchlistError: ``watchlist_not_destroyed``; OSError: the key store refused.
        """
        self._keys.destroy(_key_name(deployment))
        path = self._path(deployment)
        if os.path.lexists(path):
            destroy_file(path)

    def _read(self, deployment: str) -> dict[str, Any] | None:
        path = self._path(deployment)
        try:
            raw = FORMATS.climb(json.loads(path.read_bytes()), path)
            if (
                raw["deployment"] != deployment
                or not all(isinstance(code, str) for code in raw["codes"])
                or type(raw["entered_us"]) is not int
                or not isinstance(raw["origin"], str)
            ):
                raise ValueError
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise DeploymentError(
                "register_page_damaged",
                say("the register's page of {deployment} cannot be read", deployment=deployment),
                hint="restore it from a copy; until then the answer for that day is not known, not 'no'",
            ) from None
        assert isinstance(raw, dict)
        return raw

    def _path(self, deployment: str) -> Path:
        if not _NAME.fullmatch(deployment):
            raise ValueError(f"not a deployment's name: {deployment!r}")
        return self._folder / f"{deployment}.json"


def _key_name(deployment: str) -> str:
    return f"register-{deployment}"


def _code(key: bytes, deployment: str, reference: str) -> str:
    """As people write it: case and doubled spaces do not matter."""
    plain = " ".join(reference.split()).upper()
    text = f"lfr-edge/register/v1\n{deployment}\n{plain}"
    return hmac.digest(key, text.encode(), sha256)[:_TAG_BYTES].hex()
