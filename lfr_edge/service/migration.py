"""Brings the data folder of an older release forward, step by step, before anything in it is used.

One number stands for the whole folder (``format``), so that an older program refuses a newer folder at once instead
of meeting its files one by one. A step may be interrupted at any point: it is begun again, and finds what it did.
Steps are never changed once released; tests run them over the folders of every release (``tests/formats``).

Nothing is copied aside. A copy of the alerts would outlive its retention, and accounts hold hashes of passwords.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lfr_edge.alerts.store import AlertStore
from lfr_edge.audit.disk import make_folder, write_new
from lfr_edge.clock import Clock
from lfr_edge.console.door.accounts import Accounts
from lfr_edge.console.outside.outbox import Outbox
from lfr_edge.errors import ConfigError
from lfr_edge.formats import Ladder, refuse_newer
from lfr_edge.sentences import say

log = logging.getLogger("lfr_edge.service")

NUMBER: Final = "format"
JOURNAL: Final = "migrations.jsonl"
_LOCK: Final = ".format.lock"
_TITLE: Final = "lfr-edge data"


@dataclass(frozen=True, slots=True)
class Migration:
    """From format `to` - 1 to `to`. `run` gives the files that it changed or found changed, relative names."""

    to: int
    title: str
    run: Callable[[Path, Clock], Iterator[str]]


def _number_every_file(data: Path, clock: Clock) -> Iterator[str]:
    """Release 0.1.0 wrote accounts, alerts and the outbox without a number."""
    if (data / "accounts.json").exists():
        Accounts(data / "accounts.json", clock).rewrite()
        yield "accounts.json"
    for alerts in sorted((data / "deployments").glob("*/alerts.sqlite")):
        AlertStore(alerts).close()  # opening brings it forward
        yield str(alerts.relative_to(data))
    if (data / "outbox.sqlite").exists():
        Outbox(data / "outbox.sqlite").close()
        yield "outbox.sqlite"


MIGRATIONS: Final = (Migration(2, "number every file", _number_every_file),)


def newest(migrations: Sequence[Migration] = MIGRATIONS) -> int:
    return migrations[-1].to if migrations else 1


def format_of(data: Path, migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """The format of a data folder; an empty or missing one has the newest.

    Raises:
        ConfigError: ``format_unreadable``.
    """
    try:
        text = (data / NUMBER).read_text(encoding="ascii").strip()
        return Ladder(_TITLE).number(text)
    except FileNotFoundError:
        old = any(
            (data / name).exists() for name in ("accounts.json", "deployments", "deployment", "trust.json")
        )
        return 1 if old else newest(migrations)
    except (OSError, ValueError):
        raise ConfigError(
            "format_unreadable",
            say("{path} does not say which format the folder has", path=data / NUMBER),
            hint="restore it from a copy of the box; is it another program's folder?",
        ) from None


def migrate(data: Path, clock: Clock, migrations: Sequence[Migration] = MIGRATIONS) -> tuple[Migration, ...]:
    """Run what is still to run, under a lock; what was run.

    Raises:
        ConfigError: ``format_newer``, ``format_unreadable``; ``migration_failed`` where a file refuses its step: then
            the folder keeps its number, and the next start begins that step again.
    """
    make_folder(data)
    with _alone(data):
        found = format_of(data, migrations)
        refuse_newer(found, newest(migrations), data)
        run = tuple(step for step in migrations if step.to > found)
        for step in run:
            _run(step, data, clock)
        if not run and not (data / NUMBER).exists():
            _say(data, newest(migrations))
    return run


def _run(step: Migration, data: Path, clock: Clock) -> None:
    try:
        files = list(step.run(data, clock))
    except (OSError, sqlite3.Error, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            "migration_failed",
            say(
                "the data folder could not be brought to format {to}: {kind}",
                to=step.to,
                kind=type(error).__name__,
            ),
            hint="lfr-edge doctor checks the disk; the release before this one still reads the folder",
        ) from error
    _note(data, {"to": step.to, "title": step.title, "files": files, "wall_s": clock.wall_ns() // 10**9})
    _say(data, step.to)
    log.info("data folder brought to format %d (%s): %d files", step.to, step.title, len(files))


def _say(data: Path, number: int) -> None:
    write_new(data / NUMBER, f"{_TITLE} {number}\n".encode())


def _note(data: Path, row: dict[str, object]) -> None:
    """Durable before the folder says its new number; a step that was interrupted after it is noted twice."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(data / JOURNAL, flags, 0o600)
    try:
        os.write(descriptor, json.dumps(row).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _alone(data: Path) -> Iterator[None]:
    handle = os.open(data / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
