"""Which language a page is in: the reader's choice, kept in a cookie, or what their browser asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import jinja2
from aiohttp import web

from lfr_edge.console.keys import PORTS, RULES, SPOKEN
from lfr_edge.console.sayings import Sayings
from lfr_edge.console.texts import ENGLISH, LANGUAGES, Texts

COOKIE: Final = (
    "lfr-language"  # no secret and no identity: it survives the sign-out, as a van's screen should
)
_YEAR_S: Final = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Spoken:
    """The console in one language."""

    texts: Texts
    said: Sayings
    pages: jinja2.Environment


def spoken(request: web.Request) -> Spoken:
    return request.app[SPOKEN][language_of(request)]


def language_of(request: web.Request) -> str:
    chosen = request.cookies.get(COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    for wanted in request.headers.get("Accept-Language", "")[:200].split(","):
        code = wanted.split(";")[0].strip().lower()[:2]
        if code in LANGUAGES:
            return code
    return ENGLISH


def inside(request: web.Request, path: str) -> str:
    """`path` where it is one of our own pages, else the start page: no form leads elsewhere."""
    page = f"GET {path}" in request.app[RULES] and "{" not in path and not path.startswith(("/api/", "/live"))
    return path if page else "/"


async def choose_language(request: web.Request) -> web.StreamResponse:
    """Keep the reader's language and show the page again."""
    form = await request.post()
    language, path = form.get("language"), form.get("next")
    response = web.HTTPSeeOther(inside(request, path) if isinstance(path, str) else "/")
    if isinstance(language, str) and language in LANGUAGES:
        secure = request.app[PORTS].tls
        response.set_cookie(
            COOKIE, language, max_age=_YEAR_S, path="/", secure=secure, httponly=True, samesite="Strict"
        )
    raise response


ROUTES: Final = {"POST /language": choose_language}
