"""Archives made to harm: each refused, quickly, in little memory, with nothing written and nothing changed."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import asdict
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from bundles import KEY, PUBLIC, good_bundle
from hostile_archives import Good, Item, archive, tricks, write_all
from lists import DIMENSION, FINGERPRINT, person

from lfr_edge.cli.main import main
from lfr_edge.deployment.control.trust import FORMAT, EnrolledKey
from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist.bundle.archive import Archive
from lfr_edge.watchlist.bundle.signature import key_id, sign
from lfr_edge.watchlist.container import seal
from lfr_edge.watchlist.keys import new_key, write_key_file

MOST_S = 5.0  # reliability.md 4
MOST_MIB = 256.0


def good(tmp_path: Path) -> Good:
    with zipfile.ZipFile(good_bundle(tmp_path / "made")) as archive:
        return Good({name: archive.read(name) for name in archive.namelist()})


def snapshot(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """What a process of its own made of every trick, and of a control; it ran where it could do harm."""
    work, archives = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("archives")
    made = good(tmp_path_factory.mktemp("good"))
    paths = write_all(made, archives)
    for what, body in signed_tricks(made).items():
        paths[what] = archives / f"signed-{len(paths)}.zip"
        paths[what].write_bytes(body)
    paths["control"] = archives / "control.zip"
    paths["control"].write_bytes(made.shaped())
    seal(work / "list.sealed", [person(1)], key=new_key(), fingerprint=FINGERPRINT, dimension=DIMENSION)
    listed = tmp_path_factory.mktemp("list") / "paths.json"
    listed.write_text(json.dumps({what: str(path) for what, path in paths.items()}))
    before = snapshot(work), snapshot(archives)
    child = Path(__file__).with_name("hostile_child.py")
    done = subprocess.run(
        [sys.executable, child, listed], cwd=work, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = {line["what"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert found.keys() == paths.keys()
    return found, before == (snapshot(work), snapshot(archives))


def signed_tricks(made: Good) -> dict[str, bytes]:
    """What an enrolled authority could do whose key was stolen."""
    many = b"[" + b",".join([b"[]"] * 600_000) + b"]"
    text = "\u0175".encode() * (15 << 20)
    bodies = {
        "signed: nested brackets": b"[" * 1_000_000,
        "signed: brackets in the entries": b'{"entries":[' + b"[" * 500_000,
        "signed: more values than memory": b"[" + b",".join([b"[]"] * 2_100_000) + b"]",
        "signed: as many values as are taken": b'{"entries":' + many + b"}",
        "signed: one person with many values": b'{"entries":[{"reference":' + many + b"}]}",
        "signed: one long text": b'{"entries":["' + text + b'"]}',
        "signed: characters beyond": b'{"entries":["' + "\U0001f600".encode() * (7 << 20) + b'"]}',
        "signed: a number without end": b'{"entries":[' + b"9" * 1_000_000 + b"]}",
        "signed: no number": b'{"entries":[NaN]}',
        "signed: a member twice": b'{"entries":[],"entries":[{}]}',
        "signed: half a character": b'{"entries":["\\ud800"]}',
        "signed: not UTF-8": b'{"entries":["\xff"]}',
        "signed: half a million people": b'{"entries":[' + b",".join([b"{}"] * 500_001) + b"]}",
        "signed: nothing": b"{}",
        "signed: the same, with spaces": made.items[0].data.replace(b",", b", "),
    }
    return {what: _signed(made, body) for what, body in bodies.items()}


def _signed(made: Good, body: bytes) -> bytes:
    rest = [item for item in made.items if item.name.startswith(b"images/")]
    return archive([Item(b"manifest.json", body), Item(b"manifest.sig", sign(body, KEY)), *rest])


def test_every_hostile_archive_is_refused_and_nothing_else_happens(judged):
    found, unchanged = dict(judged[0]), judged[1]
    assert found.pop("control")["code"] == "accepted"  # the builder makes archives that are read
    assert len(found) >= 60
    assert [what for what, line in found.items() if line["code"] == "accepted"] == []
    assert {what: line["s"] for what, line in found.items() if line["s"] > MOST_S} == {}
    assert {what: line["mib"] for what, line in found.items() if line["mib"] > MOST_MIB} == {}
    assert unchanged  # nothing written, the active list as it was


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("name: parent folder", "not a name that a bundle uses"),
        ("same name twice", "is there twice"),
        ("names that differ in case", "is there twice"),
        ("symbolic link over a picture", "a link or a device"),
        ("bomb", "grows more than 100 times"),
        ("bomb that lies about its size", "does not end where it says"),
        ("manifest that lies about its size", "does not end where it says"),
        ("wrong CRC", "is damaged"),
        ("manifest altered", "not what the issuing authority signed"),
        ("another picture under its name", "not the picture that was signed"),
        ("a picture that nobody signed", "not on the manifest"),
        ("a signed picture left out", "on the manifest and missing"),
        ("huge signature", "at most 1024 are taken"),
        ("data descriptor", "told only after it"),
        ("encrypted", "encrypted"),
        ("ZIP64 sizes", "ZIP64"),
        ("ZIP64 count", "more than 20000 pictures"),
        ("another name inside", "another name inside"),
        ("another size inside", "described twice, and differently"),
        ("bytes before", "between its files"),
        ("bytes before, not counted", "belong to no file"),
        ("bytes after", "does not end as a ZIP file does"),
        ("bytes behind a file", "between its files"),
        ("bombs that share their bytes", "two files share some"),
        ("too many files", "more than 20000 pictures"),
        ("one file of 11 MiB", "at most 10485760 are taken"),
        ("gigabytes by many small bombs", "more than 2048 MiB together"),
        ("several volumes", "several volumes"),
        ("unknown method", "packed in a way that is not taken"),
        ("deflate stream with a tail", "does not end where it says"),
        ("no signature", "an unsigned list is not a bundle"),
        ("signed: nested brackets", "not JSON as RFC 8785"),
        ("signed: more values than memory", "more values than a list needs"),
        ("signed: characters beyond", "beyond U+FFFF"),
        ("signed: as many values as are taken", "1 to 500000"),
        ("signed: the same, with spaces", "no spaces"),
        ("signed: a member twice", "each once"),
    ],
)
def test_the_reason_is_the_trick(judged, what, words):
    """A trick that is refused for another fault than its own proves nothing."""
    assert words in judged[0][what]["message"]


def naive(path: Path, folder: Path, most: int = 64 << 20) -> int:
    """How a hurried reader does it; returns the bytes written. Ends where it would fill the disk of the test."""
    written = 0
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            place = folder / info.filename
            place.parent.mkdir(parents=True, exist_ok=True)
            if info.external_attr >> 16 & 0o170000 == 0o120000:
                place.symlink_to(archive.read(info).decode())
                continue
            data = archive.read(info)
            place.write_bytes(data)
            written += len(data)
            if written > most:
                break
    return written


def test_a_naive_reader_is_hurt_by_some(tmp_path):
    """The positive control: these archives do harm where the defence is missing."""
    made = good(tmp_path)
    known = tricks(made)

    def run(what: str) -> tuple[Path, int]:
        path = tmp_path / "hostile.zip"
        path.write_bytes(known[what]())
        folder = tmp_path / what.replace(" ", "-") / "inner"
        folder.mkdir(parents=True)
        with contextlib.suppress(zipfile.BadZipFile):
            return folder, naive(path, folder)
        return folder, 0

    folder, _ = run("name: parent folder")
    assert (folder.parent / "evil.png").exists()  # written outside
    folder, _ = run("symbolic link")
    assert (folder / "images" / "link.png").readlink() == Path("/etc/passwd")
    folder, _ = run("two manifests")
    assert (folder / "manifest.json").read_bytes() == b"{}"  # the last wins, whatever was signed
    folder, _ = run("bytes before, not counted")
    assert (folder / "manifest.json").exists()  # a script in front was nobody's business
    folder, _ = run("comment that is an archive")
    assert (folder / "manifest.json").exists()
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(10):
            archive.writestr(f"images/{number}.png", bytes(9 << 20))
    (tmp_path / "filled").mkdir()
    assert naive(bomb, tmp_path / "filled") > 400 * bomb.stat().st_size


def test_sealing_a_hostile_archive_leaves_the_active_list_as_it_was(tmp_path, capsys):
    """The real command with the real trust store; the largest archives are left to the process above."""
    trust = tmp_path / "trust.json"
    key = EnrolledKey(
        key_id(PUBLIC),
        "watchlist",
        "Example",
        base64.b64encode(PUBLIC).decode(),
        "a",
        "b",
        "2026-11-22T00:00:00Z",
        "c",
    )
    trust.write_text(json.dumps({"format": FORMAT, "keys": [asdict(key)]}))
    made = good(tmp_path)
    active, secret = tmp_path / "active.sealed", tmp_path / "active.key"
    key_bytes = new_key()
    write_key_file(secret, key_bytes)
    seal(active, [person(1)], key=key_bytes, fingerprint=FINGERPRINT, dimension=DIMENSION)
    path = tmp_path / "list.zip"
    path.write_bytes(made.shaped())
    assert main(["watchlist", "check", str(path), "--rows-only", "--trust", str(trust)]) == 0  # the control
    capsys.readouterr()
    mistyped = ["watchlist", "check", str(path), "--rows-only", "--trust", str(trust) + "x"]
    assert main(mistyped) != 0
    assert "trust_store_missing" in capsys.readouterr().err
    chosen = {what: make for what, make in tricks(made).items() if "many" not in what and "bombs" not in what}
    for make in [*chosen.values()][
        ::4
    ]:  # all of them are refused by the reader above; this is the way through
        path.write_bytes(make())
        before = snapshot(tmp_path)
        arguments = [str(path), str(active), "--key-file", str(secret), "--trust", str(trust)]
        assert main(["watchlist", "seal", *arguments]) == 1
        assert snapshot(tmp_path) == before
        assert "watchlist_" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "absent"])
def test_what_is_no_file_is_not_opened(tmp_path, kind):
    path = tmp_path / "a.zip"
    if kind == "link":
        path.symlink_to(good_bundle(tmp_path / "made"))
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(WatchlistError) as caught:
        Archive(path)
    assert caught.value.code == "watchlist_archive_unreadable"
