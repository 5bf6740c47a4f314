"""What goes into a bundle, collected in one folder: wheels, networks, lock, configuration, deployment files."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lfr_install.faults import InstallError
from lfr_install.manifest import Member

_PIP: Final = ("-m", "pip", "--disable-pip-version-check", "--quiet")
_LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)  # the first date that a zip can hold


def download_wheels(project: Path, profile: str, into: Path) -> None:
    """Every locked package as a wheel of this Python and machine, by the hashes of the lock.

    Raises:
        InstallError: ``make_wheels``.
    """
    into.mkdir(parents=True, exist_ok=True)
    lock = str(project / "requirements" / f"{profile}.txt")
    options = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--dest", str(into)]
    with tempfile.TemporaryDirectory() as folder:  # an environment that uv made has no pip
        _run([sys.executable, "-m", "venv", folder], "make_wheels", {})
        _run([f"{folder}/bin/python", *_PIP, "download", *options, "-r", lock], "make_wheels", {})


def build_wheel(project: Path, into: Path, epoch: int) -> None:
    """The product's own wheel; equal bytes for an equal tree and `epoch`. Raises InstallError ``make_wheel``."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(into)]
    _run(command, "make_wheel", {"SOURCE_DATE_EPOCH": str(epoch)}, project)


def build_site(project: Path, into: Path, epoch: int) -> None:
    """The documents, readable from the medium in any browser; equal bytes for an equal tree and `epoch`.

    Raises:
        InstallError: ``make_site``.
    """
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(into)]
    environment = {"SOURCE_DATE_EPOCH": str(epoch), "NO_MKDOCS_2_WARNING": "1"}
    _run(command, "make_site", environment, project)


def copy_pack(pack: Path, into: Path) -> None:
    """An installed model pack. Raises InstallError ``make_pack`` where there is none."""
    require_pack(pack)
    shutil.copytree(pack, into / pack.name)


def require_pack(pack: Path) -> None:
    """Raises InstallError ``make_pack``."""
    if not (pack / "pack.json").is_file():
        raise InstallError(
            "make_pack",
            f"{pack} holds no model pack",
            hint=f".venv/bin/lfr-edge models pull {pack.name} --store {pack.parent}",
        )


def copy_demo_cache(cache: Path, into: Path) -> None:
    """What the demo fetched once: published photographs, its clip, its networks. Raises ``make_demo_cache``."""
    for name in ("members", "demo", "models/default"):
        if not (cache / name).is_dir():
            raise InstallError(
                "make_demo_cache", f"{cache / name} is not there", hint="run lfr-edge demo once"
            )
        shutil.copytree(cache / name, into / name, ignore=shutil.ignore_patterns(".*"))


def members(folder: Path) -> tuple[Member, ...]:
    """Every file below `folder`, in the order of a bundle."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    found = [
        Member(
            path.relative_to(folder).as_posix(),
            path.stat().st_size,
            digest(path),
            os.access(path, os.X_OK),
        )
        for path in files
    ]
    return tuple(sorted(found, key=lambda member: member.name))


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_program(package: Path, out: Path) -> None:
    """``lfr-edge-install`` as one executable file, equal bytes for equal sources."""
    with out.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w") as archive:
            sources = {f"{package.name}/{path.name}": path.read_bytes() for path in package.glob("*.py")}
            start = b"import sys\nfrom lfr_install.__main__ import main\nsys.exit(main())\n"
            for name, body in sorted((sources | {"__main__.py": start}).items()):
                archive.writestr(zipfile.ZipInfo(name, _LONG_AGO), body)
    out.chmod(0o755)


def _run(command: list[str], code: str, environment: Mapping[str, str], cwd: Path | None = None) -> None:
    told = subprocess.run(
        command, cwd=cwd, env=os.environ | dict(environment), capture_output=True, text=True, check=False
    )
    if told.returncode:
        last = " / ".join((told.stderr or told.stdout).strip().splitlines()[-3:])
        raise InstallError(code, last, hint="see what pip says above; is the registry reachable?")
