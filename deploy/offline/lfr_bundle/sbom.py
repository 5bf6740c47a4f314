"""CycloneDX 1.6: every wheel with licence and digest, and every library inside a wheel, which no package list names.

What the binary wheels of OpenCV, PyAV or NumPy bundle (FFmpeg, OpenBLAS, …) is where the dangerous faults are.
"""

from __future__ import annotations

import email.parser
import email.policy
import hashlib
import json
import re
import zipfile
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

from lfr_install.manifest import Member

from lfr_bundle.parts import digest

# libavcodec-0d2b8b5a.so.61.19.100 → libavcodec, 61.19.100: auditwheel puts a digest between name and version.
_LIBRARY: Final = re.compile(
    r"(?P<name>lib[A-Za-z0-9_+-]+?|[A-Za-z0-9_]+)(-[0-9a-f]{8,})?\.so(\.(?P<version>[0-9.]+))?"
)


def sbom(folder: Path, members: tuple[Member, ...], *, version: str, created: str) -> bytes:
    """The bill of materials of the files in `folder`."""
    wheels = sorted((folder / "wheels").glob("*.whl"))
    components = [_wheel(path) for path in wheels]
    components += [_file(member) for member in members if member.name.startswith("models/")]
    record = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": f"{created}T00:00:00Z",
            "component": {
                "type": "application",
                "bom-ref": "lfr-edge",
                "name": "lfr-edge",
                "version": version,
            },
        },
        "components": components,
    }
    return json.dumps(record, indent=1, sort_keys=True).encode() + b"\n"


def _wheel(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        about = _metadata(archive)
        libraries = [_library(archive, name) for name in archive.namelist() if _is_bundled(name)]
    name, version = str(about["Name"]), str(about["Version"])
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": f"pkg:pypi/{name.lower().replace('_', '-')}@{version}",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name.lower().replace('_', '-')}@{version}",
        "hashes": [{"alg": "SHA-256", "content": digest(path)}],
        "properties": [{"name": "lfr-edge:wheel", "value": path.name}],
    }
    licence = _licence(about)
    if licence:
        component["licenses"] = [{"license": {"name": licence}}]
    if libraries:
        component["components"] = libraries
    return component


def _licence(about: EmailMessage) -> str:
    """Of three places the first that says it in few words; some packages put the whole text into the second."""
    for said in (about.get("License-Expression"), about.get("License")):
        if said and len(said) < 100:
            return str(said)
    classed = [str(name) for name in about.get_all("Classifier", ()) if str(name).startswith("License ::")]
    return " and ".join(name.rpartition(" :: ")[2] for name in classed)


def _metadata(archive: zipfile.ZipFile) -> EmailMessage:
    name = next(name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
    parser = email.parser.BytesParser(policy=email.policy.default)
    return parser.parsebytes(archive.read(name), headersonly=True)


def _is_bundled(name: str) -> bool:
    """A library that the wheel carries along, and not the package's own extension module."""
    folder, _, file = name.rpartition("/")
    return ".so" in file and (folder.endswith(".libs") or file.startswith("lib"))


def _library(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    file = name.rpartition("/")[2]
    known = _LIBRARY.fullmatch(file)
    content = hashlib.sha256()
    with archive.open(name) as library:
        while piece := library.read(1 << 20):  # CUDA's are hundreds of megabytes
            content.update(piece)
    component: dict[str, Any] = {
        "type": "library",
        "name": known["name"] if known else file,
        "hashes": [{"alg": "SHA-256", "content": content.hexdigest()}],
        "properties": [{"name": "lfr-edge:path", "value": name}],
    }
    if known and known["version"]:
        component["version"] = known["version"]
    return component


def _file(member: Member) -> dict[str, Any]:
    return {
        "type": "machine-learning-model" if member.name.endswith(".onnx") else "file",
        "name": member.name,
        "hashes": [{"alg": "SHA-256", "content": member.sha256}],
    }
