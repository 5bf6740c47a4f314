"""The public notice: readable by anybody who stands before the van, and never about a person."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from lfr_edge.console.keys import PORTS
from lfr_edge.console.language import spoken
from lfr_edge.console.pages import render
from lfr_edge.deployment.notice import SIZES, Notice, poster
from lfr_edge.deployment.notice.poster import say_hours
from lfr_edge.errors import DeploymentError


def _notice(request: web.Request) -> Notice | None:
    notice_now = request.app[PORTS].notice_now
    return notice_now() if notice_now is not None else None


async def notice(request: web.Request) -> web.Response:
    """What is going on here, or that nothing is."""
    told = _notice(request)
    kept = say_hours(told, spoken(request).texts) if told is not None else ""
    return render(request, "notice.html", notice=told, kept=kept, sizes=SIZES)


async def sheet(request: web.Request) -> web.Response:
    """The poster, in the reader's language."""
    size, told = request.match_info["size"], _notice(request)
    if size not in SIZES:
        raise web.HTTPNotFound
    if told is None:
        raise DeploymentError(
            "notice_no_authority",
            "there is no authority, so there is nothing to announce",
            hint="load an authority",
        )
    made = await asyncio.to_thread(poster, told, size, spoken(request).texts)
    return web.Response(body=made, content_type="application/pdf")


ROUTES: Final = {"GET /notice": notice, "GET /notice/poster-{size}.pdf": sheet}
