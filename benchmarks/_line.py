"""The one place that says where and with what a figure was measured, and how a benchmark is called."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from lfr_edge.settings.recognition import MOST_RECOGNISERS
from lfr_edge.vision.threads import available_cpus

REPOSITORY: Final = Path(__file__).resolve().parents[1]
RESULTS: Final = Path(__file__).resolve().parent / "results"
QUICK_S: Final = 60.0  # what --quick promises, start to end
_PACKAGES: Final = (
    "lfr-edge",
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "opencv-python-headless",
    "av",
    "faiss-cpu",
)


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    made = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    made.add_argument("--quick", action="store_true", help="a rough figure within 60 s")
    made.add_argument("--json", action="store_true", help="only the JSON line, no progress on stderr")
    made.add_argument("--threads", type=int, default=1, metavar="N", help="of every network (default: 1)")
    made.add_argument("--pack", default="default", metavar="NAME", help="model pack (default: default)")
    made.add_argument("--write", action="store_true", help="also add the line to benchmarks/results/")
    return made


def at_least_one(text: str) -> int:
    """An option's number of things. Raises ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def recognisers(text: str) -> int:
    """As models.recognisers. Raises ArgumentTypeError."""
    if not text.isdecimal() or int(text) > MOST_RECOGNISERS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {MOST_RECOGNISERS}")
    return int(text)


class Report:
    """Collects one JSON line. Times the whole program, and says how busy the machine was."""

    def __init__(self, name: str, args: argparse.Namespace) -> None:
        self.name = name
        self._args = args
        self._began = time.perf_counter()
        self._began_cpu = time.process_time()
        self._load = os.getloadavg()[0]

    def say(self, text: str) -> None:
        if not self._args.json:
            print(f"{self.name}: {text}", file=sys.stderr, flush=True)

    @property
    def elapsed_s(self) -> float:
        return time.perf_counter() - self._began

    def time_left(self, full_s: float) -> bool:
        """Whether another round may start: a quick run stops early rather than break its promise."""
        return self.elapsed_s < (QUICK_S * 0.55 if self._args.quick else full_s)

    def emit(
        self, figures: dict[str, Any], *, shapes: dict[str, Any] | None = None, precision: str = "fp32"
    ) -> None:
        line = {
            "benchmark": self.name,
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
            "quick": self._args.quick,
            "commit": commit(),
            "hardware": hardware()
            | {"load_before": round(self._load, 2), "load_after": round(os.getloadavg()[0], 2)},
            "versions": versions(),
            "threads": self._args.threads,
            "precision": precision,
            "shapes": shapes or {},
            "took_s": round(self.elapsed_s, 1),
            "took_cpu_s": round(time.process_time() - self._began_cpu, 1),
            **figures,
        }
        text = json.dumps(line, separators=(",", ":"), default=_plain)
        print(text, flush=True)
        if self._args.write:
            RESULTS.mkdir(exist_ok=True)
            day = datetime.now(UTC).date().isoformat()
            with (RESULTS / f"{day}-{self.name}.jsonl").open("a", encoding="utf-8") as file:
                file.write(text + "\n")


def hardware() -> dict[str, Any]:
    return {
        "cpu": _cpu_model(),
        "machine": platform.machine(),
        "cpus_granted": available_cpus(),
        "cpus_present": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpu": _gpu(),
    }


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.release()}"}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def commit() -> str:
    """Of the working tree; with a + where tracked files differ from it."""
    try:
        name = _git("rev-parse", "--short", "HEAD")
        return name + ("+" if _git("status", "--porcelain", "--untracked-files=no", "--", "lfr_edge") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def spread(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """Median with the least and the largest: what a ratio is quoted with."""
    return {
        "median": round(statistics.median(values), digits),
        "low": round(min(values), digits),
        "high": round(max(values), digits),
        "n": len(values),
    }


def percentiles(values: Sequence[float], digits: int = 2) -> dict[str, float | None]:
    if not len(values):
        return {"p50": None, "p95": None, "p99": None}
    found = np.percentile(np.asarray(values, np.float64), (50, 95, 99))
    return {
        f"p{share}": round(float(value), digits) for share, value in zip((50, 95, 99), found, strict=True)
    }


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    fields = (line.partition(":") for line in lines)
    return next(
        (value.strip() for key, _, value in fields if key.strip() in {"model name", "Model"}),
        platform.processor(),
    )


def _gpu() -> str:
    """What the driver lists, empty where there is none."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
        return "; ".join(done.stdout.split("\n")).strip("; ")
    except (OSError, subprocess.SubprocessError):
        return ""


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    return str(value)
