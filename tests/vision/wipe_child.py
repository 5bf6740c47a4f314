"""The process that test_slots scans from outside: it does as it is told, line by line."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from lfr_edge.models.manifest import PackManifest
from lfr_edge.vision.embedder import FusedEmbedder
from lfr_edge.vision.sessions import Runtime
from lfr_edge.vision.slots import ProbeSlots


def main(folder: Path) -> None:
    pack = PackManifest.model_validate_json((folder / "pack.json").read_text())
    runtime = Runtime(threads=1)
    embedder = FusedEmbedder(
        [(m, runtime.open((folder / m.file).read_bytes(), m.id)) for m in pack.embedders]
    )
    embedder.warm()
    slots = ProbeSlots(32, [(s.height, s.width) for s in embedder.crop_shapes], embedder.dimension)
    picture, points = np.load(folder / "picture.npy"), np.load(folder / "points.npy")
    copies = []

    other = np.load(folder / "other.npy")

    def embed(face: np.ndarray = points) -> tuple[int, ...]:
        rows = slots.acquire(1)
        embedder.align(picture, face, slots, rows)
        embedder.embed(slots, rows)
        slots.accumulate(rows[0], rows[0], 0.5)
        slots.gather(rows, fused=True)
        return rows

    def wipe() -> None:
        slots.wipe_all()
        embedder.scrub()

    for line in sys.stdin:
        command = line.strip()
        if command == "embed":
            embed()
        elif command == "pretend":
            embedder.scrub()
        elif command == "wipe":
            wipe()
        elif command == "forget":
            slots.wipe_all()
        elif command == "next":
            embed(other)
            slots.wipe_all()
        elif command == "copy":
            copies.append(slots.templates[embed()[0]].copy())
            wipe()
        print(command, slots.occupied, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
