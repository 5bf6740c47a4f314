"""The log itself: append, group commit, signed heads.

Order is everything here (reliability.md 1.4): :meth:`AuditLog.append` returns only when the entry is durable, so
whatever follows in the caller (showing an alert, acknowledging a decision, counting a template as erased) has its
record on disk already. Callers that arrive while a write is under way share the next one and its fdatasync.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NoReturn, TypeAlias

from lfr_edge.audit.checkpoint import Checkpoint, Head, sign_head
from lfr_edge.audit.disk import Disk, RealDisk, make_folder, write_new
from lfr_edge.audit.entry import Entry, parse_entry
from lfr_edge.audit.event import REFUSED_WHEN_FULL, SIGNED_AT_ONCE, SYSTEM, Actor, Event
from lfr_edge.audit.folder import LogFolder
from lfr_edge.audit.group import GroupCommit
from lfr_edge.audit.keys import LogKeys, open_certificate, read_certificate
from lfr_edge.audit.recovery import Recovered, TornWrite, citation, recover
from lfr_edge.audit.segment import BadFrame, map_segment, read_frames
from lfr_edge.audit.stamp import Stamp, boot_id, time_source
from lfr_edge.audit.view import LogView
from lfr_edge.audit.writer import LogWriter
from lfr_edge.clock import Clock
from lfr_edge.errors import AuditError

State: TypeAlias = Literal["open", "disk_full", "failed", "closed"]
FailureHandler: TypeAlias = Callable[[AuditError], None]
_TIMER_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Appended:
    """An entry that is durable."""

    seq: int
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What tests and small disks change. `timer` false: nobody calls :meth:`AuditLog.tick` but the owner."""

    checkpoint_every: int = 256
    checkpoint_after_s: float = 10.0
    ballast_bytes: int = 4 * 1024 * 1024  # about 8,000 entries to bring a deployment to an orderly end
    timer: bool = True
    disk: Disk = field(default_factory=RealDisk)
    source: Callable[[], str] = time_source
    boot_id: Callable[[], str] = boot_id


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
        self._clock = clock
        self._stamp = Stamp(self.origin, clock, options.boot_id(), options.source)
        self._options = options
        self._on_failure = on_failure
        self._writer = writer
        self._group = GroupCommit(writer, recovered.tree, self._must_live, self._die)
        self._turn = self._group.turn
        self._signed = recovered.head
        self._signed_at_ns = clock.monotonic_ns()
        self._latest: Checkpoint | None = None
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
        files = LogFolder(folder)
        if files.entries.exists():
            raise AuditError(
                "audit_log_exists", f"{folder} already holds a log", hint="open it, or name another"
            )
        try:
            make_folder(folder)
            write_new(files.device_key, (keys.device.text + "\n").encode())
            write_new(files.certificate, str(keys.certificate).encode())
            # Last: a folder without this file is not yet a log, and create() may try again.
            write_new(files.entries, b"")
        except OSError as error:
            raise _unwritable(folder, error) from None
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
        if not files.is_log():
            raise AuditError("audit_log_missing", f"{folder} holds no log", hint="create it first")
        try:
            certificate = open_certificate(read_certificate(files.certificate), keys.device)
            if certificate.origin != origin or certificate.key != keys.signer.verifier:
                if certificate.origin == origin and _is_closed(folder):
                    # The log's own key went with its closing; what is at hand was made since, for nothing.
                    keys.destroy()
                    raise _closed(origin)
                raise AuditError(
                    "audit_key_mismatch",
                    f"the keys at hand are not those of the log in {folder}",
                    hint="the key store was replaced or the log comes from another box; open a new log",
                )
            writer = LogWriter(files, options.disk, options.ballast_bytes)
        except OSError as error:
            raise _unwritable(folder, error) from None
        try:
            recovered = recover(files, origin, certificate.key)
            log = cls(files, keys, clock, recovered, writer, options, on_failure)
            if recovered.last is not None and recovered.last.event.ev == "log.closed":
                # A crash between the last entry and the last signature: finish what close() began.
                log._finish()
                raise _closed(origin)
            log._begin(recovered)
        except OSError as error:
            writer.close()
            raise _unwritable(folder, error) from None
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
        return self._latest

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
        with self._turn:
            seq, leaf = self._enqueue(event)
            self._group.settle(seq)
            self._record_full_disk()
            if event.ev in SIGNED_AT_ONCE:
                self._sign_through(seq)
            else:
                self._sign_if_due()
        return Appended(seq, leaf)

    def checkpoint(self) -> Checkpoint:
        """Sign a head over everything durable (or return the one that already covers it)."""
        with self._turn:
            self._must_live()
            self._group.settle(self._group.next_seq - 1)
            self._sign_through(self._group.tree.size - 1)
            assert self._latest is not None, "open() signed the first head"
            return self._latest

    def tick(self) -> None:
        """Sign when the last head is older than 10 s; the timer thread calls this every second."""
        with self._turn:
            if self._state in {"open", "disk_full"}:
                self._sign_if_due()

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
        with self._turn:
            seq, _ = self._enqueue(event)
            self._closing = True
            self._group.settle(seq)
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
        with self._turn:
            self._group.wait_until_idle()
            self._must_live()
            self._sign()
            assert self._latest is not None, "_sign set it"
            self._state = "closed"
            last = self._latest
        self._release()
        with contextlib.suppress(OSError):  # only space
            self._files.ballast.unlink(missing_ok=True)
        try:
            self._keys.destroy()
        except OSError as error:
            raise AuditError(
                "audit_key_not_destroyed",
                f"the log of {self.origin} is closed, but its key is still on the disk: {error.strerror}",
                hint="destroy the key store by hand: whoever has the key can sign for this log",
            ) from None
        return last

    def _begin(self, recovered: Recovered) -> None:
        if recovered.tree.size == 0:
            self.append(Event("log.opened", data={"key": self._keys.signer.verifier.text}))
        if recovered.torn is not None:
            torn = recovered.torn
            self.append(
                Event(
                    "log.recovered",
                    data={
                        "offset": torn.offset,
                        "bytes": torn.size,
                        "sha256": torn.sha256,
                        "aside": torn.aside,
                    },
                )
            )
        with self._turn:
            self._record_full_disk()
            self._sign()
        if self._options.timer:
            self._timer = threading.Thread(target=self._run_timer, name="audit-checkpoints", daemon=True)
            self._timer.start()

    def _run_timer(self) -> None:
        while not self._stop.wait(_TIMER_S):
            # A failure has been handed to on_failure; the next append tells the caller, too.
            with contextlib.suppress(AuditError):
                self.tick()

    # Everything below runs with the turn held.

    def _enqueue(self, event: Event) -> tuple[int, bytes]:
        self._must_live()
        if self._closing:
            raise _closed(self.origin)
        if self._state == "disk_full" and event.ev in REFUSED_WHEN_FULL:
            raise AuditError(
                "audit_disk_full",
                f"the disk is full: {event.ev} was not recorded and may not happen",
                hint="stop recognition, close the deployment, free space on the audit disk",
            )
        seq = self._group.next_seq
        return seq, self._group.add(self._stamp.entry(seq, event).encode())

    def _must_live(self) -> None:
        if self._state == "failed":
            raise self._dead()
        if self._state == "closed":
            raise _closed(self.origin)

    def _record_full_disk(self) -> None:
        if self._writer.disk_full and not self._closing:
            self._writer.disk_full = False
            self._state = "disk_full"
            seq, _ = self._enqueue(Event("disk.full"))
            self._group.settle(seq)
            self._sign_through(seq)

    def _sign_if_due(self) -> None:
        waiting = self._group.tree.size - self._signed.size
        age_ns = self._clock.monotonic_ns() - self._signed_at_ns
        if waiting >= self._options.checkpoint_every or (
            waiting and age_ns >= self._options.checkpoint_after_s * 1e9
        ):
            self._sign_through(self._group.tree.size - 1)

    def _sign_through(self, seq: int) -> None:
        """Return when a signed head covers entry `seq`."""
        while self._signed.size <= seq:
            self._group.wait_until_idle()
            if self._signed.size <= seq:
                self._must_live()
                self._sign()

    def _sign(self) -> None:
        before, head = self._signed, Head(self._group.tree.size, self._group.tree.root())
        # Never contradict what was signed before, whatever else has gone wrong.
        if before.size > head.size or self._group.tree.root(before.size) != before.root:
            self._die(AuditError("audit_head_inconsistent", "the tree no longer contains what was signed"))
        signer = self._keys.signer
        self._latest = self._group.alone(
            lambda: self._writer.write_head(before, head, lambda: sign_head(self.origin, head, signer))
        )
        self._signed = head
        self._signed_at_ns = self._clock.monotonic_ns()

    def _die(self, error: BaseException) -> NoReturn:
        """The log is dead from here on: what the disk holds now is for recovery to judge."""
        self._state = "failed"
        self._failure = getattr(error, "strerror", None) or str(error) or type(error).__name__
        dead = self._dead()
        if self._on_failure is not None:
            self._on_failure(dead)
        raise dead from error

    def _dead(self) -> AuditError:
        return AuditError(
            "audit_log_failed",
            f"the audit log of {self.origin} is dead: {self._failure}",
            hint="stop recognition; check the disk; reopening the log recovers what is durable",
        )

    def _release(self) -> None:
        """Let go of thread and files; called without the turn."""
        self._stop.set()
        if self._timer is not None:
            self._timer.join()
        with self._turn:
            self._group.wait_until_idle()
            if self._state != "failed":
                self._state = "closed"
            self._writer.close()


def _is_closed(folder: Path) -> bool:
    view = LogView.load(folder)
    return view.size > 0 and view.entry(view.size - 1).event.ev == "log.closed"


def _closed(origin: str) -> AuditError:
    return AuditError("audit_log_closed", f"the log of {origin} is closed", hint="open a new one")


def _unwritable(folder: Path, error: OSError) -> AuditError:
    return AuditError(
        "audit_log_unwritable",
        f"{folder} cannot hold a log: {error.strerror}",
        hint="check free space, permissions and the mount of the audit folder",
    )
