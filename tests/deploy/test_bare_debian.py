"""A Debian with nothing but Python and openssl, and no network: from one file to the demo's verdict.

Needs root, debootstrap and a network for the preparation, and a machine on which the demo ran once. Minutes long.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.conftest import OFFLINE, Keys

_STEPS = """\
set -eu
export HOME=/root LANG=C.UTF-8
cd /media
bundle=$(ls *.bundle)
install=./lfr-edge-install
$install enrol --release-key release.pub --installer anna.pub --installer ben.pub
for name in anna ben; do $install approve $bundle --key $name.key --public-key $name.pub; done
! $install --root /nowhere install $bundle
$install install $bundle
$install status
/opt/lfr-edge/current/venv/bin/lfr-edge doctor
cd /root
XDG_CACHE_HOME=/opt/lfr-edge/current/cache /opt/lfr-edge/current/venv/bin/lfr-edge demo --headless --seconds 20
"""
_OUTSIDE = """\
set -eu
ip link set lo up
mount -t proc proc $1/proc
mount --bind /dev $1/dev
mount -t tmpfs none $1/tmp
exec chroot $1 bash /media/steps.sh
"""


def _tools_missing() -> str:
    missing = [name for name in ("debootstrap", "unshare", "ip") if shutil.which(name) is None]
    if os.geteuid() != 0:
        missing.append("root")
    return ", ".join(missing)


@pytest.mark.trial
@pytest.mark.network
@pytest.mark.timeout(1800)
@pytest.mark.skipif(bool(_tools_missing()), reason=f"LOUD SKIP: not here: {_tools_missing()}")
def test_a_bare_debian_without_a_network_runs_the_demo(keys: Keys, tmp_path: Path) -> None:
    clone, root = tmp_path / "clone", tmp_path / "root"
    project = OFFLINE.parents[1]
    subprocess.run(["git", "clone", "--quiet", str(project), str(clone)], check=True)
    packages = "--include=python3,python3-venv,openssl"
    subprocess.run(["debootstrap", "--variant=minbase", packages, "bookworm", str(root)], check=True)
    cache = Path.home() / ".cache" / "lfr-edge"
    options = ["--key", str(keys.private("release")), "--store", str(cache / "models")]
    options += ["--demo-cache", str(cache), "--no-audit-report", "a trial", "--out", str(root / "media")]
    subprocess.run(
        [sys.executable, "-m", "lfr_bundle", *options],
        env=os.environ | {"PYTHONPATH": str(clone / "deploy" / "offline")},
        check=True,
    )
    for path in keys.folder.iterdir():
        shutil.copy(path, root / "media")
    (root / "media" / "steps.sh").write_text(_STEPS)
    told = subprocess.run(
        ["unshare", "--net", "--mount", "bash", "-c", _OUTSIDE, "outside", str(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    print(told.stdout[-4000:], told.stderr[-4000:])
    assert told.returncode == 0
    assert "intact" in told.stdout
