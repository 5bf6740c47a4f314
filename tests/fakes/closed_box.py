"""A box with closed deployments behind the console: real logs, real sealed pictures, invented people."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lfr_edge.alerts.material import AlertMaterial, AlertPictures
from lfr_edge.audit.event import SYSTEM, Event
from lfr_edge.audit.keys import FileKeyStore
from lfr_edge.clock import SystemClock
from lfr_edge.deployment.ending.anchors import Anchors
from lfr_edge.deployment.keeping.holds import Holds
from lfr_edge.deployment.keeping.register import Register
from lfr_edge.deployment.keeping.sweeper import Sweeper
from lfr_edge.deployment.notice import Notice, notice_of
from lfr_edge.settings import Settings
from tests.deployment.conftest import MovedClock, Van
from tests.fakes.authority import authority

NAME = "2026-11-22-1"
PICTURES = AlertPictures(b"probe" * 300, b"candidate" * 200)
NOTICE = {
    "force": "Exampleshire Police",
    "contact": "101, or lfr@exampleshire.police.example",
    "url": "https://exampleshire.police.example/lfr",
}


@dataclass
class ClosedBox:
    van: Van
    settings: Settings
    tokens: list[str]
    sweeper: Sweeper
    notice: Notice | None = None
    holds: Holds | None = None

    def record(self, ev: Any, *, actor: Any, ref: str, data: Any, why: str) -> int:
        assert self.van.device is not None
        return self.van.device.log.append(Event(ev, actor or SYSTEM, ref, data, why)).seq

    def ports(self, accounts: Any) -> dict[str, Any]:
        """For ``house(more=…)``."""

        def role_of(name: str) -> str | None:
            account = accounts.get(name)
            return None if account is None or account.disabled else str(account.role)

        self.holds = Holds(
            self.sweeper,
            self,
            SystemClock(),
            store=self.settings.data / "hold-approvals.json",
            most_days=92,
            role_of=role_of,
            desk_now=lambda: None,
        )
        return {
            "holds": self.holds,
            "anchors": Anchors(self.settings.audit, self),
            "notice_now": lambda: self.notice,
        }

    def announce(self, **changes: Any) -> None:
        self.notice = notice_of(authority(**changes), self.settings)

    def close(self) -> None:
        for log in self.van.logs:
            log._release()


def closed_box(folder: Path, alerts: int = 3) -> ClosedBox:
    van = Van(folder, MovedClock(time.time_ns() - 3600 * 10**9))
    day = time.strftime("%Y-%m-%d", time.gmtime(0))  # the clock of the box is ahead of it: it stays as it is
    story = van.deployment(NAME, day=day, site="van-3")
    story.open(people=5)
    settings = Settings.model_validate(
        {"site": "van-3", "data": folder / "data", "audit": van.audit, "notice": NOTICE}
    )
    material = AlertMaterial(settings.data / "deployments" / NAME / "material", secrets.token_bytes(32))
    tokens = [secrets.token_hex(16) for _ in range(alerts)]
    for number, token in enumerate(tokens, 1):
        van.clock.advance(60)
        story.say("alert.raised", ref=token, number=number, commitment=material.keep(token, PICTURES))
        story.say("alert.decided", ref=token, result="not_referred")
    story.close(templates=10)
    keys = FileKeyStore(settings.data / "keys")
    box = ClosedBox(van, settings, tokens, None)  # type: ignore[arg-type]
    box.sweeper = Sweeper(
        settings, SystemClock(), box, Register(settings.data / "register", keys, SystemClock()), keys
    )
    return box
