"""Passkeys: a key in the person's device instead of words in their head. They need a DNS name, as browsers do.

Each ceremony answers a challenge of ours that is two minutes old at most and counts once. User verification (a
fingerprint, a PIN) is required, because the passkey stands for the whole sign-in.
"""

from __future__ import annotations

import json
import secrets
from typing import Any, Final

from aiohttp import web
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from lfr_edge.clock import Clock
from lfr_edge.console.bodies import CredentialBody, EmptyBody, PasskeyBody, read_body
from lfr_edge.console.door.accounts import Account, Passkey
from lfr_edge.console.door.fresh import proved, refused_again, require_fresh
from lfr_edge.console.door.guard import passkeys_here, session_of
from lfr_edge.console.door.refusals import record_refusal
from lfr_edge.console.door.sign_in import count_try, give_session
from lfr_edge.console.keys import CHALLENGES, PORTS
from lfr_edge.console.language import inside
from lfr_edge.console.recording import record
from lfr_edge.errors import AccessError

CHALLENGE_S: Final = 120
_MOST_CHALLENGES: Final = 1000
# What a damaged or made-up credential makes of the library's parsers.
_BROKEN: Final = (
    WebAuthnException,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    OverflowError,
)


class Challenges:
    """Challenges given and not yet answered. **Thread rule:** of the event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._given: dict[bytes, tuple[str, int]] = {}

    def give(self, purpose: str) -> bytes:
        now = self._clock.monotonic_ns()
        until = now + CHALLENGE_S * 1_000_000_000
        self._given = {c: kept for c, kept in self._given.items() if kept[1] > now}
        while len(self._given) >= _MOST_CHALLENGES:
            del self._given[next(iter(self._given))]
        challenge = secrets.token_bytes(32)
        self._given[challenge] = (purpose, until)
        return challenge

    def take(self, challenge: bytes, purpose: str) -> bool:
        """Whether it was given for `purpose`, is fresh, and was not taken before."""
        kept = self._given.pop(challenge, None)
        return kept is not None and kept[0] == purpose and kept[1] > self._clock.monotonic_ns()


async def registration_options(request: web.Request) -> web.Response:
    """What the browser needs to make a passkey for the account that is signed in."""
    await read_body(request, EmptyBody)
    ports, session = request.app[PORTS], session_of(request)
    require_fresh(request)
    account = ports.accounts.get(session.account)
    assert account is not None, "the guard admitted it"
    options = generate_registration_options(
        rp_id=_name(request),
        rp_name=f"lfr-edge {ports.site}",
        user_id=account.name.encode(),
        user_name=account.name,
        challenge=request.app[CHALLENGES].give(f"register {session.digest}"),
        exclude_credentials=_descriptors(account),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
    )
    return web.json_response(json.loads(options_to_json(options)))


async def register(request: web.Request) -> web.Response:
    """Keep a new passkey of the account that is signed in."""
    body = await read_body(request, PasskeyBody)
    ports, session = request.app[PORTS], session_of(request)
    require_fresh(request)
    challenge = _challenge(request, body.credential, f"register {session.digest}")
    try:
        made = verify_registration_response(
            credential=body.credential.plain(),
            expected_challenge=challenge,
            expected_rp_id=_name(request),
            expected_origin=_origin(request),
            require_user_verification=True,
        )
    except _BROKEN:
        raise _refused() from None
    passkey = Passkey(
        id=bytes_to_base64url(made.credential_id),
        public_key=bytes_to_base64url(made.credential_public_key),
        sign_count=made.sign_count,
        name=body.name,
        added_wall_s=ports.clock.wall_ns() // 1_000_000_000,
    )
    change: dict[str, Any] = {"change": "passkey added"}
    await record(request, "access.account_changed", session.actor, session.account, change)
    ports.accounts.add_passkey(session.account, passkey)
    return web.json_response({"id": passkey.id}, status=201)


async def remove(request: web.Request) -> web.Response:
    """Forget a passkey of the account that is signed in."""
    await read_body(request, EmptyBody)
    ports, session = request.app[PORTS], session_of(request)
    if ports.accounts.passkey(session.account, request.match_info["id"]) is None:
        raise AccessError("access_passkey_unknown", "there is no such passkey", hint="reload the page")
    change: dict[str, Any] = {"change": "passkey removed"}
    await record(request, "access.account_changed", session.actor, session.account, change)
    ports.accounts.remove_passkey(session.account, request.match_info["id"])
    return web.json_response({})


async def sign_in_options(request: web.Request) -> web.Response:
    """What the browser needs to sign somebody in; it says nothing about who there is."""
    await read_body(request, EmptyBody)
    return _authentication_options(request, "sign-in", [])


async def sign_in(request: web.Request) -> web.Response:
    """Sign in by passkey: a fresh session, as by password."""
    body = await read_body(request, CredentialBody)
    count_try(request, "passkey")
    try:
        account = _verified(request, body, "sign-in", None)
    except AccessError as error:
        await record_refusal(request, error.code)
        raise refused_again() from None
    response = web.json_response({"next": inside(request, body.next)})
    await give_session(request, account, response, by="passkey")
    return response


async def again_options(request: web.Request) -> web.Response:
    """What the browser needs to prove again who is signed in."""
    await read_body(request, EmptyBody)
    session = session_of(request)
    account = request.app[PORTS].accounts.get(session.account)
    return _authentication_options(
        request, f"again {session.digest}", _descriptors(account) if account else []
    )


async def again(request: web.Request) -> web.Response:
    """Prove again who you are, by passkey; what you approve within 60 seconds then counts."""
    body = await read_body(request, CredentialBody)
    session = session_of(request)
    count_try(request, f"account:{session.account}")
    try:
        _verified(request, body, f"again {session.digest}", session.account)
    except AccessError as error:
        await record_refusal(request, error.code)
        raise refused_again() from None
    return await proved(request, "passkey")


def _authentication_options(
    request: web.Request, purpose: str, allowed: list[PublicKeyCredentialDescriptor]
) -> web.Response:
    options = generate_authentication_options(
        rp_id=_name(request),
        challenge=request.app[CHALLENGES].give(purpose),
        allow_credentials=allowed or None,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return web.json_response(json.loads(options_to_json(options)))


def _verified(request: web.Request, body: CredentialBody, purpose: str, name: str | None) -> Account:
    """The account whose passkey answered; `name`: it must be this one's.

    Raises:
        AccessError: ``access_refused``, whatever was wrong.
    """
    accounts = request.app[PORTS].accounts
    challenge = _challenge(request, body.credential, purpose)
    found = accounts.by_passkey(body.credential.id)
    if found is None or found[0].disabled or name not in {None, found[0].name}:
        raise _refused()
    account, passkey = found
    try:
        seen = verify_authentication_response(
            credential=body.credential.plain(),
            expected_challenge=challenge,
            expected_rp_id=_name(request),
            expected_origin=_origin(request),
            credential_public_key=base64url_to_bytes(passkey.public_key),
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    except _BROKEN:
        raise _refused() from None
    accounts.passkey_used(account.name, passkey.id, seen.new_sign_count)
    return account


def _challenge(request: web.Request, credential: Any, purpose: str) -> bytes:
    """The challenge that the browser says it answered, taken out of those we gave."""
    try:
        said = json.loads(base64url_to_bytes(str(credential.response["clientDataJSON"])))
        challenge = base64url_to_bytes(said["challenge"])
    except (*_BROKEN, RecursionError):
        raise _refused() from None
    if not request.app[CHALLENGES].take(challenge, purpose):
        raise _refused()
    return challenge


def _name(request: web.Request) -> str:
    name = request.app[PORTS].dns_name
    if name is None or not passkeys_here(request):
        raise AccessError(
            "access_passkeys_unavailable",
            "passkeys need the console's DNS name",
            hint="set console.dns_name, and open the console by that name",
        )
    return name


def _origin(request: web.Request) -> str:
    return f"{'https' if request.app[PORTS].tls else 'http'}://{request.host}"


def _descriptors(account: Account) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(passkey.id)) for passkey in account.passkeys]


def _refused() -> AccessError:
    return AccessError(
        "access_refused", "this passkey was not accepted", hint="try again, or use your password"
    )


ROUTES: Final = {
    "POST /api/passkeys/options": registration_options,
    "POST /api/passkeys": register,
    "POST /api/passkeys/{id}/remove": remove,
    "POST /api/sign-in/passkey/options": sign_in_options,
    "POST /api/sign-in/passkey": sign_in,
    "POST /api/authenticate/passkey/options": again_options,
    "POST /api/authenticate/passkey": again,
}
