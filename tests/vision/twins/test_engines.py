"""Nothing runs but what was built for this box, and compared."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from lfr_edge.errors import VisionError
from lfr_edge.settings import ModelSettings
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.twins import device, proof, stack
from lfr_edge.vision.twins.device import Device, device_of
from lfr_edge.vision.twins.drawn import drawn_frame, drawn_street
from lfr_edge.vision.twins.engines import RECORD, EngineCache, EngineKey
from lfr_edge.vision.twins.options import Acceleration
from lfr_edge.vision.twins.proof import Proof

PIXELS = Acceleration(graph="pixels")
GOOD = Proof(7, 0, 0.1, 0.9999)


@pytest.fixture(scope="module")
def pack(pairs):
    return pairs.pack("yunet-s", "mobilefacenet")


@pytest.fixture(scope="module")
def built(pack, engines):
    acceleration = replace(PIXELS, engines=engines)
    told: list[str] = []
    folder, found = stack.build_twins(pack, acceleration, threads=1, sides=(640,), progress=told.append)
    return acceleration, folder, found, told


def test_what_was_built_runs_and_finds_the_same(pack, built):
    acceleration, folder, found, told = built
    assert found.faces >= 5
    assert not found.fault()
    assert json.loads((folder / RECORD).read_text())["proof"] == found.to_json()
    assert len(told) == 6
    fast = VisionStack.open(pack, threads=1, acceleration=acceleration)
    plain = VisionStack.open(pack, threads=1)
    frame = drawn_frame(960, 540)
    np.testing.assert_allclose(fast.detect([frame])[0].boxes, plain.detect([frame])[0].boxes, atol=0.01)
    assert fast.providers == plain.providers
    fast.warm({320})
    picture = _jpeg(drawn_street(640, 480))
    templates = [s.templates(s.look(picture), 0)[0] for s in (fast, plain)]
    assert templates[0] @ templates[1] >= 0.999
    fast.scrub(thorough=True)


def _jpeg(picture) -> bytes:
    import cv2

    return cv2.imencode(".jpg", picture)[1].tobytes()


@pytest.mark.parametrize(
    "changed",
    [
        {"graph": "frames"},
        {"detector_batch": 4},
        {"cuda_graphs": True},
        {"channels_last": True},
        {"device_buffers": False},
    ],
)
def test_another_way_of_running_is_refused(pack, built, changed):
    with pytest.raises(VisionError) as caught:
        VisionStack.open(pack, threads=1, acceleration=replace(built[0], **changed))
    assert caught.value.code == "vision_engine_missing"
    assert "build-engines" in caught.value.hint


def test_another_pack_or_no_folder_is_refused(pairs, pack, built):
    for other, acceleration in ((pairs.pack("yunet-s", "retail"), built[0]), (pack, PIXELS)):
        with pytest.raises(VisionError) as caught:
            VisionStack.open(other, threads=1, acceleration=acceleration)
        assert caught.value.code == "vision_engine_missing"


def test_another_driver_or_runtime_finds_nothing(tmp_path):
    cache = EngineCache(tmp_path)
    key = EngineKey({"eye": "0" * 64}, PIXELS, Device("cuda", "H100", "580.1", "1.31.1"))
    cache.finish(cache.begin(), key, GOOD, 1.0)
    cache.require(key)
    others = [
        replace(key, device=replace(key.device, **{name: "other"})) for name in ("name", "driver", "runtime")
    ]
    others += [replace(key, twins={"eye": "1" * 64}), replace(key, acceleration=Acceleration(graph="frames"))]
    for other in others:
        with pytest.raises(VisionError) as caught:
            cache.require(other)
        assert caught.value.code == "vision_engine_missing"


def test_a_changed_file_is_never_loaded(tmp_path):
    cache = EngineCache(tmp_path)
    key = EngineKey({}, PIXELS, Device("tensorrt", "H100", "580.1", "1.31.1"))
    building = cache.begin()
    (building / "a.engine").write_bytes(b"compiled")
    folder = cache.finish(building, key, GOOD, 1.0)
    assert cache.require(key) == folder
    for spoil in (b"compileD", b""):
        (folder / "a.engine").write_bytes(spoil)
        with pytest.raises(VisionError) as caught:
            cache.require(key)
        assert caught.value.code == "vision_engine_altered"
    (folder / "a.engine").write_bytes(b"compiled")
    cache.require(key)
    (folder / "b.engine").write_bytes(b"put there")
    with pytest.raises(VisionError, match="not the one that was built"):
        cache.require(key)
    for record in ("{", "[]", '{"format": 2}'):
        (folder / RECORD).write_text(record)
        with pytest.raises(VisionError, match="nothing was built"):
            cache.require(key)


def test_a_twin_that_differs_is_refused_and_leaves_nothing(pack, tmp_path, monkeypatch):
    monkeypatch.setattr(stack, "compare", lambda *_: Proof(7, 0, 3.0, 0.9999))
    with pytest.raises(VisionError) as caught:
        stack.build_twins(pack, replace(PIXELS, engines=tmp_path), threads=1, sides=(320,))
    assert caught.value.code == "vision_twin_differs"
    assert "moved by 3.00 pixels" in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (GOOD, ""),
        (replace(GOOD, faces=0), "none of the drawn faces"),
        (replace(GOOD, missed=1), "1 of 7 faces"),
        (replace(GOOD, pixels=1.01), "1.01 pixels"),
        (replace(GOOD, cosine=0.9989), "0.99890"),
        (replace(GOOD, cosine=float("nan")), "nan"),
    ],
)
def test_what_counts_as_the_same(found, fault):
    assert (fault in found.fault()) if fault else not found.fault()


def test_another_network_is_not_the_same(pairs):
    """The comparison's positive control on real networks."""
    mind = stack.plain_parts(pairs.pack("yunet-s", "mobilefacenet"), pairs.runtime)[1]
    plain, other = pairs.plain("yunet-s"), pairs.plain("centerface")
    assert proof.compare((plain, mind), (other, mind), sides=(320,)).fault()
    assert not proof.compare((plain, mind), (plain, mind), sides=(320,)).fault()


def test_a_missing_card_is_refused_or_the_cpu_takes_over_loudly(pack, built, monkeypatch):
    if device_of("cuda").name:
        pytest.skip("NOT TESTED here: this machine has a card")
    with pytest.raises(VisionError) as caught:
        VisionStack.open(pack, providers=("cuda",), acceleration=built[0])
    assert caught.value.code == "vision_engine_missing"
    with pytest.raises(VisionError) as caught:
        stack.build_twins(pack, built[0], provider="cuda", sides=(320,))
    assert caught.value.code == "vision_provider_missing"
    fallen = VisionStack.open(pack, providers=("cuda",), allow_cpu=True, threads=1, acceleration=built[0])
    assert "CUDA" in fallen.degraded
    assert fallen.providers == ("CPUExecutionProvider",)


class _Nvml:
    """The four calls that are made, as NVIDIA's library answers them."""

    def __init__(self, fault: int = 0) -> None:
        self.fault = fault
        self.shut = False

    def nvmlInit_v2(self) -> int:  # noqa: N802
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index, handle) -> int:  # noqa: N802
        return self.fault

    def nvmlDeviceGetName(self, handle, name, size) -> int:  # noqa: N802
        name.value = b"NVIDIA H100"
        return 0

    def nvmlSystemGetDriverVersion(self, driver, size) -> int:  # noqa: N802
        driver.value = b"580.159.04"
        return 0

    def nvmlShutdown(self) -> int:  # noqa: N802
        self.shut = True
        return 0


def test_the_card_and_its_driver_are_part_of_the_key():
    library = _Nvml()
    found = device_of("tensorrt", lambda _: library)
    assert (found.name, found.driver) == ("NVIDIA H100", "580.159.04")
    assert library.shut
    assert device_of("cuda", lambda _: _Nvml(fault=6)).name == ""

    def none(_):
        raise OSError

    assert device_of("cuda", none).driver == ""
    assert device_of("cpu").name
    assert device._NVML == "libnvidia-ml.so.1"


def test_settings_become_options(tmp_path):
    models = ModelSettings(graph="frames", cuda_graphs=True, align_in_graph=True, detector_batch=16)
    wanted = Acceleration.of(models, tmp_path)
    assert wanted.engines == tmp_path / ".engines"
    tuning = wanted.tuning(tmp_path, half=True)
    assert tuning["cuda"]["enable_cuda_graph"] == "1"
    assert tuning["tensorrt"]["trt_engine_cache_path"] == str(tmp_path)
    assert tuning["tensorrt"]["trt_fp16_enable"] == "1"
    assert all(isinstance(value, str) for options in tuning.values() for value in options.values())
    assert "trt_engine_cache_path" not in wanted.tuning(None, half=False)["tensorrt"]
    for wrong in ({"cuda_graphs": True}, {"align_in_graph": True, "graph": "pixels"}):
        with pytest.raises(ValueError, match="needs"):
            ModelSettings(**wrong)
