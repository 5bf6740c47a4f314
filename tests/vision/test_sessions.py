from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lfr_edge.errors import VisionError
from lfr_edge.vision import sessions
from lfr_edge.vision.denormals import denormals_as_zero
from lfr_edge.vision.sessions import Runtime, refuse_two_runtimes, session_options

WATCH = """
import importlib.abc, os, sys
class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            print("telemetry disabled:", os.environ.get("ORT_DISABLE_TELEMETRY"))
os.environ.pop("ORT_DISABLE_TELEMETRY", None)
sys.meta_path.insert(0, Watch())
import {module}
"""


@pytest.mark.parametrize(
    ("module", "expected"),
    [("lfr_edge.vision.sessions", "1"), ("onnxruntime", "None")],  # the second: the watch sees a plain import
)
def test_telemetry_is_off_before_the_first_import(module, expected):
    done = subprocess.run(
        [sys.executable, "-c", WATCH.format(module=module)], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"telemetry disabled: {expected}\n"


def test_only_sessions_imports_the_runtime():
    room = Path(sessions.__file__).parent
    importers = [
        path.name
        for path in room.rglob("*.py")
        if re.search(r"^\s*(import|from) onnxruntime", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert importers == ["sessions.py"]


def test_denormals_are_flushed_in_the_network_and_nowhere_else(networks):
    tiny = np.float32(1e-40)
    with denormals_as_zero():
        assert tiny * np.float32(1) == 0
    assert tiny * np.float32(1) != 0
    session = Runtime(threads=1).open(networks.get("mobilefacenet")[1], "mobilefacenet")
    session.run(np.zeros((1, 3, 112, 112), np.float32))
    assert tiny * np.float32(1) != 0, "opening or running a session changed this thread's arithmetic"


def test_two_runtimes_are_refused():
    refuse_two_runtimes({"onnxruntime", "numpy"})
    with pytest.raises(VisionError) as caught:
        refuse_two_runtimes({"onnxruntime", "onnxruntime-gpu"})
    assert caught.value.code == "vision_two_runtimes"


def test_two_installed_distributions_are_seen(tmp_path, monkeypatch):
    for name in ("onnxruntime", "onnxruntime_gpu"):
        info = tmp_path / f"{name}-9.9.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(VisionError, match="onnxruntime and onnxruntime-gpu"):
        Runtime()


def test_a_missing_provider_stops_the_start(networks):
    _, model = networks.get("yunet640")
    if "CUDAExecutionProvider" in sessions.ort.get_available_providers():
        pytest.skip("NOT TESTED here: this machine has CUDA")
    with pytest.raises(VisionError) as caught:
        Runtime(("cuda",)).open(model, "yunet")
    assert caught.value.code == "vision_provider_missing"
    assert "CUDAExecutionProvider" in caught.value.message
    degraded = Runtime(("cuda",), allow_cpu=True)
    assert degraded.open(model, "yunet").on_cpu
    assert "CUDAExecutionProvider" in degraded.degraded


class Pretender:
    """A session that was asked for CUDA and quietly runs on the CPU, as onnxruntime-gpu does without a driver."""

    def __init__(self, *_, **__):
        pass

    def get_providers(self):
        return ["CPUExecutionProvider"]


def test_a_listed_provider_that_does_not_run_stops_the_start(networks, monkeypatch):
    _, model = networks.get("yunet640")
    monkeypatch.setattr(sessions.ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(sessions.ort, "InferenceSession", Pretender)
    with pytest.raises(VisionError) as caught:
        Runtime(("cuda",)).open(model, "yunet")
    assert caught.value.code == "vision_provider_missing"


def test_a_gpu_session_forbids_nodes_on_the_cpu(monkeypatch):
    seen = []

    class Recorder(Pretender):
        def __init__(self, model, options, providers):
            seen.append((providers, options.get_session_config_entry("session.disable_cpu_ep_fallback")))
            raise RuntimeError("cannot run here")

    monkeypatch.setattr(sessions.ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(sessions.ort, "InferenceSession", Recorder)
    with pytest.raises(VisionError, match="not available"):
        Runtime(("cuda",)).open(b"", "net")
    assert seen == [(["CUDAExecutionProvider"], "1")]


def test_no_more_threads_than_processors(monkeypatch):
    monkeypatch.setattr(sessions, "available_cpus", lambda: 4)
    assert Runtime().threads == 4
    assert Runtime(threads=2).threads == 2
    assert Runtime(threads=64).threads == 4
    assert Runtime(callers=2).threads == 2
    assert Runtime(callers=9).threads == 1


def test_options():
    options = session_options(3)
    assert options.intra_op_num_threads == 3
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert options.get_session_config_entry("session.set_denormal_as_zero") == "1"


def test_rubbish_is_refused_without_a_traceback():
    with pytest.raises(VisionError) as caught:
        Runtime().open(b"\x08\x07rubbish", "net")
    assert caught.value.code == "vision_network_refused"
    assert caught.value.__cause__ is None


def test_wrong_shape_is_an_error_with_a_code(networks):
    session = Runtime(threads=1).open(networks.get("yunet640")[1], "yunet")
    for call in (
        lambda: session.run(np.zeros((1, 3, 64, 64), np.float32)),
        lambda: session.run_into(np.zeros((1, 3, 64, 64), np.float32), np.zeros((1, 6400, 1), np.float32)),
    ):
        with pytest.raises(VisionError) as caught:
            call()
        assert caught.value.code == "vision_inference_failed"


def test_run_into_writes_where_it_is_told(networks):
    session = Runtime(threads=1).open(networks.get("mobilefacenet")[1], "mobilefacenet")
    session.warm([(1, 3, 112, 112), (2, 3, 112, 112)])
    blob = np.random.default_rng(1).normal(size=(2, 3, 112, 112)).astype(np.float32)
    out = np.zeros((2, 192), np.float32)
    for _ in range(2):  # the second time through the remembered binding
        out[:] = 0
        session.run_into(blob, out)
        np.testing.assert_allclose(out, session.run(blob)[0], atol=1e-6)
