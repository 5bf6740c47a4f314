"""Whose signatures this box believes: the public keys of Authorising Officers and of issuers of lists.

A key enters and leaves by two persons only. The file outlives deployments; each change is in the log of the
deployment in which it was made.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from lfr_edge.alerts.record import Actor
from lfr_edge.audit.disk import make_folder, write_new
from lfr_edge.clock import utc_text
from lfr_edge.deployment.authority.signing import PUBLIC_BYTES, key_id
from lfr_edge.deployment.authority.words import plain
from lfr_edge.deployment.control.approvals import Approvals
from lfr_edge.errors import AccessError
from lfr_edge.formats import Ladder
from lfr_edge.sentences import say

Purpose: TypeAlias = Literal["authority", "watchlist"]
PURPOSES: Final[tuple[Purpose, ...]] = ("authority", "watchlist")
FORMATS: Final = Ladder("lfr-edge trust")
FORMAT: Final = FORMATS.stamp
NAME_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class EnrolledKey:
    key_id: str
    purpose: Purpose
    name: str  # whose key it is, in words
    public_key: str  # base64 of 32 bytes
    enrolled_by: str  # account that proposed it
    approved_by: str
    at: str  # UTC
    change: str  # reference of the proposal in the log


class TrustStore:
    """**Thread rule:** any thread, any process; :meth:`apply` blocks on the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> tuple[EnrolledKey, ...]:
        """Raises AccessError: ``trust_store_damaged``; ConfigError: ``format_newer``."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return ()
        try:
            raw = FORMATS.climb(json.loads(data), self._path)
            keys = tuple(EnrolledKey(**item) for item in raw["keys"])
            if any(not _sound(key) for key in keys):
                raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise AccessError(
                "trust_store_damaged",
                say("{path} is not what this program wrote, so no key is believed", path=self._path),
                hint="keep the file for the auditor, remove it, and enrol the keys again with two persons",
            ) from None
        return keys

    def keys(self, purpose: Purpose) -> dict[str, bytes]:
        """Key id → 32 bytes, of the keys that are believed for this purpose."""
        return {key.key_id: base64.b64decode(key.public_key) for key in self.all() if key.purpose == purpose}

    def enrolment(self, purpose: Purpose, name: str, public: bytes) -> dict[str, Any]:
        """The change to propose as ``trust.enrol``.

        Raises:
            AccessError: ``trust_name_invalid``, ``trust_key_known``.
        """
        name = " ".join(name.split())
        if purpose not in PURPOSES or len(public) != PUBLIC_BYTES:
            raise ValueError("a purpose of PURPOSES and 32 bytes are needed")
        try:
            if not 1 <= len(plain(name)) <= NAME_MAX:
                raise ValueError
        except ValueError:
            raise AccessError(
                "trust_name_invalid",
                say("the name must be 1 to {name_max} visible characters", name_max=NAME_MAX),
                hint="whose key is it?",
            ) from None
        if key_id(public) in self.keys(purpose):
            raise AccessError("trust_key_known", "this key is enrolled already")
        encoded = base64.b64encode(public).decode()
        return {
            "action": "enrol", "purpose": purpose, "name": name, "key_id": key_id(public), "public_key": encoded
        }  # fmt: skip

    def removal(self, purpose: Purpose, identifier: str) -> dict[str, Any]:
        """The change to propose as ``trust.enrol`` that takes a key away. Raises AccessError ``trust_key_unknown``."""
        key = _find(self.all(), purpose, identifier)
        return {"action": "remove", "purpose": purpose, "name": key.name, "key_id": identifier}

    def summary(self, change: Mapping[str, Any]) -> tuple[str, ...]:
        """The change in plain words for whoever approves it."""
        what = "authorities for deployments" if change["purpose"] == "authority" else "watchlists"
        if change["action"] == "enrol":
            first = f"Believe {what} that are signed by {change['name']}."
        else:
            first = f"No longer believe {what} that are signed by {change['name']}."
        return first, f"Key {change['key_id']}: compare it with what {change['name']} reads out."

    def apply(self, change: Mapping[str, Any], approvals: Approvals, actor: Actor) -> EnrolledKey:
        """Carry out an approved change: recorded, then effective.

        Raises:
            ControlError: the change was not approved, or was used, see :meth:`Approvals.use`.
            AccessError: ``trust_key_known``, ``trust_key_unknown``, ``trust_store_damaged``.
            AuditError: not on the record, and then not effective.
        """
        with self._locked():
            keys = self.all()
            used = approvals.use("trust.enrol", change)
            proposal = approvals.get(used["change"])
            at = utc_text(approvals.clock.wall_ns())
            after, key = _changed(keys, change, proposal.proposer, proposal.approver, at, proposal.id)
            data = {**used, **{name: str(change[name]) for name in ("action", "purpose", "name", "key_id")}}
            approvals.recorder.record("trust.changed", actor=actor, ref=key.key_id, data={**data}, why="")
            document = {"format": FORMAT, "keys": [asdict(one) for one in after]}
            write_new(self._path, json.dumps(document, indent=1).encode())
        return key

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        make_folder(self._path.parent)
        handle = os.open(self._path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _changed(
    keys: tuple[EnrolledKey, ...], change: Mapping[str, Any], by: str, approver: str, at: str, ref: str
) -> tuple[tuple[EnrolledKey, ...], EnrolledKey]:
    """The keys after the change, and the one that it is about."""
    purpose, identifier = change["purpose"], change["key_id"]
    if change["action"] == "remove":
        gone = _find(keys, purpose, identifier)
        return tuple(key for key in keys if key is not gone), gone
    new = EnrolledKey(identifier, purpose, change["name"], change["public_key"], by, approver, at, ref)
    if not _sound(new):
        raise AccessError("trust_key_unsound", "the key and its id do not belong together")
    if any(key.key_id == identifier and key.purpose == purpose for key in keys):
        raise AccessError("trust_key_known", "this key is enrolled already")
    return (*keys, new), new


def _find(keys: tuple[EnrolledKey, ...], purpose: str, identifier: str) -> EnrolledKey:
    for key in keys:
        if key.purpose == purpose and key.key_id == identifier:
            return key
    raise AccessError("trust_key_unknown", "this key is not enrolled", hint="reload the page")


def _sound(key: EnrolledKey) -> bool:
    public = base64.b64decode(key.public_key, validate=True)
    return key.purpose in PURPOSES and len(public) == PUBLIC_BYTES and key_id(public) == key.key_id
