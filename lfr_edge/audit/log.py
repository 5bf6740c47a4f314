"""The log itself: append, group commit, signed heads.

Order is everything here (reliability.md 1.4): :meth:`AuditLog.append` returns only when the entry is durable, so
whatever follows in the caller (showing an alert, acknowledging a decision, counting a template as erased) has its
record on disk already. Callers that arrive while a write is under way share the next one and its fdatasync.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NoReturn, TypeAlias

from lfr_edge.audit import refusals
from lfr_edge.audit.checkpoint import Checkpoint
from lfr_edge.audit.entry import Draft, Entry, parse_entry
from lfr_edge.audit.event import REFUSED_WHEN_FULL, SIGNED_AT_ONCE, SYSTEM, Actor, Event, Verb
from lfr_edge.audit.folder import LogFolder
from lfr_edge.audit.group import GroupCommit
from lfr_edge.audit.keys import LogKeys
from lfr_edge.audit.opening import check_keys, lay_out
from lfr_edge.audit.recovery import Recovered, TornWrite, citation, recover
from lfr_edge.audit.segment import BadFrame, map_segment, read_frames
from lfr_edge.audit.signing import HeadSigner, LogOptions
from lfr_edge.audit.stamp import Stamp
from lfr_edge.audit.writer import LogWriter
from lfr_edge.clock import Clock
from lfr_edge.errors import AuditError

__all__ = ["Appended", "AuditLog", "FailureHandler", "LogOptions", "State"]

State: TypeAlias = Literal["open", "disk_full", "failed", "closed"]
FailureHandler: TypeAlias = Callable[[AuditError], None]
_TIMER_S: Final = 1.0
# Before a caller who writes for others goes home: handing the disk to a sleeper costs as much as a fast disk's sync.
_WRITES_IN_A_ROW: Final = 4


@dataclass(frozen=True, slots=True)
class Appended:
    """An entry that is durable."""

    seq: int
    leaf_hash: bytes


class AuditLog:
    """One open log. Use :meth:`create`, :meth:`open` or :meth:`succeed`.

    **Thread rule:** every public method from any thread; all of them block (asyncio callers use ``to_thread``).
    `on_failure` is called once, by the thread that met the error, and must not call the log.
    """

    def __init__(
        self,
        files: LogFolder,
        keys: LogKeys,
        clock: Clock,
        recovered: Recovered,
        writer: LogWriter,
        options: LogOptions,
        on_failure: FailureHandler | None,
    ) -> None:
        self.origin: Final = keys.signer.verifier.name
        self.folder: Final = files.path
        self.recovered: Final[TornWrite | None] = recovered.torn
        self._files = files
        self._keys = keys
        self._stamp = Stamp(self.origin, clock, options.boot_id(), options.source)
        self._options = options
        self._on_failure = on_failure
        self._writer = writer
        self._group = GroupCommit(writer, recovered.tree, self._die)
        self._turn = self._group.turn
        self._heads = HeadSigner(
            self.origin, keys.signer, self._group, writer, clock, options, recovered.head, self._die
        )
        self._closing = False
        self._state: State = "open"
        self._failure = ""
        self._stop = threading.Event()
        self._timer: threading.Thread | None = None

    @classmethod
    def create(
        cls,
        folder: Path,
        origin: str,
        keys: LogKeys,
        clock: Clock,
        *,
        options: LogOptions | None = None,
        on_failure: FailureHandler | None = None,
    ) -> AuditLog:
        """Begin a log in an empty or missing `folder`; its first entry is ``log.opened``.

        Raises:
            AuditError: ``audit_log_exists``, ``audit_log_unwritable``, ``audit_key_mismatch``.
        """
        lay_out(LogFolder(folder), keys)
        return cls.open(folder, origin, keys, clock, options=options, on_failure=on_failure)

    @classmethod
    def open(
        cls,
        folder: Path,
        origin: str,
        keys: LogKeys,
        clock: Clock,
        *,
        options: LogOptions | None = None,
        on_failure: FailureHandler | None = None,
    ) -> AuditLog:
        """Go on with a log after a restart, a crash or a power cut.

        A torn write is moved aside and recorded (``log.recovered``); see :attr:`recovered`.

        Raises:
            AuditError: ``audit_log_missing``, ``audit_log_in_use``, ``audit_log_closed``,
                ``audit_log_damaged``, ``audit_log_frozen``, ``audit_key_mismatch``, ``audit_log_unwritable``.
        """
        files = LogFolder(folder)
        options = options or LogOptions()
        try:
            certificate = check_keys(files, origin, keys)
            writer = LogWriter(files, options.disk, options.ballast_bytes)
        except OSError as error:
            raise refusals.log_unwritable(folder, error) from None
        try:
            recovered = recover(files, origin, certificate.key)
            log = cls(files, keys, clock, recovered, writer, options, on_failure)
            if recovered.last is not None and recovered.last.event.ev == "log.closed":
                # A crash between the last entry and the last signature: finish what close() began.
                log._finish()
                raise refusals.log_closed(origin)
            log._begin(recovered)
        except OSError as error:
            writer.close()
            raise refusals.log_unwritable(folder, error) from None
        except BaseException:
            writer.close()
            raise
        return log

    @classmethod
    def succeed(
        cls,
        damaged: Path,
        folder: Path,
        origin: str,
        keys: LogKeys,
        clock: Clock,
        *,
        options: LogOptions | None = None,
        on_failure: FailureHandler | None = None,
    ) -> AuditLog:
        """Begin a new log whose second entry cites the frozen one: what was last signed there, what is left."""
        event = citation(damaged)
        log = cls.create(folder, origin, keys, clock, options=options, on_failure=on_failure)
        log.append(event)
        log.checkpoint()
        return log

    @property
    def size(self) -> int:
        """Entries that are durable."""
        return self._group.tree.size

    @property
    def state(self) -> State:
        return self._state

    @property
    def keys(self) -> LogKeys:
        return self._keys

    @property
    def latest(self) -> Checkpoint | None:
        """The newest signed head of this run."""
        return self._heads.latest

    def reference(self, identifier: str) -> str:
        """How this log names `identifier` (an alert, an entry, an item)."""
        return self._keys.reference(identifier)

    def append(self, event: Event) -> Appended:
        """Record `event`; return when it is durable. Decisions return with a signed head over them.

        Raises:
            AuditError: ``audit_event_invalid`` or ``audit_entry_too_large`` (nothing was recorded);
                ``audit_disk_full`` (the log only takes what ends the deployment now); ``audit_log_closed``;
                ``audit_log_failed``: the disk let the log down. It is dead for ever; stop processing.
        """
        draft, sign = self._stamp.draft(event), event.ev in SIGNED_AT_ONCE
        with self._turn:
            seq, leaf = self._enqueue(event.ev, draft)
            place = self._group.line_up()
            if place is None:
                self._write_for_all(sign)
        if place is not None:
            self._group.sleep(place)
            if place.holds:
                with self._turn:
                    self._write_for_all(sign)
            elif self._group.tree.size <= seq:
                raise self._dead()
        if sign and self._heads.head.size <= seq:
            with self._at_the_disk():
                if self._heads.head.size <= seq:  # nobody else did while we waited
                    self._must_live()
                    self._heads.sign()
        return Appended(seq, leaf)

    def checkpoint(self) -> Checkpoint:
        """Sign a head over everything durable (or return the one that already covers it)."""
        with self._at_the_disk():
            self._must_live()
            self._group.write()
            if self._heads.head.size < self._group.tree.size:
                self._heads.sign()
            assert self._heads.latest is not None, "open() signed the first head"
            return self._heads.latest

    def tick(self) -> None:
        """Sign when the last head is older than 10 s; the timer thread calls this every second."""
        with self._at_the_disk():
            if self._state in {"open", "disk_full"}:
                self._heads.sign_if_due()

    def entries(self, start: int = 0) -> Iterator[tuple[int, Entry]]:
        """Durable entries from `start` on, as (byte offset, entry): the source of every view."""
        size = self._group.tree.size
        for seq, frame in enumerate(read_frames(map_segment(self._files.entries))):
            if isinstance(frame, BadFrame) or seq >= size:
                return
            if seq >= start:
                yield frame.offset, parse_entry(frame.body)

    def consistency(self, old: int, size: int) -> tuple[bytes, ...]:
        with self._turn:
            return self._group.tree.consistency(old, size)

    def inclusion(self, seq: int, size: int) -> tuple[bytes, ...]:
        with self._turn:
            return self._group.tree.inclusion(seq, size)

    def close(self, actor: Actor = SYSTEM, *, data: Mapping[str, object] | None = None) -> Checkpoint:
        """End the log for good: ``log.closed``, a last signed head, and the keys destroyed. Once only."""
        event = Event("log.closed", actor, data=dict(data or {}))
        draft = self._stamp.draft(event)
        with self._turn:
            self._enqueue(event.ev, draft)
            self._closing = True
        return self._finish()

    def suspend(self) -> None:
        """Sign what is there and let go of the files; :meth:`open` goes on later. Never raises twice."""
        try:
            if self._state in {"open", "disk_full"}:
                self.checkpoint()
        finally:
            self._release()

    def _finish(self) -> Checkpoint:
        """Sign the last head of a log whose last entry is ``log.closed``, and destroy the keys."""
        with self._at_the_disk():
            self._must_live()
            self._group.write()
            self._heads.sign()
            assert self._heads.latest is not None, "sign() set it"
            self._state = "closed"
            last = self._heads.latest
        self._release()
        with contextlib.suppress(OSError):  # only space
            self._files.ballast.unlink()
        try:
            self._keys.destroy()
        except OSError as error:
            raise refusals.key_not_destroyed(self.origin, error) from None
        return last

    def _begin(self, recovered: Recovered) -> None:
        if recovered.tree.size == 0:
            self.append(Event("log.opened", data={"key": self._keys.signer.verifier.text}))
        if recovered.torn is not None:
            self.append(recovered.torn.event)
        with self._at_the_disk():
            self._record_full_disk()
            self._heads.sign()
        if self._options.timer:
            self._timer = threading.Thread(target=self._run_timer, name="audit-checkpoints", daemon=True)
            self._timer.start()

    def _run_timer(self) -> None:
        while not self._stop.wait(_TIMER_S):
            # A failure has been handed to on_failure; the next append tells the caller, too.
            with contextlib.suppress(AuditError):
                self.tick()

    @contextlib.contextmanager
    def _at_the_disk(self) -> Iterator[None]:
        """With the turn, and nobody else at the disk."""
        with self._turn:
            self._group.claim()
            try:
                yield
            finally:
                self._group.pass_on()

    # Everything below runs with the turn held.

    def _enqueue(self, verb: Verb, draft: Draft) -> tuple[int, bytes]:
        self._must_live()
        if self._closing:
            raise refusals.log_closed(self.origin)
        if self._state == "disk_full" and verb in REFUSED_WHEN_FULL:
            raise refusals.disk_full(verb)
        seq = self._group.next_seq
        return seq, self._group.add(self._stamp.entry(seq, draft))

    def _write_for_all(self, sign: bool) -> None:
        """The disk is ours: write what is lined up, ours with it, and a few batches more if others wait."""
        try:
            for _ in range(_WRITES_IN_A_ROW):
                self._must_live()
                self._group.write()
                self._record_full_disk()
                if sign and self._heads.head.size < self._group.tree.size:
                    self._heads.sign()
                    sign = False
                else:
                    self._heads.sign_if_due()
                if not self._group.waiting or self._group.claimed:
                    break
        finally:
            self._group.pass_on()

    def _must_live(self) -> None:
        if self._state == "failed":
            raise self._dead()
        if self._state == "closed":
            raise refusals.log_closed(self.origin)

    def _record_full_disk(self) -> None:
        if self._writer.disk_full and not self._closing:
            self._writer.disk_full = False
            self._state = "disk_full"
            event = Event("disk.full")
            self._enqueue(event.ev, self._stamp.draft(event))
            self._group.write()
            self._heads.sign()

    def _die(self, error: BaseException) -> NoReturn:
        """The log is dead from here on: what the disk holds now is for recovery to judge."""
        self._state = "failed"
        self._failure = getattr(error, "strerror", None) or str(error) or type(error).__name__
        dead = self._dead()
        if self._on_failure is not None:
            self._on_failure(dead)
        raise dead from error

    def _dead(self) -> AuditError:
        return refusals.log_failed(self.origin, self._failure)

    def _release(self) -> None:
        """Let go of thread and files; called without the turn."""
        self._stop.set()
        if self._timer is not None:
            self._timer.join()
        with self._at_the_disk():
            if self._state != "failed":
                self._state = "closed"
            self._writer.close()
