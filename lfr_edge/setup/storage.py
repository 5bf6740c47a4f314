"""Where the box will keep its data: room, durability, encryption, swap and cores.

No program can prove that a disk keeps what it acknowledged: only a power cut can (reliability.md 6). What can be
seen is said: a file system in memory, barriers switched off, a flush that answers faster than any disk.
"""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lfr_edge.setup.finding import Finding, State

FREE_GIB: Final = 2  # below it recognition stops when the log cannot be written
ROOMY_GIB: Final = 20  # a year of deployments: log, sealed alert pictures, reports
_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
_UNSURE: Final = frozenset({"overlay", "nfs", "nfs4", "cifs", "fuse", "9p", "virtiofs"})
_NO_BARRIER: Final = frozenset({"nobarrier", "barrier=0", "async_commit"})
_FLUSHES: Final = 32
_BLOCK: Final = 4096
# NVMe with a capacitor acknowledges a flushed 4 KiB block in some 20 to 40 µs; less has not left the machine's memory.
_FASTEST_FLUSH_MS: Final = 0.015


@dataclass(frozen=True, slots=True)
class Mount:
    folder: str
    kind: str  # ext4, xfs, tmpfs …
    options: frozenset[str]
    device: str  # "8:1", as the kernel numbers it


def examine_storage(folder: Path, root: Path = Path("/")) -> Iterator[Finding]:
    """Every finding on the place where `folder` is or will be. Writes and removes one small file there.

    `root` is where ``proc`` and ``sys`` are looked for.
    """
    place = _existing(folder)
    mount = mount_of(place, root)
    yield space(place)
    yield durability(mount, flush_ms(place))
    yield encryption(mount, root)
    yield swap(root)
    yield cores(root)


def space(place: Path) -> Finding:
    free = shutil.disk_usage(place).free / 1024**3
    state: State = "fail" if free < FREE_GIB else "ok"
    text = f"{free:.1f} GiB free at {place}"
    if FREE_GIB <= free < ROOMY_GIB:
        text += f"; {ROOMY_GIB} GiB hold a year of deployments"
    return Finding(
        "disk", state, text, f"recognition stops when the log cannot be written: keep {FREE_GIB} GiB free"
    )


def flush_ms(place: Path) -> float | None:
    """Median milliseconds until 4 KiB are called durable; None where nothing can be written."""
    probe = place / f".lfr-edge-flush-{os.getpid()}"
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    times = []
    try:
        for number in range(_FLUSHES):
            os.pwrite(descriptor, os.urandom(_BLOCK), number * _BLOCK)
            began = time.perf_counter()
            os.fdatasync(descriptor)
            times.append(1000 * (time.perf_counter() - began))
    except OSError:
        return None
    finally:
        os.close(descriptor)
        probe.unlink(missing_ok=True)
    return statistics.median(times)


def durability(mount: Mount | None, flush: float | None) -> Finding:
    """What can be seen of whether a power cut loses what was acknowledged."""
    if flush is None:
        return Finding("durability", "fail", "nothing can be written there", "check owner and permissions")
    where = "an unknown file system" if mount is None else mount.kind
    text = f"{where}, {flush:.2f} ms until 4 KiB are called durable"
    if mount is not None and mount.kind in _IN_MEMORY:
        return Finding(
            "durability",
            "fail",
            f"{text}: it is memory, and gone with the power",
            "choose a folder on a disk",
        )
    if mount is not None and mount.options & _NO_BARRIER:
        return Finding(
            "durability",
            "fail",
            f"{text}: mounted without barriers",
            "mount it with barriers: remove nobarrier",
        )
    if flush < _FASTEST_FLUSH_MS:
        return Finding(
            "durability", "warn", f"{text}: faster than any disk",
            "a cache answers for the disk; cut the power once while writing (docs/trials.md) before relying on it",
        )  # fmt: skip
    if mount is None or mount.kind.split(".")[0] in _UNSURE:
        return Finding("durability", "warn", f"{text}: what lies below cannot be seen", "use a local disk")
    return Finding("durability", "ok", f"{text}; only a power cut proves that it keeps its word")


def encryption(mount: Mount | None, root: Path = Path("/")) -> Finding:
    """Whether a stolen disk can be read: dm-crypt anywhere below the file system."""
    text, do = (
        "the disk is not encrypted",
        "use LUKS with the TPM: a stolen box holds alert pictures and keys",
    )
    if mount is None:
        return Finding("encryption", "warn", "the disk below cannot be seen", do)
    if any(_uuid(block).startswith("CRYPT-") for block in _blocks(mount.device, root)):
        return Finding("encryption", "ok", "dm-crypt below the file system")
    if not (root / "sys/dev/block" / mount.device).exists():
        text = "the disk below cannot be seen"
    return Finding("encryption", "warn", text, do)


def swap(root: Path = Path("/")) -> Finding:
    """Swapped pages are faces on a disk. Swap into memory (zram) or through dm-crypt is none."""
    do = "switch swap off: a face must never reach a disk"
    lines = _lines(root / "proc/swaps")[1:]
    if not lines:
        return Finding("swap", "ok", "none")
    total, open_ = 0, []
    for line in lines:
        device, _kind, size, *_ = line.split()
        total += int(size)
        if not (Path(device).name.startswith("zram") or _is_crypt(device, root)):
            open_.append(device)
    if not open_:
        return Finding("swap", "ok", f"{total // 1024} MiB, in memory or encrypted")
    return Finding("swap", "warn", f"{total // 1024} MiB of swap on {', '.join(open_)}", do)


def cores(root: Path = Path("/")) -> Finding:
    """What the kernel does with a crashed process. The recogniser forbids itself cores; this is the second lock."""
    pattern = "".join(_lines(root / "proc/sys/kernel/core_pattern")[:1]).strip()
    suid = "".join(_lines(root / "proc/sys/fs/suid_dumpable")[:1]).strip()
    if pattern.startswith("|") and "systemd-coredump" in pattern:
        storage = _coredump_storage(root)
        if storage == "none":
            return Finding("cores", "ok", "systemd-coredump stores none")
        return Finding(
            "cores", "warn", f"systemd-coredump keeps cores ({storage})",
            "Storage=none and ProcessSizeMax=0 in /etc/systemd/coredump.conf",
        )  # fmt: skip
    if pattern.startswith("|"):
        handler = pattern[1:].split(" ")[0]
        return Finding(
            "cores", "warn", f"crashed processes go to {handler}", "sysctl kernel.core_pattern=/dev/null"
        )
    if suid == "1":
        return Finding(
            "cores", "warn", "the kernel dumps protected processes, too", "sysctl fs.suid_dumpable=0"
        )
    return Finding("cores", "ok", "processes of this program leave none")


def mount_of(place: Path, root: Path = Path("/")) -> Mount | None:
    """The mount that holds `place`: the deepest one, the newest where two lie on one folder."""
    found: Mount | None = None
    wanted = os.path.realpath(place)
    for line in _lines(root / "proc/self/mountinfo"):
        before, separator, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if not separator or len(fields) < 6 or len(rest) < 3:
            continue
        folder = fields[4].encode().decode("unicode_escape")
        inside = wanted == folder or folder == "/" or wanted.startswith(f"{folder}/")
        if inside and (found is None or len(folder) >= len(found.folder)):
            options = frozenset(fields[5].split(",")) | frozenset(rest[2].split(","))
            found = Mount(folder, rest[0], options, fields[2])
    return found


def _existing(folder: Path) -> Path:
    place = folder.absolute()
    while not place.is_dir():
        place = place.parent
    return place


def _blocks(device: str, root: Path) -> Iterator[Path]:
    """The block device and everything it is made of."""
    block = root / "sys/dev/block" / device
    if not block.exists():
        return
    yield block
    for slave in sorted((block / "slaves").glob("*")) if (block / "slaves").is_dir() else ():
        number = "".join(_lines(slave / "dev")[:1]).strip()
        if number:
            yield from _blocks(number, root)


def _uuid(block: Path) -> str:
    return "".join(_lines(block / "dm/uuid")[:1]).strip()


def _is_crypt(device: str, root: Path) -> bool:
    try:
        number = (root / device.lstrip("/")).stat().st_rdev
    except OSError:
        return False
    where = f"{os.major(number)}:{os.minor(number)}"
    return any(_uuid(block).startswith("CRYPT-") for block in _blocks(where, root))


def _coredump_storage(root: Path) -> str:
    """systemd's default is "external"; the last word in its configuration counts."""
    storage = "external"
    folder = root / "etc/systemd"
    for file in (folder / "coredump.conf", *sorted((folder / "coredump.conf.d").glob("*.conf"))):
        for line in _lines(file):
            if line.strip().startswith("Storage="):
                storage = line.partition("=")[2].strip()
    return storage


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
