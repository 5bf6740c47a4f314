"""Alerts against a clip's truth, on passages drawn by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lfr_edge.errors import EvaluationError
from lfr_edge.evaluation.passages import ClipAlert, ClipRun, assess, percentiles
from lfr_edge.evaluation.truth import Truth, iou, read_truth

# Ann walks from left to right for 4 s, Bob stands at the right, both listed; Cy passes behind, not listed.
ANN, BOB, CY = [100.0, 100, 160, 180], [900.0, 100, 1000, 230], [500.0, 300, 540, 350]


def raw(**changes) -> dict:
    moving = [[{"t": 0, "b": [x + 5 * f for x in ANN]}] for f in range(100)]
    for f in range(50, 100):
        moving[f] += [{"t": 1, "b": BOB}, {"t": 2, "b": CY}]
    return {
        "clip": "drawn.mp4",
        "fps": 25,
        "frames": 100,
        "width": 1920,
        "height": 1080,
        "tracks": [
            {"tid": 0, "identity": "Ann", "watchlist": True, "t_start": 0.0, "t_end": 4.0},
            {"tid": 1, "identity": "Bob", "watchlist": True, "t_start": 2.0, "t_end": 4.0},
            {"tid": 2, "identity": "Cy", "watchlist": False, "t_start": 2.0, "t_end": 4.0},
        ],
        "gt": [{"f": f, "faces": faces} for f, faces in enumerate(moving)],
    } | changes


def truth(tmp_path: Path, **changes) -> Truth:
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(raw(**changes)))
    return read_truth(path)


def alert(reference: str, time_s: float, box: list[float], camera: str = "cam1") -> ClipAlert:
    return ClipAlert(camera, time_s, reference, 0.6, tuple(box), 80.0)


def result(tmp_path, *alerts: ClipAlert, listed=("Ann", "Bob")) -> dict:
    run = ClipRun(tuple(alerts), {"cam1": 90}, {"cam1": 10}, {"probes": 7}, 1)
    return assess(run, {"cam1": truth(tmp_path)}, set(listed))


def shifted(box: list[float], frame: int) -> list[float]:
    return [x + 5 * frame for x in box]


def test_an_alert_on_the_right_face_recognises_the_passage(tmp_path):
    found = result(tmp_path, alert("Ann", 1.0, shifted(ANN, 25)))
    assert (found["opportunities"], found["recognised"]) == (2, 1)
    assert (found["true_alerts"], found["false_alerts"]) == (1, 0)
    assert found["trr"]["value"] == 0.5
    assert found["trr"]["low"] == pytest.approx(0.0126, abs=1e-3)  # Clopper-Pearson, 1 of 2
    assert found["time_to_alert_ms"]["p50"] == 1000
    assert (found["drops"], found["frames"], found["suppressed"]) == (10, 90, 1)
    assert found["missed"] == [{"camera": "cam1", "identity": "Bob", "face_px": 100}]
    sizes = {row["from"]: row["opportunities"] for row in found["by_face_px"]}
    assert sizes == {0: 0, 32: 0, 48: 1, 64: 0, 96: 1}


@pytest.mark.parametrize(
    ("wrong", "shows"),
    [
        (alert("Ann", 3.0, BOB), "Bob"),  # a listed person, taken for another
        (alert("Ann", 3.0, CY), "Cy"),  # a passer-by
        (alert("Ann", 3.0, [10, 900, 60, 960]), None),  # no face at all
        (alert("Bob", 0.5, BOB), None),  # before Bob came
        (alert("Ann", 60.0, ANN), None),  # after the clip
    ],
)
def test_every_other_alert_is_false(tmp_path, wrong, shows):
    found = result(tmp_path, wrong)
    assert (found["true_alerts"], found["false_alerts"], found["recognised"]) == (0, 1, 0)
    assert found["alerts"][0]["shows"] == shows
    assert found["time_to_alert_ms"]["p50"] is None


def test_two_alerts_of_one_passage_recognise_it_once(tmp_path):
    found = result(tmp_path, alert("Ann", 2.0, shifted(ANN, 50)), alert("Ann", 1.0, shifted(ANN, 25)))
    assert (found["true_alerts"], found["recognised"]) == (2, 1)
    assert found["time_to_alert_ms"]["p99"] == 1000


def test_a_person_who_is_not_on_this_list_is_no_opportunity(tmp_path):
    assert result(tmp_path, listed=("Bob",))["opportunities"] == 1
    none = result(tmp_path, listed=())
    assert none["trr"]["value"] is None
    assert none["trr"]["note"] == "no trial was made"


def test_several_clips_are_several_cameras(tmp_path):
    run = ClipRun((alert("Ann", 1.0, shifted(ANN, 25), "cam2"),), {"cam1": 1, "cam2": 1}, {}, {}, 0)
    found = assess(run, dict.fromkeys(("cam1", "cam2"), truth(tmp_path)), {"Ann"})
    assert (found["opportunities"], found["recognised"]) == (2, 1)
    assert found["by_camera"]["cam1"]["recognised"] == 0
    assert found["by_camera"]["cam2"]["recognised"] == 1


def test_overlap():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], np.float32)
    assert iou(boxes[0], boxes) == pytest.approx([1, 1 / 3, 0])


def test_percentiles_by_nearest_rank():
    assert percentiles(range(100)) == {"p50": 50, "p95": 95, "p99": 99}
    assert percentiles([7.0]) == {"p50": 7.0, "p95": 7.0, "p99": 7.0}


@pytest.mark.parametrize(
    "change",
    [
        {"fps": 0},
        {"frames": "many"},
        {"tracks": [{"tid": 0}]},
        {"tracks": []},  # faces of passages that are not there
        {"gt": [{"f": 0, "faces": [{"t": 0, "b": [1, 2, 3]}]}]},
        {"gt": None},
    ],
)
def test_a_wrong_truth_is_refused(tmp_path, change):
    assert truth(tmp_path).frames == 100  # the control
    with pytest.raises(EvaluationError) as caught:
        truth(tmp_path, **change)
    assert caught.value.code == "truth_invalid"


def test_no_truth(tmp_path):
    with pytest.raises(EvaluationError) as caught:
        read_truth(tmp_path / "absent.json")
    assert caught.value.code == "truth_missing"
