"""The head of a closed log on paper: printed as a code, signed by the officer, confirmed on the box.

A van without a network still leaves an anchor outside itself: 32 letters on a signed sheet. Both steps are entries of
the box's log, because the deployment's own is closed. Whoever holds the sheet checks the log against it
(``lfr-edge audit verify LOG --code``); the confirmation says that a sheet exists and who answers for it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lfr_edge.alerts.record import Actor, Plain, Recorder
from lfr_edge.audit.anchor import printed_code, same_code
from lfr_edge.audit.checkpoint import Head, head_text
from lfr_edge.audit.folder import DEVICE_LOG, LogFolder
from lfr_edge.audit.view import LogView
from lfr_edge.deployment.keeping.remains import LogTail
from lfr_edge.deployment.reading import count, word
from lfr_edge.errors import AuditError, DeploymentError
from lfr_edge.sentences import say

_GROUP: Final = (
    8  # letters of the sheet that are typed in: nobody guesses 40 bits, and everybody can read them
)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A closed deployment's last head. `printed_by` and `confirmed_by` are empty until it happened."""

    deployment: str
    origin: str
    head: Head
    closed_us: int
    printed_by: str = ""
    printed_us: int = 0
    confirmed_by: str = ""
    confirmed_us: int = 0

    @property
    def code(self) -> str:
        return printed_code(self.origin, self.head)

    @property
    def asked(self) -> str:
        """The part of the code that the officer types from the sheet."""
        return "".join(self.code.split())[-_GROUP:]

    @property
    def text(self) -> str:
        """What the square code holds: origin, size and root, as the head itself has them."""
        return head_text(self.origin, self.head)


class Anchors:
    """**Thread rule:** any thread; blocks on the disk."""

    def __init__(self, audit: Path, record: Recorder) -> None:
        self._audit = audit
        self._record = record
        self._tail = LogTail(LogFolder(audit / DEVICE_LOG))
        self._known: dict[str, Anchor] = {}  # by origin
        self._turn = threading.Lock()

    def all(self) -> tuple[Anchor, ...]:
        """Every closed deployment that the box's log knows, newest first."""
        with self._turn:
            self._read()
            return tuple(sorted(self._known.values(), key=lambda one: -one.closed_us))

    def get(self, deployment: str) -> Anchor:
        """Raises DeploymentError ``anchor_unknown``."""
        for anchor in self.all():
            if anchor.deployment == deployment:
                return anchor
        raise DeploymentError(
            "anchor_unknown",
            say("no closed deployment is called {deployment}", deployment=deployment),
            hint="a log has its code once it is closed",
        )

    def printed(self, deployment: str, actor: Actor) -> Anchor:
        """Record that the sheet was given out, and check that the log here ends with the head on it.

        Raises:
            DeploymentError: ``anchor_unknown``, ``anchor_contradicts``: the log was changed since it was closed.
            AuditError: the record refused; no sheet may be given out.
        """
        anchor = self.get(deployment)
        self._check(anchor)
        self._record.record("anchor.printed", actor=actor, ref=anchor.origin, data=_data(anchor), why="")
        return self.get(deployment)

    def confirm(self, deployment: str, typed: str, actor: Actor) -> Anchor:
        """The officer has signed the sheet and typed the end of its code from it.

        Raises:
            DeploymentError: ``anchor_unknown``, ``anchor_not_printed``, ``anchor_code_wrong``,
                ``anchor_contradicts``.
            AuditError: the record refused.
        """
        anchor = self.get(deployment)
        if not anchor.printed_by:
            raise DeploymentError(
                "anchor_not_printed",
                "no sheet was printed for this deployment",
                hint="print it, sign it, then confirm",
            )
        if not same_code(typed, anchor.asked):
            raise DeploymentError(
                "anchor_code_wrong",
                "this is not the end of the code",
                hint="type the last two groups of letters from the signed sheet; if they differ, keep the sheet and"
                " call the auditor",
            )
        self._check(anchor)
        data = _data(anchor) | {"code": anchor.code}
        self._record.record("anchor.confirmed", actor=actor, ref=anchor.origin, data=data, why="")
        return self.get(deployment)

    def _check(self, anchor: Anchor) -> None:
        """The log that lies here still ends as the box's log says."""
        latest = None
        try:
            view = LogView.load(self._audit / anchor.deployment)
            latest = view.latest
            good = latest is not None and latest.head == anchor.head and view.tree.root() == anchor.head.root
        except AuditError:
            good = False
        if not good:
            raise DeploymentError(
                "anchor_contradicts",
                say(
                    "the log of {deployment} does not end with the head that was written down when it closed",
                    deployment=anchor.deployment,
                ),
                hint="print nothing; run lfr-edge audit verify and call the auditor",
            )

    def _read(self) -> None:
        for entry in self._tail.news():
            event = entry.event
            known = self._known.get(event.ref)
            if event.ev == "device.deployment_closed":
                head = Head(count(event, "size") or 0, _root(word(event, "root")))
                name = event.ref.rsplit("/", 1)[-1]
                self._known[event.ref] = Anchor(name, event.ref, head, entry.t_wall_us)
            elif known is not None and event.ev in {"anchor.printed", "anchor.confirmed"}:
                if (count(event, "size"), word(event, "root")) != (known.head.size, known.head.root.hex()):
                    continue  # of another head: the verifier calls it a contradiction
                by, when = event.actor.account, entry.t_wall_us
                printed = event.ev == "anchor.printed"
                self._known[event.ref] = Anchor(
                    known.deployment,
                    known.origin,
                    known.head,
                    known.closed_us,
                    by if printed else known.printed_by,
                    when if printed else known.printed_us,
                    known.confirmed_by if printed else by,
                    known.confirmed_us if printed else when,
                )


def _data(anchor: Anchor) -> dict[str, Plain]:
    return {"size": anchor.head.size, "root": anchor.head.root.hex()}


def _root(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
