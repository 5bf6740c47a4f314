"""Notices that wait for their readers, on disk: a power cut loses none, and a dead reader delays nobody.

One table for all readers, who differ only in how far they have come.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from lfr_edge.errors import ConfigError, DeploymentError
from lfr_edge.formats import climb_database
from lfr_edge.sentences import say

KEPT_S: Final = 24 * 3600  # as alert pictures by default: what nobody fetched within a day is no news
FORMATS: Final = (
    # 1: the tables of release 0.1.0, whose files may have them without a number
    (
        """CREATE TABLE IF NOT EXISTS notices (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    deployment TEXT NOT NULL,
    cursor     INTEGER NOT NULL,
    type       TEXT NOT NULL,
    body       TEXT NOT NULL,
    wall_s     INTEGER NOT NULL,
    UNIQUE (deployment, cursor)
) STRICT""",
        "CREATE TABLE IF NOT EXISTS sources (deployment TEXT PRIMARY KEY, cursor INTEGER NOT NULL) STRICT",
        """CREATE TABLE IF NOT EXISTS readers (
    id TEXT PRIMARY KEY, seq INTEGER NOT NULL, recorded INTEGER NOT NULL
) STRICT""",
    ),
)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Notice:
    seq: int  # rises for ever, over deployments and restarts
    type: str
    body: dict[str, Any]

    @property
    def id(self) -> str:
        """The same at every try, so that a reader can tell a repetition."""
        return f"{self.body['deployment']}-{self.seq}"


class Outbox:
    """**Thread rule:** of the event loop; SQLite stays in one thread of its own, one connection (reliability.md 6)."""

    def __init__(self, path: Path) -> None:
        """Open or create, mode 0600. Raises DeploymentError ``outbox_unreadable``, ConfigError ``format_newer``."""
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox")
        self._changed = asyncio.Event()
        self.newest = 0
        try:
            self._db = self._writer.submit(_open, path).result()
            self.newest = self._writer.submit(self._newest).result()
        except ConfigError:
            self._writer.shutdown()
            raise
        except (OSError, sqlite3.Error) as error:
            self._writer.shutdown()
            raise DeploymentError(
                "outbox_unreadable",
                say("{path}: {error}", path=path, error=error),
                hint="move the file aside: it holds only what is still to be sent",
            ) from None

    async def source(self, deployment: str) -> int:
        """How far the desk's feed of `deployment` was read."""

        def read() -> int:
            row = self._db.execute(
                "SELECT cursor FROM sources WHERE deployment = ?", (deployment,)
            ).fetchone()
            return int(row[0]) if row else 0

        return await self._run(read)

    async def put(self, deployment: str, cursor: int, body: dict[str, Any] | None, wall_s: int) -> None:
        """Keep the notice of the feed's event `cursor` (None: nobody is told), once, and how far the feed was read."""

        def write() -> None:
            with self._db:
                if body is not None:
                    self._db.execute(
                        "INSERT OR IGNORE INTO notices (deployment, cursor, type, body, wall_s) VALUES (?, ?, ?, ?, ?)",
                        (deployment, cursor, body["type"], json.dumps(body), wall_s),
                    )
                self._db.execute("REPLACE INTO sources VALUES (?, ?)", (deployment, cursor))
                self._db.execute("DELETE FROM notices WHERE wall_s < ?", (wall_s - KEPT_S,))

        await self._run(write)
        if body is not None:
            self.newest = await self._run(self._newest)
            self._changed.set()
            self._changed = asyncio.Event()

    async def next(self, after: int, types: tuple[str, ...]) -> Notice | None:
        """The oldest notice of these types after `after`."""

        def read() -> Notice | None:
            marks = ", ".join("?" * len(types))
            row = self._db.execute(
                f"SELECT seq, type, body FROM notices WHERE seq > ? AND type IN ({marks}) ORDER BY seq LIMIT 1",  # noqa: S608
                (after, *types),
            ).fetchone()
            return Notice(row[0], row[1], json.loads(row[2])) if row else None

        return await self._run(read)

    async def reader(self, reader: str) -> tuple[int, int]:
        """(last notice that arrived, last one whose sending is on record). A new reader begins with what comes next."""

        def read() -> tuple[int, int]:
            with self._db:
                now = self._newest()
                self._db.execute("INSERT OR IGNORE INTO readers VALUES (?, ?, ?)", (reader, now, now))
            row = self._db.execute("SELECT seq, recorded FROM readers WHERE id = ?", (reader,)).fetchone()
            return int(row[0]), int(row[1])

        return await self._run(read)

    async def advance(self, reader: str, *, seq: int | None = None, recorded: int | None = None) -> None:
        def write() -> None:
            with self._db:
                self._db.execute(
                    "UPDATE readers SET seq = coalesce(?, seq), recorded = coalesce(?, recorded) WHERE id = ?",
                    (seq, recorded, reader),
                )

        await self._run(write)

    async def wait(self, after: int) -> None:
        """Return as soon as a notice after `after` exists."""
        while self.newest <= after:
            await self._changed.wait()

    def close(self) -> None:
        self._writer.submit(self._db.close).result()
        self._writer.shutdown()

    def _newest(self) -> int:
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'notices'").fetchone()
        return int(row[0]) if row else 0

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.wrap_future(self._writer.submit(work))
        except sqlite3.Error as error:
            raise DeploymentError(
                "outbox_failed",
                say("the outbox refused: {error}", error=error),
                hint="check the disk with lfr-edge doctor",
            ) from None


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    try:
        climb_database(db, FORMATS, path)
    except BaseException:
        db.close()
        raise
    return db
