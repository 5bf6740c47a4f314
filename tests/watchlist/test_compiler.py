"""One compile: all verdicts, all or nothing, and the same list after a kill at any moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from crowds import LARGE, crowd, folder, picture
from portraitist import FakePortraitist

from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist import keys
from lfr_edge.watchlist.about import Scale
from lfr_edge.watchlist.compiler import Compilation, journal_path
from lfr_edge.watchlist.container import SealedWatchlist
from lfr_edge.watchlist.folder import survey
from lfr_edge.watchlist.journal import Finished, Journal, record_name
from lfr_edge.watchlist.list_checks import Limits
from lfr_edge.watchlist.picture_verdicts import Verdict
from lfr_edge.watchlist.unseal import unseal_templates

KEY = bytes(32)
NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
SCALE = Scale(0.5, 0.9, 1e-6, "by hand")
CHILD = Path(__file__).parent / "compile_child.py"


def compilation(path: Path, **kwargs) -> Compilation:
    return Compilation(survey(path), FakePortraitist(), scale=SCALE, now=NOW, **kwargs)


def contents(path: Path) -> tuple:
    """Everything in a sealed list, without what is random in every sealing."""
    with SealedWatchlist.open(path, KEY) as opened:
        references = [entry.reference for entry in opened.entries()]
        images = [
            opened.candidate_image(r, n) for r in references for n in range(len(opened.entry(r).images))
        ]
        portraits = [opened.portrait(r) for r in references]
        index = unseal_templates(opened.template_part(), opened.template_key())
        matrix = index._pages.matrix.copy()
        header = opened.header
        return (
            opened.entries(),
            opened.about,
            [opened.warnings_of(r) for r in references],
            images,
            portraits,
            matrix.tobytes(),
            (
                header.fingerprint,
                header.dimension,
                header.entries,
                header.images,
                header.rows,
                header.created,
            ),
        )


def left_in(path: Path) -> set[str]:
    return {item.name for item in path.iterdir() if item.name not in {"bundle", "control"}}


def test_check_says_everything_and_writes_nothing(tmp_path):
    people = {
        "W1": [picture(LARGE | {"seed": 1})],
        "W2": [picture(LARGE | {"seed": 1, "quality": 0.8})],  # the same template, another picture
        "W3": [picture(LARGE | {"seed": 3}), picture()],
        "W4": [picture()],
    }
    path = folder(tmp_path / "bundle", people)
    before = {item: item.stat().st_mtime_ns for item in path.iterdir()}
    told = []
    compiled = compilation(path, on_report=told.append).check()
    assert compiled.verdicts == {Verdict.PASS: 2, Verdict.WARN: 1, Verdict.REFUSE: 1}
    assert not compiled.usable
    assert [(pair.first, pair.second) for pair in compiled.resemblance.same] == [("W1", "W2")]
    codes = {finding.code for finding in compiled.findings}
    assert {"same_person", "look_alikes", "undated"} <= codes
    assert len(told[0].images[0].elements) > 10
    assert compiled.reports[0].images[0].elements == (), "what passed is not kept"
    raw = json.loads(json.dumps(compiled.to_json()))
    assert raw["look_alikes"]["W1"] == [["W2", 1.0]]
    assert raw["shares"]["categories"] == [["wanted_by_police", 3, 100.0]]
    assert "NoHeadCoverings" in raw["not_measured"]
    assert before == {item: item.stat().st_mtime_ns for item in path.iterdir()}


def test_seal_and_what_it_says_of_itself(tmp_path):
    path = crowd(tmp_path / "bundle", 20, images=2)
    compiled = compilation(path).seal(tmp_path / "list", key=KEY)
    assert compiled.usable
    assert compiled.header.entries == 20
    assert left_in(tmp_path) == {"list"}, "no journal, no partial file"
    with SealedWatchlist.open(tmp_path / "list", KEY) as opened:
        assert opened.about.scale == SCALE
        assert opened.header.created == "2026-11-22T06:00:00+00:00"


def test_a_refusal_leaves_nothing_and_the_old_list_alone(tmp_path):
    (tmp_path / "list").write_bytes(b"the active list")
    path = folder(tmp_path / "bundle", {"W1": [picture(LARGE)], "W2": [picture()]})
    with pytest.raises(WatchlistError) as caught:
        compilation(path).seal(tmp_path / "list", key=KEY)
    assert caught.value.code == "watchlist_refused"
    assert left_in(tmp_path) == {"list"}
    assert (tmp_path / "list").read_bytes() == b"the active list"


def test_what_refuses_an_operational_list_as_a_whole(tmp_path):
    path = crowd(tmp_path / "bundle", 3)
    found = survey(path)
    operational = type(found)(found.folder, found.entries, pictures=found.pictures, purpose="operational")
    limits = Limits(most_entries=2)
    compile_ = Compilation(operational, FakePortraitist(), scale=SCALE, now=NOW, limits=limits)
    assert not compile_.check().usable
    with pytest.raises(WatchlistError, match="3 entries are more than the 2"):
        compile_.seal(tmp_path / "list", key=KEY)
    assert left_in(tmp_path) == set()
    # The same on a list for evaluation is a warning.
    assert compilation(path, limits=limits).seal(tmp_path / "list", key=KEY).usable


def start(tmp_path: Path, pause_s: float) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, CHILD, tmp_path / "bundle", tmp_path / "list", str(pause_s)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )


def test_a_killed_compile_goes_on_and_gives_the_identical_list(tmp_path):
    """SIGKILL twice, at two places; then to the end. The control is a compile that nobody disturbed."""
    crowd(tmp_path / "bundle", 30, images=2)
    done = 0
    for stop_at in (5, 17):
        child = start(tmp_path, 0.004)
        for line in child.stdout:
            done = int(line.split()[0])
            if done >= stop_at:
                break
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        assert not (tmp_path / "list").exists()
        assert journal_path(tmp_path / "list").exists()
    raw = journal_path(tmp_path / "list").read_bytes()
    assert b"W00001" not in raw
    assert b"IEND" not in raw
    child = start(tmp_path, 0)
    told, _ = child.communicate(timeout=60)
    resumed = int(told.split()[-1])
    assert done <= resumed <= 30
    assert left_in(tmp_path) == {"list"}, "journal and partial files are gone"
    compilation(tmp_path / "bundle").seal(tmp_path / "control", key=KEY)
    assert contents(tmp_path / "list") == contents(tmp_path / "control")


class Interrupted(FakePortraitist):
    """Somebody presses Ctrl-C at the `at`-th picture."""

    def __init__(self, at: int) -> None:
        self.left = at

    def look(self, image: bytes):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().look(image)


def interrupt(tmp_path: Path, at: int = 4, **kwargs) -> None:
    stopped = Compilation(survey(tmp_path / "bundle"), Interrupted(at), scale=SCALE, now=NOW)
    with pytest.raises(KeyboardInterrupt):
        stopped.seal(tmp_path / "list", **{"key": KEY} | kwargs)


def test_ctrl_c_keeps_the_journal_and_a_changed_picture_is_looked_at_again(tmp_path):
    path = crowd(tmp_path / "bundle", 8)
    interrupt(tmp_path)
    (path / "W00002-0.png").write_bytes(picture(LARGE | {"seed": 4711}))
    compiled = compilation(path).seal(tmp_path / "list", key=KEY)
    assert compiled.resumed == 3
    compilation(path).seal(tmp_path / "control", key=KEY)
    assert contents(tmp_path / "list") == contents(tmp_path / "control")


class Uneven(FakePortraitist):
    """Later pictures are often ready first."""

    def look(self, image: bytes):
        time.sleep(image[-10] % 5 / 1000)
        return super().look(image)


def test_several_workers_give_the_identical_list(tmp_path):
    path = crowd(tmp_path / "bundle", 40, images=2)
    told = []
    many = Compilation(
        survey(path), Uneven(), scale=SCALE, now=NOW, helpers=[Uneven(), Uneven()],
        progress=lambda done, total: told.append(done),
    )  # fmt: skip
    many.seal(tmp_path / "list", key=KEY)
    assert told == list(range(1, 41))
    compilation(path).seal(tmp_path / "control", key=KEY)
    assert contents(tmp_path / "list") == contents(tmp_path / "control")


def test_large_pictures_do_not_pile_up_before_their_turn(tmp_path, monkeypatch):
    monkeypatch.setattr("lfr_edge.watchlist.enrol._MOST_AHEAD", 1)
    path = crowd(tmp_path / "bundle", 12)
    found, read = survey(path), []

    class Noting:
        def read(self, name: str) -> bytes:
            read.append(name)
            return found.pictures.read(name)

    kept = []
    many = Compilation(
        replace(found, pictures=Noting()), FakePortraitist(), scale=SCALE, now=NOW, helpers=[FakePortraitist()] * 3,
        progress=lambda done, total: kept.append(len(read) - done),
    )  # fmt: skip
    many.seal(tmp_path / "list", key=KEY)
    assert max(kept) == 0, "nothing is read while something waits"


def test_an_interruption_with_several_workers_loses_only_what_was_under_way(tmp_path):
    path = crowd(tmp_path / "bundle", 20)
    stopped = Compilation(survey(path), Interrupted(9), scale=SCALE, now=NOW, helpers=[Interrupted(9)])
    with pytest.raises(KeyboardInterrupt):
        stopped.seal(tmp_path / "list", key=KEY)
    assert 5 <= compilation(path).seal(tmp_path / "list", key=KEY).resumed < 20
    assert left_in(tmp_path) == {"list"}


def test_another_key_or_other_networks_begin_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "_ARGON", {"time_cost": 1, "memory_cost": 64, "parallelism": 1})
    path = crowd(tmp_path / "bundle", 6)
    interrupt(tmp_path)
    assert compilation(path).seal(tmp_path / "list", key=keys.new_key()).resumed == 0
    interrupt(tmp_path)
    other = FakePortraitist()
    other.fingerprint = "sha256:other"
    assert Compilation(survey(path), other, now=NOW).seal(tmp_path / "list", key=KEY).resumed == 0
    interrupt(tmp_path, key=None, passphrase="correct horse")
    again = compilation(path).seal(tmp_path / "list", key=None, passphrase="correct horse")
    assert again.resumed == 4


@pytest.mark.parametrize("cut", [1, 20, 500])
def test_a_torn_journal_loses_its_last_entries_and_no_more(tmp_path, cut):
    path = crowd(tmp_path / "bundle", 8)
    interrupt(tmp_path, at=6)
    journal = journal_path(tmp_path / "list")
    journal.write_bytes(journal.read_bytes()[:-cut])
    assert compilation(path).seal(tmp_path / "list", key=KEY).resumed == 5
    compilation(path).seal(tmp_path / "control", key=KEY)
    assert contents(tmp_path / "list") == contents(tmp_path / "control")


@pytest.mark.parametrize(
    "raw", [b"", b"x" * 9000, b"{}\n", b'{"format": "lfr-edge compile journal 1"}\n', b"[1]\n"]
)
def test_a_journal_that_is_none_is_begun_anew(tmp_path, raw):
    path = crowd(tmp_path / "bundle", 2)
    journal_path(tmp_path / "list").write_bytes(raw)
    assert compilation(path).seal(tmp_path / "list", key=KEY).resumed == 0


def test_two_compiles_to_one_place(tmp_path):
    held = Journal.open(journal_path(tmp_path / "list"), made_with="x", key_file=KEY, passphrase=None)
    path = crowd(tmp_path / "bundle", 2)
    with pytest.raises(WatchlistError) as caught:
        compilation(path).seal(tmp_path / "list", key=KEY)
    assert caught.value.code == "watchlist_compile_running"
    held.destroy()
    assert compilation(path).seal(tmp_path / "list", key=KEY).header.entries == 2


def test_a_record_of_the_journal_as_it_was(tmp_path):
    made = {"made_with": "x", "key_file": KEY, "passphrase": None}
    entry = survey(crowd(tmp_path / "bundle", 1)).entries[0]
    name = record_name(entry, [b"a", b"b"])
    assert name != record_name(entry, [b"ab", b""])
    journal = Journal.open(tmp_path / "journal", **made)
    for rows in (0, 3):
        matrix = np.arange(rows * 4, dtype=np.float32).reshape(rows, 4)
        journal.put(name, Finished({"rows": rows}, matrix, b"portrait"))
        found = journal.take(name)
        assert np.array_equal(found.templates, matrix)
        assert (found.report, found.portrait) == ({"rows": rows}, b"portrait")
    assert journal.take(bytes(32)) is None
    journal.close()
    journal = Journal.open(tmp_path / "journal", **made)
    assert len(journal) == 1
    assert journal.take(name).report == {"rows": 3}
    journal.destroy()
    assert not (tmp_path / "journal").exists()


def test_nowhere_to_write(tmp_path):
    with pytest.raises(WatchlistError) as caught:
        compilation(crowd(tmp_path / "bundle", 1)).seal(tmp_path / "no" / "list", key=KEY)
    assert caught.value.code == "watchlist_unwritable"


def test_memory_does_not_grow_with_the_pictures(tmp_path):
    """200 pictures of 100 kB each: the compile holds one person's, not 20 MB (a reader's buffer is 10)."""
    people = {
        f"W{n}": [picture(LARGE | {"seed": n}).replace(b"IEND", b"tEXt" + bytes(100_000) + b"IEND", 1)]
        for n in range(200)
    }
    path = folder(tmp_path / "bundle", people)
    found = survey(path)
    compilation(crowd(tmp_path / "control", 1)).seal(tmp_path / "list", key=KEY)  # what libraries load once
    tracemalloc.start()
    Compilation(found, FakePortraitist(), scale=SCALE, now=NOW).seal(tmp_path / "list", key=KEY)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 14 << 20
