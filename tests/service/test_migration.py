"""Data folders of every released format, brought forward; interrupted at every point; and newer ones, refused."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from lfr_edge.alerts.store import AlertStore
from lfr_edge.audit import disk
from lfr_edge.audit.keys import FileKeyStore
from lfr_edge.clock import SystemClock
from lfr_edge.console.door.accounts import Accounts, Role
from lfr_edge.console.outside.outbox import Outbox
from lfr_edge.deployment.control.proposal_store import ProposalStore
from lfr_edge.deployment.control.trust import TrustStore
from lfr_edge.deployment.keeping.register import Register
from lfr_edge.errors import ConfigError, LfrError, ModelError, WatchlistError
from lfr_edge.formats import Ladder, climb_database
from lfr_edge.models.store import parse_manifest
from lfr_edge.service import migration
from lfr_edge.service.migration import JOURNAL, MIGRATIONS, Migration, format_of, migrate, newest
from lfr_edge.settings import load_settings
from lfr_edge.watchlist.header import HEADER_BYTES, inspect_header

CLOCK = SystemClock()
FORMATS = Path(__file__).resolve().parents[1] / "formats"
RELEASED = sorted(FORMATS.glob("data-*"), key=lambda folder: int(folder.name.rpartition("-")[2]))
NEWEST = newest()


@pytest.fixture(params=RELEASED, ids=lambda folder: folder.name)
def data(request, tmp_path) -> Path:
    return shutil.copytree(request.param, tmp_path / "data")


async def contents(data: Path) -> dict[str, object]:
    """Everything that a program of today reads in the folder."""
    accounts = Accounts(data / "accounts.json", CLOCK).all()
    alerts = AlertStore(data / "deployments/2026-11-22-1/alerts.sqlite")
    outbox = Outbox(data / "outbox.sqlite")
    try:
        return {
            "accounts": [(a.name, a.role, len(a.passkeys), bool(a.password_hash)) for a in accounts],
            "alerts": [(a.id.number, a.facts.reference, a.facts.score) for a in (await alerts.load(10))[0]],
            "notices": (await outbox.next(0, ("alert.decided",))).body,
            "reader": await outbox.reader("map"),
            "trust": [(k.name, k.purpose) for k in TrustStore(data / "trust.json").all()],
            "proposals": [
                p.kind for p in ProposalStore(data / "deployments/2026-11-22-1/approvals.json").read()
            ],
            "register": [
                found.deployment
                for found in Register(data / "register", FileKeyStore(data / "keys"), CLOCK).ask("W-0001")
            ],
        }
    finally:
        alerts.close()
        outbox.close()


EXPECTED = {
    "accounts": [("miller", Role.DEPLOYMENT_OFFICER, 1, True), ("okoro", Role.AUTHORISING_OFFICER, 0, False)],
    "alerts": [(1, "W-0001", 6217)],
    "notices": {"type": "alert.decided", "deployment": "2026-11-22-1", "alert": 1},
    "reader": (1, 1),
    "trust": [("Supt A. Example", "authority")],
    "proposals": ["trust.enrol", "trust.enrol"],
    "register": ["2026-11-22-1"],
}


def private(folder: Path) -> None:
    """A checkout does not keep modes; keys that others may read are refused."""
    for key in (folder / "keys").glob("*.key"):
        key.chmod(0o600)


async def test_every_released_folder_comes_forward_and_loses_nothing(data):
    private(data)
    found = format_of(data)
    run = migrate(data, CLOCK)
    assert [step.to for step in run] == list(range(found + 1, NEWEST + 1))
    assert format_of(data) == NEWEST
    assert await contents(data) == EXPECTED
    assert json.loads((data / "accounts.json").read_text())["format"] == "lfr-edge accounts 2"
    with sqlite3.connect(data / "deployments/2026-11-22-1/alerts.sqlite") as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
    db.close()
    notes = [json.loads(line) for line in (data / JOURNAL).read_text().splitlines()]
    assert [note["to"] for note in notes] == [step.to for step in run]
    assert notes[0]["files"] == ["accounts.json", "deployments/2026-11-22-1/alerts.sqlite", "outbox.sqlite"]
    assert migrate(data, CLOCK) == ()


async def test_interrupted_at_every_write_it_is_begun_again(data, monkeypatch):
    """Every durable write on the way is one at which the power may go."""
    private(data)
    whole = disk.write_new

    class Gone(BaseException):
        pass

    for survives in range(20):
        left = [survives]

        def write(path, content, *mode, left=left):
            if not left[0]:
                raise Gone
            left[0] -= 1
            whole(path, content, *mode)

        monkeypatch.setattr(migration, "write_new", write)
        monkeypatch.setattr("lfr_edge.console.door.book.write_new", write)
        try:
            migrate(data, CLOCK)
            break
        except Gone:
            assert format_of(data) < NEWEST
    else:
        pytest.fail("it never came to an end")
    assert survives == 2, "accounts.json and the folder's number"
    assert await contents(data) == EXPECTED


def test_a_new_box_begins_with_the_newest(tmp_path):
    assert migrate(tmp_path / "data", CLOCK) == ()
    assert format_of(tmp_path / "data") == NEWEST
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_two_at_once_run_each_step_once(data):
    private(data)
    ran = []

    def step(folder, clock):
        ran.append(1)
        yield from MIGRATIONS[0].run(folder, clock)

    steps = (Migration(2, "counted", step),)
    threads = [threading.Thread(target=migrate, args=(data, CLOCK, steps)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert ran == [1]


def test_a_newer_folder_is_refused_before_anything_is_touched(tmp_path):
    data = shutil.copytree(RELEASED[-1], tmp_path / "data")
    (data / "format").write_text(f"lfr-edge data {NEWEST + 1}\n")
    before = (data / "accounts.json").read_bytes()
    with pytest.raises(ConfigError) as caught:
        migrate(data, CLOCK)
    assert caught.value.code == "format_newer"
    assert "newer release" in caught.value.hint
    assert (data / "accounts.json").read_bytes() == before
    assert not (data / JOURNAL).exists()


@pytest.mark.parametrize("text", ["", "7", "lfr-edge data", "lfr-edge data 0", "other 2", "\xff"])
def test_a_number_that_is_none_is_told(tmp_path, text):
    (tmp_path / "format").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        format_of(tmp_path)
    assert caught.value.code == "format_unreadable"


def test_a_step_that_fails_leaves_the_number(tmp_path):
    data = shutil.copytree(RELEASED[0], tmp_path / "data")

    def broken(folder, clock):
        raise OSError("no")
        yield

    with pytest.raises(ConfigError) as caught:
        migrate(data, CLOCK, (Migration(2, "broken", broken),))
    assert caught.value.code == "migration_failed"
    assert format_of(data) == 1


def newer_file(path: Path, raw: dict[str, object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(raw))
    return path


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (lambda path: Accounts(path, CLOCK).all(), "lfr-edge accounts 3"),
        (lambda path: TrustStore(path).all(), "lfr-edge trust 2"),
        (lambda path: ProposalStore(path).read(), "lfr-edge approvals 2"),
        (lambda path: parse_manifest(path.read_bytes(), "pack.json"), 2),
    ],
    ids=["accounts", "trust", "approvals", "pack"],
)
def test_a_newer_file_is_refused_by_its_own_room(tmp_path, read, said):
    path = newer_file(
        tmp_path / "file.json", {"format": said, "keys": [], "accounts": [], "codes": [], "proposals": []}
    )
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert caught.value.code == "format_newer"
    for other in ("something else", None, 0, "lfr-edge"):
        newer_file(path, {"format": other})
        with pytest.raises(LfrError) as told:
            read(path)
        assert told.value.code != "format_newer"
    with pytest.raises(ModelError):
        parse_manifest(b"[" * 100, "pack.json")


def test_a_newer_page_of_the_register_is_refused(tmp_path):
    newer_file(tmp_path / "register/2026-11-22-1.json", {"format": "lfr-edge/register/v2"})
    with pytest.raises(ConfigError) as caught:
        Register(tmp_path / "register", FileKeyStore(tmp_path / "keys"), CLOCK).ask("W-0001")
    assert caught.value.code == "format_newer"


@pytest.mark.parametrize("store", [AlertStore, Outbox])
async def test_a_newer_database_is_refused(tmp_path, store):
    store(tmp_path / "a.sqlite").close()
    with sqlite3.connect(tmp_path / "a.sqlite") as db:
        db.execute("PRAGMA user_version = 9")
    db.close()
    with pytest.raises(ConfigError) as caught:
        store(tmp_path / "a.sqlite")
    assert caught.value.code == "format_newer"


def test_a_step_of_a_database_happens_whole_or_not_at_all(tmp_path):
    db = sqlite3.connect(tmp_path / "a.sqlite")
    climb_database(db, (("CREATE TABLE a (x)",),), tmp_path)
    with pytest.raises(sqlite3.Error):
        climb_database(db, (("CREATE TABLE a (x)",), ("CREATE TABLE b (x)", "nonsense")), tmp_path)
    assert db.execute("PRAGMA user_version").fetchone() == (1,)
    assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("a",)]
    assert climb_database(db, (("CREATE TABLE a (x)",), ("CREATE TABLE b (x)",)), tmp_path) == 1
    assert db.execute("PRAGMA user_version").fetchone() == (2,)
    db.close()


@pytest.mark.parametrize("file", sorted(FORMATS.glob("lfr-*.toml")), ids=lambda file: file.name)
def test_a_configuration_of_every_release_is_read(file):
    settings = load_settings(file)
    assert settings.site == "Van 1"
    assert [camera.id for camera in settings.cameras] == ["left", "right"]


def test_a_configuration_of_a_newer_release_names_the_field(tmp_path):
    """There is no number in it: people write it. A field that this release does not know stops the start."""
    file = tmp_path / "lfr.toml"
    file.write_text("[matching]\nfield_of_tomorrow = 1\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(file)
    assert caught.value.code == "config_invalid"
    assert "matching.field_of_tomorrow" in caught.value.message


def test_sealed_lists_of_other_releases(tmp_path):
    """A list is 24 hours old at most: an old one is compiled anew, a newer one is another release's."""
    with pytest.raises(WatchlistError) as caught:
        inspect_header(FORMATS / "list-1.sealed")
    assert caught.value.code == "watchlist_format_old"
    newer = tmp_path / "list.sealed"
    newer.write_bytes(json.dumps({"format": "lfr-edge watchlist 3"}).encode().ljust(HEADER_BYTES))
    with pytest.raises(ConfigError) as refused:
        inspect_header(newer)
    assert refused.value.code == "format_newer"


def test_steps_are_climbed_in_their_order():
    ladder = Ladder(
        "kind", (lambda raw: {**raw, "a": 1}, lambda raw: {**raw, "b": raw["a"] + 1}), unnumbered=True
    )
    assert ladder.climb({}, Path("x")) == {"a": 1, "b": 2, "format": "kind 3"}
    assert ladder.climb({"format": "kind 2", "a": 4}, Path("x")) == {"a": 4, "b": 5, "format": "kind 3"}
    assert ladder.climb({"format": "kind 3"}, Path("x")) == {"format": "kind 3"}
    for said in ("kind", "kind 0", "kind 03", "kinds 1", "kind 1 ", 7, "kind 1234567"):
        with pytest.raises(ValueError):
            ladder.climb({"format": said}, Path("x"))
