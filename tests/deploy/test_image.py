"""The container image: what its definition says, how it is run, and (a trial) the whole of it without a network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.deploy.conftest import Keys, missing

CONTAINER = REPOSITORY / "deploy" / "container"
_HOW_TO = REPOSITORY / "docs" / "how-to" / "run-in-a-container.md"
_LACKING = missing("debootstrap", "unshare", "ip", "podman", "buildah")


def _command(*arguments: str, **changes: str) -> list[str]:
    """What the engine would be told."""
    told = subprocess.run(
        [str(CONTAINER / "run"), *arguments],
        env=os.environ | {"ENGINE": "echo"} | changes,
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout.split()


def test_it_runs_with_as_little_as_it_needs() -> None:
    words = _command("lfr-edge", "doctor")
    assert {"--read-only", "no-new-privileges", "core=0"} <= set(words)
    assert words[words.index("--cap-drop") + 1] == "all"
    assert words[words.index("--tmpfs") + 1].startswith("/tmp:rw,nosuid,nodev,noexec")
    assert not {"--privileged", "--cap-add", "--pid", "--ipc", "--user"} & set(words)
    assert "unconfined" not in " ".join(words)
    assert [word for word in words if word.endswith(":rw")] == ["/var/lib/lfr-edge:/var/lib/lfr-edge:rw"]
    assert words[-2:] == ["lfr-edge", "doctor"]


def test_a_gpu_is_asked_for_and_only_then() -> None:
    assert "nvidia.com/gpu=all" not in _command("lfr-edge")
    assert "nvidia.com/gpu=all" in _command("lfr-edge", "--gpu", "doctor")


def test_without_an_image_it_says_what_it_wants() -> None:
    told = subprocess.run([str(CONTAINER / "run")], capture_output=True, text=True, check=False)
    assert told.returncode != 0
    assert "which image?" in told.stderr


def test_the_image_is_made_of_the_bundle_and_nothing_else() -> None:
    lines = (CONTAINER / "Containerfile").read_text().replace("\\\n", " ").splitlines()
    kept = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in kept if line.startswith("USER")] == ["USER 65532:65532"]
    assert all(line.startswith("FROM ${BASE}") for line in kept if line.startswith("FROM"))
    ran = " ".join(line for line in kept if line.startswith(("RUN", "ADD")))
    assert not re.search(r"\b(apt|apt-get|pip|curl|wget|ADD)\b|https?:", ran)


def test_every_option_is_explained() -> None:
    page = _HOW_TO.read_text()
    for option in (
        word for word in _command("lfr-edge") if word.startswith("--") and word not in {"--rm", "--name"}
    ):
        assert option in page or option in {"--pids-limit", "--volume"}, option


_OUTSIDE = """\
set -eu
umount -R /sys/fs/cgroup 2>/dev/null || true     # a mixed layout is refused by crun
mount -t cgroup2 none /sys/fs/cgroup
ip link set lo up
export STORAGE_DRIVER=vfs
podman --storage-driver vfs import --quiet "$1/base.tar" localhost/lfr-edge-base
buildah --storage-driver vfs build --isolation chroot --build-arg BASE=localhost/lfr-edge-base \
    -t localhost/lfr-edge-trial -f "$2/Containerfile" "$1/media"
export STATE="$1/state" CONFIG="$1/etc" NETWORK=none MEMLOCK=8388608 NAME=lfr-edge-trial
export OPTIONS="--cgroups=disabled --ulimit nofile=1024:1024 --ulimit nproc=4096:4096"
"$2/run" localhost/lfr-edge-trial doctor
if OPTIONS="$OPTIONS --entrypoint touch" "$2/run" localhost/lfr-edge-trial /opt/lfr-edge/x; then exit 3; fi
"$2/run" localhost/lfr-edge-trial demo --headless --seconds 20 --keep /var/lib/lfr-edge/demo
podman rmi --force localhost/lfr-edge-trial localhost/lfr-edge-base
"""


@pytest.mark.trial
@pytest.mark.network
@pytest.mark.timeout(1800)
@pytest.mark.skipif(bool(_LACKING), reason=f"LOUD SKIP: not here: {_LACKING}")
def test_the_image_is_built_and_runs_without_a_network(
    keys: Keys, debian: Path, medium: Path, tmp_path: Path
) -> None:
    """Limits are lowered to what a machine without CAP_SYS_RESOURCE and cgroups may set."""
    for folder in ("media", "state", "etc"):
        (tmp_path / folder).mkdir()
    shutil.copytree(medium, tmp_path / "media", dirs_exist_ok=True)
    bundle = next((tmp_path / "media").glob("*.bundle"))
    box, install = tmp_path / "box", str(tmp_path / "media" / "lfr-edge-install")
    people = [f"--installer={keys.public(name)}" for name in ("anna", "ben")]
    enrol = [install, "--root", str(box), "enrol", "--release-key", str(keys.public("release")), *people]
    subprocess.run(enrol, check=True)
    for name in ("anna", "ben"):
        pair = ["--key", str(keys.private(name)), "--public-key", str(keys.public(name))]
        subprocess.run([install, "--root", str(box), "approve", str(bundle), *pair], check=True)
    os.chown(tmp_path / "state", 65532, 65532)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    subprocess.run(["tar", "-C", str(debian), "-cf", str(tmp_path / "base.tar"), "."], check=True)
    command = [
        "unshare",
        "--net",
        "--mount",
        "bash",
        "-c",
        _OUTSIDE,
        "outside",
        str(tmp_path),
        str(CONTAINER),
    ]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    print(told.stdout[-4000:], told.stderr[-4000:])
    assert told.returncode == 0
    assert "passed" in told.stdout
