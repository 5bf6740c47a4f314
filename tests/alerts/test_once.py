"""Each alert decided exactly once: operators who race, click twice and lose their line; a desk that is killed.

A slice runs in CI; ``-m trial`` runs reliability.md's 10,000 alerts (E2).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from lfr_edge.audit.verify import verify
from lfr_edge.audit.view import LogView
from lfr_edge.clock import SystemClock
from lfr_edge.console.door.accounts import Accounts, Role
from tests.alerts.once_child import TWO_LOOKS
from tests.conftest import REPOSITORY
from tests.fakes.box import PASSWORD, enrol

ANSWERS = ("same_person", "same_person", "different_person", "cannot_judge")
GONE = (
    aiohttp.ClientError,
    aiohttp.WSMessageTypeError,
    ConnectionError,
    TimeoutError,
    asyncio.IncompleteReadError,
)


class Van:
    """The desk's process, started again whenever it was killed."""

    def __init__(self, folder: Path, total: int) -> None:
        self.folder, self.total = folder, total
        self.process: subprocess.Popen[bytes] | None = None
        self.kills = 0

    async def start(self) -> None:
        (self.folder / "url").unlink(missing_ok=True)
        arguments = [sys.executable, "-m", "tests.alerts.once_child", str(self.folder), str(self.total)]
        self.process = subprocess.Popen(arguments, cwd=REPOSITORY)
        while not (self.folder / "url").exists():
            assert self.process.poll() is None, "the desk did not start again"
            await asyncio.sleep(0.02)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.kills += 1

    @property
    def url(self) -> str:
        return (self.folder / "url").read_text()


@dataclass
class Told:
    """What clients were told: the record must agree with every word of it."""

    acknowledged: list[tuple[str, str, str]] = field(default_factory=list)  # token, account, answer
    refused: Counter[str] = field(default_factory=Counter)
    decided: set[str] = field(default_factory=set)  # tokens that somebody saw decided
    winners: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    disconnects: int = 0


class Operator:
    """A person at a page, in a hurry."""

    def __init__(self, name: str, van: Van, told: Told, chance: random.Random) -> None:
        self.name, self.van, self.told, self.chance = name, van, told, chance
        self.cursor: int | None = None

    async def work(self) -> None:
        while True:
            with contextlib.suppress(*GONE, FileNotFoundError):
                url = self.van.url
                headers = {"Origin": url, "Sec-Fetch-Site": "same-origin"}
                jar = aiohttp.CookieJar(unsafe=True)
                async with aiohttp.ClientSession(url, cookie_jar=jar, headers=headers) as session:
                    data = {"name": self.name, "password": PASSWORD, "next": "/"}
                    async with session.post("/sign-in", data=data, allow_redirects=False) as answer:
                        assert answer.status == 303, answer.status
                    while True:
                        await self.follow(session)
            await asyncio.sleep(0.05)

    async def follow(self, session: aiohttp.ClientSession) -> None:
        """One live connection, until it is lost: by the desk's death, or by this page's own."""
        after = "" if self.cursor is None else f"?after={self.cursor}"
        async with session.ws_connect(f"/live{after}") as socket:
            for _ in range(self.chance.randrange(20, 200)):
                message = await socket.receive_json(timeout=30)
                if message["t"] == "desk":
                    self.cursor = message["cursor"]
                    for view in message["open"]:
                        await self.see(session, view)
                elif message["t"] == "alert":
                    assert self.cursor is None or message["cursor"] > self.cursor
                    self.cursor = message["cursor"]
                    await self.see(session, message["alert"])
            self.told.disconnects += 1
            socket._response.connection.transport.abort()

    async def see(self, session: aiohttp.ClientSession, view: dict) -> None:
        if not view["open"]:
            self.told.decided.add(view["token"])
        if not view["yours"]:
            return
        answer = self.chance.choice(ANSWERS)
        clicks = 2 if self.chance.random() < 0.2 else 1
        done = await asyncio.gather(
            *(self.look(session, view, answer) for _ in range(clicks)), return_exceptions=True
        )
        for problem in done:
            if isinstance(problem, BaseException) and not isinstance(problem, GONE):
                raise problem
        if any(isinstance(problem, GONE) for problem in done):
            raise ConnectionError

    async def look(self, session: aiohttp.ClientSession, view: dict, answer: str) -> None:
        body = {"answer": answer, "factors": {"subject": ["features_agree"]}, "version": view["version"]}
        async with session.post(f"/api/alerts/{view['token']}/looks", json=body) as response:
            said = await response.json()
            if response.status == 200:
                self.told.acknowledged.append((view["token"], self.name, answer))
                return
            assert response.status == 409, (response.status, said)
            self.told.refused[said["error"]] += 1
            if said["error"] == "alert_already_decided":
                self.told.winners[view["token"]].add(said["winner"]["after"]["looks"][-1]["account"])


async def trial(folder: Path, total: int, kills: int, seed: int = 0) -> tuple[Van, Told]:
    accounts = Accounts(folder / "accounts.json", SystemClock())
    names = ("miller", "reed", "okafor", "baker")
    for name in names:
        enrol(accounts, name, Role.OPERATOR)
    van, told, chance = Van(folder, total), Told(), random.Random(f"{seed}/{total}")
    await van.start()
    people = [asyncio.create_task(Operator(n, van, told, random.Random(f"{seed}/{n}")).work()) for n in names]
    try:
        goals = [round(total * (n + 1) / (kills + 1)) for n in range(kills)] + [total]
        for goal in goals:
            while len(told.decided) < goal:
                for person in people:
                    if person.done():
                        person.result()
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05 * chance.random())  # somewhere in the middle of something
            if goal < total:
                van.kill()
                await van.start()
    finally:
        for person in people:
            person.cancel()
        await asyncio.gather(*people, return_exceptions=True)
        van.process.kill()
        van.process.wait()
    return van, told


def check(folder: Path, total: int, told: Told) -> None:
    view = LogView.load(folder / "log")
    looks: dict[str, list[tuple[str, str]]] = defaultdict(list)
    decided: Counter[str] = Counter()
    raised: dict[str, str] = {}
    for seq in range(view.size):
        event = view.entry(seq).event
        if event.ev == "alert.raised":
            assert event.ref not in raised
            raised[event.ref] = str(event.data["category"])
        elif event.ev == "alert.looked":
            looks[event.ref].append((event.actor.account, str(event.data["answer"])))
        elif event.ev == "alert.decided":
            decided[event.ref] += 1
            assert event.data["looks"] == len(looks[event.ref])
    assert len(raised) == total
    assert decided == Counter(dict.fromkeys(raised, 1)), "each exactly once"
    for token, category in raised.items():
        people = [account for account, _ in looks[token]]
        assert len(set(people)) == len(people), "nobody looked twice"
        assert len(people) in ({2, 3} if category == TWO_LOOKS else {1})
    acknowledged = Counter((token, account) for token, account, _ in told.acknowledged)
    assert not [one for one, count in acknowledged.items() if count > 1], "a double click is one answer"
    for token, account, answer in told.acknowledged:
        assert (account, answer) in looks[token], "what was acknowledged is on the record"
    for token, winners in told.winners.items():
        assert winners == {looks[token][-1][0]}, "everybody was told the same winner, the one on the record"
    report = verify(folder / "log")
    assert report.intact
    assert not [finding for finding in report.findings if finding.code.startswith("alert_")]


async def test_each_alert_is_decided_exactly_once(tmp_path):
    van, told = await trial(tmp_path, 60, 2)
    check(tmp_path, 60, told)
    assert van.kills == 2
    assert told.refused["alert_already_decided"] > 10, "control: there were races to lose"


@pytest.mark.trial
@pytest.mark.timeout(3600)
async def test_ten_thousand_alerts_are_each_decided_exactly_once(tmp_path):
    van, told = await trial(tmp_path, 10_000, 40)
    check(tmp_path, 10_000, told)
    print(
        f"10,000 alerts, {van.kills} kills, {told.disconnects} disconnects, "
        f"{len(told.acknowledged)} answers acknowledged, refused {dict(told.refused)}"
    )
