"""The drift watch over 3,290 different people, and over passages of recorded video: scenes, not single draws.

``passing_people.json`` holds three bin numbers of each person (tests/evaluation/passing_people.py made it). Nobody
passes twice in an evening, so that baseline and windows share nobody: what warns there warns by mistake.

``street_passages.json`` holds three bin numbers of each passage (tests/evaluation/street_passages.py made it). A replay
is a sequence of whole scenes of 20 s in a random order, so that neighbours resemble each other as in a street; its
baseline and its windows draw from the same few hundred passages.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lfr_edge.recogniser import drift as drift_module
from lfr_edge.recogniser.drift import BASELINE, BLOCK, MEASURES, WINDOW, Drift, DriftWatch, Level
from tests.evaluation.passing_people import CHANGED, Gate, people
from tests.evaluation.street_passages import WAYS, Passage, passages

SCENES: dict[str, list[Passage]] = json.loads((Path(__file__).parent / "street_passages.json").read_text())
PEOPLE: dict[str, list[Passage]] = json.loads((Path(__file__).parent / "passing_people.json").read_text())
_BUS = 25  # people who come in one light
_HOUR = 400  # people among whom the light is as different as ever


def evening(seen: list[Passage], seed: int, *, bus: int = 1) -> list[Passage]:
    """Everybody once, in a drawn order; in buses, whoever sits together is of nearly one quality."""
    generator = np.random.default_rng(seed)
    drawn = [seen[at] for at in generator.permutation(len(seen))]
    if bus == 1:
        return drawn
    order: list[Passage] = []
    for start in range(0, len(drawn), _HOUR):
        hour = sorted(drawn[start : start + _HOUR], key=lambda one: one[0] + generator.random())
        buses = [hour[at : at + bus] for at in range(0, len(hour), bus)]
        order += [one for at in generator.permutation(len(buses)) for one in buses[at]]
    return order


def watched(passing: list[Passage]) -> list[Drift]:
    """A new watch's state after every block."""
    watch, states = DriftWatch(), []
    counts: dict[str, Counter[str]] = {name: Counter() for name in MEASURES}
    for number, bins in enumerate(passing, 1):
        for name, edge in zip(MEASURES, bins, strict=True):
            if edge is not None:
                counts[name][str(edge)] += 1
        if number % BLOCK == 0:
            states.append(watch.update({name: dict(counted) for name, counted in counts.items()}))
    return states


def levels(bus: int) -> list[Level]:
    """The worst of each of twenty clean evenings."""
    rank: tuple[Level, ...] = ("steady", "warn", "stop")
    return [
        max((one.level for one in watched(evening(PEOPLE["clean"], seed, bus=bus))), key=rank.index)
        for seed in range(20)
    ]


def test_no_false_alarm_over_twenty_clean_evenings_of_people_who_share_nothing():
    assert levels(1) == ["steady"] * 20
    last = watched(evening(PEOPLE["clean"], 0))[-1]
    assert set(last.values) == set(MEASURES), "it was watched, not left out"
    assert last.passages > 3_200


def test_buses_raise_no_alarm_and_would_if_each_passage_counted_for_itself(monkeypatch):
    assert levels(_BUS) == ["steady"] * 20
    monkeypatch.setattr(drift_module, "design_effect", lambda _blocks: 1.0)
    assert levels(_BUS).count("steady") < 5, "the control"


@pytest.mark.parametrize("bus", [1, _BUS])
@pytest.mark.parametrize("kind", ["dark", "blur"])
def test_a_change_alarms_within_500_people_who_share_nothing_with_the_baseline(kind, bus):
    before = (BASELINE + WINDOW) // BLOCK
    for seed in range(20):
        clean = evening(PEOPLE["clean"][CHANGED:], seed, bus=bus)[: BASELINE + WINDOW]
        states = watched(clean + evening(PEOPLE[kind], seed, bus=bus)[:500])
        assert {one.level for one in states[:before]} == {"steady"}, seed
        assert "stop" in [one.level for one in states[before:]], seed


class Replay:
    """One camera's evening."""

    def __init__(self, seed: int) -> None:
        self.watch = DriftWatch()
        self._generator = np.random.default_rng(seed)
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in MEASURES}
        self._passed = 0

    def play(self, kind: str, people: int) -> Iterator[Drift]:
        """At least `people` passages of this kind, a state after every block of 50."""
        scenes = [seen for name, seen in SCENES.items() if name.split()[1] == kind]
        until = self._passed + people
        while self._passed < until:
            for bins in scenes[self._generator.integers(len(scenes))]:
                for name, edge in zip(MEASURES, bins, strict=True):
                    if edge is not None:
                        self._counts[name][str(edge)] += 1
                self._passed += 1
                if self._passed % BLOCK == 0:
                    yield self.watch.update({name: dict(counted) for name, counted in self._counts.items()})


@pytest.mark.parametrize("kind", ["dark", "blur"])
def test_a_darkened_or_blurred_street_alarms_within_500_faces(kind):
    for seed in range(20):
        replay = Replay(seed)
        assert all(drift.level == "steady" for drift in replay.play("clean", BASELINE + WINDOW))
        levels = [drift.level for drift in replay.play(kind, 500)]
        assert "stop" in levels[: 500 // BLOCK], seed


def test_no_false_alarm_over_twenty_clean_evenings():
    worst = []
    for seed in range(20):
        states = list(Replay(100 + seed).play("clean", BASELINE + 2500))
        assert {drift.level for drift in states} == {"steady"}, seed
        worst.append(max(max(drift.values.values(), default=0.0) for drift in states))
    assert max(worst) > 0.02, "whole scenes do move the windows"


@pytest.mark.trial
@pytest.mark.shared
@pytest.mark.timeout(3600)
def test_the_passages_are_what_the_clips_give(shared, default_pack):
    """One scene of each kind anew: the counts are the recorded ones, but for a passage or two at a bin's edge."""
    from lfr_edge.vision.pipeline import VisionStack

    stack = VisionStack.open(default_pack, threads=1)
    for kind in ("clean", "dark", "blur"):
        way = next(way for way in WAYS if way.kind == kind and way.name in SCENES)
        found, known = (
            Counter(map(tuple, seen)) for seen in (passages(way, shared, stack), SCENES[way.name])
        )
        assert (found & known).total() >= 0.9 * known.total(), way.name


@pytest.mark.trial
@pytest.mark.shared
@pytest.mark.timeout(600)
def test_the_people_are_what_the_pictures_give(shared, default_pack):
    """Thirty of them anew, in each way: the bins are the recorded ones, but for one at an edge."""
    from lfr_edge.vision.pipeline import VisionStack

    gate = Gate(shared, VisionStack.open(default_pack, threads=1))
    for kind, known in PEOPLE.items():
        seen = [gate.passage(path, kind) for path in people(shared)[:30]]
        assert sum(tuple(a) == b for a, b in zip(known, seen, strict=False)) >= 28, kind
