"""The locks: hashed, without registry addresses, and a GPU set that really ends with the CUDA provider."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

LOCKS = sorted((REPOSITORY / "requirements").glob("*.txt"))
RUNTIMES = re.compile(r"^(onnxruntime[a-z-]*)==", re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_package_is_pinned_and_hashed_and_no_address_is_named(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    for block in re.split(r"\n(?=\S)", text.strip()):
        assert re.match(r"[a-z0-9.-]+(\[[a-z,]+\])?==\S+", block), block[:80]
        assert "--hash=sha256:" in block, block[:80]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_exactly_one_runtime_is_installed(lock: Path) -> None:
    wanted = "onnxruntime-gpu" if lock.name == "gpu.txt" else "onnxruntime"
    assert RUNTIMES.findall(lock.read_text()) == [wanted]


def test_the_two_runtimes_are_declared_as_conflicting() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    assert project["tool"]["uv"]["conflicts"] == [[{"extra": "cpu"}, {"extra": "gpu"}]]
    assert not (REPOSITORY / "uv.lock").exists()


def _requirement(lock: Path, *names: str) -> str:
    """The blocks of some packages, hashes and all."""
    blocks = re.split(r"\n(?=\S)", lock.read_text().strip())
    return "\n".join(block for block in blocks if re.match(rf"({'|'.join(names)})==", block)) + "\n"


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(600)
def test_the_gpu_set_lists_cuda_and_the_cpu_wheel_on_top_would_lose_it(tmp_path: Path) -> None:
    """Installs what decides it: the runtime of the lock. CUDA's own 1.4 GB of libraries do not change the list.

    The control installs the CPU wheel over it, which is what ``pip install insightface`` does (platform.md 1.2).
    """
    python = tmp_path / "venv" / "bin" / "python"
    uv = shutil.which("uv")
    subprocess.run(
        [sys.executable, "-m", "venv", *(["--without-pip"] if uv else []), tmp_path / "venv"], check=True
    )
    install = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]

    def providers_after(lock: str, *names: str) -> str:
        wanted = tmp_path / f"{lock}.txt"
        wanted.write_text(_requirement(REPOSITORY / "requirements" / f"{lock}.txt", *names))
        subprocess.run([*install, "-q", "--no-deps", "--require-hashes", "-r", wanted], check=True)
        code = "import onnxruntime as ort; print(ort.get_available_providers())"
        done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
        return done.stdout

    gpu = providers_after(
        "gpu", "onnxruntime-gpu", "numpy", "protobuf", "flatbuffers", "packaging", "ml-dtypes"
    )
    assert "CUDAExecutionProvider" in gpu
    assert "CUDAExecutionProvider" not in providers_after("cpu", "onnxruntime")


def test_no_registry_address_and_no_weights_are_committed() -> None:
    git = shutil.which("git")
    if git is None or not (REPOSITORY / ".git").exists():
        pytest.skip("NOT TESTED: not a git checkout")
    listed = subprocess.run([git, "ls-files"], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    registries = re.compile(
        r"(pypi|pythonhosted|npmjs|debian)\.(org|com)/(simple|packages|debian|-/)", re.IGNORECASE
    )
    for name in listed.stdout.splitlines():
        path = REPOSITORY / name
        assert path.suffix not in {".onnx", ".tflite", ".dat", ".pt", ".whl"}, name
        if path.suffix in {".py", ".txt", ".toml", ".md", ".sh", ""} and path.is_file():
            assert not registries.search(path.read_text(errors="replace")), name
