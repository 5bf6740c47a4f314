"""What can be seen of a disk. Each finding has a machine that shows it, drawn as files of /proc and /sys."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from lfr_edge.setup import storage
from lfr_edge.setup.storage import (
    Mount,
    cores,
    durability,
    encryption,
    examine_storage,
    flush_ms,
    mount_of,
    space,
    swap,
)

EXT4 = Mount("/", "ext4", frozenset({"rw", "relatime"}), "8:1")


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_this_machine(tmp_path):
    found = {finding.check: finding for finding in examine_storage(tmp_path / "not" / "there" / "yet")}
    assert set(found) == {"disk", "durability", "encryption", "swap", "cores"}
    assert all(finding.text for finding in found.values())
    assert all(finding.do for finding in found.values() if finding.state != "ok")
    assert list(tmp_path.iterdir()) == [], "the check leaves nothing"


@pytest.mark.parametrize(("gib", "state"), [(1, "fail"), (3, "ok"), (300, "ok")])
def test_room(monkeypatch, tmp_path, gib, state):
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda _: SimpleNamespace(free=gib << 30))
    found = space(tmp_path)
    assert found.state == state
    assert ("hold a year" in found.text) == (gib == 3)


@pytest.mark.parametrize(
    ("mount", "flush", "state", "word"),
    [
        (EXT4, 2.0, "ok", "ext4"),
        (EXT4, 0.002, "warn", "faster than any disk"),
        (EXT4, None, "fail", "nothing can be written"),
        (Mount("/", "tmpfs", frozenset(), "0:23"), 0.001, "fail", "gone with the power"),
        (Mount("/", "ext4", frozenset({"nobarrier"}), "8:1"), 2.0, "fail", "without barriers"),
        (Mount("/", "overlay", frozenset(), "0:50"), 2.0, "warn", "cannot be seen"),
        (Mount("/", "fuse.sshfs", frozenset(), "0:51"), 2.0, "warn", "cannot be seen"),
        (None, 2.0, "warn", "unknown"),
    ],
)
def test_durability(mount, flush, state, word):
    found = durability(mount, flush)
    assert found.state == state
    assert word in found.text


def test_a_flush_is_measured_and_its_file_removed(tmp_path):
    assert flush_ms(tmp_path) > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/sys").exists(), reason="needs /proc")
def test_a_folder_that_takes_no_file_has_no_flush():
    assert flush_ms(Path("/proc/sys")) is None


def test_the_deepest_mount_wins(tmp_path):
    inside = tmp_path / "data"
    inside.mkdir()
    put(tmp_path, "proc/self/mountinfo",
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        f"23 22 0:30 / {tmp_path} rw - tmpfs none rw\n"
        f"24 23 8:3 / {inside} rw,nobarrier - xfs /dev/sda3 rw,barrier=0\n"
        "25 22 8:4 / /elsewhere\\040else rw - ext4 /dev/sda4 rw\n"
        "nonsense\n")  # fmt: skip
    found = mount_of(inside, tmp_path)
    assert (found.kind, found.device) == ("xfs", "8:3")
    assert {"nobarrier", "barrier=0"} <= found.options
    assert mount_of(Path("/"), tmp_path).kind == "ext4"
    assert mount_of(inside, tmp_path / "nowhere") is None


def test_encryption_below_a_volume_is_seen(tmp_path):
    put(tmp_path, "sys/dev/block/254:1/dm/uuid", "LVM-abc\n")
    put(tmp_path, "sys/dev/block/254:1/slaves/dm-0/dev", "254:0\n")
    put(tmp_path, "sys/dev/block/254:0/dm/uuid", "CRYPT-LUKS2-abc\n")
    mount = Mount("/", "ext4", frozenset(), "254:1")
    assert encryption(mount, tmp_path).state == "ok"
    put(tmp_path, "sys/dev/block/254:0/dm/uuid", "LVM-plain\n")
    assert encryption(mount, tmp_path).text == "the disk is not encrypted"
    assert "cannot be seen" in encryption(EXT4, tmp_path).text
    assert "cannot be seen" in encryption(None, tmp_path).text


def test_swap_on_a_disk_is_told(tmp_path):
    heading = "Filename Type Size Used Priority\n"
    put(tmp_path, "proc/swaps", heading)
    assert swap(tmp_path).state == "ok"
    put(tmp_path, "proc/swaps", heading + "/dev/zram0 partition 1048576 0 100\n")
    assert (swap(tmp_path).state, swap(tmp_path).text) == ("ok", "1024 MiB, in memory or encrypted")
    put(
        tmp_path,
        "proc/swaps",
        heading + "/dev/sda2 partition 2097152 0 -2\n/dev/zram0 partition 1024 0 100\n",
    )
    assert swap(tmp_path).state == "warn"
    assert "/dev/sda2" in swap(tmp_path).text
    assert "zram0" not in swap(tmp_path).text


def test_where_cores_go(tmp_path):
    put(tmp_path, "proc/sys/kernel/core_pattern", "core\n")
    assert cores(tmp_path).state == "ok"
    put(tmp_path, "proc/sys/fs/suid_dumpable", "1\n")
    assert cores(tmp_path).state == "warn"
    put(tmp_path, "proc/sys/kernel/core_pattern", "|/usr/share/apport/apport %p\n")
    assert "/usr/share/apport/apport" in cores(tmp_path).text
    put(tmp_path, "proc/sys/kernel/core_pattern", "|/lib/systemd/systemd-coredump %P\n")
    assert "external" in cores(tmp_path).text
    put(tmp_path, "etc/systemd/coredump.conf.d/lfr.conf", "[Coredump]\nStorage=none\n")
    assert cores(tmp_path).state == "ok"
