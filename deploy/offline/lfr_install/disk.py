"""What must survive a power cut."""

from __future__ import annotations

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, body: bytes) -> None:
    """The old content or the new one, after a cut at any moment."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def sync_tree(folder: Path) -> None:
    """Every file and folder below `folder`, and it. A slot counts as complete only after this."""
    for place, _, files in os.walk(folder):
        for name in files:
            full = os.path.join(place, name)  # noqa: PTH118 - os.walk gives strings
            if os.path.islink(full):  # noqa: PTH114
                continue
            descriptor = os.open(full, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(place))
