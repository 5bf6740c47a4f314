"""The demonstration's own judgement, and what it does when its cameras give nothing."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import pytest

from lfr_edge.demo import run
from lfr_edge.demo.clip import PUBLIC_BOXES
from lfr_edge.demo.run import DemoOptions, is_sought
from lfr_edge.errors import CameraError, ModelError
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.pixels import decode_image

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def photographs() -> tuple[bytes, bytes]:
    try:
        return run._photographs(lambda _: None)
    except ModelError as error:
        pytest.skip(f"NOT TESTED: the demo's photographs cannot be fetched ({error})")


def test_an_alert_is_judged_by_its_picture(default_pack, photographs) -> None:
    """The control of "nobody else did": every stranger's face is told from the sought person's."""
    vision = VisionStack.open(default_pack)
    cast = run._templates(vision, *photographs)
    assert cast.shape == (1 + len(PUBLIC_BOXES), vision.dimension)
    assert is_sought(vision, cast, photographs[0])
    group = decode_image(photographs[1])
    for x, y, width, height in PUBLIC_BOXES:
        cut = group[
            max(0, y - height // 2) : y + height * 3 // 2, max(0, x - width // 2) : x + width * 3 // 2
        ]
        assert not is_sought(vision, cast, cv2.imencode(".png", cut)[1].tobytes())
    nothing = cv2.imencode(".png", decode_image(photographs[0])[:40, :40])[1].tobytes()
    assert not is_sought(vision, cast, nothing)


async def test_cameras_without_a_picture_are_told(monkeypatch) -> None:
    monkeypatch.setattr(run, "_LIVE_TIMEOUT_S", 0.05)
    camera = SimpleNamespace(state="connecting", error_message="the camera refuses the connection")
    service = SimpleNamespace(run=SimpleNamespace(cameras=SimpleNamespace(statuses=(camera,))))
    with pytest.raises(CameraError) as caught:
        await run._live(service)
    assert caught.value.code == "camera_demo_failed"
    assert "refuses the connection" in caught.value.message


async def test_a_camera_server_that_does_not_start_is_told(tmp_path, capfd) -> None:
    (tmp_path / "camera.password").write_text("x\n")
    with pytest.raises(CameraError) as caught:
        async with run._street(tmp_path / "no.mp4", DemoOptions(tmp_path, 1.0)):
            pass
    assert caught.value.code == "camera_demo_failed"
