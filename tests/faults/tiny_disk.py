"""A real disk of a few pages: full, or mounted read-only, as a van's may be."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class TinyDisk:
    """A tmpfs of 64 KiB."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self) -> None:
        """Not a byte is free."""
        with (self.path / "somebody-else").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 512)

    def make_room(self) -> None:
        subprocess.run(["mount", "-o", "remount,rw", str(self.path)], check=True)
        (self.path / "somebody-else").unlink(missing_ok=True)

    def forbid_writing(self) -> None:
        subprocess.run(["mount", "-o", "remount,ro", str(self.path)], check=True)

    def refuse(self, how: str) -> str:
        """`how`: full or read-only. What the kernel says then."""
        if how == "full":
            self.fill()
            return "No space left on device"
        self.forbid_writing()
        return "Read-only file system"


@contextlib.contextmanager
def tiny_disk(path: Path) -> Iterator[TinyDisk]:
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: only root mounts a small disk")
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tiny", str(path)], check=True)
    try:
        yield TinyDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
