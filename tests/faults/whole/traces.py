"""Where a face could be found afterwards: on the raw disk, in a core, on the wire, in a browser's profile (B2).

The bytes that are looked for are those that strangers left in the recogniser's sealed memory (needles.py). A control
puts some of them into each of the four places, as careless code would, and the same scan has to find them all.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from playwright.async_api import async_playwright

from tests.faults.whole.box import OPERATOR, WORDS, Box
from tests.faults.whole.hygiene import Watch
from tests.faults.whole.needles import Needles
from tests.faults.whole.power import disk
from tests.faults.whole.street import Street
from tests.faults.whole.work import Work

CHROMIUM: Final = shutil.which("chromium") or "/usr/bin/chromium"
_CHUNK: Final = 1 << 25
_WATCHED_S: Final = 4.0  # so long a person looks at the desk's page
_CRASH = "import sys, time; kept = sys.stdin.buffer.read(); print(end='!', flush=True); time.sleep(60)"


@dataclass
class Traces:
    groups: int = 0
    words: int = 0
    read_mib: dict[str, int] = field(default_factory=dict)
    hits: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


class Wire:
    """Between people and console: every byte, both ways."""

    def __init__(self) -> None:
        self.seen = bytearray()

    @asynccontextmanager
    async def tapped(self, address: str) -> AsyncIterator[str]:
        """The address to use instead."""
        port = int(address.rstrip("/").rpartition(":")[2])

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                theirs, ours = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.gather(self._copy(reader, ours), self._copy(theirs, writer))

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        finally:
            server.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                self.seen += data
                writer.write(data)
                await writer.drain()
        writer.close()


async def trace(
    street: Street,
    folder: Path,
    groups: int,
    chance: random.Random,
    *,
    careless: bool = False,
    step: Callable[[int], None] = lambda done: None,
) -> Traces:
    """`groups` of strangers pass while people work; then everything crashes, and every place is read.

    `careless`: the control, in which the first group's bytes are left in all four places.
    """
    told, wire = Traces(), Wire()
    cores, profile = folder / "cores", folder / "profile"
    cores.mkdir()
    with disk(folder / "disk") as made:
        box = Box(street, made.mount, folder / "lfr.toml")
        box.cwd = cores
        try:
            box.furnish()
            with _cores_wanted():
                await box.start()
            await box.ready()
            async with wire.tapped(box.address) as address:
                box.address = address
                needles = await _pass(box, told, groups, profile, chance, step)
            await _crash(box, needles if careless else None, cores)
        finally:
            await box.kill()
        if careless:
            _be_careless(needles, made.mount, wire, profile)
        made.down()
        _look(told, needles, "disk image", _pieces_of(made.image))
        _look(told, needles, "cores", _files(cores))
        _look(told, needles, "wire", iter([bytes(wire.seen)]))
        _look(told, needles, "browser profile", _files(profile))
        made.up()
    if not careless and (left := sorted(path.name for path in cores.iterdir())):
        told.failures.append(f"a process of the service left a core: {left}")
    return told


async def _pass(
    box: Box, told: Traces, groups: int, profile: Path, chance: random.Random, step: Callable[[int], None]
) -> Needles:
    work, needles = Work(box, chance), Needles()
    async with work.people():
        await work.enrol_issuer()
        await work.activate()
        desk = asyncio.create_task(work.do("desk"))
        watch = Watch(box, work, chance)
        await watch.settle()
        browsing = asyncio.create_task(_browse(box.address, profile))
        for _ in range(groups):
            _, taken = await watch.take()
            needles += taken
            told.groups += 1
            await watch.gone()
            step(1)
        await browsing
        desk.cancel()
        await asyncio.gather(desk, return_exceptions=True)
        if not work.told.by_kind["evidence.viewed"]:
            told.failures.append("nobody's picture was shown: the wire carried none that it may")
    told.words = len(needles.words)
    return needles


async def _browse(address: str, profile: Path) -> None:
    """A person signs in with a browser that keeps a profile, and looks at the desk."""
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"], headless=True
        )
        page = await context.new_page()
        await page.goto(f"{address}sign-in")
        await page.fill("input[name=name]", OPERATOR)
        await page.fill("input[name=password]", WORDS)
        await page.click("main button[type=submit]")
        await page.wait_for_url(f"{address}desk")
        await asyncio.sleep(_WATCHED_S)
        await context.close()


@contextlib.contextmanager
def _cores_wanted() -> Iterator[None]:
    """Whoever is started meanwhile may leave a core, unless it says otherwise itself."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)


async def _crash(box: Box, needles: Needles | None, cores: Path) -> None:
    """Each process of the service dies as from its own bug. With `needles`, one that is not hardened holds them."""
    for place, pid in enumerate(reversed(box.tree())):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSEGV if place % 2 else signal.SIGABRT)
        await asyncio.sleep(0.2)
    if needles is None:
        return
    with (
        _cores_wanted(),
        subprocess.Popen(
            [sys.executable, "-c", _CRASH], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=cores
        ) as careless,
    ):
        assert careless.stdin is not None
        assert careless.stdout is not None
        careless.stdin.write(needles.words.tobytes())
        careless.stdin.close()
        careless.stdout.read(1)
        careless.send_signal(signal.SIGSEGV)


def _be_careless(needles: Needles, mount: Path, wire: Wire, profile: Path) -> None:
    """On the disk in a file that was deleted since, on the wire, and in what a browser keeps."""
    secret = needles.words[: len(needles.words) // 2].tobytes()
    debug = mount / "debug.bin"
    debug.write_bytes(secret)
    os.sync()
    debug.unlink()
    wire.seen += secret
    (profile / "Cache").mkdir(parents=True, exist_ok=True)
    (profile / "Cache" / "f_000001").write_bytes(b"x" + secret)


def _look(told: Traces, needles: Needles, place: str, chunks: Iterator[bytes]) -> None:
    hits = size = 0
    for chunk in chunks:
        hits, size = hits + needles.in_bytes(chunk), size + len(chunk)
    told.read_mib[place] = size >> 20
    told.hits[place] = hits
    if hits:
        told.failures.append(f"{place}: {hits} fragments of strangers")


def _files(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path.read_bytes()


def _pieces_of(image: Path) -> Iterator[bytes]:
    """What the file system ever wrote: holes are left out."""
    descriptor = os.open(image, os.O_RDONLY)
    try:
        at, end = 0, os.fstat(descriptor).st_size
        while at < end:
            try:
                at = os.lseek(descriptor, at, os.SEEK_DATA)
            except OSError:
                return
            stop = min(os.lseek(descriptor, at, os.SEEK_HOLE), at + _CHUNK)
            yield os.pread(descriptor, stop - at, at)
            at = stop
    finally:
        os.close(descriptor)
