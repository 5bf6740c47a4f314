"""The drift watch over passages of recorded video, in the order in which they ended: scenes, not single draws.

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

from lfr_edge.recogniser.drift import BASELINE, BLOCK, MEASURES, WINDOW, Drift, DriftWatch
from tests.evaluation.street_passages import WAYS, Passage, passages

SCENES: dict[str, list[Passage]] = json.loads((Path(__file__).parent / "street_passages.json").read_text())


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
