"""What people do at the console, and what they were told: each answer is a promise that outlives the power."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lfr_edge.audit.entry import Entry
from tests.faults.whole.box import APPROVER, OFFICER, OPERATOR, Box, Person, RefusedError
from tests.faults.whole.street import CAST

_STREAM: Final = {
    "offered": "alert.offered",
    "looked": "alert.looked",
    "decided": "alert.decided",
    "expired": "alert.expired",
    "escalated": "alert.escalated",
    "erased": "alert.erased",
    "suppressed": "alert.raised",
}
# An alert that somebody else changed, pictures whose four seconds are over: an answer, not a fault.
_LATE: Final = {404, 409, 410}


@dataclass(frozen=True)
class Promise:
    """An entry that must be on record. Empty fields stand for anything."""

    ev: str
    ref: str = ""
    account: str = ""
    why: str = ""


@dataclass
class Told:
    """Everything that was said to anybody, over all lives of one box."""

    promises: set[Promise] = field(default_factory=set)
    accounts: set[str] = field(default_factory=set)
    erased: set[str] = field(default_factory=set)  # tokens whose pictures are gone
    destroyed: set[str] = field(default_factory=set)  # paths whose destruction was receipted
    count: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)

    def add(self, ev: str, ref: str = "", account: str = "", why: str = "") -> None:
        promise = Promise(ev, ref, account, why)
        self.count += promise not in self.promises
        self.by_kind[ev] += promise not in self.promises
        self.promises.add(promise)

    def missing(self, entries: Iterable[Entry]) -> Iterator[str]:
        """Promises that the record does not keep."""
        kept: set[Promise] = set()
        for entry in entries:
            event = entry.event
            for ref in {event.ref, ""}:
                for account in {event.actor.account, ""}:
                    for why in {event.why, ""}:
                        kept.add(Promise(event.ev, ref, account, why))
        for promise in sorted(self.promises - kept, key=str):
            yield f"told and lost: {promise}"

    def undone(self, data: Path) -> Iterator[str]:
        """Erasures that the disk does not show."""
        for token in self.erased:
            if found := [path.name for path in (data / "deployments").glob(f"*/material/{token}.*")]:
                yield f"told as erased and there: {found}"


class Work:
    """People at the console of one box. `people` are signed in anew in each life: sessions die with the process."""

    def __init__(self, box: Box, chance: random.Random) -> None:
        self.box, self.chance, self.told = box, chance, Told()
        self.number = 0
        self.least = self.most = 0  # list entries: what was told, and what may have been done besides
        self.decided: list[str] = []  # tokens of this deployment that somebody was told are decided
        self.deployment = ""
        self.started = self.ending = False  # as far as somebody was told, and as far as somebody asked
        self._people: dict[str, Person] = {}
        self._following: asyncio.Task[None] | None = None
        self._open: dict[str, int] = {}  # token → version, as the stream tells it
        self._news = asyncio.Event()
        self._troubles: list[str] = []

    @asynccontextmanager
    async def people(self) -> AsyncIterator[None]:
        self._people = {name: Person(self.box.address, name) for name in (OPERATOR, OFFICER, APPROVER)}
        self._open, self._troubles = {}, []
        try:
            await self._people[OPERATOR].sign_in()
            self.told.add("access.signed_in", OPERATOR, OPERATOR)
            self._following = asyncio.create_task(self._follow())
            yield
        finally:
            if self._following is not None:
                self._following.cancel()
                await asyncio.gather(self._following, return_exceptions=True)
            for person in self._people.values():
                await person.leave()

    def troubles(self) -> list[str]:
        """What no answer of the console may be."""
        found, self._troubles = self._troubles, []
        return found

    @property
    def operator(self) -> Person:
        return self._people[OPERATOR]

    async def officer(self) -> Person:
        return await self._signed_in(OFFICER)

    async def phase(self) -> str:
        return str((await self._people[OPERATOR].get("/api/deployment"))["phase"])

    async def agrees(self) -> list[str]:
        """What the service says after a restart agrees with what was told before."""
        operator, wrong = self._people[OPERATOR], []
        picture = await operator.get("/api/deployment")
        if picture["id"] != self.deployment:
            if self.started and not self.ending:
                wrong.append(f"{self.deployment} was running, and now there is {picture['id']}")
            self.deployment, self.decided, self.started, self.ending = picture["id"], [], False, False
            self.least = self.most = len(CAST) + len(self.box.street.lists.spare)
            return wrong
        if self.started and picture["phase"] != "running" and not self.ending:
            wrong.append(f"{self.deployment} was running and is {picture['phase']}: {self.box.said[-4:]}")
        size = (await operator.get("/api/status"))["deployment"]["list_size"]
        if picture["phase"] == "running" and not self.ending and not self.least <= size <= self.most:
            wrong.append(f"{size} on the list, told between {self.least} and {self.most}")
        self.least = self.most = size if picture["phase"] == "running" else self.most
        for token in self.decided[-8:] if picture["phase"] == "running" else ():
            try:
                alert = await operator.get(f"/api/alerts/{token}")
            except RefusedError as error:
                wrong.append(f"a decided alert is gone: {error}")
                continue
            if alert["open"] or OPERATOR not in {look["account"] for look in alert["after"]["looks"]}:
                wrong.append(f"alert {token} was decided and is not: {alert}")
        return wrong

    async def enrol_issuer(self) -> None:
        """Two persons believe the key that signs authorities."""
        officer = await self._signed_in(OFFICER)
        public = self.box.street.issuer.public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        body = {"purpose": "authority", "name": "Supt A. Example (invented)", "public_key": pem}
        await self._approve(await officer.post("/api/trust", body))

    async def do(self, kind: str, seconds: float = 3600.0, *, until_started: bool = False) -> None:
        """Work of this kind until it is done, or for so many seconds. `until_started`: no longer than the start."""
        jobs = {
            "desk": self._wait,
            "list": self._change_list,
            "end": self._end,
            "activation": self.activate if until_started else self._activate_and_wait,
        }
        desk = asyncio.create_task(self._decide_for_ever())
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await jobs[kind]()
        except (aiohttp.ClientError, ConnectionError) as error:
            self._troubles.append(f"the console went away: {error!r}")
        except RefusedError as error:
            if not (self.ending and error.status == 409):  # the end that was cut off is being finished
                self._troubles.append(f"refused while it may not be: {error}")
        finally:
            desk.cancel()
            await asyncio.gather(desk, return_exceptions=True)

    # ── an operator ───────────────────────────────────────────────────────────────────────────────────────────

    async def _follow(self) -> None:
        """The live channel, as the desk page follows it."""
        operator = self._people[OPERATOR]
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            async with operator.session.ws_connect("/live", heartbeat=None) as socket:
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        self._hear(json.loads(message.data))

    def _hear(self, said: dict[str, Any]) -> None:
        if said["t"] == "desk":
            for alert in said["open"]:
                self.told.add("alert.offered", alert["token"])
                self._open[alert["token"]] = alert["version"]
        elif said["t"] == "alert":
            alert, token = said["alert"], said["alert"]["token"]
            if said["kind"] in _STREAM:
                self.told.add(_STREAM[said["kind"]], token)
            if said["kind"] == "erased":
                self.told.erased.add(token)
            if alert["open"]:
                self._open[token] = alert["version"]
            else:
                self._open.pop(token, None)
        self._news.set()

    async def _decide_for_ever(self) -> None:
        while True:
            token = next(iter(self._open), None)
            if token is None:
                self._news.clear()
                await self._news.wait()
                continue
            version = self._open.pop(token)
            with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                await self._decide(token, version)

    async def _decide(self, token: str, version: int) -> None:
        operator = self._people[OPERATOR]
        answer = self.chance.choice(("same_person", "different_person", "cannot_judge"))
        body = {"answer": answer, "factors": {"subject": ["features_agree"]}, "version": version}
        try:
            await operator.get(f"/alerts/{token}/probe.jpg")
            self.told.add("evidence.viewed", token, OPERATOR)
            shown = await operator.post(f"/api/alerts/{token}/looks", body)
        except RefusedError as error:
            if error.status not in _LATE:
                self._troubles.append(str(error))
            return
        self.told.add("alert.looked", token, OPERATOR)
        if not shown["open"]:
            self.told.add("alert.decided", token)
            self.decided.append(token)

    async def _wait(self) -> None:
        await asyncio.sleep(3600)

    # ── officers ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _activate_and_wait(self) -> None:
        await self.activate()
        await self._wait()

    async def activate(self) -> None:
        """From preparation to running: authority, list, second person, briefing, start."""
        officer, operator = await self._signed_in(OFFICER), self._people[OPERATOR]
        state = await officer.get("/api/deployment")
        if state["resuming"]:  # the power went while its list was being destroyed: it is ended once more
            await self.end_and_prepare(officer)
            state = await officer.get("/api/deployment")
        if state["list_size"] == 0:
            await officer.post("/api/deployment/unseal", {})
        if state["authority"] is None:
            authority = self.box.street.authority(self.box.settings).decode()
            await officer.post("/api/deployment/authority", {"authority": authority})
        await self._approve_list(officer)
        for person in (operator, officer):
            sha256 = (await person.get("/api/deployment"))["briefing"]["sha256"]
            await person.post("/api/deployment/briefing", {"sha256": sha256})
            self.told.add("briefing.acknowledged", "", person.name)
        while (await operator.get("/api/status"))["cameras"][0]["state"] != "live":
            await asyncio.sleep(0.05)
        before = await officer.post("/api/deployment/start", {})
        assert before["phase"] == "running"
        self.told.add("deployment.started", "", OFFICER)
        self.started = True

    async def _approve_list(self, officer: Person) -> None:
        """Proposed by one person, approved by another; an approval from before the power went still counts."""
        lines = (await officer.get("/api/deployment"))["lines"]
        if any(line["code"] == "list_approved" and line["ok"] for line in lines):
            return
        if (known := await self._proposed(officer)) is None:
            await officer.post("/api/deployment/propose/watchlist", {"value": ""})
            known = await self._proposed(officer)
        assert known is not None, "a list waits for its second person"
        await self._approve(known)

    async def _proposed(self, officer: Person) -> dict[str, Any] | None:
        waiting = (await officer.get("/api/approvals"))["open"]
        mine = (one for one in waiting if (one["kind"], one["state"]) == ("watchlist.activate", "proposed"))
        return next(mine, None)

    async def _change_list(self) -> None:
        """Entries leave and join, and colleagues get accounts, as fast as answers come."""
        officer = await self._signed_in(OFFICER)
        left = list(self.box.street.lists.spare)
        self.chance.shuffle(left)
        for turn in range(10_000):
            self.number += 1
            if turn % 4 == 1:
                await self._add(self.chance.choice(self.box.street.lists.additions))
            elif turn % 4 == 3:
                name = f"colleague{self.number}"
                await officer.post("/api/accounts", {"name": name, "role": "operator"})
                self.told.accounts.add(name)
                self.told.add("access.account_changed", name, OFFICER)
            else:
                await self._withdraw(officer, left.pop())

    async def _withdraw(self, officer: Person, reference: str) -> None:
        why = f"found, withdrawal {self.number} of {self.deployment}"
        self.least -= 1
        try:
            await officer.post(f"/api/watchlist/{reference}/withdraw", {"why": why})
        except RefusedError as error:
            self.least += 1
            if error.status != 409:  # it was withdrawn in an earlier life
                raise
            return
        self.most -= 1
        self.told.add("watchlist.withdrawn", "", OFFICER, why)

    async def _add(self, path: Path) -> None:
        said = await self.box.ask(f"add {path}")
        if said.startswith("refused"):  # it joined in an earlier life
            return
        name, sha256 = said.split()
        self.told.add("control.proposed", name, OFFICER)
        self.most += 1
        shown = await self._approve({"id": name, "sha256": sha256})
        if not shown["carried_out"]:
            self._troubles.append(f"an approved addition was not carried out: {shown}")
            return
        self.least += 1
        self.told.add("watchlist.added")

    async def _end(self) -> None:
        """A while of work, then the end and the next one's preparation."""
        await asyncio.sleep(self.chance.uniform(0, 0.5))
        await self.end_and_prepare(await self._signed_in(OFFICER))
        await self._wait()

    async def end_and_prepare(self, officer: Person) -> None:
        """What was receipted as destroyed is gone, and stays so."""
        why, self.ending = f"end of {self.deployment}", True
        shown = await officer.post("/api/deployment/end", {"why": why})
        self.told.add("deployment.closed", "", OFFICER, why)
        if not shown["receipts"]["complete"]:
            self._troubles.append(f"not everything was destroyed: {shown['receipts']}")
        else:
            self.told.add("watchlist.destroyed")
        settings = self.box.settings.watchlist
        left = [path for path in (settings.path, settings.key_file) if path is not None and path.exists()]
        if left:
            self._troubles.append(f"receipted as destroyed and there: {left}")
        self.box.bring_list()
        await officer.post("/api/deployment/next", {})

    async def _signed_in(self, name: str) -> Person:
        person = self._people[name]
        await person.sign_in()
        self.told.add("access.signed_in", name, name)
        return person

    async def _approve(self, proposal: dict[str, Any]) -> dict[str, Any]:
        approver = await self._signed_in(APPROVER)
        body = {"sha256": proposal["sha256"]}
        shown = await approver.post(f"/api/approvals/{proposal['id']}/approve", body)
        self.told.add("control.approved", proposal["id"], APPROVER)
        return dict(shown)
