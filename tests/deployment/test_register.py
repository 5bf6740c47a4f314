"""The register answers for a reference, says nothing to who only has its pages, and ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_edge.audit.keys import FileKeyStore
from lfr_edge.deployment.keeping.register import Register
from lfr_edge.errors import DeploymentError
from tests.deployment.conftest import MovedClock

DAY_S = 86_400


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock(1_795_000_000 * 10**9)


@pytest.fixture
def register(tmp_path: Path, clock: MovedClock) -> Register:
    return Register(tmp_path / "register", FileKeyStore(tmp_path / "keys"), clock)


def test_who_was_listed_is_told_the_days_and_nobody_else(register: Register, clock: MovedClock) -> None:
    register.enter("2026-11-20-1", "van-3/2026-11-20-1", ["W-0001", "W-0002"])
    clock.advance(DAY_S)
    register.enter("2026-11-21-1", "van-3/2026-11-21-1", ["W-0002"])
    assert [found.deployment for found in register.ask("W-0002")] == ["2026-11-20-1", "2026-11-21-1"]
    assert [found.deployment for found in register.ask(" w-0001 ")] == ["2026-11-20-1"]
    assert register.ask("W-0003") == ()
    assert (register.ask("W-0002")[1].day - register.ask("W-0002")[0].day).days == 1


def test_entering_twice_changes_nothing_and_adding_adds(register: Register, tmp_path: Path) -> None:
    assert register.enter("d1", "van/d1", ["A", "B"]) == 2
    before = (tmp_path / "register" / "d1.json").read_bytes()
    assert register.enter("d1", "van/d1", ["B", "A"]) == 2
    assert (tmp_path / "register" / "d1.json").read_bytes() == before
    assert register.add("d1", ["C"]) == 3
    assert register.ask("C")
    with pytest.raises(DeploymentError) as caught:
        register.add("d2", ["C"])
    assert caught.value.code == "register_page_missing"


def test_the_pages_alone_say_nothing(register: Register, tmp_path: Path, clock: MovedClock) -> None:
    """Somebody has every file of the register and guesses every reference there is; control: with the keys it works."""
    references = [f"W-{number:04d}" for number in range(50)]
    register.enter("d1", "van/d1", references)
    register.enter("d2", "van/d2", references)
    pages = [json.loads((tmp_path / "register" / f"{name}.json").read_text()) for name in ("d1", "d2")]
    text = json.dumps(pages)
    assert not [reference for reference in references if reference in text]
    assert not set(pages[0]["codes"]) & set(pages[1]["codes"]), "nobody is followed from list to list"
    thief = Register(tmp_path / "register", FileKeyStore(tmp_path / "other"), clock)
    assert not [reference for reference in references if thief.ask(reference)]
    assert all(len(register.ask(reference)) == 2 for reference in references)


def test_a_page_that_ended_answers_nothing_even_from_a_copy(register: Register, tmp_path: Path) -> None:
    register.enter("d1", "van/d1", ["A"])
    path = tmp_path / "register" / "d1.json"
    copy = path.read_bytes()
    register.destroy("d1")
    register.destroy("d1")
    assert not path.exists()
    path.write_bytes(copy)
    assert register.ask("A") == ()
    assert not register.pages()[0].readable
    with pytest.raises(DeploymentError) as caught:
        register.enter("d1", "van/d1", ["A"])
    assert caught.value.code == "register_page_ended"


def test_a_page_is_over_after_its_days(register: Register, clock: MovedClock) -> None:
    register.enter("d1", "van/d1", ["A"])
    page = register.pages()[0]
    assert not page.over(clock.wall_ns() + 364 * DAY_S * 10**9, 365)
    assert page.over(clock.wall_ns() + 365 * DAY_S * 10**9, 365)


@pytest.mark.parametrize("damage", [b"", b"[]", b"{}", b'{"format": "lfr-edge/register/v0"}'])
def test_a_damaged_page_is_not_an_empty_one(register: Register, tmp_path: Path, damage: bytes) -> None:
    register.enter("d1", "van/d1", ["A"])
    (tmp_path / "register" / "d1.json").write_bytes(damage)
    with pytest.raises(DeploymentError) as caught:
        register.ask("A")
    assert caught.value.code == "register_page_damaged"


def test_a_crash_between_key_and_page_is_made_good(register: Register, tmp_path: Path) -> None:
    register.enter("d1", "van/d1", ["A"])
    (tmp_path / "register" / "d1.json").unlink()
    register.enter("d1", "van/d1", ["A"])
    assert register.ask("A")


def test_a_full_disk_is_an_error_with_a_hint(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lfr_edge.deployment.keeping.register.write_new", full)
    with pytest.raises(DeploymentError) as caught:
        register.enter("d1", "van/d1", ["A"])
    assert caught.value.code == "register_unwritable"


def test_a_deployments_name_never_becomes_a_path(register: Register) -> None:
    with pytest.raises(ValueError, match="name"):
        register.enter("../keys/device", "van/d1", ["A"])


@settings(max_examples=30, deadline=None)
@given(st.sets(st.text("ABC019-/._", min_size=1, max_size=6), max_size=20), st.text("ABC019-/._", max_size=6))
def test_asking_agrees_with_a_plain_set(listed: set[str], asked: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        register = Register(
            Path(folder) / "r", FileKeyStore(Path(folder) / "k"), MovedClock(1_795_000_000 * 10**9)
        )
        register.enter("d", "van/d", listed)
        assert bool(register.ask(asked)) == (asked in listed)
