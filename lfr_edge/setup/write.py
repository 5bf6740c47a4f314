"""Turns answers into a box: folders, device key, configuration, accounts. In that order, so that a cut
leaves a box that the same command completes: nothing that exists is written over, and what is there is kept.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lfr_edge.audit.disk import make_folder, write_new
from lfr_edge.audit.folder import DEVICE_LOG, LogFolder
from lfr_edge.clock import Clock
from lfr_edge.console.door.accounts import Accounts
from lfr_edge.console.door.book import Role
from lfr_edge.deployment.session import BoxRecord
from lfr_edge.errors import AuditError, ConfigError
from lfr_edge.sentences import say
from lfr_edge.service.migration import migrate
from lfr_edge.settings import Settings, load_settings
from lfr_edge.setup.answers import Answers
from lfr_edge.setup.toml_text import toml_text

_CONFIGURATION_MODE: Final = 0o640  # names of files with secrets, no secret
SECRETS: Final = "secrets"  # beside the configuration: passwords of cameras
_OLDER: Final = 100  # configurations kept beside the new one


@dataclass(frozen=True, slots=True)
class Code:
    """**Lifetime:** shown once and forgotten; the accounts file keeps its hash."""

    account: str
    role: Role
    code: str


@dataclass(frozen=True, slots=True)
class Written:
    configuration: Path
    older: Path | None  # where the configuration before it lies now
    device: str  # the box's public key, as verifiers take it
    codes: tuple[Code, ...]
    known: tuple[str, ...]  # accounts that existed and were left alone
    files: tuple[Path, ...]  # everything that is there now


def write_box(
    answers: Answers, path: Path, clock: Clock, *, replace: bool = False, owner: str | None = None
) -> Written:
    """Write the box that `answers` describe, with its configuration at `path`.

    Raises:
        ConfigError: ``setup_exists`` (and `replace` is not given), ``setup_owner_unknown``, ``setup_unwritable``,
            or what is wrong with the configuration; then nothing was written.
        AuditError: the device log cannot be opened: a service runs, or the disk refuses.
    """
    answers.settings()
    raw = _whole(answers.configuration)
    text = _heading() + toml_text(raw)
    ids = _identity(owner)
    if path.exists() and not replace and path.read_text(encoding="utf-8", errors="replace") != text:
        raise ConfigError(
            "setup_exists",
            say("{path} exists and says something else", path=path),
            hint="give --replace, and it is kept under another name; or name another file with --config",
        )
    try:
        return _write(answers, path, text, clock, ids)
    except OSError as error:
        raise ConfigError(
            "setup_unwritable",
            say("{file}: {reason}", file=error.filename or path, reason=error.strerror),
            hint="run as the user of the service, or as root with --user NAME",
        ) from None


def _write(answers: Answers, path: Path, text: str, clock: Clock, ids: tuple[int, int] | None) -> Written:
    path.parent.mkdir(parents=True, exist_ok=True)  # for the service to enter; what is secret lies deeper
    settings = _checked(path, text)
    for folder in (settings.data, settings.audit, settings.models.store):
        make_folder(folder)
    migrate(settings.data, clock)  # a new folder says its format; one of an older release is brought forward
    device = _device_key(settings, clock)
    older = _set_aside(path, text)
    write_new(path, text.encode(), _CONFIGURATION_MODE)
    codes, known = _accounts(answers, settings, clock)
    files = tuple(_files(settings, path))
    if ids is not None:
        _give(files, settings, ids)
    return Written(path, older, device, codes, known, files)


def _checked(path: Path, text: str) -> Settings:
    """The configuration as the service will read it, before it lies under its name."""
    draft = path.with_name(f".{path.name}.checked")
    write_new(draft, text.encode())
    try:
        return load_settings(draft)
    finally:
        draft.unlink()


def _heading() -> str:
    return (
        "# Written by lfr-edge setup. Every field: docs/reference/configuration.md\n"
        "# Check it with: lfr-edge doctor --config THIS FILE\n\n"
    )


def _whole(configuration: dict[str, Any]) -> dict[str, Any]:
    """Plain values first, so that they stay at the top of the file."""
    return dict(sorted(configuration.items(), key=lambda item: isinstance(item[1], dict | list | tuple)))


def _set_aside(path: Path, text: str) -> Path | None:
    """The configuration before this one, under a name of its own."""
    if not path.exists() or path.read_text(encoding="utf-8", errors="replace") == text:
        return None
    for number in range(1, _OLDER):
        older = path.with_name(f"{path.name}.{number}")
        if not older.exists():
            write_new(older, path.read_bytes(), _CONFIGURATION_MODE)
            return older
    raise ConfigError(
        "setup_exists", say("{path} has {number} older ones", path=path, number=_OLDER - 1),
        hint="remove some of them",
    )  # fmt: skip


def _device_key(settings: Settings, clock: Clock) -> str:
    """The box's key and its own log, made where they are not there yet."""
    try:
        BoxRecord.open(settings, clock).close()
    except AuditError as error:
        if error.code != "audit_certificate_wrong":
            raise
        raise ConfigError(
            "setup_site_renamed",
            say("the record in {folder} is signed under another site's name", folder=settings.audit),
            hint="keep the site's name, or name a new audit folder and keep the old one",
        ) from None
    return LogFolder(settings.audit / DEVICE_LOG).device_key.read_text(encoding="utf-8").strip()


def _accounts(answers: Answers, settings: Settings, clock: Clock) -> tuple[tuple[Code, ...], tuple[str, ...]]:
    accounts = Accounts(settings.data / "accounts.json", clock)
    codes, known = [], []
    for wanted in answers.accounts:
        found = accounts.get(wanted.name)
        if found is not None and (found.password_hash or found.passkeys):
            known.append(wanted.name)
        elif found is not None:  # its code was lost with the terminal: the old one ends
            codes.append(Code(found.name, found.role, accounts.reset(found.name)))
        else:
            codes.append(Code(wanted.name, wanted.role, accounts.add(wanted.name, wanted.role)))
    return tuple(codes), tuple(known)


def keep_password(folder: Path, camera: str, password: str) -> Path:
    """Write a camera's password where only its owner reads it; the file.

    An older one is replaced: the camera was just asked with the new one.
    """
    make_folder(folder)
    path = folder / f"{camera}.password"
    write_new(path, f"{password}\n".encode())
    return path


def _files(settings: Settings, path: Path) -> Iterator[Path]:
    yield path
    yield from (camera.password_file for camera in settings.cameras if camera.password_file)
    yield from (
        settings.data / "keys" / "device.key",
        settings.data / "accounts.json",
        settings.audit / "device",
    )


def _identity(owner: str | None) -> tuple[int, int] | None:
    if owner is None:
        return None
    try:
        found = pwd.getpwnam(owner)
    except KeyError:
        raise ConfigError(
            "setup_owner_unknown", say("there is no user {owner}", owner=owner), hint="useradd --system …"
        ) from None
    return found.pw_uid, found.pw_gid


def _give(files: tuple[Path, ...], settings: Settings, ids: tuple[int, int]) -> None:
    """To the user of the service: everything in its folders; the configuration stays root's, for its group to read."""
    configuration, *rest = files
    os.chown(configuration, -1, ids[1])
    folders = {settings.data, settings.audit}
    if settings.models.store.is_relative_to(settings.data):
        folders.add(settings.models.store)  # packs of a release stay root's: the service must not change them
    folders |= {folder for folder in (configuration.parent / SECRETS,) if folder.is_dir()}
    for place in {*folders, *(file for file in rest if file.exists())}:
        os.chown(place, *ids)
        for inner in place.rglob("*") if place.is_dir() else ():
            os.chown(inner, *ids, follow_symlinks=False)
