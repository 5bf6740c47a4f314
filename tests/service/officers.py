"""Two invented officers and an operator at a van's console, and a clock that somebody sets."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lfr_edge.clock import SystemClock
from lfr_edge.demo.officers import (
    APPROVER,
    LATITUDE,
    LONGITUDE,
    OPERATOR,
    PLACE,
    PROPOSER,
    approve,
    arrive,
    authority_for,
    trust_key,
)
from lfr_edge.deployment.authority import Document
from lfr_edge.deployment.authority.document import encode_document, signed
from lfr_edge.deployment.authority.words import instant_text
from lfr_edge.errors import LfrError
from lfr_edge.service import Service
from lfr_edge.service.changes import carry_out
from lfr_edge.service.control import Control
from tests.service.conftest import until

HERE = {"autostart": False, "place": PLACE, "latitude": LATITUDE, "longitude": LONGITUDE}


class HandOnTheClock(SystemClock):
    """A wall clock that somebody sets; the monotonic one is the kernel's."""

    def __init__(self) -> None:
        self.set_by_s = 0.0

    def wall_ns(self) -> int:
        return super().wall_ns() + int(self.set_by_s * 1e9)


class Officers:
    """What the people of a van do, at the console's own port."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.control = Control(service)
        self.key = Ed25519PrivateKey.generate()

    async def come(self) -> None:
        await arrive(self.service)
        await trust_key(self.service, self.key)
        await until(lambda: all(c.state == "live" for c in self.service.run.cameras.statuses), 20, "cameras")

    def document(self, seconds: float = 3600, **changes) -> Document:
        now_ns = self.service.clock.wall_ns()
        end = {"end": instant_text(now_ns + int(seconds * 1e9))}
        return signed(Document(replace(authority_for(self.service), **end, **changes)), self.key)

    async def bring(self, seconds: float = 3600, **changes) -> None:
        await self.control.bring_authority(encode_document(self.document(seconds, **changes)), PROPOSER)

    async def two_persons(self, what: str, value: str, kind: str) -> None:
        await self.control.propose(what, value, PROPOSER)
        await carry_out(self.service.run, await approve(self.service, kind), APPROVER)

    async def brief(self) -> None:
        for person in (OPERATOR, PROPOSER):
            await self.control.acknowledge((await self.control.picture()).briefing.sha256, person)

    async def start(self, seconds: float = 3600) -> None:
        await self.bring(seconds)
        await self.two_persons("watchlist", "", "watchlist.activate")
        await self.brief()
        await self.control.start(PROPOSER)


async def refused(attempt) -> str:
    with pytest.raises(LfrError) as caught:
        await attempt
    assert caught.value.hint, caught.value.code
    return caught.value.code
