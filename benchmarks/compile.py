"""A whole compile of a long list: time, memory and speed of each part, and what taking it up again costs.

python -m benchmarks.compile --entries 20000 --threads 2 --write

The list is made when it runs: pictures of ../shared/faces, each changed a little (mirror, crop, light, compression), so
that there are as many different files as entries. It holds many doubles: the comparison meets more, not fewer.
"""

from __future__ import annotations

import contextlib
import itertools
import resource
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from benchmarks import _line
from benchmarks._material import pack
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.watchlist.about import Scale
from lfr_edge.watchlist.compiler import Compilation, workers
from lfr_edge.watchlist.enrol import Rules
from lfr_edge.watchlist.folder import survey
from lfr_edge.watchlist.lookalikes import resemblances

_FACES: Final = Path(__file__).resolve().parents[1] / ".." / "shared" / "faces" / "lfw250"
_SCALE: Final = Scale(0.5, 0.569, 1.7e-6, "the benchmark's own")  # near the default pack's for a long list
_QUICK: Final = 300  # entries
_SEED: Final = 7


def main(argv: list[str] | None = None) -> int:
    made = _line.parser(__doc__)
    made.add_argument(
        "--workers", type=int, default=workers(), metavar="N", help="default: as the product takes"
    )
    made.add_argument("--entries", type=int, default=20_000, metavar="N", help="default: 20,000")
    args = made.parse_args(argv)
    report = _line.Report("compile", args)
    entries = _QUICK if args.quick else args.entries
    loaded = pack(args.pack)
    with tempfile.TemporaryDirectory(prefix="lfr-compile-") as folder:
        place = Path(folder)
        sources = _write_list(place / "list", entries)
        report.say(f"{entries} pictures of {sources} photographs written")
        vision = [VisionStack.open(loaded, threads=args.threads) for _ in range(args.workers)]
        before_mib = _rss_mib()
        result = _compile(place, vision, report)
        result |= {"rss_before_mib": before_mib, "peak_rss_mib": _rss_mib()}
        result |= {"workers": args.workers, "compare": _compare(entries, vision[0].dimension)}
    report.emit(result, shapes={"entries": entries, "photographs": sources, "picture": "250 × 250 JPEG"})
    return 0


def _write_list(folder: Path, entries: int) -> int:
    """Pictures and CSV; returns how many different photographs they were made of."""
    photographs = sorted(_FACES.glob("*/*.jpg"))
    if not photographs:
        raise SystemExit(f"{_FACES} holds no pictures: this benchmark needs ../shared")
    folder.mkdir()
    rows = ["reference,category,response,images"]
    for number, data in enumerate(itertools.islice(_variations(photographs), entries)):
        (folder / f"{number:06}.jpg").write_bytes(data)
        rows.append(f"B-{number:06},wanted_by_police,amber,{number:06}.jpg")
    (folder / "watchlist.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return min(entries, len(photographs))


def _variations(photographs: list[Path]) -> Iterator[bytes]:
    """Every photograph once as it is, then all of them again and again, changed each time."""
    generator = np.random.default_rng(_SEED)
    for path in photographs:
        yield path.read_bytes()
    for path in itertools.cycle(photographs):
        picture = np.asarray(cv2.imread(str(path)), np.uint8)
        left, top = generator.integers(0, 12, 2)
        changed = picture[top : top + 238, left : left + 238]
        if generator.random() < 0.5:
            changed = changed[:, ::-1]
        changed = cv2.convertScaleAbs(
            changed, alpha=generator.uniform(0.75, 1.2), beta=generator.uniform(-15, 15)
        )
        _, data = cv2.imencode(".jpg", changed, [cv2.IMWRITE_JPEG_QUALITY, int(generator.integers(60, 96))])
        yield bytes(data)


def _compile(place: Path, vision: list[VisionStack], report: _line.Report) -> dict[str, Any]:
    began, cpu = time.perf_counter(), time.process_time()
    found = survey(place / "list")
    surveyed = time.perf_counter()
    marks: dict[int, float] = {}

    def progress(done: int, total: int) -> None:
        marks[done] = time.perf_counter()
        if done % 1000 == 0:
            report.say(f"{done} of {total}, {done / (marks[done] - surveyed):.0f} a second, {_rss_mib()} MiB")

    rules = Rules(several_faces="central")
    first, *helpers = vision
    compilation = Compilation(
        found, first, rules, _SCALE, skip_refused=True, progress=progress, now=_now(), helpers=helpers
    )
    compiled = compilation.seal(place / "list.sealed", key=bytes(32))
    ended = time.perf_counter()
    last = marks[max(marks)]
    assert compiled.header is not None
    return {
        "wall_s": round(ended - began, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "survey_s": round(surveyed - began, 1),
        "pictures_s": round(last - surveyed, 1),
        "compare_and_seal_s": round(ended - last, 1),
        "entries_per_s": round(len(found.entries) / (last - surveyed), 1),
        "sealed_mib": round((place / "list.sealed").stat().st_size / 2**20, 1),
        "verdicts": {verdict.value: count for verdict, count in compiled.verdicts.items()},
        "look_alike_pairs": compiled.resemblance.pairs,
        "resume": _resume(place, vision, rules),
    }


def _resume(place: Path, vision: list[VisionStack], rules: Rules) -> dict[str, Any]:
    """Stop a second compile half-way (after at most 500 entries), take it up, and see what that costs."""
    found = survey(place / "list")
    stop_at = min(len(found.entries) // 2, 500)
    took_s = 0.0
    for _ in range(2):  # the second finds what the first had finished
        began = time.perf_counter()
        compilation = Compilation(
            found, vision[0], rules, _SCALE, skip_refused=True, progress=_Stop(stop_at), now=_now()
        )
        with contextlib.suppress(KeyboardInterrupt):
            compilation.seal(place / "second.sealed", key=bytes(32))
        took_s = time.perf_counter() - began
    return {"finished_before": stop_at, "taken_up_in_s": round(took_s, 2)}


class _Stop:
    def __init__(self, at: int) -> None:
        self._at = at

    def __call__(self, done: int, total: int) -> None:
        if done == self._at:
            raise KeyboardInterrupt


def _compare(people: int, dimension: int) -> dict[str, float]:
    """The comparison alone, of random people."""
    rows = np.random.default_rng(_SEED).standard_normal((people, dimension)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    matrices = list(rows[:, None])
    began = time.perf_counter()
    resemblances([str(n) for n in range(people)], np.arange(people), matrices, _SCALE)
    return {"everybody_with_everybody_s": round(time.perf_counter() - began, 1)}


def _rss_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    raise SystemExit(main())
