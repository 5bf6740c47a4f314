"""A benchmark's process beside others that does what it is told, failures included."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any


def child(about: dict[str, Any]) -> Callable[[dict[str, Any]], Callable[[], dict[str, Any]]]:
    """`about` and jobs may name what to do while ``opening``, ``preparing`` and ``measuring``."""
    _do(about.get("opening"))

    def prepare(job: dict[str, Any]) -> Callable[[], dict[str, Any]]:
        print("a library's noise on the output")
        _do(job.get("preparing"))
        prepared_ns = time.monotonic_ns()

        def measure() -> dict[str, Any]:
            began_ns = time.monotonic_ns()
            _do(job.get("measuring"))
            return {
                "number": job["number"],
                "pid": os.getpid(),
                "prepared_ns": prepared_ns,
                "began_ns": began_ns,
                "long": "x" * job.get("long", 0),
            }

        return measure

    return prepare


def _do(what: str | None) -> None:
    if what == "raise":
        print("Something before it", file=sys.stderr)
        raise ValueError("the card fell out")
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "hang":
        time.sleep(600)
    if what == "linger":
        time.sleep(0.3)
