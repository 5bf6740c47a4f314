"""Numbered formats of what lies on the disk: which one a file has, how an older one is brought forward, and the
refusal of a newer one.

Every file says its format. A room names its file's :class:`Ladder`; what an older release wrote climbs it when it is
read, step by step, and is written in the newest format from then on. What a newer release wrote is refused by every
room with the same code, before anything is changed: an older program would drop what it does not know.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lfr_edge.errors import ConfigError
from lfr_edge.sentences import say

Document = dict[str, Any]
Step = Callable[[Document], Document]


@dataclass(frozen=True, slots=True)
class Ladder:
    """The formats of one kind of file, 1 to :attr:`newest`.

    `steps[n - 1]` turns a document of format n into one of n + 1; a step is pure and never changed once released.
    `unnumbered`: files of format 1 do not say what they are.
    """

    title: str  # "lfr-edge trust"; a file says title, `between` and the number
    steps: tuple[Step, ...] = ()
    between: str = " "
    unnumbered: bool = False

    @property
    def newest(self) -> int:
        return len(self.steps) + 1

    @property
    def stamp(self) -> str:
        """What a file of the newest format says."""
        return f"{self.title}{self.between}{self.newest}"

    def number(self, said: object) -> int:
        """Raises ValueError for what is no format of this kind of file."""
        if said is None and self.unnumbered:
            return 1
        found = re.fullmatch(f"{re.escape(self.title + self.between)}([1-9][0-9]{{0,5}})", str(said))
        if found is None:
            raise ValueError(f"not a {self.title}")
        return int(found[1])

    def climb(self, raw: Document, where: Path) -> Document:
        """`raw` in the newest format.

        Raises:
            ConfigError: ``format_newer``. ValueError: it is another kind of file.
        """
        number = self.number(raw.get("format"))
        refuse_newer(number, self.newest, where)
        for step in self.steps[number - 1 :]:
            raw = step(raw)
        return {**raw, "format": self.stamp}


def refuse_newer(found: int, newest: int, where: Path) -> None:
    """Raises ConfigError ``format_newer``."""
    if found > newest:
        raise ConfigError(
            "format_newer",
            say(
                "{where} has format {found}, and this release reads up to {newest}",
                where=where, found=found, newest=newest,
            ),
            hint="a newer release wrote it: start that one (lfr-edge-install status), and leave the file as it is",
        )  # fmt: skip


def climb_database(db: sqlite3.Connection, steps: Sequence[Sequence[str]], where: Path) -> int:
    """Bring a database to the newest format, each step in one transaction; the format it had.

    `steps[n]` are the statements that turn format n into n + 1; 0 is an empty file, or one from before formats were
    numbered. The number lies in ``user_version`` and changes with its step, or not at all.

    Raises:
        ConfigError: ``format_newer``; nothing is changed. sqlite3.Error.
    """
    (found,) = db.execute("PRAGMA user_version").fetchone()
    refuse_newer(int(found), len(steps), where)
    for number in range(int(found), len(steps)):
        db.execute("BEGIN IMMEDIATE")
        try:
            for statement in steps[number]:
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {number + 1}")
        except BaseException:
            db.rollback()
            raise
        db.commit()
    return int(found)
