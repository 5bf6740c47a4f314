"""Graphs run through fixed buffers: by address on a CPU, and through the device's own values as on a card."""

from __future__ import annotations

import numpy as np
import pytest

from lfr_edge.errors import VisionError
from lfr_edge.models.fuse import twin_of
from lfr_edge.vision import sessions
from lfr_edge.vision.sessions import Runtime


@pytest.fixture
def program(networks):
    manifest, data = networks.get("mobilefacenet")
    return Runtime(threads=1).open_program(twin_of(manifest, data, "pixels"), "twin")


@pytest.fixture
def as_on_card(program, monkeypatch):
    """The runtime's device values, with the CPU as the device: the calls are those that a card gets."""
    real, asked = sessions.ort.OrtValue, []

    class Values:
        @staticmethod
        def ortvalue_from_numpy(array, device, number):
            asked.append(device)
            return real.ortvalue_from_numpy(array.copy(), "cpu", number)

        @staticmethod
        def ortvalue_from_shape_and_type(shape, kind, device, number):
            asked.append(device)
            return real.ortvalue_from_shape_and_type(shape, kind, "cpu", number)

    monkeypatch.setattr(sessions.ort, "OrtValue", Values)
    program.on_device = True
    return program, asked


def arrays(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    pixels = np.random.default_rng(seed).integers(0, 256, (2, 112, 112, 3), np.uint8)
    return pixels, np.zeros((2, 192), np.float32)


def test_device_buffers_give_what_addresses_give(program, as_on_card):
    on_card, asked = as_on_card
    pixels, found = arrays()
    binding = on_card.bind({"pixels": pixels}, {"embedding": found})
    assert asked == ["cuda", "cuda"]
    program.on_device = False
    plain_pixels, plain = arrays()
    reference = program.bind({"pixels": plain_pixels}, {"embedding": plain})
    for seed in (2, 3):  # filled anew: each run sees the newest bytes
        pixels[:] = plain_pixels[:] = arrays(seed)[0]
        binding.run()
        reference.run()
        np.testing.assert_allclose(found, plain, atol=1e-5)
        assert found.any()


def test_constants_go_over_once(as_on_card):
    program, _ = as_on_card
    pixels, found = arrays()
    binding = program.bind({"pixels": pixels}, {"embedding": found}, constant=["pixels"])
    binding.run()
    first = found.copy()
    pixels[:] = 0
    binding.run()
    np.testing.assert_array_equal(found, first)


def test_bare_copies_nothing(program):
    pixels, _ = arrays()
    binding = program.bind_bare({"pixels": pixels})
    binding.run()
    assert not binding._uploads
    assert not binding._downloads


def test_a_run_that_fails_says_so_and_no_more(program):
    pixels, _ = arrays()
    binding = program.bind({"pixels": pixels}, {"embedding": np.zeros((2, 7), np.float32)})
    with pytest.raises(VisionError) as caught:
        binding.run()
    assert caught.value.code == "vision_inference_failed"
    assert caught.value.__cause__ is None


def test_provider_options_reach_the_runtime(monkeypatch):
    seen = []

    class Recorder:
        def __init__(self, model, options, providers):
            seen.append(providers)

        def get_providers(self):
            return ["CUDAExecutionProvider", "CPUExecutionProvider"]

        def get_inputs(self):
            return []

        get_outputs = get_inputs

    monkeypatch.setattr(sessions.ort, "get_available_providers", lambda: list(sessions._PROVIDERS.values()))
    monkeypatch.setattr(sessions.ort, "InferenceSession", Recorder)
    monkeypatch.setattr(sessions.ort, "preload_dlls", lambda: None, raising=False)
    runtime = Runtime(("cuda", "cpu"), tuning={"cuda": {"enable_cuda_graph": "1"}})
    program = runtime.open_program(b"", "twin")
    assert seen == [[("CUDAExecutionProvider", {"enable_cuda_graph": "1"}), "CPUExecutionProvider"]]
    assert program.on_device
    assert not runtime.open_program(b"", "twin", on_device=False).on_device
