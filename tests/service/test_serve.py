"""``lfr-edge serve`` as a process of its own: signals, crashes, exit statuses."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from lfr_edge.audit.verify import verify
from tests.service.conftest import SOUGHT, START_S, children, until

pytestmark = [pytest.mark.network, pytest.mark.timeout(180)]


class Desk:
    """The running command."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[str] = []

    async def line(self, pattern: str, timeout_s: float = START_S) -> str:
        """The first group of the next line that matches."""
        assert self.process.stdout is not None
        async with asyncio.timeout(timeout_s):
            while raw := await self.process.stdout.readline():
                self.said.append(raw.decode())
                if found := re.search(pattern, self.said[-1]):
                    return found[1]
        raise AssertionError(f"no {pattern!r} in {self.said}")

    async def ended(self, timeout_s: float = 30) -> int:
        return await asyncio.wait_for(self.process.wait(), timeout_s)


Serve = Callable[[Path], Awaitable[Desk]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    started: list[asyncio.subprocess.Process] = []

    async def begin(config: Path) -> Desk:
        command = (sys.executable, "-m", "lfr_edge.cli.main", "serve", "--config", str(config))
        both = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}
        started.append(await asyncio.create_subprocess_exec(*command, **both, start_new_session=True))
        return Desk(started[-1])

    yield begin
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process._transport.close()


def _alive(pids: set[int]) -> set[int]:
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z":
                found.add(pid)
    return found


async def test_a_killed_desk_leaves_no_process_and_the_next_start_goes_on(van, serve, at_console) -> None:
    desk = await serve(van.config())
    deployment = await desk.line(r"deployment (\S+) is open")
    address = await desk.line(r"console +(\S+)")
    code = await desk.line(r"setup code +(\S+)")
    person = at_console(address)
    await person.set_up(code, "operator")
    (before, *_) = await _open_alerts(person)
    theirs = children(desk.process.pid)
    assert len(theirs) >= 2, "a capture child and the recogniser"
    desk.process.kill()
    await desk.ended()
    await until(lambda: not _alive(theirs), 5, "capture and recogniser end with the desk")

    again = await serve(van.config())
    assert await again.line(r"deployment (\S+) goes on") == deployment
    person = at_console(await again.line(r"console +(\S+)"))
    form = {"name": "miller", "password": "three plain words", "next": "/"}
    async with person.session.post("/sign-in", data=form, allow_redirects=False) as answer:
        assert answer.status == 303
    after = await _open_alerts(person)
    assert before["token"] in {alert["token"] for alert in after}, "no alert is lost"
    assert len(await person.get(f"/alerts/{before['token']}/probe.jpg")) > 1000

    again.process.send_signal(signal.SIGTERM)
    ledger = await again.line(r"ended: (.*erased, \d+ retained)", 30)
    assert await again.ended() == 0
    processed, erased, retained = map(int, re.findall(r"\d+", ledger))
    assert processed == erased + retained
    report = verify(van.log())
    assert report.intact, report
    assert van.verbs()[-2:] == ["deployment.closed", "log.closed"]
    box = verify(van.folder / "audit")
    assert box.intact, box
    assert "Traceback" not in "".join(desk.said + again.said)


async def _open_alerts(person) -> list[dict]:
    for _ in range(300):
        if found := (await person.get("/api/alerts"))["open"]:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError("no alert")


async def test_what_was_withdrawn_and_paused_stays_so_after_a_crash(van, serve, at_console) -> None:
    desk = await serve(van.config())
    address = await desk.line(r"console +(\S+)")
    code = await desk.line(r"setup code +(\S+)")
    officer = at_console(address)
    await officer.set_up(code, "deployment_officer")
    await officer.post(f"/api/watchlist/{SOUGHT}/withdraw", {"why": "found"})
    await officer.post("/api/pause", {"why": "the van is moved"})
    desk.process.kill()
    await desk.ended()

    again = await serve(van.config())
    officer = at_console(await again.line(r"console +(\S+)"))
    form = {"name": "miller", "password": "three plain words", "next": "/"}
    async with officer.session.post("/sign-in", data=form, allow_redirects=False) as answer:
        assert answer.status == 303
    status = await officer.get("/api/status")
    assert status["paused"] is True
    assert status["deployment"]["list_size"] == 0
    again.process.send_signal(signal.SIGINT)
    assert await again.ended() == 0
    withdrawn = [e for e in van.entries() if e.event.ev == "watchlist.withdrawn"]
    assert len(withdrawn) == 1
    assert withdrawn[0].event.actor.account == "miller"
    assert verify(van.log()).intact


@pytest.mark.parametrize(
    ("change", "code", "status"),
    [
        (
            {"models": {"purpose": "operational"}, "deployment": {"autostart": False, "destroy_list": True}},
            "model_licence_reference_missing",
            1,
        ),
        ({"cameras": []}, "config_no_cameras", 2),
    ],
)
async def test_a_refused_start_says_code_and_hint_and_exits(van, serve, change, code, status) -> None:
    desk = await serve(van.config(**change))
    message = await desk.line(r"lfr-edge: (.*)")
    assert f"[{code}]" in message
    assert await desk.line(r"→ (.+)")
    assert await desk.ended() == status
    assert "Traceback" not in "".join(desk.said)


async def test_a_second_service_on_the_same_folders_is_refused(van, serve) -> None:
    first = await serve(van.config())
    await first.line(r"console +(\S+)")
    second = await serve(van.config())
    assert "audit_log_in_use" in await second.line(r"lfr-edge: (.*)")
    assert await second.ended() == 1
    assert first.process.returncode is None
    os.kill(first.process.pid, signal.SIGTERM)
    assert await first.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_ctrl_c_reaches_the_whole_group_and_ends_the_deployment_in_order(van, serve, number) -> None:
    """A terminal and a service manager signal every process; the recogniser still gives its receipt."""
    desk = await serve(van.config())
    await desk.line(r"console +(\S+)")
    await until(lambda: "camera.connected" in van.verbs(), 30, "a camera")
    os.killpg(os.getpgid(desk.process.pid), number)
    assert await desk.line(r"retained; (\d+) slots and rows", 30) != "0"
    assert await desk.ended() == 0
    stopped = [entry.event.data for entry in van.entries() if entry.event.ev == "recogniser.stopped"]
    assert [data["why"] for data in stopped] == ["recogniser_stopped"]
