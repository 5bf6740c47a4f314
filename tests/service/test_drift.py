"""What the service says of drift, and the baseline that comes out of the record."""

from __future__ import annotations

import json
import logging

import pytest

from lfr_edge.audit.event import SYSTEM, Event
from lfr_edge.errors import MatchingError
from lfr_edge.recogniser.drift import BLOCK, MEASURES, WINDOW, Baseline
from lfr_edge.service.baseline import baselines_of, read_baselines, save_baselines
from lfr_edge.service.census import Census
from lfr_edge.service.drift import DriftWatches, watches_for

CLEAN = {name: {"10": 400, "11": 400, "12": 400} for name in MEASURES}


def pulse(people: int, at: int) -> dict[str, dict[str, object]]:
    return {"north": {"counts": {name: {str(at): people} for name in MEASURES}}}


def drifted(watches: DriftWatches, at: int) -> None:
    for n in range(1, WINDOW // BLOCK + 1):
        watches.update(pulse(n * BLOCK, at))


def test_a_change_is_on_the_banner_and_in_the_log_once(caplog):
    watches = DriftWatches({"north": Baseline(CLEAN)})
    with caplog.at_level(logging.WARNING):
        drifted(watches, 12)
        watches.update(pulse(WINDOW + 1, 12))
    (trouble,) = watches.troubles()
    assert "camera north" in trouble.text
    assert "stop and review" in trouble.text
    assert "PSI" in trouble.hint
    assert [record.message.split(" (")[0] for record in caplog.records] == ["camera north: drift is stop"]
    assert watches.of("north").level == "stop"
    assert watches.of("south").values == {}


def test_nothing_is_said_of_steady_input():
    watches = DriftWatches({"north": Baseline(CLEAN)})
    third = WINDOW // 3
    watches.update(
        {"north": {"counts": {name: {"10": third, "11": third, "12": third} for name in MEASURES}}}
    )
    assert list(watches.troubles()) == []


def test_a_baseline_of_a_file(tmp_path):
    path = tmp_path / "b.json"
    kept = {"north": Baseline(CLEAN, {"quality": 2.5})}
    save_baselines(path, "pack", kept)
    assert read_baselines(path, "pack") == kept
    drifted(watches := watches_for(path, "pack"), 12)
    assert watches.of("north").level == "stop"
    assert not watches.of("north").own
    assert watches_for(None, "pack").of("north").values == {}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "baseline_invalid"),
        ("[]", "baseline_invalid"),
        (json.dumps({"format": 2}), "baseline_invalid"),
        (
            json.dumps({"format": 1, "fingerprint": "pack", "cameras": {"n": {"quality": {"x": 1}}}}),
            "baseline_invalid",
        ),
        (json.dumps({"format": 1, "fingerprint": "other", "cameras": {}}), "baseline_model_mismatch"),
        (
            json.dumps(
                {"format": 1, "fingerprint": "pack", "cameras": {"n": {}}, "effects": {"n": {"quality": 0.5}}}
            ),
            "baseline_invalid",
        ),
    ],
)
def test_a_baseline_that_cannot_be_used_is_said_and_left(tmp_path, text, code):
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(MatchingError) as caught:
        read_baselines(tmp_path / "b.json", "pack")
    assert caught.value.code == code
    watches = watches_for(tmp_path / "b.json", "pack")
    assert [trouble.text for trouble in watches.troubles()] == [caught.value.message]
    drifted(watches, 12)
    assert watches.of("north").own


class Entries:
    def __init__(self, ev: str, ref: str = "", **data: object) -> None:
        self.event = Event(ev, SYSTEM, ref=ref, data=data)  # type: ignore[arg-type]


def test_a_baseline_is_the_sum_of_what_was_recorded():
    seen = {"quality": {"10": 7}, "detector": {"40": 7}, "strangers": {"200": 5}}
    minute = {"span_ms": 60_000, "cameras": {"north": {"seen": seen}, "south": {"live_ms": 1}}}
    logs = [Entries("model.loaded", "pack"), Entries("statistics.counted", **minute)] * 2
    fingerprint, cameras = baselines_of(logs)
    assert fingerprint == "pack"
    twice = {name: {k: 2 * v for k, v in seen[name].items()} for name in MEASURES}
    assert cameras["north"] == Baseline(twice, dict.fromkeys(MEASURES, 1.0))
    for wrong, code in (
        (logs[:1], "baseline_empty"),
        ([*logs, Entries("model.loaded", "other")], "baseline_mixed"),
    ):
        with pytest.raises(MatchingError) as caught:
            baselines_of(wrong)
        assert caught.value.code == code


class Kept:
    camera, blind_s = "north", 0.0


def test_the_record_holds_increases():
    numbers = dict.fromkeys(("frames", "detections", "passages", "probes", "opportunities"), 0)
    view = {"dropped": 0, "median_eye_px": None, "sharpness": None, "light": None}

    def body(people: int) -> dict[str, object]:
        counts = numbers | {
            "scores": {},
            "quality": {"10": people},
            "detector": {"40": people},
            "strangers": {},
        }
        return {"cameras": {"north": view | {"counts": counts}}}

    census = Census(0)
    first = census.entry(1, [Kept], body(5), [])
    assert first["cameras"]["north"]["seen"]["quality"] == {"10": 5}
    census.recorded(1, [Kept], body(5), [])
    assert "seen" not in census.entry(2, [Kept], body(5), [])["cameras"]["north"]
    assert census.entry(2, [Kept], body(8), [])["cameras"]["north"]["seen"]["quality"] == {"10": 3}
    census.restarted()
    assert census.entry(3, [Kept], body(2), [])["cameras"]["north"]["seen"]["quality"] == {"10": 2}
