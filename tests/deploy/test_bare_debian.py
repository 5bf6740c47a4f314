"""A Debian with nothing but Python and openssl, and no network: from one file to the demo's verdict.

Needs root, debootstrap and a network for the preparation, and a machine on which the demo ran once. Minutes long.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.conftest import Keys, missing

_STEPS = """\
set -eu
export HOME=/root LANG=C.UTF-8
cd /media
bundle=$(ls *.bundle)
install=./lfr-edge-install
$install enrol --release-key release.pub --installer installers/anna.pub --installer installers/ben.pub
for name in anna ben; do $install approve $bundle --key $name.key --public-key installers/$name.pub; done
if $install --root /nowhere install $bundle; then exit 3; fi
date +"begun %s"
$install install $bundle
date +"installed %s"
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
_LACKING = missing("debootstrap", "unshare", "ip")


@pytest.mark.trial
@pytest.mark.network
@pytest.mark.timeout(1800)
@pytest.mark.skipif(bool(_LACKING), reason=f"LOUD SKIP: not here: {_LACKING}")
def test_a_bare_debian_without_a_network_runs_the_demo(
    keys: Keys, debian: Path, medium: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    subprocess.run(["cp", "-a", str(debian), str(root)], check=True)
    shutil.copytree(medium, root / "media", dirs_exist_ok=True)
    for name in ("anna", "ben"):
        shutil.copy(keys.private(name), root / "media")
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
