"""Proving again who one is, for what must not rest on a session that somebody left open.

Approvals ask for a proof that is at most 60 seconds old (reliability.md 3): a password or a passkey.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from lfr_edge.console.bodies import PasswordBody, read_body
from lfr_edge.console.door.guard import session_of
from lfr_edge.console.door.refusals import record_refusal
from lfr_edge.console.door.sessions import fresh_authentication
from lfr_edge.console.door.sign_in import count_try, hashing
from lfr_edge.console.keys import PORTS
from lfr_edge.console.recording import record
from lfr_edge.errors import AccessError
from lfr_edge.sentences import say

FRESH_S: Final = 60


def refused_again() -> AccessError:
    return AccessError(
        "access_proof_refused", "that was not the proof of who you are", hint="try again, or sign out"
    )


def fresh_left_s(request: web.Request) -> int:
    """Seconds for which the last proof still counts."""
    age_ns = request.app[PORTS].clock.monotonic_ns() - fresh_authentication(session_of(request))
    return max(0, FRESH_S - age_ns // 1_000_000_000)


def require_fresh(request: web.Request) -> None:
    """Raises AccessError ``access_not_fresh``: the page then asks for the password or the passkey again."""
    if fresh_left_s(request) == 0:
        raise AccessError(
            "access_not_fresh",
            "prove again who you are",
            hint=say("within {fresh_s} seconds before this act", fresh_s=FRESH_S),
        )


async def proved(request: web.Request, by: str) -> web.Response:
    """Note that the session's person proved who they are, `by` password or passkey."""
    session = session_of(request)
    await record(request, "access.signed_in", session.actor, session.account, {"again": True, "by": by})
    request.app[PORTS].sessions.authenticated(session)
    return web.json_response({"fresh_s": FRESH_S})


async def authenticate(request: web.Request) -> web.Response:
    """Prove again who you are, by password; what you approve within 60 seconds then counts."""
    body = await read_body(request, PasswordBody)
    session = session_of(request)
    count_try(request, f"account:{session.account}")
    try:
        accounts = request.app[PORTS].accounts
        await hashing(request, lambda: accounts.verify(session.account, body.password))
    except AccessError as error:
        await record_refusal(request, error.code)
        raise refused_again() from None
    return await proved(request, "password")


async def me(request: web.Request) -> web.Response:
    """Who is signed in, and for how many seconds the last proof of it still counts."""
    session = session_of(request)
    account = request.app[PORTS].accounts.get(session.account)
    passkeys = len(account.passkeys) if account and request.app[PORTS].dns_name else 0
    left_s = fresh_left_s(request)
    return web.json_response(
        {"account": session.account, "role": str(session.role), "fresh_s": left_s, "passkeys": passkeys}
    )


ROUTES: Final = {"GET /api/me": me, "POST /api/authenticate": authenticate}
