"""Tiny releases, made as real ones are: a real wheel with a real program, real keys, a real bundle."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

OFFLINE = Path(__file__).resolve().parents[2] / "deploy" / "offline"
sys.path.insert(0, str(OFFLINE))

from lfr_bundle import parts  # noqa: E402
from lfr_install import known_faults, signing  # noqa: E402
from lfr_install.container import write_bundle  # noqa: E402
from lfr_install.manifest import Manifest  # noqa: E402

_WELL = "def main():\n    print('ok')\n"
_UNWELL = "import sys\ndef main():\n    print('FAIL the disk is too small')\n    sys.exit(1)\n"


@dataclass(frozen=True)
class Keys:
    folder: Path

    def private(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def public(self, name: str) -> Path:
        return self.folder / f"{name}.pub"


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    found = Keys(tmp_path_factory.mktemp("keys"))
    for name in ("release", "anna", "ben", "stranger"):
        private, public = str(found.private(name)), str(found.public(name))
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
        subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    return found


def wheel(folder: Path, version: str, program: str) -> Path:
    """A wheel of a distribution called lfr-edge, whose `lfr-edge` runs `program`."""
    path = folder / f"lfr_edge-{version}-py3-none-any.whl"
    about = f"lfr_edge-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("lfr_tiny.py", program)
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: lfr-edge\nVersion: {version}\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/entry_points.txt", "[console_scripts]\nlfr-edge = lfr_tiny:main\n")
        archive.writestr(f"{about}/RECORD", "")
    return path


Release = Callable[..., Path]


@pytest.fixture
def release(tmp_path: Path, keys: Keys) -> Release:
    """`release(serial, well=True, signer="release")` → the path of a signed bundle."""

    def make(
        serial: int,
        *,
        well: bool = True,
        signer: str = "release",
        python: str | None = None,
        faults: bytes = b"",
    ) -> Path:
        folder = tmp_path / f"parts-{serial}"
        (folder / "wheels").mkdir(parents=True)
        (folder / "requirements").mkdir()
        (folder / "requirements" / "cpu.txt").write_text("# nothing\n")
        wheel(folder / "wheels", f"0.{serial}", _WELL if well else _UNWELL)
        (folder / "notes.txt").write_text(f"release {serial}\n" * 200)
        if faults:
            (folder / known_faults.MEMBER).write_bytes(faults)
        manifest = Manifest(
            version=f"0.{serial}",
            serial=serial,
            created="2026-11-22",
            profile="cpu",
            python=python or f"{sys.version_info[0]}.{sys.version_info[1]}",
            machine=platform.machine(),
            members=parts.members(folder),
        )
        out = tmp_path / f"lfr-edge-{serial}.bundle"
        sources = {member.name: folder / member.name for member in manifest.members}
        write_bundle(out, manifest, sources, signing.sign(manifest.encode(), keys.private(signer)))
        return out

    return make


def missing(*programs: str) -> str:
    """What a trial with the real release needs and this machine lacks, in words; "" where it has all."""
    lacking = [name for name in programs if shutil.which(name) is None]
    return ", ".join([*lacking, "root"] if os.geteuid() != 0 else lacking)


@pytest.fixture(scope="session")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a Debian 12 with Python and openssl, and nothing else. Needs root and a mirror."""
    root = tmp_path_factory.mktemp("debian") / "root"
    packages = "--include=python3,python3-venv,openssl"
    subprocess.run(["debootstrap", "--variant=minbase", packages, "bookworm", str(root)], check=True)
    return root


@pytest.fixture(scope="session")
def medium(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Path:
    """What an engineer brings on a stick: this commit's bundle with the demo, the installer, keys, both approvals.

    Needs a network, and a machine on which the demo ran once.
    """
    folder, clone = tmp_path_factory.mktemp("medium"), tmp_path_factory.mktemp("clone") / "lfr-edge"
    subprocess.run(["git", "clone", "--quiet", str(OFFLINE.parents[1]), str(clone)], check=True)
    cache = Path.home() / ".cache" / "lfr-edge"
    options = ["--key", str(keys.private("release")), "--store", str(cache / "models")]
    options += ["--demo-cache", str(cache), "--no-audit-report", "a trial", "--site", "--out", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(clone / "deploy" / "offline")}
    subprocess.run([sys.executable, "-m", "lfr_bundle", *options], env=environment, check=True)
    (folder / "installers").mkdir()
    for name in ("anna", "ben"):
        shutil.copy(keys.public(name), folder / "installers")
    shutil.copy(keys.public("release"), folder)
    return folder


def tree_digest(folder: Path) -> str:
    """Names and contents of everything below `folder`."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(str(path.relative_to(folder)).encode())
        if path.is_file() and not path.is_symlink():
            digest.update(path.read_bytes())
    return digest.hexdigest()
