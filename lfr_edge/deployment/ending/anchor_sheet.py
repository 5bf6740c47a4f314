"""The sheet that the deployment officer signs: the code large enough to copy by hand, and as a square."""

from __future__ import annotations

import io
from typing import Final

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from lfr_edge.audit.note import encode64
from lfr_edge.clock import utc_text
from lfr_edge.deployment.ending.anchors import Anchor
from lfr_edge.deployment.ending.paper import draw_code, paragraph
from lfr_edge.deployment.report.pdf import BOLD, PLAIN, fonts, writable

_EDGE: Final = 20 * mm
_WIDTH, _HEIGHT = A4
_SIDE: Final = 52 * mm
_INK, _SOFT = "#12171e", "#46525f"
_ROWS: Final = 2  # of four groups each


def sheet(anchor: Anchor) -> bytes:
    """One A4 page of PDF; the same bytes for the same head."""
    fonts()
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1, lang="en-GB")
    canvas.setTitle(writable(f"Anchor of {anchor.origin}"))
    canvas.setCreator("lfr-edge")
    y = _HEIGHT - _EDGE
    y = _put(canvas, "The end of a record, for signature", 20, y, bold=True)
    y = _put(canvas, anchor.origin, 12, y - 2 * mm)
    y = _put(
        canvas,
        f"closed {utc_text(anchor.closed_us * 1000)[:19].replace('T', ' ')} UTC",
        10,
        y - 1 * mm,
        _SOFT,
    )
    y -= 10 * mm
    draw_code(canvas, anchor.text, _EDGE, y - _SIDE, _SIDE)
    x, groups = _EDGE + _SIDE + 10 * mm, anchor.code.split()
    per_row = len(groups) // _ROWS
    for row in range(_ROWS):
        canvas.setFont(BOLD, 19)
        canvas.setFillColor(HexColor(_INK))
        canvas.drawString(
            x, y - 15 * mm - row * 12 * mm, "  ".join(groups[row * per_row : (row + 1) * per_row])
        )
    canvas.setFont(PLAIN, 9)
    canvas.setFillColor(HexColor(_SOFT))
    canvas.drawString(x, y - 42 * mm, f"{anchor.head.size:,} entries")
    canvas.drawString(x, y - 47 * mm, f"root {encode64(anchor.head.root)}")
    y = _put(canvas, _WORDS, 10.5, y - _SIDE - 10 * mm)
    _lines(canvas, y - 18 * mm)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


_WORDS: Final = (
    "The code stands for every entry of this deployment's audit log. Sign this sheet, keep it away from the box, and"
    " confirm on the console's page Anchors. Later anybody can check the log against it:"
    " lfr-edge audit verify LOG --code \"THE CODE\". If one entry was changed, the code does not fit."
)  # fmt: skip


def _lines(canvas: Canvas, y: float) -> None:
    canvas.setStrokeColor(HexColor(_INK))
    canvas.setLineWidth(0.6)
    canvas.setFont(PLAIN, 9)
    canvas.setFillColor(HexColor(_SOFT))
    third = (_WIDTH - 2 * _EDGE - 2 * 8 * mm) / 3
    for column, name in enumerate(("Name and rank", "Date and time", "Signature")):
        x = _EDGE + column * (third + 8 * mm)
        canvas.line(x, y, x + third, y)
        canvas.drawString(x, y - 5 * mm, name)


def _put(canvas: Canvas, words: str, size: float, y: float, ink: str = _INK, *, bold: bool = False) -> float:
    made = paragraph(words, size, ink, bold=bold)
    _, tall = made.wrap(_WIDTH - 2 * _EDGE, _HEIGHT)
    made.drawOn(canvas, _EDGE, y - tall)
    below: float = y - tall
    return below
