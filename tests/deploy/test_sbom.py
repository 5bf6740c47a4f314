"""The bill of materials: each wheel, its licence, and the libraries inside it that no package list names."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.deploy import conftest  # noqa: F401  the path is set by it

from lfr_bundle import parts  # isort: skip
from lfr_bundle.sbom import sbom  # isort: skip


def _wheel(folder: Path, name: str, about: str, libraries: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-1.2-py3-none-any.whl", "w") as archive:
        archive.writestr(
            f"{name}-1.2.dist-info/METADATA", f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.2\n{about}"
        )
        archive.writestr(f"{name}/__init__.py", "")
        for path, body in libraries.items():
            archive.writestr(path, body)


def _bill(folder: Path) -> dict[str, Any]:
    raw = sbom(folder, parts.members(folder), version="0.1.0", created="2026-11-22")
    assert raw == sbom(folder, parts.members(folder), version="0.1.0", created="2026-11-22")
    found = json.loads(raw)
    assert isinstance(found, dict)
    return found


def test_libraries_inside_wheels_are_named_with_version_and_digest(tmp_path: Path) -> None:
    inside = {
        "av.libs/libavcodec-0d2b8b5a.so.61.19.100": b"ffmpeg" * 400_000,
        "nvidia/cublas/lib/libcublas.so.13": b"cuda",
        "av/_core.cpython-311-x86_64-linux-gnu.so": b"its own module",
    }
    _wheel(tmp_path / "wheels", "av", "License-Expression: BSD-3-Clause\n", inside)
    bill = _bill(tmp_path)
    (component,) = bill["components"]
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert component["purl"] == "pkg:pypi/av@1.2"
    assert component["hashes"][0]["content"] == parts.digest(next((tmp_path / "wheels").iterdir()))
    named = {
        one["name"]: (one.get("version"), one["hashes"][0]["content"]) for one in component["components"]
    }
    assert named == {
        "libavcodec": ("61.19.100", hashlib.sha256(b"ffmpeg" * 400_000).hexdigest()),
        "libcublas": ("13", hashlib.sha256(b"cuda").hexdigest()),
    }


@pytest.mark.parametrize(
    ("about", "licence"),
    [
        ("License-Expression: MIT\nLicense: something else\n", "MIT"),
        ("License: Apache 2.0\n", "Apache 2.0"),
        ("License: " + "x" * 400 + "\nClassifier: License :: OSI Approved :: BSD License\n", "BSD License"),
        (
            "Classifier: License :: OSI Approved :: MIT License\nClassifier: License :: Public Domain\n",
            "MIT License and Public Domain",
        ),
        ("", None),
    ],
)
def test_the_licence_is_found_where_the_package_says_it(
    tmp_path: Path, about: str, licence: str | None
) -> None:
    _wheel(tmp_path / "wheels", "one", about, {})
    (component,) = _bill(tmp_path)["components"]
    assert component.get("licenses", [{"license": {"name": None}}])[0]["license"]["name"] == licence


def test_networks_are_listed_by_their_digest(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.onnx").write_bytes(b"network")
    (component,) = _bill(tmp_path)["components"]
    assert component["type"] == "machine-learning-model"
    assert component["hashes"][0]["content"] == hashlib.sha256(b"network").hexdigest()
