"""The unit is one that systemd reads without a complaint, and stays as tight as the documents say."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).resolve().parents[2] / "deploy" / "systemd" / "lfr-edge.service"
_DOCS = UNIT.parents[2] / "docs" / "how-to" / "run-under-systemd.md"

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="LOUD SKIP: systemd-analyze is not here"
)


def _complaints(unit: Path) -> list[str]:
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    # The programs lie on the box, not here.
    return [line for line in told.stderr.splitlines() if "is not executable" not in line]


def _exposure(unit: Path) -> float:
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told.stdout)
    assert found, told.stdout[-500:] + told.stderr
    return float(found[1])


def test_systemd_has_nothing_to_complain_about(tmp_path: Path) -> None:
    assert _complaints(UNIT) == []
    broken = tmp_path / "lfr-edge.service"  # the control
    broken.write_text(UNIT.read_text().replace("ProtectSystem=strict", "ProtectSystm=strict"))
    assert _complaints(broken)


def test_the_drop_in_with_sealed_secrets_is_read_and_named_as_the_document_says(tmp_path: Path) -> None:
    drop_in, unit = UNIT.with_name("secrets.conf"), tmp_path / UNIT.name
    shutil.copy(UNIT, unit)
    folder = tmp_path / "lfr-edge.service.d"
    folder.mkdir()
    shutil.copy(drop_in, folder)
    assert _complaints(unit) == []
    (folder / "secrets.conf").write_text(drop_in.read_text().replace("LoadCredentialEncrypted", "LoadSecret"))
    assert _complaints(unit)  # the control
    sealed = re.findall(r"LoadCredentialEncrypted=(\S+?):(\S+)", drop_in.read_text())
    text = _DOCS.read_text()
    for name, path in sealed:
        assert f"systemd-creds encrypt --name={name} " in text
        assert path in text
    assert "/run/credentials/lfr-edge.service/north.password" in text


def test_the_exposure_is_what_the_documents_say(tmp_path: Path) -> None:
    said = re.search(r"exposure level is \*\*([0-9.]+)\*\*", _DOCS.read_text())
    assert said
    assert _exposure(UNIT) <= float(said[1])
    loose = tmp_path / "lfr-edge.service"  # the control
    loose.write_text(UNIT.read_text().replace("CapabilityBoundingSet=\n", ""))
    assert _exposure(loose) > float(said[1])


def test_what_cuda_needs_is_not_taken_away() -> None:
    lines = UNIT.read_text().splitlines()
    assert not [line for line in lines if line.startswith(("MemoryDenyWriteExecute=", "PrivateDevices="))]
