"""Pages that need nothing but themselves: one file, no script, no address, readable aloud and on paper."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from lfr_edge.deployment.report.document import Document
from lfr_edge.deployment.report.svg import svg

# Strict: nothing is fetched, sent or run by a page that a force puts on its site.
POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("lfr_edge.deployment.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(svg=svg, policy=POLICY)
    return environment


def page(document: Document) -> str:
    return render("report.html", document=document)


def render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(**values) + "\n"
