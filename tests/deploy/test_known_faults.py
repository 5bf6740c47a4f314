"""Whether anybody asked for known faults, when, and whether the answer could see: said at both ends of the stick."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.conftest import Keys, Release

from lfr_bundle import __main__ as make  # isort: skip - the path is set by conftest
from lfr_bundle import auditing  # isort: skip
from lfr_install import __main__ as program  # isort: skip
from lfr_install import known_faults  # isort: skip
from lfr_install.faults import InstallError  # isort: skip

_TODAY = date(2026, 11, 22)
_SKIPPED = {"name": "numpy", "skip_reason": "Dependency not found on PyPI and could not be audited"}
_CLEAN = {"name": "av", "version": "18.1.0", "vulns": []}
_FAULTY = {"name": "jinja2", "version": "2.4.1", "vulns": [{"id": "CVE-2016-10745"}, {"id": "CVE-2014-1402"}]}


def _answer(*packages: dict[str, Any], made: str = "2026-11-22", why: str = "") -> bytes:
    record = {"format": known_faults.FORMAT, "made": made, "profile": "cpu", "why": why}
    return json.dumps(record | {"report": {"dependencies": packages}}).encode()


def _said(raw: bytes) -> str:
    return "\n".join(known_faults.read(raw).sentences(_TODAY))


def test_a_report_says_how_old_it_is_and_what_it_knows() -> None:
    assert _said(_answer(_CLEAN)) == "1 packages held against the known faults of 2026-11-22, today"
    assert "21 days ago\nthat is more than 14 days" in _said(_answer(_CLEAN, made="2026-11-01"))
    assert "14 days ago" in _said(_answer(_CLEAN, made="2026-11-08"))
    assert "more than" not in _said(_answer(_CLEAN, made="2026-11-08"))
    assert "clock is wrong" in _said(_answer(_CLEAN, made="2026-11-30"))
    said = _said(_answer(_CLEAN, _FAULTY, _SKIPPED)).splitlines()
    assert said[0] == "KNOWN FAULTS: jinja2 2.4.1: CVE-2016-10745, CVE-2014-1402"
    assert said[-1] == "not asked, the database does not know them: numpy"


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "cannot be read"),
        (b"[]", "does not say whether"),
        (known_faults.nobody("no network"), "no network"),
        (
            b'{"made": "2026-11-22", "report": {"dependencies": []}}',
            "does not say whether",
        ),  # bundles until 427
        (_answer(_CLEAN, why="the database knew nothing"), "2026-11-22, today): the database knew nothing"),
        (_answer(_SKIPPED), "nothing was asked"),
        (_answer(_CLEAN, made="yesterday"), "cannot be read"),
    ],
)
def test_what_saw_nothing_is_no_clean_bill(raw: bytes, why: str) -> None:
    assert _said(raw).startswith("NOBODY KNOWS whether its packages have known faults")
    assert why in _said(raw)


def _pip_audit(folder: Path, lock: dict[str, Any], control: dict[str, Any], status: int = 0) -> str:
    """A program that answers as pip-audit does: one answer for the lock, one for the control."""
    path = folder / "pip-audit"
    for name, packages in (("lock", [lock]), ("control", [control])):
        (folder / f"{name}.json").write_text(json.dumps({"dependencies": packages, "fixes": []}))
    path.write_text(
        f'#!/bin/sh\ncase "$*" in *control.txt*) cat {folder}/control.json; exit 1;; esac\n'
        f"cat {folder}/lock.json; exit {status}\n"
    )
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("lock", "control", "rc", "words"),
    [
        (_CLEAN, _FAULTY, 0, "1 packages held against the known faults of "),
        (_FAULTY, _FAULTY, 1, "KNOWN FAULTS: jinja2 2.4.1"),
        (
            _SKIPPED,
            _SKIPPED,
            1,
            "the database knew no fault of jinja2==2.4.1",
        ),  # what a mirror of wheels answers
    ],
)
def test_the_question_tries_whether_it_can_see(
    lock: dict[str, Any],
    control: dict[str, Any],
    rc: int,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "audit.json"
    pip_audit = _pip_audit(tmp_path, lock, control, status=min(rc, 1))
    assert auditing.main(["--out", str(out), "--pip-audit", pip_audit]) == rc
    assert words in capsys.readouterr().out
    assert known_faults.read(out.read_bytes()).made == datetime.now(UTC).date()


def test_a_pip_audit_that_fails_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (_pip_audit(tmp_path, _CLEAN, _FAULTY, status=3), "/no/such/pip-audit"):
        assert auditing.main(["--out", str(tmp_path / "out.json"), "--pip-audit", command]) == 1
        assert "audit_failed: " in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()


def test_make_bundle_takes_a_dated_answer_and_says_loudly_what_it_is_worth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = argparse.Namespace(audit_report=tmp_path / "audit.json", no_audit_report=None, profile="cpu")
    for wrong in (b"", b"{}", json.dumps({"dependencies": [_CLEAN]}).encode()):
        given.audit_report.write_bytes(wrong)
        with pytest.raises(InstallError, match="is not what deploy/audit-packages"):
            make._vulnerabilities(given)
    given.audit_report.write_bytes(_answer(_CLEAN))
    assert make._vulnerabilities(given) == _answer(_CLEAN)
    make._warn(known_faults.read(_answer(_CLEAN, made=datetime.now(UTC).date().isoformat())))
    assert "!!!" not in capsys.readouterr().err
    make._warn(known_faults.read(_answer(_SKIPPED)))
    assert "!!!\nNOBODY KNOWS whether" in capsys.readouterr().err
    given.profile = "gpu"
    with pytest.raises(InstallError, match="is about the cpu set"):
        make._vulnerabilities(given)


def test_the_installer_shows_it_before_and_after(
    release: Release,
    keys: Keys,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lfr_install import release as steps

    monkeypatch.setattr(steps, "_set_up", lambda folder, manifest: None)
    monkeypatch.setattr(program, "doctor", lambda config: lambda folder: "")
    bundle, root = release(1, faults=_answer(_CLEAN, made="2020-01-01")), str(tmp_path / "box")
    people = ["--installer", str(keys.public("anna")), "--installer", str(keys.public("ben"))]
    approve = [
        ["--key", str(keys.private(name)), "--public-key", str(keys.public(name))] for name in ("anna", "ben")
    ]
    steps_of = (
        (["enrol", "--release-key", str(keys.public("release")), *people], ""),
        (["verify", str(bundle)], "more than 14 days"),
        (["approve", str(bundle), *approve[0]], "more than 14 days"),
        (["approve", str(bundle), *approve[1]], "more than 14 days"),
        (["install", str(bundle)], ""),
        (["status"], "more than 14 days"),
    )
    for step, words in steps_of:
        assert program.main(["--root", root, *step]) == 0
        assert words in capsys.readouterr().out
    assert program.main(["--root", root, "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["known_faults"]["age_days"] > 2000
