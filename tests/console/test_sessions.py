from __future__ import annotations

import pytest

from lfr_edge.console.door.accounts import Accounts, Role
from lfr_edge.console.door.sessions import Sessions, Tries
from tests.fakes.box import ManualClock, enrol


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def accounts(tmp_path, clock):
    accounts = Accounts(tmp_path / "accounts.json", clock)
    enrol(accounts, "miller", Role.OPERATOR)
    return accounts


@pytest.fixture
def sessions(accounts, clock):
    return Sessions(accounts, clock, idle_s=600, longest_s=3600)


def test_ids_are_long_fresh_and_kept_only_hashed(accounts, sessions):
    ids = {sessions.open(accounts.get("miller"))[0] for _ in range(50)}
    assert len(ids) == 50
    assert all(len(raw) >= 43 for raw in ids)  # 256 bits in base64
    assert not any(raw in repr(vars(sessions)) for raw in ids)
    assert all(sessions.find(raw) for raw in ids)


@pytest.mark.parametrize("raw", [None, "", "x", "0" * 43])
def test_made_up_ids_find_nothing(sessions, raw):
    assert sessions.find(raw) is None


def test_idle_sessions_end_and_a_touch_prolongs(accounts, sessions, clock):
    raw, session = sessions.open(accounts.get("miller"))
    clock.pass_s(500)
    sessions.touch(session)
    clock.pass_s(500)
    assert sessions.find(raw) is session
    assert sessions.idle_left_s(session) == 100
    clock.pass_s(101)
    assert sessions.find(raw) is None
    assert session.ended.is_set()
    assert [why for _, why in sessions.take_fallen()] == ["idle"]


def test_no_use_prolongs_a_session_for_ever(accounts, sessions, clock):
    raw, session = sessions.open(accounts.get("miller"))
    for _ in range(12):
        clock.pass_s(299)
        sessions.touch(session)
    assert sessions.find(raw)
    clock.pass_s(20)
    assert sessions.find(raw) is None


@pytest.mark.parametrize("change", ["disable", "reset"])
def test_a_change_by_another_process_ends_sessions(accounts, sessions, tmp_path, clock, change):
    raw, session = sessions.open(accounts.get("miller"))
    other = Accounts(tmp_path / "accounts.json", clock)
    other.reset("miller") if change == "reset" else other.set_disabled("miller", disabled=True)
    sessions.sweep()
    assert session.ended.is_set()
    assert sessions.find(raw) is None
    assert sessions.count() == 0
    assert sessions.take_fallen() == [(session, "account changed")]
    assert sessions.take_fallen() == []


def test_a_sign_out_is_no_fall(accounts, sessions):
    raw, session = sessions.open(accounts.get("miller"))
    sessions.end(session)
    assert not sessions.alive(session)
    assert sessions.take_fallen() == []
    assert sessions.find(raw) is None


def test_ten_tries_a_minute_for_each_key(clock):
    tries = Tries(clock)
    assert all(tries.allow("account:a", "address:1") for _ in range(10))
    assert not tries.allow("account:a", "address:2"), "the account has had its ten"
    assert not tries.allow("account:b", "address:1"), "the address has had its ten"
    assert tries.allow("account:c", "address:3")
    clock.pass_s(61)
    assert tries.allow("account:a", "address:1")


def test_a_flood_of_names_is_forgotten(clock):
    tries = Tries(clock)
    for n in range(10_001):
        tries.allow(f"account:{n}")
    clock.pass_s(61)
    tries.allow("account:x")
    assert len(tries._times) < 10
