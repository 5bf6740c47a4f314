"""One simulated van: the real record, the real desk, its pictures, a real witness behind a bad line, and time."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from lfr_edge.alerts.alert import DeskPolicy
from lfr_edge.alerts.desk import AlertDesk
from lfr_edge.alerts.material import AlertMaterial
from lfr_edge.alerts.record import LogRecorder
from lfr_edge.alerts.store import AlertStore, FeedEvent
from lfr_edge.audit.checkpoint import Checkpoint
from lfr_edge.audit.keys import FileKeyStore, deployment_keys, device_keys
from lfr_edge.audit.log import AuditLog, LogOptions
from lfr_edge.audit.note import WITNESS_KEY, MemorySigner, Note, Signature, VerifierKey, parse_signature
from lfr_edge.audit.witness import WitnessRefusedError, request_text
from lfr_edge.audit.witness_server import Answer, WitnessBook
from lfr_edge.errors import AuditError
from tests.fakes.box import KEY, ManualClock
from tests.faults.simulation.disk import CrashableDisk

ORIGIN, DEVICE = "van.example/3/d1", "van.example/3/device"
TWO_LOOKS = "missing child"
POLICY = DeskPolicy(looks_by_category=((TWO_LOOKS, 2),), disagreement="third_look", max_open=5)
CODES = [f"W-{number:04d}" for number in range(400)]


class Inline(ThreadPoolExecutor):
    """Work is done where it is handed in: the order of everything is the order of the program."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:
            done.set_exception(error)
        return done


@dataclass
class BadLine:
    """A witness behind a network that loses requests and answers, repeats requests, and delivers old ones late."""

    book: WitnessBook
    key: VerifierKey
    chance: random.Random
    disk: CrashableDisk  # of the van, which has nothing to do with the witness's own
    down: bool = False
    late: list[str] = field(default_factory=list)

    def introduce(self, certificate: Note) -> None:
        with self.disk.elsewhere():
            self._answer(self._through(lambda: self.book.add_log(str(certificate))))

    def add_checkpoint(
        self, old: int, proof: tuple[bytes, ...], checkpoint: Checkpoint
    ) -> tuple[Signature, ...]:
        body = request_text(old, proof, checkpoint)
        with self.disk.elsewhere():
            if self.late and self.chance.random() < 0.3:
                self.book.add_checkpoint(self.late.pop(self.chance.randrange(len(self.late))))
            if self.chance.random() < 0.3:
                self.late.append(body)
            answer = self._answer(self._through(lambda: self.book.add_checkpoint(body)))
        return tuple(parse_signature(line) for line in answer.body.removesuffix("\n").split("\n"))

    def _through(self, call: Any) -> Answer:
        if self.down or self.chance.random() < 0.2:
            raise self._lost()
        answer: Answer = call()
        if self.chance.random() < 0.1:
            answer = call()  # the line repeated the request
        if self.chance.random() < 0.2:
            raise self._lost()
        return answer

    def _answer(self, answer: Answer) -> Answer:
        if answer.status != 200:
            size = answer.body.strip()
            raise WitnessRefusedError(answer.status, int(size) if size.isdecimal() else None)
        return answer

    def _lost(self) -> AuditError:
        return AuditError("audit_witness_unreachable", "nobody answers")


class World:
    """What the simulated people and faults act on; opened again after every crash."""

    def __init__(self, base: Path, seed: int, *, harsh: bool = False) -> None:
        """`harsh`: also what the product does not survive yet; see test_simulation.py."""
        self.chance = random.Random(f"{seed}/world")
        self.harsh = harsh
        self.disk = CrashableDisk(base, random.Random(f"{seed}/disk"))
        self.clock = ManualClock()
        self.lives = 0
        self.told: list[FeedEvent] = []  # what clients were told in this life
        self._base = base
        self.line: BadLine | None = None
        self.log: AuditLog
        self.desk: AlertDesk
        self.material: AlertMaterial
        self.store: AlertStore

    @property
    def folder(self) -> Path:
        return self.disk.live / "log"

    async def open(self) -> None:
        """Start the desk on whatever is on the disk."""
        root, clock = self.disk.live, self.clock
        self.told = []
        keys_store = FileKeyStore(root / "keys")
        keys = deployment_keys(keys_store, device_keys(keys_store, DEVICE, clock), ORIGIN, clock)
        options = LogOptions(
            checkpoint_every=16, ballast_bytes=4096, timer=False, source=lambda: "ntp", boot_id=lambda: "b"
        )
        begin = AuditLog.open if (self.folder / "entries.lfr").exists() else AuditLog.create
        self.log = begin(self.folder, ORIGIN, keys, clock, options=options)
        if self.line is None:
            self.line = self._witness(keys_store)
        self.store = AlertStore(root / "alerts.sqlite")
        self.material = AlertMaterial(root / "material", KEY)
        self.desk = AlertDesk(self.store, self.material, LogRecorder(self.log), clock, POLICY)
        for name in ("miller", "reed"):
            self.desk.turns.arrive(name)
        references = {self.material.reference_code(reference): reference for reference in CODES}
        entries = (entry for _, entry in self.log.entries())
        await self.desk.start(entries, references)
        publish = self.desk.feed.publish
        self.store.follow(lambda event: (publish(event), self.hear(event))[0])
        self.lives += 1

    def hear(self, event: FeedEvent) -> None:
        if not self.disk.dead:
            self.told.append(event)

    async def abandon(self) -> None:
        """The process is gone: nothing of it is finished."""
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(Exception, BaseException):
            self.store.close()
        with contextlib.suppress(Exception, BaseException):
            self.log._writer.close()

    def _witness(self, keys: FileKeyStore) -> BadLine:
        signer = MemorySigner("witness.example", b"w" * 32, WITNESS_KEY)
        device = device_keys(keys, DEVICE, self.clock).signer.verifier
        outside = self._base / "witness"
        outside.mkdir()
        return BadLine(
            WitnessBook(outside, signer, (device,), self.clock), signer.verifier, self.chance, self.disk
        )


@contextlib.contextmanager
def one_thread(disk: CrashableDisk, chance: random.Random) -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop on which everything happens in the order of the seed, on `disk`."""
    loop = asyncio.new_event_loop()
    loop.set_default_executor(Inline(1))
    loop.set_exception_handler(lambda loop, context: None)  # tasks of a process that is gone
    patches = (
        patch("lfr_edge.alerts.store.ThreadPoolExecutor", Inline),
        patch("lfr_edge.alerts.desk._TICK_S", 1e9),
        # Tokens become names of files, whose order decides what a cut does to which.
        patch("secrets.token_hex", lambda size=16: chance.randbytes(size).hex()),
    )
    with contextlib.ExitStack() as stack:
        for one in patches:
            stack.enter_context(one)
        stack.enter_context(disk.powered())
        try:
            yield loop
        finally:
            loop.close()
