"""The folder of installed packs: nothing leaves it that has not been verified.

One pack is one folder ``<root>/<name>/`` with ``pack.json`` and its ONNX files. An installation appears whole or
not at all: it is written beside the others under a hidden name, synced, and renamed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import rfc8785
from pydantic import ValidationError

from lfr_edge.audit.disk import sync_folder
from lfr_edge.errors import ModelError
from lfr_edge.formats import refuse_newer
from lfr_edge.models.graph_check import parse_graph, precision_of
from lfr_edge.models.manifest import NetworkManifest, PackManifest, Precision
from lfr_edge.sentences import say

MANIFEST: Final = "pack.json"
PACK_FORMAT: Final = 1  # of pack.json; PackManifest accepts no other
_MANIFEST_LIMIT: Final = 1 << 20  # bytes; a manifest of two networks has about 4,000
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_ASIDE: Final = ".replaced-"
_DISCARD: Final = ".incomplete-"
_LOCK: Final = ".lock"

_REINSTALL: Final = (
    "run 'lfr-edge models pull' or 'lfr-edge models import' again; do not repair the file by hand"
)


@dataclass(frozen=True, slots=True)
class Pack:
    """An installed pack whose manifest and files verified when it was loaded."""

    name: str
    path: Path
    manifest: PackManifest
    fingerprint: str  # hex SHA-256 of the RFC 8785 form of the manifest, which holds every file's hash

    @property
    def precision(self) -> Precision:
        """What a calibration is bound to beside fingerprint and provider. The pack decides, no setting does."""
        return self.manifest.precision

    def read(self, network: NetworkManifest) -> bytes:
        """The network's bytes, verified in memory: a file swapped after :meth:`ModelStore.load` is refused.

        Raises:
            ModelError: ``model_file_missing``, ``model_altered``, ``model_unreadable``, ``model_external_data``
                or ``model_custom_operator``.
        """
        assert network in self.manifest.networks, f"{network.id} is not part of pack {self.name}"
        data = _read_verified(self.path / network.file, network)
        parse_graph(data, f"{self.name}/{network.file}")
        return data


@dataclass(frozen=True, slots=True)
class FileReport:
    file: str
    state: Literal["ok", "missing", "altered", "refused", "unknown"]  # unknown: in no manifest, never read
    detail: str


@dataclass(frozen=True, slots=True)
class PackReport:
    """What :meth:`ModelStore.verify` found, file by file."""

    name: str
    fingerprint: str
    files: tuple[FileReport, ...]

    @property
    def ok(self) -> bool:
        """True where every file of the manifest verified; an unknown file does not count, it is never read."""
        return all(file.state in {"ok", "unknown"} for file in self.files)


class ModelStore:
    """Packs under one folder.

    **Thread rule:** any thread, any process; installations and removals exclude each other by a file lock.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> tuple[str, ...]:
        """Installed packs in alphabetical order, verified or not."""
        if not self.root.is_dir():
            return ()
        return tuple(
            sorted(
                folder.name
                for folder in self.root.iterdir()
                if _NAME.fullmatch(folder.name) and (folder / MANIFEST).is_file()
            )
        )

    def load(self, name: str) -> Pack:
        """The pack, after its manifest and the size and SHA-256 of every file have been checked.

        Raises:
            ModelError: ``model_name_invalid``, ``model_pack_missing``, ``model_manifest_invalid``,
                ``model_file_missing`` or ``model_altered``.
        """
        pack = self._open(name)
        for network in pack.manifest.networks:
            _read_verified(pack.path / network.file, network)
        return pack

    def verify(self, name: str) -> PackReport:
        """Check everything that :meth:`load` and :meth:`Pack.read` check, and go on after the first fault.

        Raises:
            ModelError: ``model_name_invalid``, ``model_pack_missing`` or ``model_manifest_invalid``.
        """
        pack = self._open(name)
        files = [_report(pack, network) for network in pack.manifest.networks]
        known = {MANIFEST, *(network.file for network in pack.manifest.networks)}
        extra = sorted(entry.name for entry in pack.path.iterdir() if entry.name not in known)
        files += [FileReport(file, "unknown", "in no manifest; never read") for file in extra]
        return PackReport(pack.name, pack.fingerprint, tuple(files))

    def install(self, manifest: PackManifest, files: Mapping[str, bytes | Path]) -> Pack:
        """Write a pack, or replace the one of the same name; ``files`` maps each network's file name to its content.

        The precision that is written is the files' own: a calibration is bound to it, so nobody's word is taken for it.

        Raises:
            ModelError: ``model_altered`` where content and manifest differ, ``model_store_unwritable``, and what
                :func:`lfr_edge.models.graph_check.parse_graph` refuses.
        """
        wanted = {network.file for network in manifest.networks}
        if wanted != set(files):
            raise ValueError(f"the manifest names {sorted(wanted)}, the files are {sorted(files)}")
        with self._exclusive():
            return self._install(manifest, files)

    def remove(self, name: str) -> None:
        """Delete a pack, valid or not.

        Raises:
            ModelError: ``model_name_invalid``, ``model_pack_missing`` or ``model_store_unwritable``.
        """
        self._folder(name)
        with self._exclusive():
            aside = self.root / f"{_DISCARD}{name}-{secrets.token_hex(4)}"
            (self.root / name).rename(aside)
            shutil.rmtree(aside)

    def _install(self, manifest: PackManifest, files: Mapping[str, bytes | Path]) -> Pack:
        incoming = self.root / f"{_DISCARD}{manifest.name}-{secrets.token_hex(4)}"
        target = self.root / manifest.name
        incoming.mkdir()
        try:
            networks = []
            for network in manifest.networks:
                content = files[network.file]
                data = content if isinstance(content, bytes) else _read_verified(content, network)
                _check(data, network, network.file)
                precision = precision_of(parse_graph(data, network.file))
                networks.append(network.model_copy(update={"precision": precision}))
                _write_synced(incoming / network.file, data)
            manifest = manifest.model_copy(update={"networks": tuple(networks)})
            text = manifest.model_dump_json(indent=2) + "\n"
            _write_synced(incoming / MANIFEST, text.encode())
            sync_folder(incoming)
            aside = self.root / f"{_ASIDE}{manifest.name}"
            if target.exists():
                shutil.rmtree(aside, ignore_errors=True)
                target.rename(aside)
            incoming.rename(target)
            sync_folder(self.root)
            shutil.rmtree(aside, ignore_errors=True)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        return self.load(manifest.name)

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with (self.root / _LOCK).open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._recover()
                yield
        except OSError as error:
            raise ModelError(
                "model_store_unwritable",
                say("{root}: {strerror}", root=self.root, strerror=error.strerror or error),
                hint="choose a folder that you may write to with --store, and check the free space",
            ) from error

    def _recover(self) -> None:
        """Undo what a power cut between the two renames of a replacement, or during a copy, left behind."""
        for entry in self.root.iterdir():
            name = entry.name.removeprefix(_ASIDE)
            if entry.name.startswith(_ASIDE) and not (self.root / name).exists():
                entry.rename(self.root / name)
            elif entry.name.startswith((_ASIDE, _DISCARD)):
                shutil.rmtree(entry, ignore_errors=True)

    def _folder(self, name: str) -> Path:
        check_name(name)
        if not (self.root / name / MANIFEST).is_file():
            installed = ", ".join(self.names()) or "none"
            raise ModelError(
                "model_pack_missing",
                say(
                    "no model pack {name!r} in {root} (installed: {installed})",
                    name=name,
                    root=self.root,
                    installed=installed,
                ),
                hint="run 'lfr-edge models pull default', or 'lfr-edge models import' with a pack you have licensed",
            )
        return self.root / name

    def _open(self, name: str) -> Pack:
        folder = self._folder(name)
        manifest = read_manifest(folder / MANIFEST)
        if manifest.name != name:
            raise ModelError(
                "model_manifest_invalid",
                say("{folder}: the manifest is of pack {name!r}", folder=folder, name=manifest.name),
                hint=say("a pack's folder carries the pack's name; {reinstall}", reinstall=_REINSTALL),
            )
        return Pack(name, folder, manifest, fingerprint(manifest))


def check_name(name: str) -> None:
    """Refuse what cannot be a pack's name, and with it every path out of the store.

    Raises:
        ModelError: ``model_name_invalid``.
    """
    if not _NAME.fullmatch(name):
        raise ModelError(
            "model_name_invalid",
            say("{name!r} cannot be the name of a pack", name=name),
            hint="use small letters, digits, '.', '_' and '-', a letter or digit first, 64 at most",
        )


def fingerprint(manifest: PackManifest) -> str:
    """Hex SHA-256 of the manifest in RFC 8785 form: one value that names the networks and how they are fed."""
    return hashlib.sha256(rfc8785.dumps(manifest.model_dump(mode="json"))).hexdigest()


def read_manifest(path: Path) -> PackManifest:
    """Read and check a ``pack.json``.

    Raises:
        ModelError: ``model_manifest_invalid``; the message names the field.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MANIFEST_LIMIT + 1)
    except OSError as error:
        raise ModelError(
            "model_manifest_invalid",
            say("{path}: {strerror}", path=path, strerror=error.strerror),
            hint=_REINSTALL,
        ) from error
    return parse_manifest(text, str(path))


def parse_manifest(text: bytes, label: str) -> PackManifest:
    """Check the content of a ``pack.json``.

    Raises:
        ModelError: ``model_manifest_invalid``; the message names the field. ConfigError: ``format_newer``.
    """
    if len(text) > _MANIFEST_LIMIT:
        raise ModelError(
            "model_manifest_invalid",
            say("{label}: more than {manifest_limit} bytes", label=label, manifest_limit=_MANIFEST_LIMIT),
            hint=_REINSTALL,
        )
    try:
        return PackManifest.model_validate_json(text)
    except ValidationError as error:
        refuse_newer(_format_of(text), PACK_FORMAT, Path(label))
        fault = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, fault["loc"])) or "whole file"
        raise ModelError(
            "model_manifest_invalid",
            say("{label}: {where}: {fault}", label=label, where=where, fault=fault["msg"]),
            hint="'lfr-edge models show default --json' prints a valid one to start from; pull a pulled pack again",
        ) from None


def _format_of(text: bytes) -> int:
    """The number that a manifest says, 0 where it says none."""
    try:
        found = json.loads(text).get("format")
    except (ValueError, AttributeError, RecursionError):
        return 0
    return found if type(found) is int else 0


def _read_verified(path: Path, network: NetworkManifest) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(network.size + 1)
    except OSError as error:
        raise ModelError(
            "model_file_missing",
            say("{path}: {strerror}", path=path, strerror=error.strerror),
            hint=_REINSTALL,
        ) from error
    _check(data, network, str(path))
    return data


def _check(data: bytes, network: NetworkManifest, label: str) -> None:
    if len(data) != network.size or hashlib.sha256(data).hexdigest() != network.sha256:
        raise ModelError(
            "model_altered",
            say("{label} is not the file that the manifest describes (size or SHA-256 differs)", label=label),
            hint=_REINSTALL,
        )


def _report(pack: Pack, network: NetworkManifest) -> FileReport:
    try:
        pack.read(network)
    except ModelError as error:
        states: dict[str, Literal["missing", "altered"]] = {
            "model_file_missing": "missing",
            "model_altered": "altered",
        }
        return FileReport(network.file, states.get(error.code, "refused"), error.message)
    return FileReport(network.file, "ok", f"sha256 {network.sha256}")


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
