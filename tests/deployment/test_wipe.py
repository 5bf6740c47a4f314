"""The end of a deployment: what had to go is gone, the receipts say so, and a failure is said as loudly."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from lfr_edge.alerts.material import AlertMaterial, AlertPictures
from lfr_edge.audit.keys import FileKeyStore
from lfr_edge.audit.verify import verify
from lfr_edge.audit.view import LogView
from lfr_edge.deployment.ending.import_copy import is_import_copy, medium_words
from lfr_edge.deployment.ending.receipts import receipts_of
from lfr_edge.deployment.ending.wipe import KeptPictures, WipePlan, wipe
from lfr_edge.deployment.keeping.register import Register
from lfr_edge.deployment.report.html import page
from lfr_edge.deployment.report.pdf import pdf
from lfr_edge.errors import AlertError, AuditError
from lfr_edge.watchlist.keys import new_key, read_key_file, write_key_file
from tests.deployment.conftest import OFFICER, MovedClock

PICTURES = AlertPictures(b"probe" * 300, b"candidate" * 200)
NAME, ORIGIN, LIST_REF = "2026-11-22-1", "van/2026-11-22-1", "aa" * 10


@dataclass
class Notebook:
    """A session's record as a list; `dead`: the log has failed."""

    entries: list[tuple[str, str, Mapping[str, object], str]] = field(default_factory=list)
    dead: bool = False

    def record(self, ev: Any, *, actor: Any = None, ref: str = "", data: Any = None, why: str = "") -> int:
        if self.dead:
            raise AuditError("audit_log_failed", "the log is dead")
        self.entries.append((ev, ref, data or {}, why))
        return len(self.entries)


@dataclass
class Box:
    folder: Path
    clock: MovedClock
    register: Register
    keys: FileKeyStore
    material: AlertMaterial
    session: Notebook
    plan: WipePlan

    def wipe(self, **changes: Any):
        plan = replace(self.plan, **changes)
        return wipe(self.session, plan, self.register, self.keys, self.clock, OFFICER)

    def alerts(self, held: int, free: int, key_file: Path | None = None) -> KeptPictures:
        tokens = [secrets.token_hex(16) for _ in range(held + free)]
        for token in tokens:
            self.material.keep(token, PICTURES)
        return KeptPictures(self.material, frozenset(tokens), frozenset(tokens[:held]), {}, key_file)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    clock = MovedClock(1_795_000_000 * 10**9)
    medium = tmp_path / "medium"
    medium.mkdir()
    sealed, key_file = tmp_path / "list.sealed", medium / "list.key"
    sealed.write_bytes(os.urandom(300_000))
    write_key_file(key_file, new_key())
    keys = FileKeyStore(tmp_path / "keys")
    plan = WipePlan(NAME, ORIGIN, LIST_REF, ("W-1", "W-2"), 5, sealed, key_file, overwritten=261)
    register = Register(tmp_path / "register", keys, clock)
    material = AlertMaterial(tmp_path / "material", secrets.token_bytes(32))
    return Box(tmp_path, clock, register, keys, material, Notebook(), plan)


def import_copy(folder: Path, files: int = 3) -> Path:
    copy = folder / "medium" / "bundle"
    (copy / "images" / "deep").mkdir(parents=True)
    (copy / "watchlist.csv").write_text("reference\n")
    for number in range(files):
        (copy / "images" / "deep" / f"{number}.jpg").write_bytes(b"picture" * 100)
    return copy


def test_everything_is_gone_receipted_and_recorded(box: Box) -> None:
    copy = import_copy(box.folder)
    done = box.wipe(imports=(copy,))
    assert done.complete, done.text()
    assert [item.what for item in done.items] == ["templates", "sealed_list", "key_file", "import_copy"]
    assert done.items[0].items == 5
    assert "261" in done.items[0].how
    assert (done.items[1].size, done.items[1].checked) == (300_000, "absent")
    assert done.items[3].items == 4
    assert not box.plan.sealed.exists()
    assert not box.plan.key_file.exists()
    assert not copy.exists()
    assert [entry[0] for entry in box.session.entries] == ["watchlist.destroyed", *["material.erased"] * 3]
    assert box.session.entries[0][2]["templates"] == 5
    assert all(ref == LIST_REF for _, ref, _, _ in box.session.entries)
    assert str(box.folder) not in str(box.session.entries), "paths stay out of the record"
    assert box.register.ask("W-2"), "who was listed can still be told"


def test_the_bytes_were_overwritten_before_they_were_unlinked(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: with the overwriting switched off the same look finds the list."""
    clear = box.plan.sealed.read_bytes()
    third = box.folder / "again.sealed"
    third.write_bytes(clear)
    with box.plan.sealed.open(
        "rb"
    ) as second:  # an open file outlives its name: what did the wipe leave in it?
        box.wipe()
        assert second.read() != clear
    monkeypatch.setattr("lfr_edge.watchlist.destroy.os.write", lambda _, data: len(data))
    with third.open("rb") as kept:
        box.wipe(sealed=third)
        assert kept.read() == clear, "control"


def test_doing_it_again_after_a_kill_says_what_was_gone(box: Box) -> None:
    box.wipe()
    again = box.wipe()
    assert again.complete
    assert [item.how for item in again.items[1:]] == ["was gone before"] * 2


@pytest.mark.parametrize("killed_after", range(1, 5))
def test_a_kill_at_any_step_is_finished_by_the_next_wipe(box: Box, killed_after: int) -> None:
    class Killed(BaseException):
        pass

    copy, kept = import_copy(box.folder), box.alerts(1, 2)
    record, calls = box.session.record, []

    def dying(*words: Any, **more: Any) -> int:
        calls.append(words)
        if len(calls) == killed_after:
            raise Killed
        return record(*words, **more)

    box.session.record = dying  # type: ignore[method-assign]
    with pytest.raises(Killed):
        box.wipe(imports=(copy,), pictures=kept)
    box.session.record = record  # type: ignore[method-assign]
    assert box.wipe(imports=(copy,), pictures=kept).complete
    key = read_key_file(box.folder / "medium" / f"{NAME}.evidence.key")
    later = AlertMaterial(box.folder / "material", key)
    assert all(later.read(token) == PICTURES for token in kept.tokens)
    assert not copy.exists()


def test_pictures_within_retention_outlive_the_list_under_a_key_on_the_medium(box: Box) -> None:
    kept = box.alerts(1, 2)
    done = box.wipe(pictures=kept)
    assert done.complete, done.text()
    key = read_key_file(box.folder / "medium" / f"{NAME}.evidence.key")
    later = AlertMaterial(box.folder / "material", key)
    assert all(later.read(token) == PICTURES for token in kept.tokens)
    for token in kept.tokens:
        with pytest.raises(AlertError):
            box.material.read(token)
    assert b"evidence" not in b"".join(path.name.encode() for path in (box.folder / "keys").iterdir())


def test_without_a_medium_only_held_pictures_stay_and_it_is_said(box: Box) -> None:
    kept = box.alerts(1, 2)
    done = box.wipe(pictures=kept, key_file=None)
    assert not done.complete
    assert "lies on this box" in done.text()
    (held,) = kept.held
    assert box.material.tokens() == {held}
    key = box.keys.read(f"evidence-{NAME}")
    assert AlertMaterial(box.folder / "material", key).read(held) == PICTURES
    erased = [entry for entry in box.session.entries if entry[0] == "alert.erased"]
    assert {entry[1] for entry in erased} == kept.tokens - kept.held
    assert all(entry[2]["key_destroyed"] for entry in erased)


def test_without_a_medium_and_without_holds_every_picture_goes(box: Box) -> None:
    kept = box.alerts(0, 2)
    done = box.wipe(pictures=kept, key_file=None)
    assert done.complete
    assert box.material.tokens() == frozenset()
    assert box.keys.read(f"evidence-{NAME}") is None


def test_a_list_that_cannot_be_erased_is_said_and_the_rest_goes(box: Box) -> None:
    os.link(box.plan.sealed, box.folder / "second-name")
    done = box.wipe()
    assert not done.complete
    assert "STILL THERE" in done.text()
    assert "second name" in done.text()
    assert not box.plan.key_file.exists(), "the key goes all the same"
    data = box.session.entries[1][2]
    assert data["ok"] is False


def test_a_dead_log_stops_no_erasure_and_is_said(box: Box) -> None:
    box.session.dead = True
    done = box.wipe()
    assert not box.plan.sealed.exists()
    assert done.unrecorded == 3
    assert not done.complete
    assert "NOT in the log" in done.text()


def test_a_full_register_is_said(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lfr_edge.deployment.keeping.register.write_new", full)
    done = box.wipe()
    assert not done.complete
    assert done.items[0].what == "register"
    assert not box.plan.sealed.exists()


def test_only_what_looks_like_an_import_is_erased(box: Box) -> None:
    precious = box.folder / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    copy = import_copy(box.folder)
    link = box.folder / "link"
    link.symlink_to(precious)
    (copy / "out").symlink_to(precious)
    done = box.wipe(imports=(precious, Path("/"), link, copy))
    assert (precious / "thesis.txt").read_text() == "years of work"
    assert [item.ok for item in done.items[3:]] == [False, False, False, True]
    assert not copy.exists()
    assert is_import_copy(import_copy(box.folder / "b"))


def test_an_import_that_cannot_be_erased_names_what_is_left(box: Box) -> None:
    copy = import_copy(box.folder)
    for number in range(5):
        os.link(copy / "images" / "deep" / "0.jpg", copy / "images" / f"second-{number}.jpg")
    receipt = box.wipe(imports=(copy,)).items[-1]
    assert not receipt.ok
    assert "more" in receipt.left


def test_flash_is_called_flash(tmp_path: Path) -> None:
    assert medium_words(tmp_path)
    assert "treat it as flash" in medium_words(tmp_path / "nowhere")


def test_receipts_are_read_back_from_a_signed_log_that_verifies(van: Any, tmp_path: Path) -> None:
    story = van.deployment("2025-01-08-1")
    story.open(people=5)

    class Session:
        @staticmethod
        def record(ev: Any, *, actor: Any = None, ref: str = "", data: Any = None, why: str = "") -> int:
            return story.say(ev, ref=ref, actor=actor, why=why, **data)

    sealed = tmp_path / "list.sealed"
    sealed.write_bytes(b"x" * 1000)
    keys = FileKeyStore(tmp_path / "register-keys")
    register = Register(tmp_path / "register", keys, van.clock)
    copy = import_copy(tmp_path)
    plan = WipePlan("2025-01-08-1", story.log.origin, LIST_REF, ("A",), 10, sealed, None, imports=(copy,))
    done = wipe(Session(), plan, register, keys, van.clock, OFFICER)
    story.say("deployment.closed", actor=OFFICER)
    story.on_close(story.log.close(OFFICER))
    report = verify(story.folder)
    assert report.intact, report.text()
    assert "templates_unaccounted" not in {item.code for item in report.reservations}
    view = LogView.load(story.folder)
    read = receipts_of("2025-01-08-1", (entry for _, entry in view.entries()))
    assert read.complete
    assert [(item.what, item.items, item.size) for item in read.items] == [
        (item.what, item.items, item.size) for item in done.items
    ]
    assert "Sealed list" in page(read.document())
    assert pdf(read.document()).startswith(b"%PDF")
    assert read.to_json()["complete"] is True


def test_without_a_receipt_the_recogniser_was_killed(box: Box) -> None:
    done = box.wipe(overwritten=None)
    assert "killed" in done.items[0].how
    assert done.complete


def test_a_medium_that_refuses_the_key_costs_no_held_picture(box: Box) -> None:
    kept = box.alerts(1, 1, key_file=box.folder / "no such medium" / "evidence.key")
    done = box.wipe(pictures=kept)
    assert "lies on this box" in done.text()
    assert box.material.tokens() == kept.held


def test_a_damaged_picture_does_not_cost_the_others(box: Box) -> None:
    kept = box.alerts(2, 0)
    bad, good = sorted(kept.held)
    (box.folder / "material" / f"{bad}.sealed").write_bytes(b"damaged")
    done = box.wipe(pictures=kept)
    assert "cannot be kept" in done.text()
    key = read_key_file(box.folder / "medium" / f"{NAME}.evidence.key")
    assert AlertMaterial(box.folder / "material", key).read(good) == PICTURES


@pytest.mark.parametrize("killed_after", range(7))
def test_a_kill_in_the_middle_of_an_import_copy(
    box: Box, monkeypatch: pytest.MonkeyPatch, killed_after: int
) -> None:
    """What is left is still known as a list, so that the next wipe finishes it."""
    import lfr_edge.deployment.ending.import_copy as room

    class Killed(BaseException):
        pass

    copy = import_copy(box.folder)
    (copy / "zebra.jpg").write_bytes(b"sorted behind the table")
    (copy / "manifest.json").write_text("{}")
    real, calls = room.destroy_file, []

    def dying(path: Path) -> int:
        calls.append(path)
        if len(calls) > killed_after:
            raise Killed
        return real(path)

    with monkeypatch.context() as patched:
        patched.setattr(room, "destroy_file", dying)
        with pytest.raises(Killed) if killed_after < 6 else contextlib.nullcontext():
            box.wipe(imports=(copy,))
    assert box.wipe(imports=(copy,)).complete
    assert not copy.exists()


@pytest.mark.parametrize(
    ("where", "rotational", "word"),
    [("pci0/usb1/sdb", "1", "flash"), ("pci0/ata1/sda", "1", "spinning"), ("pci0/nvme0", "0", "flash")],
)
def test_what_the_kernel_says_of_a_medium(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, rotational: str, word: str
) -> None:
    queue = tmp_path / where / "queue"
    queue.mkdir(parents=True)
    (queue / "rotational").write_text(f"{rotational}\n")
    partition = tmp_path / where / "part1"
    partition.mkdir()
    real = Path.resolve
    monkeypatch.setattr(Path, "resolve", lambda self, strict=False: partition if strict else real(self))
    assert word in medium_words(tmp_path)


def test_added_lists_and_what_a_killed_compile_left_go_too(box: Box) -> None:
    """The names are the compiler's own."""
    from lfr_edge.watchlist.compiler import journal_path

    added = box.folder / "medium" / "added.sealed"
    added.write_bytes(b"x" * 500)
    remnants = [journal_path(box.plan.sealed), box.plan.sealed.with_name(".list.sealed.0a1b.partial")]
    other = box.folder / ".other.sealed.journal"
    for path in (*remnants, other):
        path.write_bytes(b"y" * 100)
    done = box.wipe(additions=(added,))
    assert done.complete
    assert sorted(item.what for item in done.items)[:3] == ["addition", "compile_remnant", "compile_remnant"]
    assert not any(path.exists() for path in (added, *remnants))
    assert other.exists(), "of another list"
