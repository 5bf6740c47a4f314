"""What commands that run networks have in common: which pack, from where, and a bar for the wait."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lfr_edge.settings import Settings, load_settings


def add_pack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pack", default="default", metavar="NAME", help="installed model pack (default: default)"
    )
    parser.add_argument(
        "--store",
        type=Path,
        default=Path("var/models"),
        metavar="DIR",
        help="folder of packs (default: var/models)",
    )


def add_box(parser: argparse.ArgumentParser) -> None:
    """For what measures: the networks as a box's service runs them. Read by :func:`box_of`."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="measure what this configuration runs: its pack, store, providers, graph and threads",
    )


def box_of(args: argparse.Namespace) -> Settings | None:
    """The configuration that was named, if one was. Raises ConfigError."""
    config: Path | None = getattr(args, "config", None)
    return load_settings(config) if config else None


def progress_bar() -> Progress:
    """On the error stream, so that --json can be piped; silent where nobody looks."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())


def counting(bar: Progress, what: str, total: int | None = None) -> Callable[[int, int], None]:
    """A new line of the bar, which is told (done, total)."""
    task = bar.add_task(what, total=total)
    return lambda done, total: bar.update(task, completed=done, total=total)


def counting_each(bar: Progress, parts: Iterable[str]) -> Callable[[str, int, int], None]:
    """A line of the bar for each part; it is told (part, done, total)."""
    lines = {part: counting(bar, part) for part in parts}
    return lambda part, done, total: lines[part](done, total)
