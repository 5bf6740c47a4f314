"""Known-answer alerts, mixed in at random: is the desk still looking?

A drill is made of two pictures of the force's own consenting staff, cut as the desk shows faces, with the answer
known. The pack is a folder::

    pack.toml            cases, each with its two pictures, the known answer and where the consent is filed
    *.jpg

``lfr-edge drill make`` makes one from staff pictures and picks look-alikes as the *different* cases. Without a
pack there are no drills; nothing is ever borrowed from the street or from the watchlist.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lfr_edge.alerts.alert import Alert, Drill, RaisedAlert
from lfr_edge.alerts.desk import AlertDesk
from lfr_edge.alerts.factors import Answer
from lfr_edge.clock import Clock
from lfr_edge.errors import AlertError, LfrError
from lfr_edge.sentences import say

PACK_FILE: Final = "pack.toml"
MOST_CASES: Final = 1000
_MOST_BYTES: Final = 256 * 1024  # a face picture as the desk shows it has about 20 KiB
_PICTURE: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.jpg$"
_HOUR_S: Final = 3600.0
_BUSY_S: Final = (
    20.0  # the desk is deciding a real alert: a drill comes later, never between a person and an alert
)


class _Case(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    probe: Annotated[str, Field(pattern=_PICTURE)]
    candidate: Annotated[str, Field(pattern=_PICTURE)]
    truth: Literal["same_person", "different_person"]
    consent: Annotated[
        tuple[str, ...], Field(min_length=1, max_length=2)
    ]  # references of the signed consents


class _Pack(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["lfr-edge drill pack 1"]
    case: Annotated[tuple[_Case, ...], Field(min_length=1, max_length=MOST_CASES)]


@dataclass(frozen=True, slots=True)
class DrillCase:
    """**Lifetime:** the pictures are read when a drill is raised, not before."""

    name: str
    truth: Answer
    probe: Path
    candidate: Path


@dataclass(frozen=True, slots=True)
class Setting:
    """What a real alert would say beside the pictures here and now; taken from a listed entry, without its
    reference."""

    camera: str
    category: str
    requested_response: str
    candidate_source: str
    candidate_taken: date | None
    look_alikes: int


def read_drill_pack(folder: Path) -> tuple[DrillCase, ...]:
    """The cases of a pack.

    Raises:
        AlertError: ``drill_pack_unreadable``, ``drill_pack_invalid``; both answers must occur, and every picture
            must be there.
    """
    try:
        raw = tomllib.loads((folder / PACK_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AlertError(
            "drill_pack_unreadable",
            say(
                "{folder}: {getattr}",
                folder=folder / PACK_FILE,
                getattr=getattr(error, "strerror", None) or "not a TOML file",
            ),
            hint="make a pack with: lfr-edge drill make STAFF_PICTURES PACK",
        ) from None
    try:
        pack = _Pack.model_validate(raw)
    except ValidationError as error:
        where = ", ".join(".".join(map(str, e["loc"])) for e in error.errors(include_input=False)[:5])
        raise _invalid(say("missing or wrong: {where}", where=where)) from None
    if len({case.truth for case in pack.case}) < 2:
        raise _invalid("all cases have the same answer: whoever learns that is always right")
    if len({case.name for case in pack.case}) < len(pack.case):
        raise _invalid("two cases have the same name")
    cases = tuple(
        DrillCase(case.name, Answer(case.truth), folder / case.probe, folder / case.candidate)
        for case in pack.case
    )
    for path in (path for case in cases for path in (case.probe, case.candidate)):
        if not path.is_file() or path.is_symlink() or path.stat().st_size > _MOST_BYTES:
            raise _invalid(say("{name} is missing, no plain file or too large", name=path.name))
    return cases


def _invalid(why: str) -> AlertError:
    return AlertError(
        "drill_pack_invalid",
        say("the drill pack is refused: {why}", why=why),
        hint="docs/how-to/decide-an-alert.md says what a pack holds",
    )


class DrillSchedule:
    """Raises drills at random moments, at a rate.

    The waits are exponential: how long ago the last drill was says nothing about the next. A drill is raised only
    while somebody sits at the desk and nothing else waits there; the cases come in shuffled rounds, so that each
    is used as often as any other.

    **Thread rule:** of the event loop; pictures are read in a thread.

    Args:
        setting: what a real alert could say now; None while there is no list to borrow a category from.
        chance: seeded in tests only.
    """

    def __init__(
        self,
        desk: AlertDesk,
        cases: Sequence[DrillCase],
        per_hour: float,
        clock: Clock,
        setting: Callable[[], Setting | None],
        *,
        chance: random.Random | None = None,
    ) -> None:
        self.per_hour = per_hour
        self.cases = tuple(cases)
        self._desk = desk
        self._clock = clock
        self._setting = setting
        self._chance = chance or random.SystemRandom()
        self._round: list[DrillCase] = []

    async def run(self) -> None:
        """Until cancelled. A drill that cannot be raised is left out: no drill is worth a service."""
        if not self.cases or self.per_hour <= 0:
            return
        wait_s = self._next_s()
        while True:
            await asyncio.sleep(wait_s)
            if not self.timely():
                wait_s = _BUSY_S * self._chance.random()
                continue
            wait_s = self._next_s()
            with contextlib.suppress(LfrError):
                await self.raise_one()

    def _next_s(self) -> float:
        return self._chance.expovariate(self.per_hour / _HOUR_S)

    def timely(self) -> bool:
        return bool(self._desk.turns.present) and not self._desk.open_alerts() and self._setting() is not None

    async def raise_one(self) -> Alert | None:
        """One drill now; None without a setting.

        Raises:
            AlertError: ``drill_pack_unreadable``: a picture is gone. AuditError: the record refused.
        """
        setting = self._setting()
        if setting is None:
            return None
        if not self._round:
            self._round = list(self.cases)
            self._chance.shuffle(self._round)
        case = self._round.pop()
        probe, candidate = await asyncio.to_thread(_pictures, case)
        raised = RaisedAlert(
            camera=setting.camera,
            captured_ns=self._clock.monotonic_ns(),
            captured_wall_ns=self._clock.wall_ns(),
            reference="",
            category=setting.category,
            requested_response=setting.requested_response,
            score=0.0,  # no machine compared these two
            threshold=0.0,
            runner_up_score=None,
            runner_up_reference=None,
            track=0,
            quality={},
            probe_jpeg=probe,
            candidate_jpeg=candidate,
            candidate_taken=setting.candidate_taken,
            candidate_source=setting.candidate_source,
            look_alikes=(("", 0.0),) * setting.look_alikes,
        )
        return await self._desk.raise_drill(raised, Drill(case.truth, case.name))


def _pictures(case: DrillCase) -> tuple[bytes, bytes]:
    try:
        return case.probe.read_bytes(), case.candidate.read_bytes()
    except OSError:
        raise AlertError(
            "drill_pack_unreadable",
            say("a picture of drill case {name} cannot be read", name=case.name),
            hint="put the drill pack back where desk.drill_pack names it",
        ) from None
