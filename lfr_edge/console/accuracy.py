"""Accuracy: which threshold runs and on what it rests, and what a stored evaluation measured.

What the sample cannot show is said as "cannot tell", never as a number.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lfr_edge.console.keys import MEASURED, PORTS
from lfr_edge.console.pages import render
from lfr_edge.deployment.report.document import Chart, Lettering, Mark, Stroke
from lfr_edge.errors import LfrError
from lfr_edge.matching.standing import Standing, standing
from lfr_edge.matching.threshold import Calibration, calibrations_of
from lfr_edge.models.store import ModelStore, Pack
from lfr_edge.sentences import say
from lfr_edge.settings import Settings

_MOST_BYTES: Final = 8 * 1024 * 1024
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 700.0, 16.0, 250.0
_LEAST: Final = 1e-4  # of the drawing's axes


class Rate(BaseModel):
    """A share with its 95 % interval; no value where the sample cannot show one."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    note: str = ""

    @property
    def tells(self) -> bool:
        return self.value is not None


class ListRow(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    n: int
    fpir: float
    fpir_model: float
    threshold_at_1_percent: float


class CurvePoint(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    threshold: float
    fpir: float = Field(ge=0, le=1)
    fnir: float = Field(ge=0, le=1)


class Result(BaseModel):
    """What ``lfr-edge evaluate identities … --json`` wrote, as far as the page shows it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: dict[str, Any]
    n: dict[str, int]
    tpir_at_fpir: dict[str, Rate]
    threshold_at_fpir: dict[str, Rate]
    fte_interval: Rate
    fta_interval: Rate
    by_list_size: tuple[ListRow, ...] = ()
    det: tuple[CurvePoint, ...] = ()

    @property
    def fingerprint(self) -> str:
        return str(self.model.get("fingerprint", ""))


@dataclass(frozen=True, slots=True)
class Stored:
    """A file of the evaluations folder; `result` None: it could not be read."""

    name: str
    result: Result | None


class Measured:
    """The installed pack, the calibrations, the stored results. **Thread rule:** methods block."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pack: Pack | None = None

    @property
    def folder(self) -> Path:
        return self._settings.data / "evaluations"

    def fingerprint(self) -> str:
        """Of the installed pack, whose files are hashed once. Raises ModelError."""
        return self._installed().fingerprint

    def precision(self) -> str:
        """Of the installed pack: "fp32" or "fp16". Raises ModelError."""
        return self._installed().precision

    def calibrations(self) -> tuple[Calibration, ...]:
        """Of this pack as it runs here. Raises MatchingError, ModelError."""
        every = calibrations_of(self._settings.matching.calibration)
        runs = (self.fingerprint(), self._settings.models.providers[0], self.precision())
        return tuple(c for c in every if (c.fingerprint, c.provider, c.precision) == runs)

    def standing(self, threshold: float, list_size: int) -> Standing:
        return standing(
            self.calibrations(),
            fingerprint=self.fingerprint(),
            provider=self._settings.models.providers[0],
            precision=self.precision(),
            threshold=threshold,
            list_size=list_size,
        )

    def _installed(self) -> Pack:
        if self._pack is None:
            models = self._settings.models
            self._pack = ModelStore(models.store).load(models.pack)
        return self._pack

    def results(self) -> tuple[Stored, ...]:
        """The newest first."""
        paths = sorted(self.folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        return tuple(Stored(path.stem, _result(path)) for path in paths[:20])


@dataclass(frozen=True, slots=True)
class _View:
    calibrations: tuple[Calibration, ...]
    stands: Standing | None
    results: tuple[Stored, ...]
    problem: LfrError | None


async def accuracy(request: web.Request) -> web.Response:
    """What is known about the error rates, and what is not."""
    ports = request.app[PORTS]
    deployment = ports.system.status().deployment
    measured = request.app[MEASURED]
    empty = _View((), None, (), None)
    view = empty
    if measured is not None:
        view = await asyncio.to_thread(_look, measured, deployment.threshold, deployment.list_size)
    asked = request.query.get("result", "")
    shown = next((one for one in view.results if one.name == asked), next(iter(view.results), None))
    result = shown.result if shown else None
    return render(
        request,
        "accuracy.html",
        deployment=deployment,
        view=view,
        shown=shown,
        result=result,
        points=_points(result) if result else (),
        det=det_chart(result.det) if result and len(result.det) > 1 else None,
        folder=str(measured.folder) if measured else "",
    )


def _look(measured: Measured, threshold: float | None, list_size: int) -> _View:
    results = measured.results()
    try:
        calibrations = measured.calibrations()
        stands = measured.standing(threshold, list_size) if threshold is not None else None
    except LfrError as error:
        return _View((), None, results, error)
    return _View(calibrations, stands, results, None)


def _points(result: Result) -> tuple[tuple[float, Rate, Rate], ...]:
    """(FPIR, TPIR there, threshold there) from the commonest false alert to the rarest."""
    nothing = Rate()
    rows = [
        (float(key), rate, result.threshold_at_fpir.get(key, nothing))
        for key, rate in result.tpir_at_fpir.items()
        if _is_number(key)
    ]
    return tuple(sorted(rows, key=lambda row: -row[0]))


def _result(path: Path) -> Result | None:
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        raw: Mapping[str, Any] = json.loads(path.read_bytes())
        return Result.model_validate(raw)
    except (OSError, ValueError, ValidationError, RecursionError):
        return None


def _is_number(text: str) -> bool:
    try:
        return 0 < float(text) < 1
    except ValueError:
        return False


def det_chart(curve: Sequence[CurvePoint]) -> Chart:
    """False positives against misses, both on logarithmic axes: the nearer to the lower left, the better."""
    marks: list[Mark] = []
    for power in range(-4, 1):
        share = 10.0**power
        label = f"{100 * share:g} %"
        x, y = _x(share), _y(share)
        marks.append(Stroke(((x, _TOP), (x, _BOTTOM)), "grid", 1))
        marks.append(Stroke(((_LEFT, y), (_RIGHT, y)), "grid", 1))
        marks.append(Lettering(x, _BOTTOM + 18, label, "middle", "quiet"))
        marks.append(Lettering(_LEFT - 8, y + 4, label, "end", "quiet"))
    marks.append(Stroke(tuple((_x(one.fpir), _y(one.fnir)) for one in curve), "main", 2.5))
    marks.append(Lettering((_LEFT + _RIGHT) / 2, _BOTTOM + 38, "FPIR", "middle"))
    marks.append(Lettering(8, _TOP - 4, "FNIR", "start"))
    best = min(curve, key=lambda one: abs(one.fpir - 0.01))
    told = say(
        "Where {fpir} % of strangers raise an alert, {fnir} % of those listed are missed.",
        fpir=f"{100 * best.fpir:.2g}",
        fnir=f"{100 * best.fnir:.2g}",
    )
    return Chart("Detection error trade-off", told, tuple(marks), 720, 300)


def _x(share: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * _place(share)


def _y(share: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * _place(share)


def _place(share: float) -> float:
    """0 at the least that is drawn, 1 at every one."""
    return (math.log10(max(share, _LEAST)) - math.log10(_LEAST)) / -math.log10(_LEAST)


ROUTES: Final = {"GET /accuracy": accuracy}
