"""People put on and taken off a live list, against a plain dictionary; and what an addition may not do."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from lists import DIMENSION, FINGERPRINT, person, unit

from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist.container import Enrolled, SealedWatchlist, seal
from lfr_edge.watchlist.index import NOBODY, WatchlistIndex
from lfr_edge.watchlist.unseal import unseal_into, unseal_templates

KEY = bytes(32)


@pytest.fixture(scope="module")
def additions(tmp_path_factory) -> list[tuple[list[Enrolled], bytes, bytes]]:
    """Eight sealed lists of one to three people, of whom some are on several: (people, part, key)."""
    folder, made = tmp_path_factory.mktemp("additions"), []
    for number in range(8):
        people = [person((number + 3 * n) % 10, 1 + n % 3) for n in range(1 + number % 3)]
        path = folder / str(number)
        seal(path, people, key=KEY, fingerprint=FINGERPRINT, dimension=DIMENSION)
        with SealedWatchlist.open(path, KEY) as opened:
            made.append((people, opened.template_part(), opened.template_key()))
    return made


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=20), st.integers(0, 10**6))
@settings(max_examples=80, deadline=None)
def test_any_history_of_additions_and_withdrawals(additions, history, seed):
    index, listed = WatchlistIndex(DIMENSION), {}
    for adding, number in history:
        if adding:
            people, part, key = additions[number % len(additions)]
            names = {item.entry.reference for item in people}
            if names & set(listed):
                with pytest.raises(WatchlistError) as caught:
                    unseal_into(index, part, key)
                assert caught.value.code == "watchlist_duplicate_reference"
            else:
                added = unseal_into(index, part, key, fingerprint=FINGERPRINT)
                assert set(added.references) == names
                listed |= {item.entry.reference: item.templates for item in people}
        elif f"W-{number:04}" in listed:
            assert index.withdraw(f"W-{number:04}") == len(listed.pop(f"W-{number:04}"))
        assert len(index) == len(listed)
        # Effective with the next probe, whoever it is.
        probe = unit(seed, 1)
        found = index.search(probe)
        if not listed:
            assert found.entry[0] == NOBODY
        else:
            best = max(float((rows @ probe[0]).max()) for rows in listed.values())
            assert found.score[0] == pytest.approx(best, abs=1e-5)


def small(tmp_path: Path, *people: Enrolled, **kwargs) -> tuple[bytes, bytes]:
    fields = {"key": KEY, "fingerprint": FINGERPRINT, "dimension": DIMENSION} | kwargs
    seal(tmp_path / "addition", people, **fields)
    with SealedWatchlist.open(tmp_path / "addition", KEY) as opened:
        return opened.template_part(), opened.template_key()


def test_who_the_new_ones_resemble(tmp_path):
    index = WatchlistIndex(DIMENSION)
    for number in range(5):
        index.add(f"L-{number}", unit(number, 1))
    twin = Enrolled(person(7).entry, (b"x",), unit(3, 1))
    added = unseal_into(index, *small(tmp_path, twin, person(8)), look_alike=0.95)
    assert [(new, old) for new, old, _ in added.look_alikes] == [("W-0007", "L-3")]
    assert added.look_alikes[0][2] == pytest.approx(1, abs=1e-3)
    assert (added.references, added.templates) == (("W-0007", "W-0008"), 2)


@pytest.mark.parametrize("how", ["pack", "dimension", "key", "altered", "short", "nan"])
def test_an_addition_that_is_refused_changes_nothing(tmp_path, how):
    index = WatchlistIndex(DIMENSION)
    index.add("L-1", unit(1, 2))
    item, fields = person(7), {}
    if how == "dimension":
        item, fields = person(7, dimension=4), {"dimension": 4}
    if how == "nan":
        item = Enrolled(item.entry, item.images, np.full((1, DIMENSION), np.nan, np.float32))
    part, key = small(tmp_path, item, **fields)
    code, fingerprint = "watchlist_altered", FINGERPRINT
    if how == "pack":
        code, fingerprint = "watchlist_model_mismatch", "another"
    elif how == "dimension":
        code = "watchlist_model_mismatch"
    elif how == "key":
        key = bytes(32)
    elif how == "altered":
        part = part[:-1] + bytes([part[-1] ^ 1])
    elif how == "short":
        part = part[:-1]
    elif how == "nan":
        code = "template_invalid"
    with pytest.raises(WatchlistError) as caught:
        unseal_into(index, part, key, fingerprint=fingerprint, look_alike=0.1)
    assert caught.value.code == code
    assert (len(index), index.rows) == (1, 2)
    assert index.search(unit(1, 1)).score[0] == pytest.approx(1, abs=1e-5)
    used = index._used
    assert not index._pages.matrix[used:].any(), "nothing of the refused templates stays"


def test_a_first_list_that_is_refused_leaves_no_template(tmp_path):
    part, key = small(tmp_path, person(1))
    with pytest.raises(WatchlistError):
        unseal_templates(part, bytes(32))
    assert len(unseal_templates(part, key)) == 1
