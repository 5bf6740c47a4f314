"""How many people, how often, past which cameras: so that the rate is known as closely as somebody wants."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from lfr_edge.errors import EvaluationError
from lfr_edge.evaluation.groups import LEAST_PEOPLE
from lfr_edge.evaluation.power import people_for

FORMAT: Final = 1
# Passages of one person resemble each other: whoever is hard to recognise is so each time. The mated searches of the
# 322 people with several pictures in ../shared/faces have an intraclass correlation of 0.39 (threshold 0.526).
LIKENESS: Final = 0.4


@dataclass(frozen=True, slots=True)
class Plan:
    """What was planned before anybody walked. Nothing in it is about a person."""

    name: str
    cameras: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]  # group column → its values; each value must be known as closely
    expected: float  # the rate that is believed in
    half_width: float  # of its 95 % interval
    passages: int  # of each listed participant
    participants: int  # on the list; of every value of every group column as many as the interval needs
    decoys: int  # consenting people who are not on the list
    seed: int
    likeness: float = LIKENESS

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT} | asdict(self)


def make_plan(
    name: str,
    cameras: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    *,
    expected: float,
    half_width: float,
    passages: int,
    decoys: int,
    seed: int,
) -> Plan:
    """The fewest participants that make the rate of every group and of every camera as sure as wanted.

    Raises:
        EvaluationError: ``fieldtest_plan_invalid``.
    """
    if not all(name.strip() for name in cameras):
        raise _invalid("every camera has a name")
    if not cameras or len(set(cameras)) != len(cameras) or passages < len(cameras):
        raise _invalid("there is a camera, none twice, and everybody passes each of them at least once")
    if not (0 < expected < 1 and 0 < half_width < 0.5 and decoys >= 0):
        raise _invalid("the expected rate lies between 0 and 1, the half width between 0 and 0.5")
    each = passages / len(cameras)  # of one person, at one camera
    independent = people_for(expected, half_width)
    at_a_camera = math.ceil(independent * (1 + (each - 1) * LIKENESS) / each)
    overall = math.ceil(independent * (1 + (passages - 1) * LIKENESS) / passages)
    most = max((len(values) for values in groups.values()), default=1)
    return Plan(
        name,
        tuple(cameras),
        {column: tuple(values) for column, values in groups.items()},
        expected,
        half_width,
        passages,
        max(at_a_camera, overall * most, LEAST_PEOPLE * most if groups else 0),
        decoys,
        seed,
    )


def save_plan(folder: Path, plan: Plan) -> None:
    """Raises EvaluationError ``fieldtest_walked`` or ``fieldtest_folder_unwritable``."""
    if (folder / "passages.csv").exists():
        raise EvaluationError(
            "fieldtest_walked",
            f"{folder} holds passages that were drawn for the plan before",
            hint="name another folder, or move passages.csv away to begin again",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder, plan)
    except OSError as error:
        raise EvaluationError(
            "fieldtest_folder_unwritable",
            f"{folder}: {error.strerror}",
            hint="name a folder that can be written to",
        ) from None


def _write(folder: Path, plan: Plan) -> None:
    (folder / "plan.json").write_text(json.dumps(plan.to_json(), indent=2) + "\n", encoding="utf-8")


def load_plan(folder: Path) -> Plan:
    """Raises EvaluationError ``fieldtest_plan_missing`` or ``fieldtest_plan_invalid``."""
    try:
        raw = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        if raw.pop("format") != FORMAT:
            raise _invalid("another format")
        groups = {str(name): tuple(map(str, values)) for name, values in raw.pop("groups").items()}
        plan = Plan(**raw | {"groups": groups, "cameras": tuple(map(str, raw["cameras"]))})
        whole = (plan.passages, plan.participants, plan.decoys, plan.seed)
        if not all(isinstance(number, int) and number >= 0 for number in whole) or plan.passages < 1:
            raise _invalid("passages, participants, decoys and seed are whole numbers")
        return plan
    except OSError as error:
        raise EvaluationError(
            "fieldtest_plan_missing",
            f"{folder}: {error.strerror}",
            hint="make one: lfr-edge fieldtest plan FOLDER --camera NAME",
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _invalid(str(error)) from None


def _invalid(what: str) -> EvaluationError:
    return EvaluationError("fieldtest_plan_invalid", what, hint="lfr-edge fieldtest plan --help has examples")
