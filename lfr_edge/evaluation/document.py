"""The shell of every evaluation page: one file, no script, no request; on screens, telephones and paper."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

# Blue and orange of each scheme have at least 3:1 against its ground (WCAG 1.4.11).
_STYLE: Final = """
:root { color-scheme: light dark; --listed: #0b6e99; --stranger: #b3541e; }
@media (prefers-color-scheme: dark) { :root { --listed: #4fb4de; --stranger: #e5935c; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3, p, th, td { overflow-wrap: break-word; } h1, h2, h3 { line-height: 1.25; break-after: avoid; }
.wide { overflow-x: auto; margin: 1rem 0; } table { border-collapse: collapse; }
th, td { text-align: left; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid #8886; vertical-align: top; }
th, td { min-width: 3.5rem; } td:first-child { max-width: 22rem; } .n { text-align: right; }
.n { font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: 1rem 0; break-inside: avoid; } tr { break-inside: avoid; }
svg { max-width: 100%; height: auto; } svg text { font-size: 12px; fill: currentColor; }
.axis { stroke: currentColor; fill: none; } .grid { stroke: #8884; }
.mated, .nonmated { fill-opacity: .27; } .mated { stroke: var(--listed); fill: var(--listed); }
.nonmated { stroke: var(--stranger); fill: var(--stranger); }
.curve { stroke: var(--listed); fill: none; stroke-width: 2; }
.span { stroke: var(--listed); stroke-width: 3; } .dot { fill: var(--listed); }
@media (max-width: 40rem) { figure { overflow-x: auto; } svg { min-width: 34rem; } }
@media print { body { font-size: 11pt; margin: 0; max-width: none; } .wide { overflow: visible; } }
"""


def document(title: str, parts: Sequence[str]) -> str:
    """The whole file; `parts` are HTML."""
    head = (
        "<meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    )
    body = "\n".join(parts)
    return (
        f"<!doctype html>\n<html lang='en'><head>{head}</head><body><main>\n{body}\n</main></body></html>\n"
    )
