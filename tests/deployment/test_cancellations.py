"""A cancelled authority stays cancelled, whichever copy of its file turns up."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import pytest

from lfr_edge.clock import SystemClock
from lfr_edge.deployment.authority import SignedAuthority
from lfr_edge.deployment.authority.terms import CANCELLATION_FORMAT, Cancellation
from lfr_edge.deployment.control import cancellations as room
from lfr_edge.deployment.control.cancellations import Cancellations
from tests.fakes.authority import authority

SIGNED = SignedAuthority(authority(), key_id="k")
FINAL = Cancellation(
    CANCELLATION_FORMAT, SIGNED.sha256, "2026-11-22T12:00:00Z", "A. Example", "no longer necessary"
)


@pytest.fixture
def store(tmp_path):
    return Cancellations(tmp_path / "cancelled", SystemClock())


def test_what_nobody_cancelled_stays_as_it_is(store):
    assert store.known(SIGNED) is SIGNED


def test_a_cancelled_file_cancels_its_copies_for_good(store, tmp_path):
    store.known(replace(SIGNED, cancellation=FINAL))
    later = Cancellations(tmp_path / "cancelled", SystemClock())
    assert later.known(SIGNED).cancellation == FINAL
    other = SignedAuthority(authority(objective="Find somebody else."), key_id="k")
    assert later.known(other).cancellation is None


def test_the_first_cancellation_stays(store):
    store.cancel(SIGNED.sha256, "okafor", "the operation was called off")
    store.known(replace(SIGNED, cancellation=FINAL))
    assert store.known(SIGNED).cancellation.by == "okafor"


def test_a_note_that_cannot_be_read_still_cancels(store, tmp_path):
    store.cancel(SIGNED.sha256, "okafor", "the operation was called off")
    (note,) = (tmp_path / "cancelled").iterdir()
    note.write_bytes(b"{")
    assert store.known(SIGNED).cancellation.by == "unknown"


def test_a_full_disk_does_not_undo_a_cancellation(store):
    with patch.object(room, "write_new", side_effect=OSError(28, "No space left on device")):
        assert store.known(replace(SIGNED, cancellation=FINAL)).cancellation == FINAL
