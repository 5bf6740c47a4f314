"""A report as values: sections of facts, tables and drawings. HTML and PDF are two ways to show the same one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Ink: TypeAlias = Literal["main", "second", "warn", "grid", "text", "quiet"]
Anchor: TypeAlias = Literal["start", "middle", "end"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure with its definition: neither is printed without the other."""

    label: str
    value: str
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()  # columns set flush right


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    ink: Ink


@dataclass(frozen=True, slots=True)
class Stroke:
    points: tuple[tuple[float, float], ...]
    ink: Ink
    width: float = 1.5
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Lettering:
    x: float
    y: float  # of the baseline
    text: str
    anchor: Anchor = "start"
    ink: Ink = "text"


Mark: TypeAlias = Bar | Stroke | Lettering


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing on a plane of `width` × `height` units, y downwards; `told` says in words what it shows."""

    title: str
    told: str
    marks: tuple[Mark, ...]
    width: float = 720
    height: float = 226


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    text: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """`record` is the proof of origin that every page of paper carries: log, entries, root, verdict."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    headline: tuple[Fact, ...] = ()
    record: tuple[Fact, ...] = ()
    notices: tuple[str, ...] = field(default=())
