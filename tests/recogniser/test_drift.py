"""The drift watch: silent over clean input, loud over darkened or blurred input, and never about a person."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.recogniser.drift import (
    BASELINE,
    BLOCK,
    MEASURES,
    STOP,
    WARN,
    WINDOW,
    Baseline,
    DriftWatch,
    design_effect,
    moved,
    psi,
)
from lfr_edge.recogniser.view import Counts

# Histograms of real faces by the default pack: pictures of strangers against the 120 people of ../shared/videos, as
# they are, at 35 % of their light, and blurred by 2.5 px. Bins only; made by the trial below (LFR_HISTOGRAMS=1).
KNOWN: dict[str, dict[str, dict[str, int]]] = json.loads(
    (Path(__file__).parent / "drift_histograms.json").read_text()
)


class Street:
    """Passages drawn from known histograms, as one recogniser counts them."""

    def __init__(self, seed: int) -> None:
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in MEASURES}
        self._generator = np.random.default_rng(seed)

    def pass_by(self, people: int, kind: str) -> dict[str, dict[str, int]]:
        for name in MEASURES:
            bins = KNOWN[kind][name]
            shares = np.array(list(bins.values()), float)
            drawn = self._generator.multinomial(people, shares / shares.sum())
            self.counts[name].update(dict(zip(bins, map(int, drawn), strict=True)))
        return {name: dict(bins) for name, bins in self.counts.items()}


def alarms_after(seed: int, kind: str, people: int) -> int | None:
    """How many passages of this kind until the watch says stop; None: never."""
    street, watch = Street(seed), DriftWatch()
    for _ in range((BASELINE + WINDOW) // BLOCK):
        watch.update(street.pass_by(BLOCK, "clean"))
    assert watch.now.level == "steady"
    for passed in range(BLOCK, people + 1, BLOCK):
        if watch.update(street.pass_by(BLOCK, kind)).level == "stop":
            return passed
    return None


@pytest.mark.parametrize("kind", ["dark", "blur"])
def test_darkened_or_blurred_input_alarms_within_500_faces(kind):
    for seed in range(5):
        assert alarms_after(seed, kind, 500) is not None


def test_no_false_alarm_over_twenty_clean_replays():
    """3,000 passages each: 600 windows in all, and no measure of any of them warns."""
    for seed in range(20):
        street, watch = Street(100 + seed), DriftWatch()
        for _ in range(3000 // BLOCK):
            assert watch.update(street.pass_by(BLOCK, "clean")).level == "steady"
        assert watch.now.values.keys() == set(MEASURES)


def test_until_the_first_window_is_full_it_says_nothing():
    street, watch = Street(1), DriftWatch()
    for passed in range(BLOCK, BASELINE + WINDOW, BLOCK):
        now = watch.update(street.pass_by(BLOCK, "clean"))
        assert (now.passages, now.values, now.own) == (passed, {}, True)
    assert watch.update(street.pass_by(BLOCK, "clean")).values


def test_a_baseline_that_was_brought_is_used_from_the_first_window_on():
    """Input that is dark from the start has no clean beginning of its own."""
    watch, street = DriftWatch(Baseline(KNOWN["clean"])), Street(2)
    for _ in range(WINDOW // BLOCK):
        now = watch.update(street.pass_by(BLOCK, "dark"))
    assert now.level == "stop"
    assert not now.own
    assert now.worst in MEASURES
    blind = DriftWatch()
    for _ in range((BASELINE + WINDOW) // BLOCK):
        assert blind.update(street.pass_by(BLOCK, "dark")).level == "steady", (
            "its own beginning was dark, too"
        )


def test_a_recogniser_that_starts_anew_counts_from_zero():
    street, watch = Street(3), DriftWatch(Baseline(KNOWN["clean"]))
    for _ in range(5):
        watch.update(street.pass_by(BLOCK, "clean"))
    again = Street(4)
    for _ in range(5):
        now = watch.update(again.pass_by(BLOCK, "clean"))
    assert now.passages == 10 * BLOCK
    assert now.level == "steady"
    assert now.values


def test_a_pulse_without_news_changes_nothing():
    watch, street = DriftWatch(Baseline(KNOWN["clean"])), Street(5)
    seen = street.pass_by(BLOCK, "clean")
    first = watch.update(seen)
    assert watch.update(seen) is first


def two_samples(seed: int, passages: int) -> tuple[dict[int, int], dict[int, int]]:
    """Of one street whose passages share nothing."""
    generator = np.random.default_rng(seed)
    shares = np.arange(1, 13) / 78
    first, second = (generator.multinomial(passages, shares) for _ in range(2))
    return dict(enumerate(map(int, first))), dict(enumerate(map(int, second)))


def test_chance_is_told_from_change_at_every_size():
    """Twelve bins, thousands of pairs of one street: chance is passed once in 10,000 times, not once in ten."""
    for passages in (130, 500):
        pairs = [two_samples(seed, passages) for seed in range(2000)]
        beyond = sum(bool(moved(first, second)) for first, second in pairs)
        plain = [psi(first, second) for first, second in pairs]
        assert beyond <= 2
        if passages == 130:
            assert sum(value >= WARN for value in plain) > 40, (
                "the control: a fixed limit takes chance for change"
            )


def test_too_few_passages_cannot_tell_and_a_clear_change_is_told_all_the_same():
    first, second = two_samples(0, 60)
    assert moved(first, second) is None
    assert (moved(first, {0: 30, 1: 30}) or 0) >= STOP
    assert moved(*two_samples(0, 1000)) == 0


def test_buses_are_worth_fewer_passages_than_people():
    generator = np.random.default_rng(5)
    independent = [dict(enumerate(map(int, generator.multinomial(BLOCK, [0.25] * 4)))) for _ in range(20)]
    assert design_effect(independent) < 1.6
    buses = [{int(generator.integers(4)): BLOCK} for _ in range(20)]
    assert design_effect(buses) == pytest.approx(BLOCK, rel=0.5)
    hours = [{at // 10: BLOCK} for at in range(40)]
    assert design_effect(hours) > 2 * BLOCK, "ten blocks in one light are worth one"
    assert design_effect([]) == design_effect([{3: BLOCK}]) == design_effect([{}] * 10) == 1


bins = st.dictionaries(st.integers(0, 20), st.integers(1, 500), min_size=3, max_size=20)


@given(bins, bins)
def test_it_is_never_negative_and_zero_for_the_same(first, second):
    assert psi(first, second) >= 0
    assert psi(first, first) == 0


def test_its_plain_definition():
    """Against the textbook sum over the same bins, for samples so large that no correction matters."""
    first = dict.fromkeys(range(10), 1_000_000)
    second = {at: 500_000 + 111_111 * at for at in range(10)}
    p, q = (np.array(list(x.values())) / sum(x.values()) for x in (first, second))
    assert psi(first, second) == pytest.approx(float(((q - p) * np.log(q / p)).sum()), abs=1e-4)
    assert psi(first, second) > WARN
    assert psi({0: 10, 1: 10}, {}) == 0
    assert psi({0: 100}, {0: 5, 7: 90}) == 0, "one bin has no shape"


def test_what_a_camera_counts():
    counts = Counts()
    counts.passed(0.93, 0.87, 0.2345)
    counts.passed(0.93, 0.87, None)
    body = counts.to_json()
    assert body["quality"] == {"18": 2}
    assert body["detector"] == {"43": 2}
    assert body["strangers"] == {"2200": 1}
    assert WARN < STOP


@pytest.mark.trial
@pytest.mark.shared
@pytest.mark.timeout(1800)
def test_histograms_of_real_faces(shared, default_pack):
    """Every picture through the real networks; then the promises above over what they gave."""
    import csv

    import cv2

    from lfr_edge.vision.pipeline import VisionStack
    from lfr_edge.watchlist.enrol import choose_face

    vision = VisionStack.open(default_pack, threads=1)

    def look(data: bytes) -> tuple[float, float, np.ndarray] | None:
        portrait = vision.look(data)
        chosen, _ = choose_face(portrait, "central")
        if chosen is None:
            return None
        face = portrait.found[chosen]
        return face.quality, face.score, vision.templates(portrait, chosen)[0]

    listed = [
        look(sorted(folder.iterdir())[0].read_bytes())
        for folder in sorted((shared / "videos/watchlist").iterdir())
    ]
    matrix = np.stack([one[2] for one in listed if one is not None])
    with (shared / "faces/protocol.csv").open() as file:
        paths = [shared / "faces" / row["path"] for row in csv.DictReader(file) if row["role"] == "nonmated"]
    np.random.default_rng(0).shuffle(paths)
    ways = {
        "clean": (paths[:1400], lambda picture: picture),
        "dark": (paths[1400:1700], lambda picture: (picture * 0.35).astype(np.uint8)),
        "blur": (paths[1700:2000], lambda picture: cv2.GaussianBlur(picture, (0, 0), 2.5)),
    }
    made: dict[str, dict[str, dict[str, int]]] = {}
    for kind, (chosen, change) in ways.items():
        counts = Counts()
        for path in chosen:
            data = cv2.imencode(".png", change(cv2.imread(str(path))))[1].tobytes()
            seen = look(data)
            if seen is not None:
                counts.passed(seen[0], seen[1], float((matrix @ seen[2]).max()))
        body = counts.to_json()
        made[kind] = {name: body[name] for name in MEASURES}
    if os.environ.get("LFR_HISTOGRAMS"):
        (Path(__file__).parent / "drift_histograms.json").write_text(json.dumps(made, indent=1) + "\n")
    for kind in ("dark", "blur"):
        moved = {name: psi(*(_numbers(made[one][name]) for one in ("clean", kind))) for name in MEASURES}
        print(kind, moved)
        assert max(moved.values()) >= STOP
    half = {name: _numbers(made["clean"][name]) for name in MEASURES}
    known = {name: _numbers(KNOWN["clean"][name]) for name in MEASURES}
    assert all(psi(known[name], half[name]) < WARN for name in MEASURES)


def _numbers(counted: dict[str, int]) -> dict[int, int]:
    return {int(at): count for at, count in counted.items()}
