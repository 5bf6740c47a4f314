"""The match step with real networks: who is alerted, what is erased, what a tile shows."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lfr_edge.errors import RecogniserError
from lfr_edge.recogniser.hit import Hit
from lfr_edge.recogniser.loop import Recogniser
from lfr_edge.vision.pipeline import VisionStack
from tests.recogniser.conftest import FRAME_NS, Build, frame, picture

pytestmark = pytest.mark.network


def walk(
    recogniser: Recogniser, portrait: np.ndarray, frames: int, *, start: int = 0, epoch: int = 1
) -> list[Hit]:
    hits: list[Hit] = []
    for number in range(start, start + frames):
        hits += recogniser.step([frame(picture(portrait, (20 + 8 * number % 600, 100)), number, epoch=epoch)])
        reading = recogniser.reading()
        assert reading.processed == reading.erased + reading.retained
    return hits


def test_the_sought_person_raises_one_alert_and_everything_is_accounted_for(
    build: Build, portrait: np.ndarray
) -> None:
    recogniser = build()
    (hit,) = walk(recogniser, portrait, 12)
    assert hit.reference == "SOUGHT-1"
    assert hit.score > 0.6 > hit.threshold
    assert hit.runner_up_reference is not None
    assert hit.runner_up_score is not None
    assert hit.runner_up_score < 0.3
    assert cv2.imdecode(np.frombuffer(hit.jpeg, np.uint8), cv2.IMREAD_COLOR).shape == (320, 320, 3)
    final = recogniser.finish()
    assert final.retained == 1
    assert final.probes == final.processed == final.erased + final.retained
    assert final.held == 0


def test_somebody_who_is_not_listed_raises_nothing_and_is_erased(build: Build, portrait: np.ndarray) -> None:
    recogniser = build(listed=False)
    assert walk(recogniser, portrait, 12) == []
    final = recogniser.finish()
    assert final.probes > 1
    assert (final.erased, final.retained) == (final.probes, 0)


def test_slots_are_empty_after_a_passage(build: Build, portrait: np.ndarray) -> None:
    recogniser = build(listed=False)
    walk(recogniser, portrait, 6)
    slots = recogniser._slots
    assert slots.occupied == 1  # the passage's own sum
    assert np.count_nonzero(slots.sums) > 0
    recogniser.idle(6 * FRAME_NS + 2_000_000_000)  # nobody was seen for two seconds
    assert slots.occupied == 0
    for array in (*slots.crops, slots.templates, slots.sums, slots.weights):
        assert np.count_nonzero(array) == 0


def test_control_without_the_wipe_the_ledger_stops_everything(
    build: Build, portrait: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sabotaged build: passages end, their templates are forgotten and not erased."""
    recogniser = build(listed=False)
    monkeypatch.setattr(
        recogniser._passages,
        "_end",
        lambda camera, tracks: [camera.passages.pop(t, None) for t in list(tracks)],
    )
    walk(recogniser, portrait, 3)
    with pytest.raises(RecogniserError) as caught:
        recogniser.finish()
    assert caught.value.code == "recogniser_ledger"


def test_an_alert_leaves_no_template_behind(build: Build, portrait: np.ndarray) -> None:
    recogniser = build()
    assert len(walk(recogniser, portrait, 12)) == 1
    assert recogniser.held == 0
    assert np.count_nonzero(recogniser._slots.sums) == 0


def test_one_look_is_not_enough_where_two_must_agree(build: Build, portrait: np.ndarray) -> None:
    assert walk(build(), portrait, 1) == []
    assert len(walk(build(agreement=1), portrait, 1)) == 1


def test_a_second_passage_within_the_cool_down_is_counted_not_shown(
    build: Build, portrait: np.ndarray
) -> None:
    recogniser = build()
    assert len(walk(recogniser, portrait, 10)) == 1
    assert walk(recogniser, portrait, 10, start=10, epoch=2) == []  # a reconnect: another passage
    assert recogniser.suppressed == 1
    final = recogniser.finish()
    assert final.processed == final.erased + final.retained
    assert final.retained == 1


def test_a_withdrawn_entry_is_not_found_by_the_next_probe(build: Build, portrait: np.ndarray) -> None:
    recogniser = build()
    assert recogniser.withdraw("SOUGHT-1")
    assert not recogniser.withdraw("SOUGHT-1")
    assert walk(recogniser, portrait, 12) == []


def test_cameras_do_not_know_of_each_other(build: Build, portrait: np.ndarray) -> None:
    """Two cameras in one step: two passages, two alerts; the cool-down is each camera's own."""
    recogniser = build(cameras=("left", "right"))
    hits: list[Hit] = []
    for number in range(10):
        seen = picture(portrait, (20 + 8 * number, 100))
        hits += recogniser.step([frame(seen, number, camera=name) for name in ("left", "right")])
    assert sorted(hit.camera for hit in hits) == ["left", "right"]


def test_a_tile_shows_the_street_and_no_stranger(
    build: Build, vision: VisionStack, portrait: np.ndarray
) -> None:
    recogniser = build(listed=False)
    assert recogniser.take_tile("cam") is None
    recogniser.want_tile("cam", 960)
    walk(recogniser, portrait, 1)
    jpeg = recogniser.take_tile("cam")
    assert jpeg is not None
    assert recogniser.take_tile("cam") is None  # made once, for whoever asked
    shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape[1] == 960
    (faces,) = vision.detect([shown])
    assert len(faces[faces.scores > 0.5]) == 0
    # Control: the same picture as it was has a face that is found.
    (plain,) = vision.detect([picture(portrait, (20, 100))])
    assert len(plain[plain.scores > 0.5]) == 1


def test_a_tile_shows_the_face_whose_alert_stands(
    build: Build, vision: VisionStack, portrait: np.ndarray
) -> None:
    recogniser = build()
    assert walk(recogniser, portrait, 8)
    recogniser.want_tile("cam", 960)
    walk(recogniser, portrait, 1, start=8)
    jpeg = recogniser.take_tile("cam")
    assert jpeg is not None
    (faces,) = vision.detect([cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)])
    assert len(faces[faces.scores > 0.5]) == 1


def test_rehearsal_leaves_nothing_and_counts_nothing(build: Build) -> None:
    recogniser = build()
    recogniser.rehearse()
    assert recogniser._slots.occupied == 0
    assert recogniser.reading().probes == 0


def test_wipe_overwrites_slots_and_list(build: Build, portrait: np.ndarray) -> None:
    recogniser = build(listed=False)
    walk(recogniser, portrait, 3)
    assert recogniser.wipe() == 50
    assert recogniser.description()["persons"] == 0
    assert recogniser.reading().held == 0


def test_a_camera_says_how_well_it_sees(build: Build, portrait: np.ndarray) -> None:
    recogniser = build(listed=False)
    walk(recogniser, portrait, 30)
    view = recogniser.views(30 * FRAME_NS)["cam"]
    assert view["faces_per_min"] == 1
    assert view["looks_per_s"] is None, "not for ten seconds yet"
    assert view["median_eye_px"] == pytest.approx(20, abs=8)
    assert recogniser.views(90_000_000_000)["cam"]["median_eye_px"] is None  # a minute later nothing is known
    recogniser.finish()
    counts = recogniser.views(90_000_000_000)["cam"]["counts"]
    assert (counts["frames"], counts["passages"], counts["opportunities"]) == (30, 1, 1)
    assert counts["detections"] == 30
    assert counts["probes"] == recogniser.reading().probes
    assert sum(counts["scores"].values()) == 1


def test_networks_are_scrubbed_for_the_face_embedded_last(
    build: Build, portrait: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A passage that ends while others are embedded needs none: the next face overwrote it (test_slots)."""
    recogniser = build(listed=False)
    scrubs: list[str] = []
    monkeypatch.setattr(recogniser._vision, "scrub", lambda: scrubs.append("networks"))
    monkeypatch.setattr(recogniser._index, "scrub", lambda: scrubs.append("index"))
    recogniser._scrubber._scrubbed_s = float("-inf")
    walk(recogniser, portrait, 2)
    assert scrubs == []
    walk(
        recogniser, portrait, 1, start=2, epoch=2
    )  # the first passage has ended, the second was embedded after it
    assert scrubs == ["index"]
    recogniser._scrubber._scrubbed_s = float("-inf")
    recogniser.idle(3 * FRAME_NS + 2_000_000_000)
    assert scrubs == ["index", "networks", "index"]
    recogniser._scrubber._scrubbed_s = float("-inf")
    recogniser.idle(3 * FRAME_NS + 2_000_000_000)
    assert scrubs == ["index", "networks", "index"]  # once


def test_where_faces_run_together_networks_are_scrubbed_for_each(
    build: Build, portrait: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    recogniser = build(listed=False)
    monkeypatch.setattr(VisionStack, "one_by_one", False)
    scrubs: list[str] = []
    monkeypatch.setattr(recogniser._vision, "scrub", lambda: scrubs.append("networks"))
    recogniser._scrubber._scrubbed_s = float("-inf")
    walk(recogniser, portrait, 2)
    walk(recogniser, portrait, 1, start=2, epoch=2)
    assert scrubs == ["networks"]
