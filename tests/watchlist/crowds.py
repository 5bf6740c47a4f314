"""Folders that become lists, with pictures in which :class:`FakePortraitist` finds what it is told."""

from __future__ import annotations

import json
from pathlib import Path

from pictures_for_tests import png

LARGE = {"box": [20, 20, 80, 80]}


def picture(*faces: dict) -> bytes:
    return png() + json.dumps(faces).encode()


def folder(path: Path, people: dict[str, list[bytes]], category: str = "wanted_by_police") -> Path:
    """A folder with a CSV: reference → its pictures."""
    path.mkdir(parents=True, exist_ok=True)
    rows = ["reference,category,response,images"]
    for reference, images in people.items():
        names = [f"{reference}-{n}.png" for n in range(len(images))]
        for name, data in zip(names, images, strict=True):
            (path / name).write_bytes(data)
        rows.append(f"{reference},{category},amber,{';'.join(names)}")
    (path / "watchlist.csv").write_text("\n".join(rows))
    return path


def crowd(path: Path, people: int, images: int = 1) -> Path:
    """Everybody different, every face good."""
    return folder(
        path,
        {
            f"W{n:05}": [picture(LARGE | {"seed": 100 * n + i}) for i in range(images)]
            for n in range(1, people + 1)
        },
    )
