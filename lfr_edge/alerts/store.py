"""Alerts on disk: SQLite with one connection in one thread, a view that the audit log can correct.

One connection because SQLite up to 3.51.2 can corrupt a WAL that several connections reset, and
``synchronous=FULL`` because ``NORMAL`` lost commits in 18 of 40 power cuts (reliability.md 6).
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from lfr_edge.alerts.alert import Alert
from lfr_edge.alerts.rows import from_document, to_document
from lfr_edge.errors import AlertError, ConfigError
from lfr_edge.formats import climb_database
from lfr_edge.sentences import say

FORMATS: Final = (
    # 1: the tables of release 0.1.0, whose files may have them without a number
    (
        """CREATE TABLE IF NOT EXISTS alerts (
    token   TEXT PRIMARY KEY,
    number  INTEGER NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    state   TEXT NOT NULL,
    body    TEXT NOT NULL
) STRICT""",
        """CREATE TABLE IF NOT EXISTS feed (
    cursor  INTEGER PRIMARY KEY AUTOINCREMENT,
    kind    TEXT NOT NULL,
    token   TEXT NOT NULL,
    version INTEGER NOT NULL
) STRICT""",
    ),
)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One change that clients follow. A client that names its last cursor misses nothing."""

    cursor: int  # rises for ever, also over restarts
    kind: str  # offered, suppressed, assigned, escalated, looked, decided, expired, outcome, erased, held, restored
    token: str
    version: int


class AlertStore:
    """**Thread rule:** every method may be called from any thread; all of them run in the store's one writer."""

    def __init__(self, path: Path) -> None:
        """Open or create the database, mode 0600.

        Raises:
            AlertError: ``alert_store_unreadable``. ConfigError: ``format_newer``.
        """
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="alert-store")
        self._on_event: Callable[[FeedEvent], None] | None = None
        try:
            self._db = self._writer.submit(_open, path).result()
        except ConfigError:
            self._writer.shutdown()
            raise
        except (OSError, sqlite3.Error) as error:
            self._writer.shutdown()
            raise AlertError(
                "alert_store_unreadable",
                say("{path}: {error}", path=path, error=error),
                hint="move the file aside: it is a view, the audit log and the sealed pictures stay valid",
            ) from None

    def follow(self, on_event: Callable[[FeedEvent], None]) -> None:
        """Call `on_event` from the writer thread after each commit that adds to the feed, in cursor order."""
        self._on_event = on_event

    async def put(self, alert: Alert, kind: str | None) -> None:
        """Write the alert's newest version and, where `kind` is given, its feed event, in one transaction.

        Raises:
            AlertError: ``alert_store_failed``; nothing was written.
        """
        await self._run(lambda: self._put(alert, kind))

    async def load(self, feed_limit: int) -> tuple[tuple[Alert, ...], tuple[FeedEvent, ...]]:
        """All alerts by number, and the newest `feed_limit` feed events in order."""
        return await self._run(lambda: self._load(feed_limit))

    async def forget(self, token: str) -> None:
        """Drop an alert that was never recorded, so that nobody ever hears of it."""
        await self._run(lambda: self._forget(token))

    def close(self) -> None:
        self._writer.submit(self._db.close).result()
        self._writer.shutdown()

    async def _run(self, work: Callable[[], T]) -> T:
        future: Future[T] = self._writer.submit(work)
        try:
            return await asyncio.wrap_future(future)
        except sqlite3.Error as error:
            raise AlertError(
                "alert_store_failed",
                say("the alert database refused a write: {error}", error=error),
                hint="check the disk with lfr-edge doctor; the audit log holds the truth",
            ) from None

    def _put(self, alert: Alert, kind: str | None) -> None:
        event = None
        with self._db:
            self._db.execute(_UPSERT, _row(alert))
            if kind:
                cursor = self._db.execute(
                    "INSERT INTO feed (kind, token, version) VALUES (?, ?, ?)",
                    (kind, alert.id.token, alert.version),
                ).lastrowid
                assert cursor is not None
                event = FeedEvent(cursor, kind, alert.id.token, alert.version)
        if event and self._on_event:
            self._on_event(event)

    def _load(self, feed_limit: int) -> tuple[tuple[Alert, ...], tuple[FeedEvent, ...]]:
        alerts = self._db.execute("SELECT body FROM alerts ORDER BY number").fetchall()
        feed = self._db.execute(
            "SELECT cursor, kind, token, version FROM feed ORDER BY cursor DESC LIMIT ?", (feed_limit,)
        ).fetchall()
        return tuple(from_document(body) for (body,) in alerts), tuple(
            FeedEvent(*row) for row in reversed(feed)
        )

    def _forget(self, token: str) -> None:
        with self._db:
            self._db.execute("DELETE FROM alerts WHERE token = ?", (token,))


_UPSERT: Final = """
INSERT INTO alerts (token, number, version, state, body) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (token) DO UPDATE SET version = excluded.version, state = excluded.state, body = excluded.body
WHERE excluded.version >= alerts.version
"""


def _row(alert: Alert) -> tuple[str, int, int, str, str]:
    return (alert.id.token, alert.id.number, alert.version, str(alert.state), to_document(alert))


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA secure_delete = ON")
    try:
        climb_database(db, FORMATS, path)
    except BaseException:
        db.close()
        raise
    return db
