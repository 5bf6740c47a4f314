"""No picture of the documents holds a face: what the default pack's detector finds in one, nobody may commit."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lfr_edge.models.store import Pack
from lfr_edge.vision.pipeline import VisionStack
from tests.conftest import REPOSITORY
from tests.fakes.box import drawn_face
from tests.fakes.drawn import figure, street

pytestmark = pytest.mark.network
SCORE = 0.6
PICTURES = sorted(
    path for path in (REPOSITORY / "docs").rglob("*") if path.suffix in {".png", ".jpg", ".jpeg", ".webp"}
)


@pytest.fixture(scope="session")
def eyes(default_pack: Pack) -> VisionStack:
    return VisionStack.open(default_pack, min_score=SCORE)


def faces(eyes: VisionStack, picture: np.ndarray) -> int:
    return int((eyes.detect([np.ascontiguousarray(picture)])[0].scores >= SCORE).sum())


def test_no_picture_of_the_documents_holds_a_face(eyes: VisionStack) -> None:
    assert len(PICTURES) > 20
    held = [path.name for path in PICTURES if faces(eyes, cv2.imread(str(path)))]
    assert not held, "draw the people in it: tests/fakes/drawn.py"


def test_control_a_face_in_such_a_picture_is_found(eyes: VisionStack) -> None:
    data = pytest.importorskip("skimage.data", reason="NOT TESTED: scikit-image is not installed")
    portrait = cv2.imread(str(Path(data.__file__).parent / "astronaut.png"))[20:220, 130:330]
    for name in ("desk-alert.png", "desk-alert-phone.png"):
        page = cv2.imread(str(REPOSITORY / "docs" / "pictures" / name))
        page[200:360, 150:310] = cv2.resize(portrait, (160, 160))
        assert faces(eyes, page) >= 1, name


def test_drawn_figures_are_no_faces_at_any_size_and_drawn_faces_are(eyes: VisionStack) -> None:
    page = np.full((768, 1366, 3), 25, np.uint8)

    def shown(jpeg: bytes, side: int) -> int:
        picture = page.copy()
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        picture[180 : 180 + side, 400 : 400 + side] = cv2.resize(
            image, (side, side), interpolation=cv2.INTER_AREA
        )
        return faces(eyes, picture)

    for kind in range(12):
        assert not any(
            shown(figure(kind, seen=seen), side) for seen in (False, True) for side in (120, 265, 320)
        )
    assert shown(drawn_face(1), 265), "control: the tests' drawn faces would be taken for faces"
    assert not faces(eyes, cv2.imdecode(np.frombuffer(street(), np.uint8), cv2.IMREAD_COLOR))
