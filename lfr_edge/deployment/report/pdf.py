"""The same document on paper: A4, figures with their definitions, the record's root at the foot of every page."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from functools import cache, partial
from typing import Any, Final
from xml.sax.saxutils import escape

from reportlab.graphics.shapes import Drawing, PolyLine, Rect, String
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    KeepTogether,
    PageTemplate,
    Paragraph,
    Spacer,
)
from reportlab.platypus import Table as Grid

from lfr_edge.deployment.report.document import Bar, Chart, Document, Fact, Lettering, Section, Table

# The fonts that come with ReportLab: embedded, so that the paper looks the same everywhere.
PLAIN: Final = "Vera"
BOLD: Final = "VeraBd"
MARGIN: Final = 16 * mm
WIDTH: Final = A4[0] - 2 * MARGIN
_INKS: Final = {
    "main": "#1f5fa8",
    "second": "#147a72",
    "warn": "#b3441b",
    "quiet": "#9aa5b3",
    "grid": "#d9dee5",
    "text": "#1b2430",
}
_SOFT: Final = "#56616f"
_WIDEST: Final = 9  # columns that fit upright at a readable size


def pdf(document: Document) -> bytes:
    """One file; the same bytes for the same document."""
    _fonts()
    out = io.BytesIO()
    template = BaseDocTemplate(
        out,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=22 * mm,
        title=_writable(document.title),
        subject=_writable(document.subtitle),
        author="",
        creator="lfr-edge",
        lang="en-GB",
        invariant=1,
    )
    frame = Frame(MARGIN, 22 * mm, WIDTH, A4[1] - 22 * mm - MARGIN, 0, 0, 0, 0)
    foot = partial(_foot, document)
    template.addPageTemplates([PageTemplate("page", [frame], onPage=foot)])
    template.build(_story(document))
    return out.getvalue()


@cache
def _fonts() -> None:
    for name in (PLAIN, BOLD):
        pdfmetrics.registerFont(TTFont(name, f"{name}.ttf"))
    pdfmetrics.registerFontFamily(PLAIN, normal=PLAIN, bold=BOLD, italic=PLAIN, boldItalic=BOLD)


@cache
def _known() -> frozenset[int]:
    _fonts()
    return frozenset(pdfmetrics.getFont(PLAIN).face.charToGlyph)


def _writable(text: str) -> str:
    """The text in letters that the font has: a Welsh ŵ loses its hat rather than its place."""
    known = _known()
    out = []
    for letter in text:
        plain = letter if ord(letter) in known else unicodedata.normalize("NFKD", letter)
        out.append("".join(part for part in plain if ord(part) in known) or "?")
    return "".join(out)


def _p(text: str, style: ParagraphStyle) -> Paragraph:
    return Paragraph(escape(_writable(text)), style)


@cache
def _style(
    size: float, bold: bool = False, ink: str = _INKS["text"], after: float = 0, right: bool = False
) -> Any:
    return ParagraphStyle(
        f"s{size}{bold}{ink}{after}{right}", fontName=BOLD if bold else PLAIN, fontSize=size, leading=size * 1.35,
        textColor=HexColor(ink), spaceAfter=after, alignment=2 if right else 0, splitLongWords=True,
    )  # fmt: skip


def _story(document: Document) -> list[Flowable]:
    story: list[Flowable] = [
        _p(document.title, _style(19, True)),
        Spacer(1, 3),
        _p(document.subtitle, _style(10.5, ink=_SOFT, after=10)),
    ]
    if document.notices:
        lines = [[_p(notice, _style(9))] for notice in document.notices]
        story.append(
            Grid(
                lines,
                [WIDTH],
                style=[
                    ("LINEBEFORE", (0, 0), (0, -1), 3, HexColor(_INKS["warn"])),
                    ("BACKGROUND", (0, 0), (-1, -1), HexColor("#f4f6f9")),
                    ("LEFTPADDING", (0, 0), (-1, -1), 10),
                ],
            )
        )
        story.append(Spacer(1, 10))
    if document.headline:
        story += [_heads(document.headline), Spacer(1, 4)]
    for section in document.sections:
        story += _section(section)
    if document.record:
        text = (
            "Every figure was counted from the signed audit log, and from nothing else."
            " Whoever holds the log can check it and make this report again."
        )
        story += [*_heading("The record"), _p(text, _style(9, after=4)), _facts(document.record)]
    return story


def _heads(facts: Sequence[Fact]) -> Grid:
    across = 3
    cells = [
        [
            _p(fact.label, _style(8, ink=_SOFT)),
            _p(fact.value, _style(15 if len(fact.value) < 14 else 10, True)),
            _p(fact.meaning, _style(6.8, ink=_SOFT)),
        ]
        for fact in facts
    ]
    rows = [cells[start : start + across] for start in range(0, len(cells), across)]
    rows[-1] += [[]] * (across - len(rows[-1]))
    return Grid(
        rows,
        [WIDTH / across] * across,
        style=[
            ("GRID", (0, 0), (-1, -1), 0.5, HexColor(_INKS["grid"])),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("TOPPADDING", (0, 0), (-1, -1), 5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
        ],
    )


def _heading(title: str) -> list[Flowable]:
    rule = Grid([[_p(title, _style(12, True))]], [WIDTH], style=[
        ("LINEABOVE", (0, 0), (-1, 0), 1.2, HexColor(_INKS["text"])),
        ("LEFTPADDING", (0, 0), (-1, -1), 0), ("TOPPADDING", (0, 0), (-1, -1), 6),
    ])  # fmt: skip
    rule.keepWithNext = True
    return [Spacer(1, 14), rule]


def _section(section: Section) -> list[Flowable]:
    story = _heading(section.title)
    story += [_p(text, _style(9, after=3)) for text in section.text]
    for chart in section.charts:
        words = [_p(chart.title, _style(9, True)), _p(chart.told, _style(8, ink=_SOFT, after=2))]
        story.append(KeepTogether([*words, _drawing(chart), Spacer(1, 8)]))
    if section.facts:
        story.append(_facts(section.facts))
    for table in section.tables:
        caption = _p(table.caption, _style(8.5, True))
        caption.keepWithNext = True
        story += [Spacer(1, 7), caption, Spacer(1, 2), _table(table)]
    return story


def _facts(facts: Sequence[Fact]) -> Grid:
    rows = [
        [
            _p(fact.label, _style(8.5)),
            _p(fact.value, _style(8.5, True)),
            _p(fact.meaning, _style(7.5, ink=_SOFT)),
        ]
        for fact in facts
    ]
    return Grid(rows, [WIDTH * 0.28, WIDTH * 0.27, WIDTH * 0.45], style=_LINES)


def _table(table: Table) -> Grid:
    size = 7.5 if len(table.columns) <= _WIDEST else 6.3
    head = [
        _p(name, _style(size, True, _SOFT, right=index in table.numeric))
        for index, name in enumerate(table.columns)
    ]
    body = [
        [_p(cell, _style(size, right=index in table.numeric)) for index, cell in enumerate(row)]
        for row in table.rows
    ]
    return Grid([head, *body], _widths(table, size), repeatRows=1, style=_LINES)


def _widths(table: Table, size: float) -> list[float]:
    """By the longest word (never broken where it fits) and the whole text of each column."""
    need = []
    for index, name in enumerate(table.columns):
        texts = [name, *(row[index] for row in table.rows)]
        longest = max((len(word) for text in texts for word in text.split()), default=1)
        whole = max(len(text) for text in texts)
        need.append(max(longest + 2, min(whole, 3 * longest + 6, 60)) * size * 0.6 + 4)
    scale = WIDTH / sum(need)
    return [width * scale for width in need]


_LINES: Final = [
    ("LINEBELOW", (0, 0), (-1, -1), 0.4, HexColor(_INKS["grid"])),
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ("RIGHTPADDING", (0, 0), (-1, -1), 8),
    ("TOPPADDING", (0, 0), (-1, -1), 2.5),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
]


def _drawing(chart: Chart) -> Drawing:
    scale = WIDTH / chart.width
    drawing = Drawing(WIDTH, chart.height * scale)
    for mark in chart.marks:
        ink: Color = HexColor(_INKS[mark.ink])
        if isinstance(mark, Bar):
            bottom = (chart.height - mark.y - mark.height) * scale
            bar = Rect(mark.x * scale, bottom, mark.width * scale, mark.height * scale, fillColor=ink)
            bar.strokeColor = None
            drawing.add(bar)
        elif isinstance(mark, Lettering):
            if mark.ink == "quiet":
                ink = HexColor(_SOFT)
            at = (mark.x * scale, (chart.height - mark.y) * scale)
            words = String(*at, _writable(mark.text), fontName=PLAIN, fontSize=11 * scale, fillColor=ink)
            words.textAnchor = mark.anchor
            drawing.add(words)
        else:
            flat = [value for x, y in mark.points for value in (x * scale, (chart.height - y) * scale)]
            line = PolyLine(flat, strokeColor=ink, strokeWidth=mark.width * scale)
            line.strokeDashArray = [4, 3] if mark.dashed else None
            drawing.add(line)
    return drawing


def _foot(document: Document, canvas: Canvas, template: BaseDocTemplate) -> None:
    canvas.saveState()
    canvas.setFont(PLAIN, 6.5)
    canvas.setFillColor(HexColor(_SOFT))
    named = document.record[0] if document.record else None
    if named is not None:
        more = f" and {len(document.record) - 1} more" if len(document.record) > 1 else ""
        canvas.drawString(MARGIN, 13 * mm, _writable(f"{named.label}{more}: {named.value}"))
        canvas.drawString(MARGIN, 10 * mm, _writable(named.meaning))
    canvas.drawRightString(A4[0] - MARGIN, 13 * mm, f"{template.page}")
    canvas.restoreState()


# For other paper of this house: the same letters everywhere.
fonts, writable = _fonts, _writable
