"""Closed logs on paper: print the sheet, sign it, confirm it here with the end of its code.

The code is not on the page before it is confirmed: whoever confirms has read it from the sheet.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import segno
from aiohttp import web
from markupsafe import Markup
from pydantic import Field

from lfr_edge.console.bodies import Body, read_body
from lfr_edge.console.door.guard import session_of
from lfr_edge.console.keys import PORTS, RULES
from lfr_edge.console.pages import render
from lfr_edge.deployment.ending.anchor_sheet import sheet
from lfr_edge.deployment.ending.anchors import Anchor, Anchors
from lfr_edge.errors import DeploymentError


class CodeBody(Body):
    code: Annotated[str, Field(min_length=1, max_length=60)]


def _anchors(request: web.Request) -> Anchors:
    anchors = request.app[PORTS].anchors
    if anchors is None:
        raise DeploymentError("anchor_unknown", "this console keeps no record of its own")
    return anchors


async def page(request: web.Request) -> web.Response:
    """Every closed deployment with the state of its sheet."""
    anchors = request.app[PORTS].anchors
    found = await asyncio.to_thread(anchors.all) if anchors is not None else ()
    may = request.app[RULES]["POST /anchors/{deployment}/sheet"].admits(session_of(request).role)
    squares = {one.deployment: _square(one) for one in found if one.confirmed_by}
    return render(request, "anchors.html", anchors=found, may=may, squares=squares)


async def printed(request: web.Request) -> web.Response:
    """The sheet; that it was given out is on the record first."""
    anchors, name = _anchors(request), request.match_info["deployment"]
    anchor = await asyncio.to_thread(anchors.printed, name, session_of(request).actor)
    made = await asyncio.to_thread(sheet, anchor)
    headers = {"Content-Disposition": f'attachment; filename="anchor-{anchor.deployment}.pdf"'}
    return web.Response(body=made, content_type="application/pdf", headers=headers)


async def confirm(request: web.Request) -> web.Response:
    """Confirm that the sheet is signed; the body holds the last two groups of its code."""
    body = await read_body(request, CodeBody)
    anchors, name = _anchors(request), request.match_info["deployment"]
    anchor = await asyncio.to_thread(anchors.confirm, name, body.code, session_of(request).actor)
    return web.json_response({"deployment": anchor.deployment, "code": anchor.code})


def _square(anchor: Anchor) -> Markup:
    made = segno.make(anchor.text, error="m", micro=False)
    drawn = made.svg_inline(omitsize=True, border=2, light="#fff", svgclass="square", title="QR")
    return Markup(drawn)  # noqa: S704  # our own drawing of digits and letters


ROUTES: Final = {
    "GET /anchors": page,
    "POST /anchors/{deployment}/sheet": printed,
    "POST /api/anchors/{deployment}/confirm": confirm,
}
