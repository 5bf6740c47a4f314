"""The box itself: its folder, its processes, and the people at its console."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import aiohttp
from argon2 import PasswordHasher

from lfr_edge.audit.disk import sync_folder, write_new
from lfr_edge.audit.entry import Entry, parse_entry
from lfr_edge.audit.folder import LogFolder, logs_of
from lfr_edge.audit.segment import BadFrame, map_segment, read_frames
from lfr_edge.clock import SystemClock
from lfr_edge.console.door import accounts as accounts_room
from lfr_edge.console.door.accounts import Accounts, Role
from lfr_edge.settings import Settings
from lfr_edge.watchlist.keys import write_key_file
from tests.conftest import REPOSITORY
from tests.faults.whole.street import Street, as_toml, raw_settings

OPERATOR, OFFICER, APPROVER = "miller", "hughes", "okoro"
WORDS: Final = "three plain words"
READY_S: Final = 180.0  # a bound for a machine at load 40; how long it really took is what is reported
_CHILD: Final = (sys.executable, "-m", "tests.faults.whole.serve_child")
_CHEAP: Final = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # people sign in anew in each life
_ROLES: Final = {
    OPERATOR: Role.OPERATOR,
    OFFICER: Role.DEPLOYMENT_OFFICER,
    APPROVER: Role.AUTHORISING_OFFICER,
}


class Nursery:
    """Forks services that need not import anything: see serve_child.py."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(_CHILD, stdin=theirs, env=environment, cwd=REPOSITORY)
        theirs.close()
        self._orders = ours

    def fork(self, config: Path, stdin: int, stdout: int) -> int:
        socket.send_fds(self._orders, [str(config).encode()], [stdin, stdout])
        return int(self._orders.recv(64))

    def close(self) -> None:
        self._orders.close()
        self._process.wait()


class Box:
    """A folder that may lose its power, and the processes that work in it. One service at a time."""

    def __init__(self, street: Street, state: Path, config: Path, **over: dict[str, Any]) -> None:
        self.street, self.state, self.config = street, state, config
        self.raw = raw_settings(street, state, **over)
        self.settings = Settings.model_validate(self.raw)
        self.environment: Mapping[str, str] = os.environ
        self.cwd = REPOSITORY
        self.said: list[str] = []
        self.answers: asyncio.Queue[str] = asyncio.Queue()
        self.address = ""
        self.pid = 0  # of the desk; 0 where none runs
        self._started: subprocess.Popen[bytes] | None = None
        self._words: int | None = None  # standard input of the desk
        self._lines = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        config.write_text(as_toml(self.raw), encoding="utf-8")

    def furnish(self) -> None:
        """Three people with passwords, as ``lfr-edge accounts`` makes them; the list and its key."""
        (self.state / "data").mkdir(mode=0o700)
        accounts = Accounts(self.state / "data" / "accounts.json", SystemClock())
        with patch.object(accounts_room, "_HASHER", _CHEAP):
            for name, role in _ROLES.items():
                accounts.redeem(accounts.add(name, role), name, None, WORDS)
        self.bring_list()

    def bring_list(self) -> None:
        """The medium comes: the sealed list and its key file, where the end of a deployment destroyed them."""
        path, key_file = self.settings.watchlist.path, self.settings.watchlist.key_file
        assert key_file is not None
        if not path.exists():
            write_new(path, self.street.lists.base.read_bytes())
        if not key_file.exists():
            write_key_file(key_file, self.street.lists.key)
        sync_folder(self.state)

    async def start(self, nursery: Nursery | None = None) -> None:
        """Begin; :meth:`ready` waits. Without `nursery` exactly as a service manager starts it."""
        self.said, self.address, self.answers = [], "", asyncio.Queue()
        self._lines = asyncio.Event()
        stdin, self._words = os.pipe()
        stdout, theirs = os.pipe()
        if nursery is not None:
            self.pid = await asyncio.to_thread(nursery.fork, self.config, stdin, theirs)
        else:
            self._started = subprocess.Popen(
                [*_CHILD, str(self.config)],
                stdin=stdin, stdout=theirs, stderr=theirs, cwd=self.cwd, start_new_session=True,
                env={"PYTHONPATH": str(REPOSITORY), **self.environment, "PYTHONUNBUFFERED": "1"},
            )  # fmt: skip
            self.pid = self._started.pid
        for descriptor in (stdin, theirs):
            os.close(descriptor)
        self._reading = asyncio.create_task(self._read(stdout))

    async def ready(self, timeout_s: float = READY_S) -> None:
        """Until the console's address is said. Raises RuntimeError with what it said where it ends before."""
        deadline = time.monotonic() + timeout_s
        while not self.address:
            ended = self._reading is None or self._reading.done()
            if ended or time.monotonic() > deadline:
                why = "the service ended" if ended else f"not ready within {timeout_s:g} s"
                raise RuntimeError(f"{why}: {' | '.join(self.said[-6:])}")
            self._lines.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lines.wait(), 0.2)

    async def ask(self, words: str) -> str:
        """Say something on standard input (see serve_child.py); the answer."""
        assert self._words is not None
        os.write(self._words, f"{words}\n".encode())
        return await asyncio.wait_for(self.answers.get(), 20)

    def tree(self) -> list[int]:
        """Every process of the service that lives, the desk first."""
        return [pid for pid in _tree(self.pid) if state_of(pid) not in "ZX"] if self.pid else []

    def children(self, part: str) -> list[int]:
        """Living processes of a part of the service: recogniser, capture."""
        return [pid for pid in self.tree()[1:] if part_of(pid) == part]

    def freeze(self) -> None:
        """Stop every thread of every process, and wait until each has left the kernel: an fdatasync under way ends
        before the power goes, or it would report success from a disk that is gone."""
        deadline = time.monotonic() + 30
        while True:
            pids = self.tree()
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            if all(state_of(task) in "TZX" for pid in pids for task in _tasks(pid)) and pids == self.tree():
                return
            if time.monotonic() > deadline:
                raise TimeoutError("the service does not stop")
            time.sleep(0.002)

    def thaw(self) -> None:
        for pid in self.tree():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    async def kill(self) -> None:
        """SIGKILL for every process; all are gone when this returns."""
        if not self.pid:
            return
        pids = _tree(self.pid)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self._gone(pids, 10)

    async def stop(self) -> None:
        """SIGTERM: the deployment ends in order."""
        pids = _tree(self.pid)
        os.kill(self.pid, signal.SIGTERM)
        await self._gone(pids, 60)

    async def _gone(self, pids: list[int], patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while any(state_of(pid) not in "ZX" for pid in pids):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the service does not end: {self.said[-3:]}")
            await asyncio.sleep(0.005)
        if self._reading is not None:
            await self._reading
        if self._started is not None:
            self._started.wait()
        if self._words is not None:
            os.close(self._words)
        self.pid, self._started, self._words, self._reading = 0, None, None, None

    async def _read(self, stdout: int) -> None:
        reader = asyncio.StreamReader()
        pipe = os.fdopen(stdout, "rb", 0)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        async for raw in reader:
            line = raw.decode("utf-8", "replace").strip()
            if line.startswith("! "):
                self.answers.put_nowait(line[2:])
            else:
                self.said.append(line)
            if found := re.match(r"console +(\S+)", line):
                self.address = found[1]
            self._lines.set()
        transport.close()


def entries_of(audit: Path) -> dict[str, list[Entry]]:
    """What lies on the disk now, without the service: the whole prefix of every log, by folder."""
    return {folder.path.name: list(_whole(folder)) for folder in logs_of(audit)}


def _whole(folder: LogFolder) -> Iterator[Entry]:
    for frame in read_frames(map_segment(folder.entries)):
        if isinstance(frame, BadFrame):
            return
        yield parse_entry(frame.body)


def cpu_s(pids: list[int]) -> float:
    """User and system seconds that these processes have used; one that is gone counts nothing."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def part_of(pid: int) -> str:
    """Of the service: recogniser, capture or desk."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        for part in ("recogniser", "capture"):
            if any(word == f"lfr_edge.{part}" or word.startswith(f"lfr_edge.{part}.") for word in words):
                return part
    return "desk"


def _tree(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, waiting = [], [root]
    while waiting:
        found.append(waiting.pop(0))
        waiting += parents.get(found[-1], [])
    return found


def _tasks(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]
    return []


def state_of(task: int) -> str:
    """The kernel's letter for a process or thread; X for one that is gone."""
    try:
        return Path(f"/proc/{task}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


class Person:
    """Somebody at the console: one cookie jar, and the headers that a browser sends."""

    def __init__(self, address: str, name: str) -> None:
        self.name = name
        self.session = aiohttp.ClientSession(
            address.rstrip("/"),
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            headers={"Origin": address.rstrip("/"), "Sec-Fetch-Site": "same-origin"},
            timeout=aiohttp.ClientTimeout(total=120),
        )

    async def sign_in(self) -> None:
        form = {"name": self.name, "password": WORDS, "next": "/"}
        async with self.session.post("/sign-in", data=form, allow_redirects=False) as answer:
            if answer.status != 303:
                raise RefusedError(answer.status, "sign-in", await answer.text())

    async def get(self, path: str) -> Any:
        async with self.session.get(path) as answer:
            if answer.status != 200:
                raise RefusedError(answer.status, path, await answer.text())
            return await (answer.json() if answer.content_type == "application/json" else answer.read())

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        async with self.session.post(path, json=body) as answer:
            if answer.status not in {200, 201}:
                raise RefusedError(answer.status, path, await answer.text())
            return await answer.json()

    async def leave(self) -> None:
        await self.session.close()


class RefusedError(Exception):
    """The console said no: its status, where, and the answer."""

    def __init__(self, status: int, path: str, text: str) -> None:
        super().__init__(f"{path}: {status} {text[:300]}")
        self.status, self.text = status, text
