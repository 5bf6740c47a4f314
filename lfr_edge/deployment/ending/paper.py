"""What every sheet of paper of this house shares: a paragraph in our letters, and a square code."""

from __future__ import annotations

from xml.sax.saxutils import escape

import segno
from reportlab.lib.colors import HexColor
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph

from lfr_edge.deployment.report.pdf import BOLD, PLAIN, writable


def draw_code(canvas: Canvas, text: str, x: float, y: float, side: float) -> None:
    """`text` as a QR code, its lower left corner at (x, y): dark squares on the paper, quiet zone included."""
    rows = [list(row) for row in segno.make(text, error="m", micro=False).matrix_iter(border=2)]
    step = side / len(rows)
    canvas.setFillColor(HexColor("#000000"))
    for line, row in enumerate(rows):
        for column, dark in enumerate(row):
            if dark:
                canvas.rect(x + column * step, y + side - (line + 1) * step, step, step, stroke=0, fill=1)


def paragraph(words: str, size: float, ink: str, *, bold: bool = False) -> Paragraph:
    style = ParagraphStyle(
        "paper",
        fontName=BOLD if bold else PLAIN,
        fontSize=size,
        leading=size * 1.3,
        textColor=HexColor(ink),
        splitLongWords=True,
    )
    return Paragraph(escape(writable(words)), style)
