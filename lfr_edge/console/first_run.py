"""The page of a box that has no account yet: ``lfr-edge setup --page``.

It is an application of its own, because there is no console yet: no account, no record, no configuration. Whoever
holds the one-time code that the terminal or the journal shows may answer; the code opens one browser, once. As soon
as the box has an account, every page is gone (404): from then on it is the console's door that decides.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Final, Protocol

from aiohttp import web

from lfr_edge.clock import Clock
from lfr_edge.console.door.guard import adds_headers, refuse_strangers
from lfr_edge.console.door.sessions import Tries
from lfr_edge.console.faults import too_many_tries
from lfr_edge.console.language import language_of
from lfr_edge.console.pages import environment
from lfr_edge.console.ports import LOOPBACK_NAMES
from lfr_edge.console.sayings import Sayings
from lfr_edge.console.texts import LANGUAGES, Texts
from lfr_edge.errors import AccessError, LfrError

_LOG = logging.getLogger(__name__)
CODE_LIFE_NS: Final = 3600 * 10**9
_CODE_ALPHABET: Final = (
    "ABCDEFGHJKMNPQRSTVWXYZ23456789"  # none that are read wrong aloud; 16 of them: 78 bits
)
_COOKIE: Final = "lfr-first-run"
_PAGE: Final = "/first-run"
_MAX_BODY: Final = 16 * 1024
_TYPES: Final = {".css": "text/css", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows: the answers so far, and what was found."""

    fields: Mapping[str, str]
    people: tuple[tuple[str, str], ...]  # role, names with blanks between
    missing: tuple[str, ...]  # roles without which no deployment starts
    cameras: tuple[tuple[str, str, str], ...]  # id, address without credentials, what was seen
    found: tuple[tuple[str, str, str], ...]  # service, host, what the device calls itself
    findings: tuple[tuple[str, str, str, str], ...]  # check, state, text, what to do
    verdicts: tuple[str, ...]
    exists: bool  # a configuration that would be set aside


@dataclass(frozen=True, slots=True)
class Finished:
    """**Lifetime:** shown in one answer and forgotten."""

    files: tuple[str, ...]
    device: str
    codes: tuple[tuple[str, str, str], ...]  # account, role, one-time code
    configuration: str


class FirstRun(Protocol):
    """What the page asks of the setup. Every method but :meth:`shown` and :meth:`gone` raises LfrError."""

    def gone(self) -> bool: ...

    def shown(self) -> Shown: ...

    def site(self, fields: Mapping[str, str]) -> None: ...

    def people(self, fields: Mapping[str, str]) -> None: ...

    async def find(self) -> None: ...

    async def camera(self, fields: Mapping[str, str]) -> None: ...

    def remove(self, camera: str) -> None: ...

    def check(self) -> None: ...

    def measure(self) -> None: ...

    def write(self, *, replace: bool) -> Finished: ...


@dataclass
class Door:
    """The one code and the one browser that it opened. **Thread rule:** event loop only."""

    clock: Clock
    tls: bool
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    error: LfrError | None = None  # of the last answer, shown once
    typed: Mapping[str, str] = field(
        default_factory=dict
    )  # what was refused with it, to be mended; no password
    _code: str = ""  # digests only
    _browser: str = ""
    _born_ns: int = 0

    def new_code(self) -> str:
        raw = "".join(secrets.choice(_CODE_ALPHABET) for _ in range(16))
        self._code, self._born_ns = _digest(raw), self.clock.monotonic_ns()
        return "-".join(raw[i : i + 4] for i in range(0, 16, 4))

    def open(self, code: str) -> str:
        """The cookie of the browser that brought the code. Raises AccessError ``access_code_refused``."""
        plain = code.replace("-", "").replace(" ", "").upper()
        old = self.clock.monotonic_ns() - self._born_ns > CODE_LIFE_NS
        if not self._code or old or not secrets.compare_digest(_digest(plain), self._code):
            raise AccessError(
                "access_code_refused", "this code opens nothing",
                hint="it works once and for an hour; lfr-edge setup --page shows a new one",
            )  # fmt: skip
        self._code = ""
        raw = secrets.token_urlsafe(32)
        self._browser = _digest(raw)
        return raw

    def knows(self, cookie: str) -> bool:
        return bool(self._browser) and secrets.compare_digest(_digest(cookie), self._browser)


BOX: Final[web.AppKey[FirstRun]] = web.AppKey("BOX")
DOOR: Final = web.AppKey("DOOR", Door)
TRIES: Final = web.AppKey("TRIES", Tries)
SPOKEN: Final[web.AppKey[dict[str, Any]]] = web.AppKey("SPOKEN")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build_first_run(box: FirstRun, door: Door) -> web.Application:
    app = web.Application(middlewares=[_guard], client_max_size=_MAX_BODY)
    app[BOX], app[DOOR], app[TRIES] = box, door, Tries(door.clock)
    app[SPOKEN] = {code: environment(Texts(code), Sayings(code)) for code in LANGUAGES}
    for route, (handler, _) in ROUTES.items():
        method, path = route.split(" ", 1)
        app.router.add_route(method, path, handler)
    app.on_response_prepare.append(adds_headers(tls=door.tls))
    return app


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Gone, strangers, holder: in this order, before any handler."""
    door = request.app[DOOR]
    resource = request.match_info.route.resource
    who = ROUTES[f"{request.method} {resource.canonical}"][1] if resource else "nobody"
    try:
        if who == "nobody" or (who != "asset" and request.app[BOX].gone()):
            raise web.HTTPNotFound
        refuse_strangers(request, tls=door.tls, answers_to=lambda name: door.tls or name in LOOPBACK_NAMES)
        if who == "holder" and not _holds(request):
            raise AccessError(
                "access_signed_out", "this browser did not bring the code", hint="open /first-run"
            )
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return web.Response(status=error.status, text=error.reason)
    except AccessError as error:
        return web.Response(status=429 if error.code == "access_too_many_tries" else 403, text=error.message)
    except Exception:
        _LOG.exception("a handler failed: %s %s", request.method, _route_name(request))
        return web.Response(status=500, text="the page made an error")


def _route_name(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else "unknown route"


def _holds(request: web.Request) -> bool:
    return request.app[DOOR].knows(request.cookies.get(_COOKIE, ""))


async def _start(request: web.Request) -> web.StreamResponse:
    return web.Response(status=303, headers={"Location": _PAGE})


async def _page(request: web.Request) -> web.StreamResponse:
    door = request.app[DOOR]
    error, door.error = door.error, None
    typed, door.typed = door.typed, {}
    if not _holds(request):
        return _render(request, "first_run_code.html", error=error)
    shown = await asyncio.to_thread(request.app[BOX].shown)
    return _render(request, "first_run.html", error=error, shown=shown, typed=typed)


async def _code(request: web.Request) -> web.StreamResponse:
    """Exchange the code for a cookie, once."""
    if not request.app[TRIES].allow(f"address:{request.remote}", "code"):
        raise too_many_tries()
    form = await _form(request)
    try:
        cookie = request.app[DOOR].open(form.get("code", ""))
    except AccessError as error:
        page = _render(request, "first_run_code.html", error=error)
        page.set_status(403)
        return page
    response = _back()
    tls = request.app[DOOR].tls
    response.set_cookie(_COOKIE, cookie, path="/", secure=tls, httponly=True, samesite="Strict")
    return response


def _answer(work: Callable[[FirstRun, dict[str, str]], Awaitable[None]], part: str) -> Handler:
    """A handler that hands one form to the setup and shows the page again, with what was wrong."""

    async def handle(request: web.Request) -> web.StreamResponse:
        form = await _form(request)
        try:
            await work(request.app[BOX], form)
        except LfrError as error:
            door = request.app[DOOR]
            door.error = error
            door.typed = {name: text for name, text in form.items() if name != "password"}
            return _back()
        return _back(part)

    return handle


async def _in_thread(work: Callable[..., None], *args: Any) -> None:
    await asyncio.to_thread(work, *args)


async def _write(request: web.Request) -> web.StreamResponse:
    """The box is written, the codes are shown once, and this page is over."""
    form = await _form(request)
    box, door = request.app[BOX], request.app[DOOR]
    try:
        finished = await asyncio.to_thread(lambda: box.write(replace=form.get("replace") == "yes"))
    except LfrError as error:
        door.error = error
        return _back("write")
    response = _render(request, "first_run_done.html", finished=finished, error=None)
    response.del_cookie(_COOKIE, path="/")
    door.finished.set()
    return response


async def _asset(request: web.Request) -> web.StreamResponse:
    """The console's own style sheet and icon: a name is looked up among the package's files, never a path."""
    name = request.match_info["name"]
    kind = _TYPES.get(name[name.rfind(".") :])
    files = {file.name: file for file in resources.files(__package__).joinpath("static").iterdir()}
    if kind is None or name not in files:
        raise web.HTTPNotFound
    return web.Response(body=files[name].read_bytes(), content_type=kind, charset="utf-8")


async def _form(request: web.Request) -> dict[str, str]:
    return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}


def _back(part: str = "") -> web.Response:
    return web.Response(status=303, headers={"Location": f"{_PAGE}#{part}" if part else _PAGE})


def _render(request: web.Request, template: str, **values: Any) -> web.Response:
    page = request.app[SPOKEN][language_of(request)].get_template(template)
    return web.Response(text=page.render(**values), content_type="text/html")


def _digest(raw: str) -> str:
    return hashlib.sha256(raw.encode()).hexdigest()


# "METHOD /path": (handler, who): "anyone" who reaches the address, "holder" of the code, "asset" without any answer
ROUTES: Final[dict[str, tuple[Handler, str]]] = {
    "GET /": (_start, "anyone"),
    "GET /first-run": (_page, "anyone"),
    "POST /first-run/code": (_code, "anyone"),
    "POST /first-run/site": (_answer(lambda box, form: _in_thread(box.site, form), "people"), "holder"),
    "POST /first-run/people": (_answer(lambda box, form: _in_thread(box.people, form), "cameras"), "holder"),
    "POST /first-run/find": (_answer(lambda box, _: box.find(), "cameras"), "holder"),
    "POST /first-run/camera": (_answer(lambda box, form: box.camera(form), "cameras"), "holder"),
    "POST /first-run/remove": (
        _answer(lambda box, form: _in_thread(box.remove, form.get("id", "")), "cameras"), "holder"),
    "POST /first-run/checks": (_answer(lambda box, _: _in_thread(box.check), "checks"), "holder"),
    "POST /first-run/benchmark": (_answer(lambda box, _: _in_thread(box.measure), "benchmark"), "holder"),
    "POST /first-run/write": (_write, "holder"),
    "GET /static/{name}": (_asset, "asset"),
}  # fmt: skip
