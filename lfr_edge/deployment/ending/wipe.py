"""The end of a deployment: what must go is destroyed, looked for again, and receipted entry by entry.

Order: the register learns who was listed; pictures that may stay get a key of their own; then list, key and import
copies go. Nothing that fails stops the rest: a receipt says what is left, in the record and on paper.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from lfr_edge.alerts.material import AlertMaterial
from lfr_edge.audit.event import SYSTEM, Actor, Verb
from lfr_edge.audit.keys import KeyStore
from lfr_edge.clock import Clock
from lfr_edge.deployment.ending.import_copy import OVERWRITTEN, absent, compile_remnants, erase_copy
from lfr_edge.deployment.ending.receipts import Receipt, Receipts
from lfr_edge.deployment.keeping.register import Register
from lfr_edge.errors import AlertError, LfrError, WatchlistError
from lfr_edge.watchlist.destroy import destroy_file
from lfr_edge.watchlist.keys import read_key_file, write_key_file

MEMORY: Final = "memory"  # of the entry that says that the list's templates are overwritten
EVIDENCE: Final = "evidence-{}"  # name of a key in the box's key store


class Recording(Protocol):
    """The open deployment, as :class:`~lfr_edge.deployment.session.DeploymentSession` is."""

    def record(
        self,
        ev: Verb,
        *,
        actor: Actor | None = None,
        ref: str = "",
        data: Mapping[str, object] | None = None,
        why: str = "",
    ) -> int: ...


@dataclass(frozen=True, slots=True)
class KeptPictures:
    """Alert pictures that outlive the deployment, by token; `held` are on hold.

    `key_file` is where their new key goes: on the officer's medium. None: beside the list's key file, or, where
    there is none, the box's key store for pictures on hold; the others are erased now.
    """

    material: AlertMaterial = field(repr=False)
    tokens: frozenset[str]
    held: frozenset[str]
    numbers: Mapping[str, int] = field(default_factory=dict)
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class WipePlan:
    """What there is to destroy.

    `list_ref` is how the record names the list (the ref of ``watchlist.activated``), `templates` what of it was in
    memory, `overwritten` the recogniser's own receipt (slots and rows; None: it was killed, and its memory went
    with it). `imports` are files or folders on the medium that brought the list, where the officer asks for it.
    """

    deployment: str
    origin: str
    list_ref: str
    references: tuple[str, ...]
    templates: int
    sealed: Path | None
    key_file: Path | None = None
    destroy_key: bool = True
    overwritten: int | None = None
    imports: tuple[Path, ...] = ()
    pictures: KeptPictures | None = None
    additions: tuple[Path, ...] = ()  # sealed lists that were added while it ran


def wipe(
    session: Recording,
    plan: WipePlan,
    register: Register,
    keys: KeyStore,
    clock: Clock,
    actor: Actor = SYSTEM,
) -> Receipts:
    """Destroy what the plan names; recogniser and desk have stopped, the log is still open. Blocks on the disk.

    Never raises LfrError or OSError: every failure is a receipt whose `left` says what is still there. Doing it
    again after a kill finishes it, and says what was gone already.
    """
    return _Wipe(session, plan, register, keys, clock, actor).run()


class _Wipe:
    def __init__(
        self,
        session: Recording,
        plan: WipePlan,
        register: Register,
        keys: KeyStore,
        clock: Clock,
        actor: Actor,
    ) -> None:
        self._session, self._plan, self._register = session, plan, register
        self._keys, self._clock, self._actor = keys, clock, actor
        self._done: list[Receipt] = []
        self._unrecorded = 0

    def run(self) -> Receipts:
        plan = self._plan
        self._do("register", self._entered)
        self._do("templates", self._templates)
        if plan.pictures is not None and plan.pictures.tokens:
            self._do("alert_images", self._keep_pictures)
        if plan.sealed is not None:
            self._do("sealed_list", lambda: self._file("sealed_list", plan.sealed, "the list"))
            for remnant in compile_remnants(plan.sealed):
                self._do("compile_remnant", lambda path=remnant: self._file("compile_remnant", path, "it"))  # type: ignore[misc]
        for added in plan.additions:
            self._do("addition", lambda path=added: self._file("addition", path, "the added list"))  # type: ignore[misc]
        if plan.key_file is not None and plan.destroy_key:
            self._do("key_file", lambda: self._file("key_file", plan.key_file, "the list's key"))
        for path in plan.imports:
            self._do("import_copy", lambda path=path: erase_copy(path, self._clock))  # type: ignore[misc]
        return Receipts(plan.deployment, plan.origin, tuple(self._done), self._unrecorded)

    def _do(self, what: str, act: Callable[[], Receipt | None]) -> None:
        """One act and its entry. A failure becomes a receipt: the next act must not wait for it."""
        try:
            receipt = act()
        except (LfrError, OSError) as error:
            reason = error.message if isinstance(error, LfrError) else str(error.strerror)
            receipt = Receipt(what, 0, 0, self._clock.wall_ns() // 1000, "not done", False, "failed", reason)
        if receipt is None:
            return
        self._done.append(receipt)
        memory = receipt.what == "templates"
        ev: Verb = "watchlist.destroyed" if memory else "material.erased"
        data = receipt.to_data() | ({"templates": receipt.items, "where": MEMORY} if memory else {})
        self._record(ev, self._plan.list_ref, data, receipt.left)

    def _record(self, ev: Verb, ref: str, data: Mapping[str, object], why: str) -> None:
        try:
            self._session.record(ev, actor=self._actor, ref=ref, data=data, why=why[:500])
        except LfrError:  # a dead log: the wipe goes on, and says so
            self._unrecorded += 1

    def _entered(self) -> Receipt | None:
        """Not an erasure; only its failure is worth a receipt."""
        if self._plan.references:
            self._register.enter(self._plan.deployment, self._plan.origin, self._plan.references)
        return None

    def _templates(self) -> Receipt:
        plan = self._plan
        told = plan.overwritten is not None
        how = (
            f"the recogniser overwrote {plan.overwritten} slots and rows, then ended"
            if told
            else "the recogniser was killed; its locked memory went with the process"
        )
        checked = "the recogniser's receipt" if told else "the process is gone"
        return Receipt("templates", plan.templates, 0, self._now(), how, False, checked, "")

    def _file(self, what: str, path: Path | None, name: str) -> Receipt:
        assert path is not None
        if not os.path.lexists(path):
            return Receipt(what, 0, 0, self._now(), "was gone before", False, "absent", "")
        size = destroy_file(path)
        left = "" if absent(path) else f"{name} is still there after it was unlinked"
        return Receipt(
            what, 1, size, self._now(), OVERWRITTEN, True, "absent" if not left else "found again", left
        )

    def _keep_pictures(self) -> Receipt:
        """Pictures within their retention outlive the list's key; where no medium takes their key, they go now."""
        pictures = self._plan.pictures
        assert pictures is not None
        key = self._key_on_medium(pictures)
        keep = pictures.tokens if key is not None else pictures.tokens & pictures.held
        where = "on the medium" if key is not None else "in this box's key store"
        left = [] if key is not None or not keep else [f"the key of {len(keep)} held alerts lies on this box"]
        if keep:
            key = key or self._key_in_store()
            left += [reason for token in sorted(keep) if (reason := self._rewrap(pictures, token, key))]
        for token in sorted(pictures.tokens - keep):
            pictures.material.erase(token)
            data = {"number": pictures.numbers.get(token, 0), "key_destroyed": True}
            self._record("alert.erased", token, data, "the deployment ended, and no medium took the key")
        how = (
            f"not erased: {len(keep)} within retention or on hold; their key is {where}"
            if keep
            else "keys destroyed, pictures overwritten and unlinked"
        )
        erased, checked = len(pictures.tokens - keep), "opened with the new key" if keep else "absent"
        return Receipt("alert_images", erased, 0, self._now(), how, not keep, checked, "; ".join(left[:5]))

    def _rewrap(self, pictures: KeptPictures, token: str, key: bytes) -> str:
        """Why it failed, or nothing. One damaged picture must not cost the others."""
        try:
            pictures.material.rewrap(token, key)
        except (AlertError, OSError) as error:
            return f"alert {pictures.numbers.get(token, 0)} cannot be kept: {error}"
        return ""

    def _key_on_medium(self, pictures: KeptPictures) -> bytes | None:
        """Made once; after a kill in the middle the same key is found again. None: no medium takes it."""
        beside = self._plan.key_file
        medium = pictures.key_file or (beside and beside.with_name(f"{self._plan.deployment}.evidence.key"))
        if medium is None:
            return None
        try:
            if not medium.exists():
                write_key_file(medium, secrets.token_bytes(32))
            return read_key_file(medium)
        except (WatchlistError, OSError):
            return None

    def _key_in_store(self) -> bytes:
        name = EVIDENCE.format(self._plan.deployment)
        key = self._keys.read(name)
        if key is None:
            key = secrets.token_bytes(32)
            self._keys.write(name, key)
        return key

    def _now(self) -> int:
        return self._clock.wall_ns() // 1000
