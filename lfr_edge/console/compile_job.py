"""The compile as a process of its own: ``python -m lfr_edge.console.compile_job``, started by compiling.py.

It opens hostile archives and pictures, so it has no socket of the console's, no session and no recorder; it is nice to
the recognition that may run beside it, leaves no core, and ends with the console. The order comes as one line of JSON
on standard input, which then stays open for as long as the console lives; what happens goes out as lines of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from lfr_edge.confinement import harden_process
from lfr_edge.console.compile_order import Order
from lfr_edge.errors import LfrError
from lfr_edge.matching.forecast import scale_for
from lfr_edge.matching.threshold import calibrations_of
from lfr_edge.models.store import ModelStore
from lfr_edge.sentences import packed
from lfr_edge.watchlist.bundle import Limits as ArchiveLimits
from lfr_edge.watchlist.bundle import read_list
from lfr_edge.watchlist.findings import Survey
from lfr_edge.watchlist.header import file_digest
from lfr_edge.watchlist.keys import read_key_file

if TYPE_CHECKING:
    from lfr_edge.watchlist.reports import EntryReport

_NICE: Final = 10
_PROGRESS_S: Final = 0.2
_MOST_PROBLEMS: Final = 500  # told to the page; a terminal's --json has all
_MOST_FILE: Final = 4 << 30  # bytes that the sealed list or its journal may grow to
_MOST_FILES: Final = 64  # descriptors


class Teller:
    """Lines of JSON to the console. **Thread rule:** the main thread."""

    def __init__(self) -> None:
        self._told_s = 0.0

    def say(self, kind: str, **fields: Any) -> None:
        sys.stdout.write(json.dumps({"t": kind, **fields}, separators=(",", ":")) + "\n")
        sys.stdout.flush()

    def progress(self, stage: str, done: int, total: int) -> None:
        if done == total or time.monotonic() - self._told_s > _PROGRESS_S:
            self._told_s = time.monotonic()
            self.say("progress", stage=stage, done=done, total=total)

    def entry(self, report: EntryReport) -> None:
        images = [
            {
                "image": image.image,
                "verdict": image.verdict.value,
                "reasons": [packed(reason) for reason in image.reasons],
            }
            for image in report.images
        ]
        self.say("entry", reference=report.reference, verdict=report.verdict.value, images=images)


def compile_list(order: Order, teller: Teller) -> None:
    """Raises LfrError: what refuses the list as a whole."""
    found = read_list(
        order.bundle,
        purpose=order.purpose,
        trusted=order.trusted,
        names=order.names,
        limits=replace(ArchiveLimits(), members=order.most_files),
        progress=lambda done, total: teller.progress("rows", done, total),
    )
    problems = [packed(problem.sentence) for problem in found.problems]
    teller.say(
        "survey",
        entries=len(found.entries),
        problems=problems[:_MOST_PROBLEMS],
        more_problems=max(0, len(problems) - _MOST_PROBLEMS),
        warnings=[packed(warning.sentence) for warning in found.warnings][:_MOST_PROBLEMS],
    )
    found.required()
    _seal(order, found, teller)


def _seal(order: Order, found: Survey, teller: Teller) -> None:
    # Not before the survey has passed: most refusals need no networks.
    from lfr_edge.vision.pipeline import VisionStack
    from lfr_edge.watchlist.compiler import Compilation, workers

    pack = ModelStore(order.store).load(order.pack)
    scale = scale_for(
        calibrations_of(order.calibration),
        fingerprint=pack.fingerprint,
        provider="cpu",
        precision=pack.precision,
        list_size=len(found.entries),
        target_fpir=order.target_fpir,
        threshold=order.threshold,
    )
    vision, *helpers = [VisionStack.open(pack, threads=1) for _ in range(workers())]
    compilation = Compilation(
        found,
        vision,
        scale=scale,
        skip_refused=True,  # the page names whoever is left out, and a person confirms it before it counts
        progress=lambda done, total: teller.progress("pictures", done, total),
        on_report=teller.entry,
        now=datetime.now(UTC),
        helpers=helpers,
    )
    key = read_key_file(order.key_file) if order.key_file else None
    compiled = compilation.seal(order.out, key=key, passphrase=order.passphrase)
    told = compiled.to_json()
    told["findings"] = [
        {**one.to_json(), "text": packed(one.text), "hint": packed(one.hint)} for one in compiled.findings
    ]
    for reference, near in told.pop("look_alikes").items():
        teller.say("near", reference=reference, near=near)
    same = told["resemblance"]["likely_the_same_person"]
    told["resemblance"]["likely_the_same_person"] = same[:_MOST_PROBLEMS]
    teller.say(
        "done",
        result=told | {"fingerprint": pack.fingerprint, "precision": pack.precision, "pack": pack.name},
        sha256=file_digest(order.out),
        size=order.out.stat().st_size,
    )


def _end_with_the_console() -> None:
    """The console's end of standard input closes when it ends, however it ends."""
    while os.read(0, 4096):
        pass
    os._exit(1)


def main() -> int:
    os.nice(_NICE)
    harden_process()
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_FILE, _MOST_FILE))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_MOST_FILES, _MOST_FILES))
    with open(0, "rb", buffering=0, closefd=False) as orders:
        order = Order.from_line(orders.readline())
    threading.Thread(target=_end_with_the_console, daemon=True).start()
    teller = Teller()
    try:
        compile_list(order, teller)
    except LfrError as error:
        teller.say("refused", code=error.code, message=packed(error.message), hint=packed(error.hint))
    except MemoryError:
        teller.say(
            "refused", code="watchlist_too_large", message="the list does not fit into memory", hint=""
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
