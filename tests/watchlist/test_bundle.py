"""Signed bundles: made by our writer, read as folder and ZIP, refused for one changed bit."""

from __future__ import annotations

import base64
import csv
import io
import json
import random
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

sys.path.insert(0, str(Path(__file__).parent))
from bundles import KEY, LABEL, NOW, PUBLIC, TRUSTED, folder_list, good_bundle, row
from pictures_for_tests import png

from lfr_edge.cli.watchlist_bundle import register_bundle
from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist.bundle import Limits, read_bundle, read_list, read_unsigned, write_bundle
from lfr_edge.watchlist.bundle import read as read_module
from lfr_edge.watchlist.bundle.archive import MOST_MEMBERS, Archive
from lfr_edge.watchlist.bundle.read import is_bundle
from lfr_edge.watchlist.bundle.signature import (
    key_id,
    new_private_key,
    read_private_key,
    read_public_key,
    sign,
    verify,
)
from lfr_edge.watchlist.findings import Issuer, Survey

EXAMPLES = Path(__file__).resolve().parents[2] / "watchlists"


@pytest.fixture(params=["good.zip", "good"])
def bundle(request, tmp_path) -> Path:
    return good_bundle(tmp_path, request.param)


def read(path: Path, **kwargs) -> Survey:
    return read_bundle(path, TRUSTED, **{"now": NOW, **kwargs})


def test_a_bundle_comes_back_whole(bundle):
    told = []
    found = read(
        bundle, progress=lambda *step: told.append(step), names={key_id(PUBLIC): "enrolled name"}
    ).required()
    assert [entry.reference for entry in found.entries] == ["W-0", "W-1", "W-2"]
    assert found.issuer == Issuer(key_id(PUBLIC), "enrolled name")
    assert (found.operation, found.compiled_at, found.purpose) == ("OP-2026-117", NOW, "operational")
    assert not found.warnings
    assert told == [(1, 3), (2, 3), (3, 3)]
    for number, entry in enumerate(found.entries):
        assert entry.images[0].file == f"images/{number + 1:06}-01.png"  # the writer's name, not the list's
        assert found.pictures.read(entry.images[0].file) == png(8, 8, number)
    assert list(bundle.parent.glob("*.partial")) == []


def test_the_one_call_takes_every_format(bundle, tmp_path):
    assert read_list(bundle, purpose="operational", trusted=TRUSTED, now=NOW).required().issuer
    plain = read_list(tmp_path / "list", purpose="operational", now=NOW)
    assert [problem.field for problem in plain.problems] == ["signature"]
    assert read_list(tmp_path / "list", purpose="evaluation", now=NOW).required().issuer is None
    assert not is_bundle(tmp_path / "list")
    assert not is_bundle(tmp_path / "absent")
    with pytest.raises(WatchlistError, match="not enrolled"):
        read_list(bundle, purpose="operational", now=NOW)


def test_the_same_list_is_the_same_bytes(tmp_path):
    first, second = good_bundle(tmp_path / "1"), good_bundle(tmp_path / "2")
    assert first.read_bytes() == second.read_bytes()


def test_the_published_example_is_signed_and_for_evaluation_only():
    public = read_public_key(EXAMPLES / "example-issuer.pub.pem")
    trusted = {key_id(public): public}
    found = read_bundle(EXAMPLES / "example-bundle", trusted, purpose="evaluation").required()
    assert {entry.category for entry in found.entries} == {"wanted_by_court", "missing_person", "blue_list"}
    operational = read_bundle(EXAMPLES / "example-bundle", trusted)
    assert "purpose" in [problem.field for problem in operational.problems]


def test_any_changed_byte_of_an_archive_is_refused(tmp_path):
    """Every bit that means anything: 300 places."""
    path = good_bundle(tmp_path, people=1)
    whole = path.read_bytes()
    chosen = random.Random(3).sample(range(len(whole) * 8), 300)
    accepted = []
    for bit in chosen:
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        try:
            if not read(path).problems:
                accepted.append(bit // 8)
        except WatchlistError:
            continue
    harmless = _bytes_that_mean_nothing(whole)
    assert set(accepted) <= harmless
    path.write_bytes(whole)
    assert not read(path).problems


def _bytes_that_mean_nothing(whole: bytes) -> set[int]:
    """Who made it, which version, which attributes: they change nothing that is read."""
    found, at = set[int](), whole.find(b"PK\x01\x02")
    while at >= 0:
        found |= {*range(at + 4, at + 6), *range(at + 36, at + 42)}
        at = whole.find(b"PK\x01\x02", at + 1)
    return found


def test_every_byte_of_a_manifest_and_its_signature_counts(tmp_path):
    folder = good_bundle(tmp_path, "good", people=1)
    parts = [(folder / name).read_bytes() for name in ("manifest.json", "manifest.sig")]
    assert verify(*parts, TRUSTED) == key_id(PUBLIC)
    for part, whole in enumerate(parts):
        for at in range(len(whole)):
            changed = bytearray(whole)
            changed[at] ^= 1
            pair = list(parts)
            pair[part] = bytes(changed)
            with pytest.raises(WatchlistError) as caught:
                verify(*pair, TRUSTED)
            assert caught.value.code in {"watchlist_signature_refused", "watchlist_issuer_unknown"}


def test_who_may_sign():
    body = b"{}"
    other = Ed25519PrivateKey.generate()
    for trusted in ({}, {key_id(PUBLIC): other.public_key().public_bytes_raw()}):
        with pytest.raises(WatchlistError) as caught:
            verify(body, sign(body, KEY), trusted)
        assert caught.value.code == "watchlist_issuer_unknown"
    forged = json.loads(sign(body, other)) | {"key_id": key_id(PUBLIC)}
    with pytest.raises(WatchlistError) as caught:
        verify(body, json.dumps(forged, separators=(",", ":"), sort_keys=True).encode(), TRUSTED)
    assert caught.value.code == "watchlist_signature_refused"
    assert verify(body, sign(body, KEY), TRUSTED) == key_id(PUBLIC)


@pytest.mark.parametrize(
    "change",
    [
        {"algorithm": "none"},
        {"algorithm": "ed448"},
        {"value": ""},
        {"value": "A" * 88},
        {"key_id": "0" * 15},
        {"more": 1},
        {"format": "2"},
    ],
)
def test_a_signature_is_one_of_one_kind(change):
    made = json.loads(sign(b"{}", KEY)) | change
    with pytest.raises(WatchlistError):
        verify(b"{}", json.dumps(made, separators=(",", ":"), sort_keys=True).encode(), TRUSTED)


def test_bits_that_base64_ignores_are_refused():
    text = sign(b"{}", KEY).decode()
    value = json.loads(text)["value"]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = alphabet[alphabet.index(value[85]) ^ 1]
    twin = value[:85] + last + "=="
    assert base64.b64decode(twin) == base64.b64decode(value)
    with pytest.raises(WatchlistError):
        verify(b"{}", text.replace(value, twin).encode(), TRUSTED)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="NOT TESTED: openssl is not installed")
def test_openssl_agrees(tmp_path):
    folder = good_bundle(tmp_path, "good")
    private, public, name = new_private_key()
    (tmp_path / "pub.pem").write_bytes(public)
    (tmp_path / "key.pem").write_bytes(private)
    body = (folder / "manifest.json").read_bytes()
    signed = json.loads(sign(body, read_private_key(tmp_path / "key.pem")))
    assert signed["key_id"] == name
    (tmp_path / "sig").write_bytes(base64.b64decode(signed["value"]))
    command = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-rawin",
        "-pubin",
        "-inkey",
        tmp_path / "pub.pem",
        "-sigfile",
        tmp_path / "sig",
        "-in",
    ]
    assert subprocess.run([*command, folder / "manifest.json"], capture_output=True).returncode == 0
    (tmp_path / "other").write_bytes(body + b" ")
    assert subprocess.run([*command, tmp_path / "other"], capture_output=True).returncode != 0


def test_locked_and_wrong_keys(tmp_path):
    private, _, _ = new_private_key(b"correct horse")
    (tmp_path / "key.pem").write_bytes(private)
    read_private_key(tmp_path / "key.pem", b"correct horse")
    for path, passphrase in [("key.pem", b"wrong"), ("key.pem", None), ("absent", None)]:
        with pytest.raises(WatchlistError) as caught:
            read_private_key(tmp_path / path, passphrase)
        assert caught.value.code == "watchlist_key_unreadable"
    for body in (b"", b"-----BEGIN PUBLIC KEY-----\n", private):
        (tmp_path / "pub.pem").write_bytes(body)
        with pytest.raises(WatchlistError):
            read_public_key(tmp_path / "pub.pem")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"review_date": "2026-11-21"}, "review_date"),
        ({"date_of_birth": "2010-11-23"}, "under_18_authority"),
        ({"date_of_birth": "2008-11-23"}, "under_18_authority"),  # 18 tomorrow
    ],
)
def test_what_the_day_of_the_deployment_decides(tmp_path, changes, field):
    source = folder_list(tmp_path / "list", 1, row("W-0", "0.png", **{"image_taken": "2026-01-01"} | changes))
    early = datetime(2030, 1, 1, tzinfo=UTC) if field == "under_18_authority" else NOW - timedelta(days=9)
    found = read_unsigned(source, "operational", today=early.date())
    if field == "review_date":
        write_bundle(tmp_path / "b", found, LABEL, KEY)
        assert [problem.field for problem in read(tmp_path / "b").problems] == [f"W-0, {field}"]
        relaxed = read(tmp_path / "b", purpose="evaluation")
        assert not relaxed.problems
        assert [warning.field for warning in relaxed.warnings] == [field]
    else:
        problems = read_unsigned(source, "operational", today=NOW.date()).problems
        assert [problem.field for problem in problems] == [field]


def test_a_list_from_the_future_or_a_child_with_authority(tmp_path):
    source = folder_list(
        tmp_path / "list", 1, row("W-0", "0.png", date_of_birth="2012-01-01", under_18_authority="U18-1")
    )
    found = read_unsigned(source, "operational", today=NOW.date()).required()
    assert found.entries[0].under_18_on(NOW.date())
    write_bundle(tmp_path / "b", found, replace(LABEL, compiled_at=NOW + timedelta(hours=1)), KEY)
    assert [problem.field for problem in read(tmp_path / "b").problems] == ["compiled_at"]
    assert not read(tmp_path / "b", now=NOW + timedelta(hours=1)).problems


@pytest.mark.parametrize("kind", ["extra", "missing", "swapped", "link", "link folder", "hidden"])
def test_a_folder_is_held_to_the_manifest(tmp_path, kind):
    folder = good_bundle(tmp_path, "good")
    images = sorted((folder / "images").iterdir())
    if kind == "extra":
        (folder / "images" / "more.png").write_bytes(png())
    elif kind == "hidden":
        (folder / ".hidden").write_bytes(b"x")
    elif kind == "missing":
        images[0].unlink()
    elif kind == "swapped":
        images[0].write_bytes(images[1].read_bytes())
    elif kind == "link":
        images[0].rename(tmp_path / "elsewhere.png")
        images[0].symlink_to(tmp_path / "elsewhere.png")
    else:
        (folder / "images").rename(tmp_path / "elsewhere")
        (folder / "images").symlink_to(tmp_path / "elsewhere")
    assert read(folder).problems


def test_a_picture_that_changes_later_is_not_read(bundle):
    """What was checked is not what is read, unless each read checks."""
    found = read(bundle).required()
    name = found.entries[0].images[0].file
    if bundle.is_dir():
        (bundle / name).write_bytes(png(9, 9))
    else:
        body = bundle.read_bytes()
        at = body.index(png(8, 8, 0))
        with bundle.open("r+b") as file:
            file.seek(at + 20)
            file.write(b"\xff")
    with pytest.raises(ValueError):
        found.pictures.read(name)
    with pytest.raises(ValueError, match="not on the manifest"):
        found.pictures.read("manifest.json")


def test_limits_can_be_raised_and_lowered(tmp_path):
    path = good_bundle(tmp_path)  # 3 pictures
    with pytest.raises(WatchlistError, match="more than 1 pictures"):
        read(path, limits=Limits(members=1))
    assert not read(path, limits=Limits(members=MOST_MEMBERS)).problems
    with pytest.raises(ValueError):
        Limits(members=MOST_MEMBERS + 1)
    found = read_unsigned(tmp_path / "list", "operational", today=NOW.date())
    with pytest.raises(WatchlistError, match="larger than a reader takes"):
        write_bundle(tmp_path / "b", found, LABEL, KEY, Limits(members=1))


def test_an_archive_by_other_tools_is_read(tmp_path):
    """Python's zipfile with deflate, and Info-ZIP where it is installed."""
    folder = good_bundle(tmp_path, "good")
    parts = [
        "manifest.json",
        "manifest.sig",
        *[f"images/{path.name}" for path in (folder / "images").iterdir()],
    ]
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in parts:
            archive.write(folder / name, name)
    assert not read(tmp_path / "a.zip").problems
    if shutil.which("zip"):
        subprocess.run(["zip", "-q", "-r", tmp_path / "b.zip", *parts, "images"], cwd=folder, check=True)
        assert not read(tmp_path / "b.zip").problems


def test_descriptors_are_given_back(tmp_path):
    path = good_bundle(tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        read(path)
        with pytest.raises(WatchlistError):
            read(path, limits=Limits(members=1))
    with Archive(path) as archive:
        assert "manifest.json" in archive.members
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_nothing_is_half_written(tmp_path, monkeypatch):
    found = read_unsigned(folder_list(tmp_path / "list"), "operational", today=NOW.date())
    write_bundle(tmp_path / "b", found, LABEL, KEY)
    with pytest.raises(WatchlistError, match="is there already"):
        write_bundle(tmp_path / "b", found, LABEL, KEY)
    for name in ("c.zip", "c"):
        monkeypatch.setattr(Path, "rename", _no_space)
        with pytest.raises(WatchlistError, match="No space"):
            write_bundle(tmp_path / name, found, LABEL, KEY)
        monkeypatch.undo()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "list"]
    with pytest.raises(WatchlistError, match="operation"):
        write_bundle(tmp_path / "d", found, replace(LABEL, operation="../x"), KEY)
    (tmp_path / "list" / "0.png").write_bytes(png() + b"PK\x03\x04 and more")
    with pytest.raises(WatchlistError, match="behind the picture"):
        write_bundle(tmp_path / "d", found, LABEL, KEY)


def _no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


def run(*arguments: object) -> int:
    import argparse

    parser = argparse.ArgumentParser()
    register_bundle(parser.add_subparsers(required=True))
    args = parser.parse_args(["bundle", *map(str, arguments)])
    return args.run(args)


def test_the_commands(tmp_path, capsys):
    source = folder_list(tmp_path / "list")
    key, public = tmp_path / "issuer.pem", tmp_path / "issuer.pub.pem"
    assert run("key", key, public) == 0
    assert key.stat().st_mode & 0o777 == 0o600
    with pytest.raises(WatchlistError, match="File exists"):
        run("key", key, public)
    labels = ["--list-id", "L-1", "--operation", "OP-1", "--issued-by", "Example Constabulary"]
    assert run("make", source, tmp_path / "l.zip", "--key", key, *labels) == 0
    capsys.readouterr()
    assert run("verify", tmp_path / "l.zip", "--public", public, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["intact"], result["entries"], result["operation"]) == (True, 3, "OP-1")
    assert run("verify", tmp_path / "l.zip", "--public", public) == 0
    assert "complete and unaltered" in capsys.readouterr().out
    assert run("table", tmp_path / "l.zip", "--public", public) == 0
    head, *rows = csv.reader(io.StringIO(capsys.readouterr().out))
    assert [dict(zip(head, cells, strict=True))["policy_paragraph"] for cells in rows] == ["LFR-3.1"] * 3
    (source / "watchlist.csv").write_text((source / "watchlist.csv").read_text().replace("DC 1123", "", 1))
    with pytest.raises(WatchlistError, match="originating_officer: is missing"):
        run("make", source, tmp_path / "m.zip", "--key", key, *labels)
    with pytest.raises(WatchlistError, match="is not possible"):
        run("verify", tmp_path / "l.zip", "--public", public, "--most-files", "70000")
    assert run("schema") == 0
    assert json.loads(capsys.readouterr().out)["title"].startswith("lfr-edge")


def resigned(folder: Path, change: object) -> Path:
    """The folder with another manifest, properly signed by the enrolled key: an issuer's own mistake."""
    found = json.loads((folder / "manifest.json").read_bytes())
    change(found)  # type: ignore[operator]
    body = rfc8785.dumps(found)
    (folder / "manifest.json").write_bytes(body)
    (folder / "manifest.sig").write_bytes(sign(body, KEY))
    return folder


def _set(number: int, name: str, value: object):
    def change(found: dict) -> None:
        found["entries"][number][name] = value

    return change


def _image(number: int, name: str, value: object):
    def change(found: dict) -> None:
        found["entries"][number]["images"][0][name] = value

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (_set(0, "date_of_birth", "2026-11-23"), "W-0, image_taken: lies before the date of birth"),
        (_set(1, "reference", "W-0"), "W-0, reference: W-0 is there twice"),
        (_set(1, "legal_basis", ""), "W-1, legal_basis: "),
        (_image(0, "taken", "2026-11-23"), "W-0, images.taken: lies in the future"),
        (_image(1, "file", "images/000001-01.png"), "images/000001-01.png is an image already"),
        (_image(0, "file", "images/absent.png"), "images/absent.png is on the manifest and missing"),
    ],
)
def test_what_an_issuer_got_wrong_is_named(tmp_path, change, problem):
    found = read(resigned(good_bundle(tmp_path, "good"), change))
    assert any(problem in str(one) for one in found.problems)


def test_a_birth_in_the_future(tmp_path):
    def change(found: dict) -> None:
        _set(0, "date_of_birth", "2026-11-23")(found)
        _image(0, "taken", "2026-11-24")(found)

    fields = [problem.field for problem in read(resigned(good_bundle(tmp_path, "good"), change)).problems]
    assert {"W-0, date_of_birth", "W-0, images.taken"} <= {*fields}


def test_a_list_that_is_wrong_throughout_is_not_described_to_the_end(tmp_path):
    def change(found: dict) -> None:
        found["entries"] = [{"reference": f"W-{number}"} for number in range(2000)]

    found = read(resigned(good_bundle(tmp_path, "good"), change))
    assert 1000 < len(found.problems) < 1020
    assert "the rest was not read" in str(found.problems)


def test_what_is_no_bundle(tmp_path, monkeypatch):
    folder = good_bundle(tmp_path, "good")
    monkeypatch.setattr(read_module, "_LARGEST", 3)
    with pytest.raises(WatchlistError, match="more than 3 files"):
        read(folder)
    monkeypatch.undo()
    shutil.rmtree(folder / "images")
    assert any("missing" in problem.message for problem in read(folder).problems)
    (folder / "manifest.sig").write_bytes(b"x" * 2000)
    with pytest.raises(WatchlistError, match="2000 bytes"):
        read(folder)
    for path in (tmp_path / "absent", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(WatchlistError) as caught:
            read(path)
        assert caught.value.code in {"watchlist_archive_unreadable", "watchlist_bundle_unreadable"}
