"""Signing in, signing out, and the one-time code that makes an account usable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from aiohttp import web

from lfr_edge.alerts.record import Actor
from lfr_edge.console.door.accounts import PASSWORD_MIN, Account, Role
from lfr_edge.console.door.guard import cookie_name, passkeys_here, see_other, session_of
from lfr_edge.console.door.refusals import record_refusal
from lfr_edge.console.faults import status_of, too_many_tries
from lfr_edge.console.keys import HASHING, PORTS, SESSION, TRIES
from lfr_edge.console.language import inside
from lfr_edge.console.pages import render
from lfr_edge.console.recording import record
from lfr_edge.errors import AccessError

T = TypeVar("T")


async def sign_in_page(request: web.Request) -> web.Response:
    if SESSION in request:
        return see_other("/")
    return _page(request, inside(request, request.query.get("next", "/")), "", None)


async def sign_in(request: web.Request) -> web.StreamResponse:
    """Check name and password; a fresh session id on success, whatever was signed in before."""
    form = await request.post()
    name, password = _field(form, "name").strip().lower(), _field(form, "password")
    next_page = inside(request, _field(form, "next"))
    try:
        count_try(request, f"account:{name[:32]}")
        account = await hashing(request, lambda: request.app[PORTS].accounts.verify(name, password))
        give_try_back(request, f"account:{name[:32]}")
    except AccessError as error:
        await _record_refusal(request, name, error)
        page = _page(request, next_page, name[:32], error)
        page.set_status(status_of(error))
        return page
    return await open_session(request, account, next_page)


async def sign_out(request: web.Request) -> web.StreamResponse:
    ports = request.app[PORTS]
    session = session_of(request)
    ports.sessions.end(session)
    await record(request, "access.signed_out", session.actor, session.account)
    response = see_other("/sign-in")
    response.del_cookie(cookie_name(ports), path="/", secure=ports.tls, httponly=True, samesite="Strict")
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


async def setup_page(request: web.Request) -> web.Response:
    return _setup(request, {"name": request.query.get("name", "")[:32], "role": ""}, None)


async def setup(request: web.Request) -> web.StreamResponse:
    """Redeem a one-time code: a password for an account, and for the first account its name and role."""
    form = await request.post()
    given = {key: _field(form, key) for key in ("code", "name", "role", "password", "again")}
    accounts = request.app[PORTS].accounts
    try:
        count_try(request, "setup")
        if given["password"] != given["again"]:
            raise AccessError("access_password_differs", "the two passwords differ", hint="type it again")
        role = Role(given["role"]) if given["role"] in set(Role) else None
        account = await hashing(
            request, lambda: accounts.redeem(given["code"], given["name"], role, given["password"])
        )
    except AccessError as error:
        if error.code in {"access_code_refused", "access_too_many_tries"}:
            await _record_refusal(request, "setup", error)
        else:  # a weak password, or two that differ, tells nobody anything about a code
            give_try_back(request, "setup")
        page = _setup(request, given, error)
        page.set_status(status_of(error))
        return page
    give_try_back(request, "setup")  # a whole shift may choose its passwords at one laptop in a minute
    actor = Actor(account.name, str(account.role), "")
    await record(request, "access.account_changed", actor, account.name, {"change": "password chosen"})
    return await open_session(request, account, "/")


def _page(request: web.Request, next_page: str, name: str, error: AccessError | None) -> web.Response:
    passkeys = passkeys_here(request)
    return render(request, "sign_in.html", next=next_page, name=name, error=error, passkeys=passkeys)


def _setup(request: web.Request, given: dict[str, str], error: AccessError | None) -> web.Response:
    first = not request.app[PORTS].accounts.all()
    return render(
        request, "setup.html", first=first, given=given, roles=tuple(Role), minimum=PASSWORD_MIN, error=error
    )


async def open_session(request: web.Request, account: Account, next_page: str) -> web.StreamResponse:
    response = see_other(next_page)
    await give_session(request, account, response, by="password")
    return response


async def give_session(request: web.Request, account: Account, response: web.Response, *, by: str) -> None:
    """A fresh session id in `response`'s cookie, whatever was signed in before."""
    ports = request.app[PORTS]
    old = request.get(SESSION)
    if old is not None:
        ports.sessions.end(old)
    raw, session = ports.sessions.open(account)
    await record(request, "access.signed_in", session.actor, account.name, {"by": by})
    response.set_cookie(cookie_name(ports), raw, path="/", secure=ports.tls, httponly=True, samesite="Strict")


def count_try(request: web.Request, key: str) -> None:
    if not request.app[TRIES].allow(key, f"address:{request.remote}"):
        raise too_many_tries()


def give_try_back(request: web.Request, key: str) -> None:
    request.app[TRIES].give_back(key, f"address:{request.remote}")


async def hashing(request: web.Request, work: Callable[[], T]) -> T:
    """Argon2 off the loop, two at a time: it takes 64 MiB a piece."""
    async with request.app[HASHING]:
        return await asyncio.to_thread(work)


async def _record_refusal(request: web.Request, name: str, error: AccessError) -> None:
    """People type passwords into the name field: only names that exist are recorded."""
    known = request.app[PORTS].accounts.get(name) is not None or name == "setup"
    await record_refusal(request, error.code, name if known else "unknown")


def _field(form: Any, key: str) -> str:
    value = form.get(key, "")
    return value if isinstance(value, str) else ""


ROUTES: Final = {
    "GET /sign-in": sign_in_page,
    "POST /sign-in": sign_in,
    "POST /sign-out": sign_out,
    "GET /setup": setup_page,
    "POST /setup": setup,
}
