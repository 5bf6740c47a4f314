"""The command group, with the real program; networks are needed by the tests marked `shared` only."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from lists import DIMENSION, FINGERPRINT, person
from pictures_for_tests import png

from lfr_edge.cli.main import main
from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist.container import SealedWatchlist, seal
from lfr_edge.watchlist.destroy import destroy_file
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
    assert "lfr-edge watchlist seal bundle" in capsys.readouterr().out


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
    assert main(["watchlist", "check", str(bundle), *store]) == 0
    text = capsys.readouterr().out
    assert "at least 60 recommended" in text
    assert "this list can be sealed" in text

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
    assert main([*arguments, "--skip-refused"]) == 0
    assert "1 people left out" in capsys.readouterr().out


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
