from __future__ import annotations

import asyncio
import stat
from dataclasses import replace

import pytest

from lfr_edge.alerts.alert import Alert, AlertId, Facts, State
from lfr_edge.alerts.feed import Feed
from lfr_edge.alerts.store import AlertStore, FeedEvent
from lfr_edge.errors import AlertError
from tests.fakes.box import raised


def an_alert(number: int) -> Alert:
    return Alert(AlertId.new(number), 1, State.RAISED, Facts.of(raised(number)), 5)


async def test_nothing_biometric_reaches_sqlite(tmp_path):
    store = AlertStore(tmp_path / "a.sqlite")
    await store.put(an_alert(1), "offered")
    store.close()
    for path in tmp_path.iterdir():
        assert raised(1).probe_jpeg[100:140] not in path.read_bytes()
        assert stat.S_IMODE((tmp_path / "a.sqlite").stat().st_mode) == 0o600


async def test_events_come_in_cursor_order_from_many_writers(tmp_path):
    store = AlertStore(tmp_path / "a.sqlite")
    feed = Feed()
    store.follow(feed.publish)
    await asyncio.gather(*(store.put(an_alert(n), "offered") for n in range(1, 40)))
    await asyncio.sleep(0)
    events = feed.since(0)
    assert [e.cursor for e in events] == list(range(1, 40))
    assert feed.since(38) == events[-1:]
    assert feed.since(39) == ()
    assert feed.since(40) is None, "a cursor from another life"
    store.close()


async def test_an_older_version_never_overwrites_a_newer_one(tmp_path):
    store = AlertStore(tmp_path / "a.sqlite")
    alert = an_alert(1)
    await store.put(replace(alert, version=7), None)
    await store.put(replace(alert, version=6), None)
    (kept,), _ = await store.load(10)
    assert kept.version == 7
    store.close()


async def test_a_failed_write_is_our_error_with_a_hint(tmp_path):
    store = AlertStore(tmp_path / "a.sqlite")
    await store.put(an_alert(1), None)
    with pytest.raises(AlertError) as caught:
        await store.put(an_alert(1), None)  # the same number under another token
    assert caught.value.code == "alert_store_failed"
    store.close()


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "a.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(AlertError) as caught:
        AlertStore(tmp_path / "a.sqlite")
    assert caught.value.code == "alert_store_unreadable"


async def test_a_cursor_older_than_the_memory_asks_for_everything():
    feed = Feed(FeedEvent(n, "offered", "t", 1) for n in range(50, 60))
    assert feed.since(30) is None
    assert [e.cursor for e in feed.since(49)] == list(range(50, 60))
    waiting = asyncio.create_task(feed.wait(59))
    await asyncio.sleep(0)
    assert not waiting.done()
    feed.publish(FeedEvent(60, "decided", "t", 2))
    await asyncio.wait_for(waiting, 1)
