"""The public notice: readable by anybody who stands before the van, and never about a person."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from aiohttp import web

from lfr_edge.console.keys import PORTS
from lfr_edge.console.language import spoken
from lfr_edge.console.pages import render
from lfr_edge.console.sayings import Sayings
from lfr_edge.deployment.notice import SIZES, Notice, poster
from lfr_edge.deployment.notice.poster import say_hours
from lfr_edge.errors import DeploymentError


def _notice(request: web.Request) -> Notice | None:
    notice_now = request.app[PORTS].notice_now
    return notice_now() if notice_now is not None else None


def in_language(told: Notice, said: Sayings) -> Notice:
    """With the closed words of the policy in the reader's language; place, zone and legal basis are the authority's."""
    return replace(
        told,
        day=said(told.day).text,
        end=said(told.end).text,
        use_case=said(told.use_case).text,
        why=said(told.why).text,
        categories=tuple((said(title).text, said(meaning).text) for title, meaning in told.categories),
    )


async def notice(request: web.Request) -> web.Response:
    """What is going on here, or that nothing is."""
    told, language = _notice(request), spoken(request)
    told = told and in_language(told, language.said)
    kept = say_hours(told, language.texts) if told is not None else ""
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
    made = await asyncio.to_thread(
        poster, in_language(told, spoken(request).said), size, spoken(request).texts
    )
    return web.Response(body=made, content_type="application/pdf")


ROUTES: Final = {"GET /notice": notice, "GET /notice/poster-{size}.pdf": sheet}
