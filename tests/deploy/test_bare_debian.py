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
program=/opt/lfr-edge/current/venv/bin/lfr-edge
$program doctor
# Set up as docs/how-to/set-up-a-box.md says, by a script; then the release is held to the box's own configuration.
useradd --system --home-dir /var/lib/lfr-edge --shell /usr/sbin/nologin lfr-edge
install -d -m 750 -g lfr-edge /etc/lfr-edge
$program setup --config /etc/lfr-edge/lfr.toml --user lfr-edge --answers van-7.toml
test "$(stat -c %U /var/lib/lfr-edge/accounts.json)" = lfr-edge
test "$(stat -c %U /opt/lfr-edge/current/models/default/pack.json)" = root
date +"set up %s"
$program doctor --config /etc/lfr-edge/lfr.toml
$install recover
cd /root
XDG_CACHE_HOME=/opt/lfr-edge/current/cache /opt/lfr-edge/current/venv/bin/lfr-edge demo --headless --seconds 20
"""
_ANSWERS = """\
format = "lfr-edge setup 1"
accounts = [{ name = "miller", role = "operator" }, { name = "okoro", role = "authorising_officer" }]
benchmark_s = 5
[configuration]
site = "Van 7"
data = "/var/lib/lfr-edge"
audit = "/var/lib/lfr-edge/audit"
[configuration.models]
purpose = "evaluation"
store = "/opt/lfr-edge/current/models"
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
    (root / "media" / "van-7.toml").write_text(_ANSWERS)
    told = subprocess.run(
        ["unshare", "--net", "--mount", "bash", "-c", _OUTSIDE, "outside", str(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    print(told.stdout[-8000:], told.stderr[-4000:])
    assert told.returncode == 0
    assert "intact" in told.stdout
