"""The command group, with the real program; networks are needed by the tests marked `shared` only."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from lists import DIMENSION, FINGERPRINT, person
from pictures_for_tests import png

from lfr_edge.cli.main import main
from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist import keys
from lfr_edge.watchlist.container import SealedWatchlist, seal
from lfr_edge.watchlist.destroy import destroy_file, destroy_import
from lfr_edge.watchlist.keys import new_key, read_key_file, write_key_file

EXAMPLE = Path(__file__).resolve().parents[2] / "watchlists" / "example"


@pytest.fixture
def sealed(tmp_path) -> tuple[Path, Path]:
    key, path = new_key(), tmp_path / "list.sealed"
    write_key_file(tmp_path / "key", key)
    seal(path, [person(1), person(2, 2)], key=key, fingerprint=FINGERPRINT, dimension=DIMENSION)
    return path, tmp_path / "key"


def test_the_published_example_is_a_valid_list(capsys):
    assert main(["watchlist", "check", str(EXAMPLE), "--rows-only", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["usable"] is True
    assert result["by_category"] == {"wanted_by_court": 1, "missing_person": 1, "blue_list": 1}


def test_check_prints_every_problem_and_fails(tmp_path, capsys):
    (tmp_path / "watchlist.csv").write_text("reference,category,response,images\nW-1,other,red,a.png\n")
    assert main(["watchlist", "check", str(tmp_path)]) == 1
    text = capsys.readouterr().out
    assert "line 2, category: must be one of" in text
    assert "refused as it stands" in text


def test_inspect_with_and_without_the_key(sealed, capsys):
    path, key = sealed
    assert main(["watchlist", "inspect", str(path), "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert (plain["entries"], plain["images"], plain["verified"]) == (2, 3, False)
    assert "list" not in plain
    assert main(["watchlist", "inspect", str(path), "--key-file", str(key)]) == 0
    assert "W-0002" in capsys.readouterr().out


def test_destroy_removes_list_and_key_after_a_confirmation(sealed, capsys):
    path, key = sealed
    assert main(["watchlist", "destroy", str(path)]) == 1  # no terminal, no --yes
    assert "watchlist_not_confirmed" in capsys.readouterr().err
    assert path.exists()
    size = path.stat().st_size
    assert main(["watchlist", "destroy", str(path), "--key-file", str(key), "--yes", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["list_bytes"], result["key_destroyed"]) == (size, True)
    assert not path.exists()
    assert not key.exists()


def test_what_is_destroyed_was_overwritten_first(tmp_path, monkeypatch):
    path = tmp_path / "secret"
    path.write_bytes(b"secret" * 1000)
    held = os.open(path, os.O_RDONLY)  # still sees the blocks after the name is gone
    assert destroy_file(path) == 6000
    assert b"secret" not in os.pread(held, 6000, 0)
    os.close(held)


@pytest.mark.parametrize("kind", ["link", "hard link", "folder", "absent"])
def test_what_cannot_be_destroyed_is_said(tmp_path, kind):
    path, other = tmp_path / "path", tmp_path / "other"
    other.write_bytes(b"x")
    if kind == "link":
        path.symlink_to(other)
    elif kind == "hard link":
        path.hardlink_to(other)
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(WatchlistError) as caught:
        destroy_file(path)
    assert caught.value.code == "watchlist_not_destroyed"
    assert other.read_bytes() == b"x"


def test_seal_without_a_usable_bundle_leaves_no_key(tmp_path, capsys):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "watchlist.csv").write_text("reference,category,response,images\n")
    arguments = ["watchlist", "seal", str(tmp_path / "bundle"), str(tmp_path / "out")]
    assert main([*arguments, "--key-file", str(tmp_path / "key")]) == 1
    assert "there is nobody on it" in capsys.readouterr().err
    assert not (tmp_path / "key").exists()
    assert not (tmp_path / "out").exists()


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit):
        main(["watchlist", "--help"])
    assert "lfr-edge watchlist seal list list.sealed" in capsys.readouterr().out


@pytest.mark.shared
def test_check_and_seal_real_pictures(shared, model_store, tmp_path, capsys, monkeypatch):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    people = ("Wu_Yi", "Al_Gore")
    for name in people:
        (picture,) = (shared / "videos" / "watchlist" / name).iterdir()
        shutil.copy(picture, bundle / f"{name}.jpg")
    rows = [f"{name},court_order,amber,{name}.jpg" for name in people]
    (bundle / "watchlist.csv").write_text("\n".join(["reference,category,response,images", *rows]))
    store = ["--store", str(model_store.root)]
    crowd = ["--faces-per-hour", "2500", "--hours", "6"]
    assert main(["watchlist", "check", str(bundle), *store, *crowd]) == 0
    text = capsys.readouterr().out
    assert "at least 60 recommended" in text
    assert "this list can be sealed" in text
    assert "categories: court_order 2 (100 %)" in text
    assert re.search(r"Expected false alerts at threshold 0\.\d+: about", text)
    assert main(["watchlist", "check", str(bundle), *store, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    elements = {one["element"]: one for one in told["reports"][0]["images"][0]["elements"]}
    assert elements["InterEyeDistance"]["verdict"] == "warn"
    assert elements["EyesVisible"]["iso_29794_5_measure"] is False
    assert "NoHeadCoverings" in told["not_measured"]
    assert told["expected_false_alerts"] is None
    assert told["resemblance"]["compared_pairs"] == 1

    key, out = tmp_path / "key", tmp_path / "list"
    monkeypatch.setattr("getpass.getpass", lambda _: "correct horse battery")
    arguments = ["watchlist", "seal", str(bundle), str(out), "--key-file", str(key), *store]
    assert main([*arguments, "--passphrase", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["entries"] == 2
    assert main(arguments) == 0  # sealed again with the same key
    with SealedWatchlist.open(out, read_key_file(key)) as opened:
        assert opened.header.dimension == 704
        assert {entry.reference for entry in opened.entries()} == set(people)

    # One picture without a face refuses the list; the sealed one stays, unless these people are left out.
    (bundle / "Al_Gore.jpg").write_bytes(png(64, 64))
    before = out.read_bytes()
    assert main(arguments) == 1
    assert "Al_Gore.jpg: no face was found" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert main([*arguments, "--skip-refused", "--erase-import", *crowd]) == 0
    text = capsys.readouterr().out
    assert "1 people left out" in text
    assert "the import copy is erased and verified: 3 files" in text
    assert "Expected false alerts" in text
    assert not bundle.exists()


@pytest.mark.parametrize(
    ("entered", "code"),
    [(("short", "short"), "passphrase_short"), (("a long enough one", "another one"), "passphrase_differs")],
)
def test_a_passphrase_is_entered_twice_and_long_enough(tmp_path, capsys, monkeypatch, entered, code):
    answers = iter(entered)
    monkeypatch.setattr("getpass.getpass", lambda _: next(answers))
    arguments = [
        "watchlist",
        "seal",
        str(EXAMPLE),
        str(tmp_path / "out"),
        "--key-file",
        str(tmp_path / "key"),
    ]
    assert main([*arguments, "--passphrase"]) == 1
    assert code in capsys.readouterr().err
    assert not (tmp_path / "key").exists()


def test_destroying_can_be_called_off_at_the_terminal(sealed, capsys, monkeypatch):
    path, _key = sealed
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "no")
    assert main(["watchlist", "destroy", str(path)]) == 1
    assert path.exists()
    monkeypatch.setattr("builtins.input", lambda _: "destroy")
    assert main(["watchlist", "destroy", str(path)]) == 0
    assert "the key was not given" in capsys.readouterr().out
    assert not path.exists()


def test_a_list_needs_something_that_opens_it(tmp_path, capsys):
    assert main(["watchlist", "seal", str(EXAMPLE), str(tmp_path / "out")]) == 1
    assert "watchlist_no_credential" in capsys.readouterr().err


def changed_list(tmp_path, key) -> Path:
    path = tmp_path / "newer.sealed"
    second, third = person(2, 2), person(3)
    second = replace(second, entry=replace(second.entry, reason="warrant", review_date=date(2027, 1, 1)))
    seal(path, [second, third], key=key, fingerprint=FINGERPRINT, dimension=DIMENSION)
    return path


def test_diff_of_two_lists(sealed, tmp_path, capsys):
    path, key = sealed
    newer = changed_list(tmp_path, read_key_file(key))
    arguments = ["watchlist", "diff", str(path), str(newer), "--key-file", str(key)]
    assert main(arguments) == 1
    text = capsys.readouterr().out
    assert text.splitlines() == [
        "+ W-0003",
        "- W-0001",
        "~ W-0002: review_date, reason",
        "1 added, 1 removed, 1 changed, 0 the same",
    ]
    assert main([*arguments, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["changed"] == [
        {"reference": "W-0002", "fields": ["review_date", "reason"]}
    ]
    assert main(["watchlist", "diff", str(path), str(path), "--key-file", str(key)]) == 0
    assert main(["watchlist", "diff", str(path), str(newer)]) == 1
    assert "watchlist_no_credential" in capsys.readouterr().err


def test_diff_sees_another_picture_and_another_pack(sealed, tmp_path, capsys):
    path, key = sealed
    other = person(1)
    image = replace(other.entry.images[0], taken=date(2025, 4, 1))
    other = replace(other, images=(b"another picture",), entry=replace(other.entry, images=(image,)))
    newer, newer_key = tmp_path / "newer", tmp_path / "newer.key"
    write_key_file(newer_key, new_key())
    seal(newer, [other, person(2, 2)], key=read_key_file(newer_key), fingerprint="other", dimension=DIMENSION)
    arguments = ["watchlist", "diff", str(path), str(newer), "--key-file", str(newer_key)]
    assert main(arguments) == 1
    told = capsys.readouterr().err
    assert "watchlist_key_wrong" in told
    assert f"{path}: " in told
    assert "by --older-key-file" in told
    assert main([*arguments, "--older-key-file", str(key)]) == 1
    text = capsys.readouterr().out
    assert "~ W-0001: images, pictures" in text
    assert "1 changed, 1 the same" in text
    assert "different model packs" in text


def test_inspect_with_a_passphrase(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(keys, "_ARGON", {"time_cost": 1, "memory_cost": 64, "parallelism": 1})
    monkeypatch.setattr("getpass.getpass", lambda _: "correct horse battery")
    path = tmp_path / "list"
    seal(path, [person(1)], key=None, passphrase="correct horse battery", fingerprint="", dimension=DIMENSION)
    assert main(["watchlist", "inspect", str(path), "--passphrase"]) == 0
    text = capsys.readouterr().out
    assert "verified with its key; evaluation" in text
    assert "signed by nobody" in text
    monkeypatch.setattr("getpass.getpass", lambda _: "wrong horse battery")
    assert main(["watchlist", "inspect", str(path), "--passphrase"]) == 1
    assert "watchlist_passphrase_wrong" in capsys.readouterr().err


def an_import(tmp_path: Path) -> Path:
    folder = tmp_path / "import"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.png", "sub/b.png", "watchlist.csv"):
        (folder / name).write_bytes(name.encode() * 100)
    (folder / "out").symlink_to(tmp_path / "outside")
    (folder / "folder").symlink_to(tmp_path)
    return folder


def test_the_import_copy_is_erased_and_links_are_not_followed(sealed, tmp_path, capsys):
    path, key = sealed
    (tmp_path / "outside").write_bytes(b"not mine")
    folder = an_import(tmp_path)
    arguments = ["watchlist", "destroy", str(path), "--key-file", str(key), "--yes", "--json"]
    assert main([*arguments, "--import", str(folder)]) == 0
    assert json.loads(capsys.readouterr().out)["import_erased"] == {
        "files": 3,
        "bytes": 2700,
        "verified": True,
    }
    assert not folder.exists()
    assert (tmp_path / "outside").read_bytes() == b"not mine"


def test_a_medium_that_does_not_keep_what_is_written(tmp_path, monkeypatch):
    """The control of the read-back: a device that swallows writes is found out, and the file stays."""
    folder = an_import(tmp_path)
    monkeypatch.setattr("lfr_edge.watchlist.destroy.os.write", lambda descriptor, data: len(data))
    with pytest.raises(WatchlistError) as caught:
        destroy_import(folder)
    assert caught.value.code == "watchlist_not_destroyed"
    assert "did not come back" in caught.value.message
    assert (folder / "watchlist.csv").exists()


def test_an_import_that_is_not_there(tmp_path):
    with pytest.raises(WatchlistError) as caught:
        destroy_import(tmp_path / "absent")
    assert caught.value.code == "watchlist_not_destroyed"


@pytest.mark.parametrize(
    "option",
    ["--faces-per-hour -1", "--hours nan", "--threshold 9", "--target-fpir 0"],
    ids=lambda text: text.split()[0],
)
def test_numbers_of_a_deployment_that_cannot_be_are_refused(option, tmp_path, capsys):
    assert main(["watchlist", "check", str(tmp_path), *option.split()]) == 2
    assert "[option_invalid]" in capsys.readouterr().err


def test_warnings_come_in_one_order(tmp_path, capsys):
    (tmp_path / "watchlist.csv").write_text(
        "reference,category,response,images\nW-1,court_order,amber,a.jpg\n"
    )
    (tmp_path / "a.jpg").write_bytes(b"")
    main(["watchlist", "check", str(tmp_path), "--rows-only"])
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]
    fields = [line.split(":")[1].strip() for line in told if "operational" in line]
    assert fields == [
        "legal_basis",
        "holding_statement",
        "reason",
        "originating_officer",
        "date_of_birth",
        "review_date",
        "image_source",
        "image_taken",
    ]
