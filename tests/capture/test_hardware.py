"""A card that is wanted and not there: the processor decodes, and the codec says why."""

from __future__ import annotations

from pathlib import Path

import pytest
from av.codec.hwaccel import HWAccel

from lfr_edge.capture import hardware
from lfr_edge.capture.hardware import nvdec, nvdec_fault
from lfr_edge.capture.order import Order
from lfr_edge.capture.reader import open_reader
from lfr_edge.capture.source import SourceSpec
from lfr_edge.clock import SystemClock
from lfr_edge.settings import CameraSettings


@pytest.fixture(autouse=True)
def fresh():
    nvdec.cache_clear()
    yield
    nvdec.cache_clear()


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    from benchmarks._gpu_decode import _clip

    return _clip(tmp_path_factory.mktemp("clip") / "street.mp4", 3)


def test_without_a_card_the_processor_decodes_and_says_so(clip):
    if not nvdec_fault():
        pytest.skip("NOT TESTED here: this machine has NVDEC")
    pictures = {}
    for decoder in ("software", "nvdec"):
        spec = SourceSpec(kind="file", url=str(clip), realtime=False, decoder=decoder)
        with open_reader(spec, SystemClock()) as reader:
            pictures[decoder] = [picture.y.copy() for picture in reader.pictures()]
            codec = reader.info.codec
        assert codec == "h264" if decoder == "software" else "not by NVDEC: no CUDA device opens" in codec
    assert len(pictures["nvdec"]) == 3
    assert all((a == b).all() for a, b in zip(*pictures.values(), strict=True))


def test_an_ffmpeg_without_cuda_is_told(monkeypatch):
    monkeypatch.setattr(hardware, "hwdevices_available", lambda: ["drm"])
    assert nvdec() == (None, "this FFmpeg was built without CUDA")


def test_a_device_that_opens_is_used(monkeypatch):
    made = object()
    monkeypatch.setattr(hardware, "hwdevices_available", lambda: ["cuda"])

    class Opened:
        def __init__(self, device, *, allow_software_fallback):
            assert (device, allow_software_fallback) == ("cuda", True)

        def create(self, codec):
            return made

    monkeypatch.setattr(hardware, "HWAccel", Opened)
    assert nvdec() == (made, "")
    assert HWAccel is not Opened


def test_the_setting_reaches_the_capture_process():
    settings = CameraSettings(id="north", url="rtsp://127.0.0.1/a", decoder="nvdec")
    order = Order(SourceSpec.from_settings(settings), 1, 3, 4, 5)
    assert Order.from_json(order.to_json()).spec.decoder == "nvdec"
    assert SourceSpec(kind="file", url="x").decoder == "software"
