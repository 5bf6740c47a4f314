"""Two persons, two slots, one link: a new release runs, or the old one does."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.deploy.conftest import OFFLINE, Keys, Release, tree_digest

from lfr_bundle import parts  # isort: skip - the path is set by conftest

Box = tuple[Path, Path]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installer as it is shipped: one executable file."""
    out = tmp_path_factory.mktemp("program") / "lfr-edge-install"
    parts.write_program(OFFLINE / "lfr_install", out)
    return out


@pytest.fixture
def root(program: Path, keys: Keys, tmp_path: Path) -> Path:
    """A box that knows its keys."""
    root = tmp_path / "box"
    people = ["--installer", str(keys.public("anna")), "--installer", str(keys.public("ben"))]
    _ok(program, root, "enrol", "--release-key", str(keys.public("release")), *people)
    return root


def _call(program: Path, root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(program), "--root", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _ok(program: Path, root: Path, *arguments: str) -> str:
    told = _call(program, root, *arguments)
    assert told.returncode == 0, told.stderr
    return told.stdout


def _refused(program: Path, root: Path, code: str, *arguments: str) -> None:
    told = _call(program, root, *arguments)
    assert told.returncode == 1, told.stdout
    assert f"lfr-edge-install: {code}: " in told.stderr
    assert len(told.stderr.strip().splitlines()) == 2, "what to do next"


def _approve(program: Path, root: Path, bundle: Path, keys: Keys, *names: str) -> None:
    for name in names:
        pair = ["--key", str(keys.private(name)), "--public-key", str(keys.public(name))]
        _ok(program, root, "approve", str(bundle), *pair)


def _install(program: Path, root: Path, bundle: Path, tmp_path: Path) -> list[str]:
    return ["install", str(bundle), "--config", str(tmp_path / "no.toml")]


def _status(program: Path, root: Path) -> dict[str, object]:
    found = json.loads(_ok(program, root, "status", "--json"))
    assert isinstance(found, dict)
    return found


def test_a_release_is_installed_and_the_next_one_takes_its_place(
    program: Path, root: Path, release: Release, keys: Keys, tmp_path: Path
) -> None:
    for serial, slot in ((1, "a"), (2, "b")):
        bundle = release(serial)
        _approve(program, root, bundle, keys, "anna", "ben")
        _ok(program, root, *_install(program, root, bundle, tmp_path))
        assert (root / "current").resolve().name == slot
        ran = subprocess.run([root / "current/venv/bin/lfr-edge"], capture_output=True, text=True, check=True)
        assert ran.stdout == "ok\n"
    told = _status(program, root)
    assert told["committed_serial"] == 2
    journal = told["journal"]
    assert isinstance(journal, list)
    assert [line["event"] for line in journal] == [
        "keys.enrolled", "install.begun", "install.committed", "install.begun", "install.committed",
    ]  # fmt: skip
    assert len(journal[1]["approved_by"]) == 2

    _refused(
        program, root, "bundle_not_newer", *_install(program, root, tmp_path / "lfr-edge-1.bundle", tmp_path)
    )

    # A release that is not well never gets its turn, and what runs goes on.
    bad = release(3, well=False)
    _approve(program, root, bad, keys, "anna", "ben")
    _refused(program, root, "install_unwell", *_install(program, root, bad, tmp_path))
    assert (root / "current").resolve().name == "b"
    assert "the disk is too small" in (root / "journal.jsonl").read_text()


@pytest.mark.parametrize("names", [(), ("anna",), ("anna", "stranger"), ("stranger",)])
def test_two_enrolled_installers_are_needed(
    program: Path, root: Path, release: Release, keys: Keys, tmp_path: Path, names: tuple[str, ...]
) -> None:
    bundle = release(1)
    before = tree_digest(root)
    _approve(program, root, bundle, keys, *names)
    _refused(program, root, "install_not_approved", *_install(program, root, bundle, tmp_path))
    assert tree_digest(root) == before


def test_an_approval_is_of_one_release(
    program: Path, root: Path, release: Release, keys: Keys, tmp_path: Path
) -> None:
    first, second = release(1), release(2)
    _approve(program, root, first, keys, "anna", "ben")
    for path in tmp_path.glob("lfr-edge-1.bundle.*"):
        path.rename(path.with_name(path.name.replace("edge-1", "edge-2")))
    _refused(program, root, "install_not_approved", *_install(program, root, second, tmp_path))


def test_one_person_with_two_copies_of_a_key_is_one_person(program: Path, keys: Keys, tmp_path: Path) -> None:
    copy = tmp_path / "copy.pub"
    copy.write_bytes(keys.public("anna").read_bytes())
    people = ["--installer", str(keys.public("anna")), "--installer", str(copy)]
    release_key = str(keys.public("release"))
    _refused(program, tmp_path / "box", "enrol_two_persons", "enrol", "--release-key", release_key, *people)


def test_keys_are_enrolled_once(program: Path, root: Path, keys: Keys) -> None:
    people = ["--installer", str(keys.public("anna")), "--installer", str(keys.public("stranger"))]
    _refused(
        program, root, "enrol_done_before", "enrol", "--release-key", str(keys.public("stranger")), *people
    )


def test_another_python_is_said(
    program: Path, root: Path, release: Release, keys: Keys, tmp_path: Path
) -> None:
    _refused(program, root, "bundle_misfit", *_install(program, root, release(1, python="3.9"), tmp_path))


def test_an_edited_journal_is_said(program: Path, root: Path) -> None:
    journal = root / "journal.jsonl"
    line = journal.read_text()
    journal.write_text(line + line)
    _refused(program, root, "install_journal_broken", "status")


def _cuts(
    program: Path,
    root: Path,
    release: Release,
    keys: Keys,
    tmp_path: Path,
    cuts: int,
    seed: int,
    at_the_switch: float = 0.0,
) -> dict[str, int]:
    """SIGKILL at random moments of an installation; afterwards the old release runs or the new one, whole.
    `at_the_switch`: share of them that fall in the third of a second after the new release is marked complete.
    """
    ends = {"old": 0, "new": 0}
    chance = random.Random(seed)
    serial, longest = 1, 10.0
    bundle = release(serial)
    _approve(program, root, bundle, keys, "anna", "ben")
    old, began = serial, time.monotonic()
    _ok(program, root, *_install(program, root, bundle, tmp_path))
    longest = time.monotonic() - began
    for _ in range(cuts):
        serial += 1
        bundle = release(serial)
        _approve(program, root, bundle, keys, "anna", "ben")
        command = [
            sys.executable,
            str(program),
            "--root",
            str(root),
            *_install(program, root, bundle, tmp_path),
        ]
        marked = _marked(root)
        work = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
        )
        if at_the_switch and chance.random() < at_the_switch:
            while work.poll() is None and _marked(root) <= marked:
                time.sleep(0.002)
            time.sleep(chance.uniform(0, 0.3))
        else:
            time.sleep(chance.uniform(0, longest * 1.1))
        if chance.random() < 0.5:
            os.killpg(work.pid, signal.SIGKILL)  # as the power goes
        else:
            work.send_signal(signal.SIGKILL)  # as the kernel takes one when memory is short; its pip goes on
        work.wait()
        while "another lfr-edge-install" in _ok(
            program, root, "recover", "--config", str(tmp_path / "no.toml")
        ):
            time.sleep(0.1)
        told = _status(program, root)
        current = told["current"]
        assert isinstance(current, dict)
        assert current["serial"] in {old, serial}
        assert told["committed_serial"] == current["serial"]
        ran = subprocess.run([root / "current/venv/bin/lfr-edge"], capture_output=True, text=True, check=True)
        assert ran.stdout == "ok\n"
        ends["new" if current["serial"] == serial else "old"] += 1
        old = current["serial"]
    return ends


def _marked(root: Path) -> int:
    """When the latest release was marked complete."""
    times = [0]
    for mark in root.glob("slots/*/complete"):
        with contextlib.suppress(FileNotFoundError):  # cleared meanwhile
            times.append(mark.stat().st_mtime_ns)
    return max(times)


def test_a_cut_leaves_the_old_or_the_new(
    program: Path, root: Path, release: Release, keys: Keys, tmp_path: Path
) -> None:
    _cuts(program, root, release, keys, tmp_path, 2, seed=1)


@pytest.mark.trial
@pytest.mark.timeout(3600)
def test_a_hundred_cuts(program: Path, root: Path, release: Release, keys: Keys, tmp_path: Path) -> None:
    ends = _cuts(program, root, release, keys, tmp_path, 100, seed=20261122)
    print(ends)
    assert min(ends.values()) > 0, "cuts fell on both sides of the switch"
