"""Which regions carried the similarity: against the network itself, and nothing of it stays behind."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lfr_edge.recogniser.explanation import _MOST_WAITING, GRID, Explainer, cover
from lfr_edge.recogniser.ledger import Ledger
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.pixels import crop_points, decode_image, face_picture, jpeg
from tests.recogniser.conftest import Build, frame, picture

pytestmark = pytest.mark.network


@pytest.fixture(scope="session")
def crops(vision: VisionStack, portrait: np.ndarray) -> tuple[bytes, bytes]:
    """(probe, candidate): the same person, once small on the street and once on the list."""
    cut = []
    for shown in (picture(portrait, (300, 100)), portrait):
        still = np.ascontiguousarray(shown)
        faces = vision.detect([still])[0]
        cut.append(face_picture(still, faces.points[0]))
    return cut[0], cut[1]


def explained(explainer: Explainer, probe: bytes, candidate: bytes):
    assert explainer.ask(7, probe, candidate)
    while explainer.busy:
        answer = explainer.step()
    assert answer.request == 7
    return answer.explanation


def covered(probe: bytes, row: int, column: int) -> bytes:
    """The probe's picture with one cell painted over, where the networks' crop has it."""
    image = decode_image(probe).copy()
    points = crop_points(image.shape[0])
    scale = float(np.linalg.norm(points[1] - points[0])) / 35.24  # eye distance of the 112-pixel crop
    left, top = points.mean(axis=0) - np.array([56.03, 71.74]) * scale
    side = 112 * scale
    x, y = left + (column + 0.5) / GRID * side, top + (row + 0.5) / GRID * side
    half = 0.15 * side
    colour = image[int(top) : int(top + side), int(left) : int(left + side)].reshape(-1, 3).mean(axis=0)
    image[max(0, int(y - half)) : int(y + half), max(0, int(x - half)) : int(x + half)] = colour
    return jpeg(image, quality=95)


def test_covering_what_it_names_costs_more_than_covering_what_it_does_not(vision, crops) -> None:
    probe, candidate = crops
    explainer = Explainer(vision, Ledger())
    told = explained(explainer, probe, candidate)
    cells = np.array(told.cells)
    assert cells.shape == (GRID, GRID)
    assert told.score_e4 > 6000, "the same person"
    top = np.unravel_index(cells.argmax(), cells.shape)
    bottom = np.unravel_index(cells.argmin(), cells.shape)
    without_top = explained(explainer, covered(probe, *top), candidate).score_e4
    without_bottom = explained(explainer, covered(probe, *bottom), candidate).score_e4
    assert told.score_e4 - without_top > 3 * abs(told.score_e4 - without_bottom)
    assert told.score_e4 - without_top == pytest.approx(cells.max(), rel=0.35), (
        "the map's own figure, from outside"
    )


def test_the_crop_alone_aligns_as_the_picture_did(vision, portrait) -> None:
    """No detector is needed: the crop's geometry is known, so its template is that of the whole picture."""
    still = np.ascontiguousarray(portrait)
    faces = vision.detect([still])[0]
    slots = vision.slots(2)
    rows = slots.acquire(2)
    vision.embedder.align(still, faces.points[:1], slots, rows[:1])
    crop = decode_image(face_picture(still, faces.points[0]))
    vision.embedder.align(crop, crop_points(crop.shape[0])[None], slots, rows[1:])
    vision.embedder.embed(slots, rows)
    assert float(slots.templates[rows[0]] @ slots.templates[rows[1]]) > 0.97
    slots.wipe(rows)


def test_a_cell_covers_its_own_part_of_the_crop() -> None:
    for cell in range(GRID * GRID):
        crop = np.zeros((112, 112, 3), np.uint8)
        crop[::2] = 200
        cover(crop, cell)
        ys, xs = np.nonzero((crop == 100).all(axis=2))
        row, column = divmod(cell, GRID)
        assert ys.min() <= (row + 0.5) * 16 <= ys.max()
        assert xs.min() <= (column + 0.5) * 16 <= xs.max()
        assert len(ys) < 0.1 * 112 * 112


def test_every_template_is_counted_and_overwritten(build: Build, crops, portrait: np.ndarray) -> None:
    recogniser = build()
    recogniser.explainer.ask(1, *crops)
    assert recogniser.explain() is None
    assert recogniser.held == 2, "the two crops as they are, under way"
    recogniser.step([frame(picture(portrait, (300, 100)), 1)])
    while (answer := recogniser.explain()) is None:
        reading = recogniser.reading()  # raises unless it balances
        assert reading.held >= 2
    assert answer.explanation is not None
    final = recogniser.finish()
    assert final.explained == 2 + GRID * GRID
    assert final.processed == final.erased + final.retained
    assert final.held == 0
    slots = recogniser.explainer._slots
    assert slots.occupied == 0
    assert not slots.templates.any()
    assert not any(crop.any() for crop in slots.crops)


def test_control_a_variant_that_is_not_counted_as_erased_stops_the_ledger(build: Build, crops) -> None:
    recogniser = build()
    recogniser.explainer.ask(1, *crops)
    recogniser.explain()
    recogniser.ledger.explained(1)
    with pytest.raises(Exception, match="does not balance"):
        recogniser.reading()


def test_a_wipe_in_the_middle_leaves_nothing(build: Build, crops) -> None:
    recogniser = build()
    recogniser.explainer.ask(1, *crops)
    recogniser.explainer.ask(2, *crops)
    for _ in range(3):
        recogniser.explain()
    recogniser.wipe()
    assert not recogniser.explainer.busy
    assert not recogniser.explainer._slots.templates.any()
    assert recogniser.reading().held == 0


def test_unreadable_crops_and_impatient_people_are_refused(vision, crops) -> None:
    explainer = Explainer(vision, Ledger())
    assert explained(explainer, b"no picture", crops[1]) is None
    assert explained(explainer, crops[0], cv2.imencode(".png", np.zeros((9, 9, 3)))[1].tobytes()) is not None
    for _ in range(_MOST_WAITING):
        assert explainer.ask(1, *crops)
    assert not explainer.ask(2, *crops)
    explainer.wipe()


def test_the_rehearsal_meets_a_full_batch_and_the_last_one_and_nothing_twice(
    vision: VisionStack, crops, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most of a start was this; a recogniser that died has to be back within two seconds."""
    batches: list[list[int]] = []
    covers = Explainer._covered
    monkeypatch.setattr(
        Explainer,
        "_covered",
        lambda self, cells: batches.append(list(cells)) or covers(self, cells),
    )
    explainer = Explainer(vision, ledger := Ledger())
    explainer.rehearse(crops[0])
    assert batches == [[44, 45, 46, 47], [48]]
    assert not explainer.busy
    assert explainer._slots.occupied == 0
    assert ledger.read(0).explained == 0
    explained(explainer, *crops)
    assert [cell for batch in batches[2:] for cell in batch] == list(range(GRID * GRID))
