"""Progress of long work that comes in named steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def steps(total: int | None) -> Iterator[Callable[[str], None]]:
    """A bar on the error stream, so that --json has standard output to itself; each call begins the next step."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (SpinnerColumn(), BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.description}"), console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=total)
        begun = 0

        def step(message: str) -> None:
            nonlocal begun
            # npm's own wheel is a step that nobody counted: the bar must not run past its end.
            begun = min(begun + 1, total or begun + 1)
            bar.update(task, description=message, completed=begun - 1)

        yield step
        bar.update(task, completed=total)
