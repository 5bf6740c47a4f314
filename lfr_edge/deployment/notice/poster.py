"""The poster for the ways into the zone: A4 for a window, A2 for a sign, read from across a street."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Final, Literal, TypeAlias, get_args

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph

from lfr_edge.deployment.ending.paper import draw_code, paragraph
from lfr_edge.deployment.keeping.retention import hours
from lfr_edge.deployment.notice.notice import Notice
from lfr_edge.deployment.report.pdf import fonts, writable

Size: TypeAlias = Literal["a4", "a2"]
SIZES: Final[tuple[Size, ...]] = get_args(Size)
Say: TypeAlias = Callable[..., str]  # (key, **values) → the text in one language
_SCALE: Final[dict[Size, float]] = {"a4": 1.0, "a2": 2.0}  # ISO 216: A2 is A4 twice as wide and as high
_INK, _SOFT, _GROUND, _PALE, _WARN = ("#12171e", "#46525f", "#12283f", "#cfdbe8", "#b3441b")
_EDGE: Final = 16 * mm
_WIDTH, _HEIGHT = A4
_GAP: Final = 10 * mm
_CODE: Final = 40 * mm
_LISTED: Final = 8  # categories in lines of their own
_PROSE: Final = 320  # characters
_LARGEST: Final = 1.2  # where there is room
_SMALLEST: Final = 0.6  # of the text's size; below that a poster is no poster


def poster(notice: Notice, size: Size, say: Say) -> bytes:
    """One page of PDF; the same bytes for the same notice."""
    fonts()
    out = io.BytesIO()
    scale = _SCALE[size]
    canvas = Canvas(out, pagesize=(_WIDTH * scale, _HEIGHT * scale), invariant=1, lang="en-GB")
    canvas.setTitle(writable(f"{say('notice.title')}: {notice.place}"))
    canvas.setCreator("lfr-edge")
    canvas.scale(scale, scale)
    top = _band(canvas, notice, say)
    foot = _foot(canvas, notice, say)
    _columns(canvas, notice, say, top - 8 * mm, foot + 6 * mm)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def _band(canvas: Canvas, notice: Notice, say: Say) -> float:
    """The dark head; returns where it ends."""
    words = [
        paragraph(say("notice.title"), 30, "#ffffff", bold=True),
        paragraph(notice.place, 19, "#ffffff", bold=True),
        paragraph(say("notice.when_line", day=notice.day, start=notice.start, end=notice.end), 16, _PALE),
    ]
    inside = _WIDTH - 2 * _EDGE
    sizes = [one.wrap(inside, _HEIGHT)[1] for one in words]
    height = sum(sizes) + 4 * mm * len(words) + 22 * mm
    canvas.setFillColor(HexColor(_GROUND))
    canvas.rect(0, _HEIGHT - height, _WIDTH, height, stroke=0, fill=1)
    y = _HEIGHT - 14 * mm
    for one, tall in zip(words, sizes, strict=True):
        one.drawOn(canvas, _EDGE, y - tall)
        y -= tall + 4 * mm
    bottom: float = _HEIGHT - height
    if notice.evaluation:
        canvas.setFillColor(HexColor(_WARN))
        canvas.rect(0, bottom - 9 * mm, _WIDTH, 9 * mm, stroke=0, fill=1)
        line = paragraph(say("notice.evaluation"), 11.5, "#ffffff", bold=True)
        _, tall = line.wrap(inside, 9 * mm)
        line.drawOn(canvas, _EDGE, bottom - 4.5 * mm - tall / 2)
        bottom -= 9 * mm
    return bottom


def _columns(canvas: Canvas, notice: Notice, say: Say, top: float, bottom: float) -> None:
    width = (_WIDTH - 2 * _EDGE - _GAP) / 2
    sides, _ = fitted(notice, say, width, top - bottom)
    for number, side in enumerate(sides):
        y = top
        for one, gap in side:
            _, height = one.wrap(width, _HEIGHT)
            one.drawOn(canvas, _EDGE + number * (width + _GAP), y - height)
            y -= height + gap


def fitted(
    notice: Notice, say: Say, width: float, room: float
) -> tuple[list[list[tuple[Paragraph, float]]], bool]:
    """Two columns, set smaller only where the words need it, and whether they fit."""
    factor = _LARGEST
    while True:
        sides = [_set(side, factor) for side in _sides(notice, say)]
        tall = max(sum(one.wrap(width, _HEIGHT)[1] + gap for one, gap in side) for side in sides)
        if tall <= room or factor <= _SMALLEST:
            return sides, tall <= room
        factor -= 0.04


def _sides(notice: Notice, say: Say) -> tuple[list[tuple[str, list[str]]], list[tuple[str, list[str]]]]:
    titles = [title for title, _ in notice.categories]
    listed = [f"•  {title}" for title in titles] if len(titles) <= _LISTED else ["; ".join(titles)]
    if notice.under_18:
        listed.append(say("notice.under_18"))
    left = [
        (say("notice.what"), [say("notice.what_text")]),
        (say("notice.where"), [_short(notice.zone)]),
        (say("notice.why"), [f"{notice.use_case}. {notice.why}"]),
        (say("notice.law"), [_short(notice.legal_basis)]),
    ]
    kept = say_hours(notice, say)
    right = [
        (say("notice.whom"), [say("notice.whom_text", most=f"{notice.most_entries:,}"), *listed]),
        (
            say("notice.kept"),
            [say("notice.kept_none"), say("notice.kept_alert", hours=kept), say("notice.kept_list")],
        ),
        (say("notice.rights"), [say("notice.rights_text")]),
    ]
    return left, right


def say_hours(notice: Notice, say: Say) -> str:
    """``24 hours``, ``31 days``: in words, for the public."""
    number, unit = hours(notice.alert_images_h).split(" ")
    return say("notice.days" if unit == "days" else "notice.hours", n=number)


def _short(text: str) -> str:
    """To the end of a word: the whole text is on the force's page."""
    return text if len(text) <= _PROSE else text[:_PROSE].rsplit(" ", 1)[0] + " …"


def _set(side: Iterable[tuple[str, list[str]]], factor: float) -> list[tuple[Paragraph, float]]:
    """Each paragraph with the room after it."""
    made = []
    for title, texts in side:
        made.append((paragraph(title, 14 * factor, _GROUND, bold=True), 1.2 * mm))
        for number, text in enumerate(texts):
            last = number == len(texts) - 1
            made.append((paragraph(text, 11.5 * factor, _INK), (5.5 if last else 1.2) * mm * factor))
    return made


def _foot(canvas: Canvas, notice: Notice, say: Say) -> float:
    """Code, contact, force; returns where the foot begins."""
    bottom: float = 13 * mm
    canvas.setStrokeColor(HexColor(_GROUND))
    canvas.setLineWidth(1.5)
    canvas.line(_EDGE, bottom + _CODE + 5 * mm, _WIDTH - _EDGE, bottom + _CODE + 5 * mm)
    draw_code(canvas, notice.code, _EDGE, bottom, _CODE)
    words = []
    if notice.force:
        words.append(paragraph(notice.force, 15, _INK, bold=True))
    if notice.url:
        words.append(paragraph(f"{say('notice.more')} {notice.url}", 11.5, _INK))
    words.append(
        paragraph(f"{say('notice.contact')} {notice.contact or say('notice.contact_officer')}", 11.5, _INK)
    )
    words.append(paragraph(say("notice.ico"), 9.5, _SOFT))
    words.append(paragraph(say("notice.reference", operation=notice.operation), 8.5, _SOFT))
    x, y = _EDGE + _CODE + 8 * mm, bottom + _CODE
    for one in words:
        _, tall = one.wrap(_WIDTH - x - _EDGE, _CODE)
        one.drawOn(canvas, x, y - tall)
        y -= tall + 1.8 * mm
    begins: float = bottom + _CODE + 5 * mm
    return begins
