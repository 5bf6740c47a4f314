"""The page on which a deployment is prepared, started and ended."""

from __future__ import annotations

from typing import Annotated, Any, Final, cast, get_args

from aiohttp import web
from pydantic import Field

from lfr_edge.clock import utc_text
from lfr_edge.console.bodies import Body, Why, WhyBody, read_body
from lfr_edge.console.deployment_port import Change, DeploymentControl, DeploymentPicture
from lfr_edge.console.door.guard import session_of
from lfr_edge.console.keys import PORTS, RULES
from lfr_edge.console.language import spoken
from lfr_edge.console.pages import render
from lfr_edge.console.sayings import Sayings
from lfr_edge.deployment.ending.receipts import NAMES, Receipts
from lfr_edge.deployment.readiness import Line
from lfr_edge.errors import DeploymentError
from lfr_edge.sentences import Sentence, is_own_words, own_words

_ACTS: Final = ("unseal", "authority", "briefing", "start", "end", "cancel", "next", "propose/{what}")


class UnsealBody(Body):
    passphrase: Annotated[str, Field(min_length=1, max_length=1000)] | None = None  # None: by the key file


class AuthorityBody(Body):
    authority: Annotated[str, Field(min_length=2, max_length=60_000)]  # the signed file's text


class BriefingBody(Body):
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ProposeBody(Body):
    value: Annotated[str, Field(max_length=100)] = ""


class EndBody(Body):
    why: Why
    erase_imports: bool = False


class NothingBody(Body):
    pass


async def page(request: web.Request) -> web.Response:
    """Readiness before the start, counters while it runs, receipts after the end."""
    session, rules = session_of(request), request.app[RULES]
    may = {act: rules[f"POST /api/deployment/{act}"].admits(session.role) for act in _ACTS}
    may["propose"] = may.pop("propose/{what}")
    view = picture_view(await _control(request).picture(), spoken(request).said)
    return render(request, "deployment.html", view=view, may=may, me=session.account)


async def state(request: web.Request) -> web.Response:
    """The deployment as it stands now."""
    return await _answer(request)


async def unseal(request: web.Request) -> web.Response:
    """Open the watchlist with its passphrase, or with the configured key file."""
    body = await read_body(request, UnsealBody)
    await _control(request).unseal(body.passphrase, session_of(request).actor)
    return await _answer(request)


async def authority(request: web.Request) -> web.Response:
    """Bring a signed authority; while the deployment runs it is the extension."""
    body = await read_body(request, AuthorityBody)
    await _control(request).bring_authority(body.authority.encode(), session_of(request).actor)
    return await _answer(request)


async def briefing(request: web.Request) -> web.Response:
    """Acknowledge the briefing of this digest."""
    body = await read_body(request, BriefingBody)
    await _control(request).acknowledge(body.sha256, session_of(request).actor)
    return await _answer(request)


async def propose(request: web.Request) -> web.Response:
    """Propose a change that a second person must approve: watchlist, threshold, retention or model."""
    body = await read_body(request, ProposeBody)
    what = request.match_info["what"]
    if what not in get_args(Change):
        raise web.HTTPNotFound
    await _control(request).propose(cast(Change, what), body.value, session_of(request).actor)
    return await _answer(request)


async def start(request: web.Request) -> web.Response:
    """Start recognition; refused by the first line of the readiness list that does not hold."""
    await read_body(request, NothingBody)
    await _control(request).start(session_of(request).actor)
    return await _answer(request)


async def end(request: web.Request) -> web.Response:
    """End the deployment in order: recognition, list, receipts, log."""
    body = await read_body(request, EndBody)
    actor = session_of(request).actor
    await _control(request).end(actor, body.why, erase_imports=body.erase_imports)
    return await _answer(request)


async def cancel(request: web.Request) -> web.Response:
    """Cancel the authority: recognition stops at once, then everything ends."""
    body = await read_body(request, WhyBody)
    await _control(request).cancel(session_of(request).actor, body.why)
    return await _answer(request)


async def prepare_next(request: web.Request) -> web.Response:
    """After the end: open the next deployment in preparation."""
    await read_body(request, NothingBody)
    await _control(request).prepare_next(session_of(request).actor)
    return await _answer(request)


def picture_view(picture: DeploymentPicture, said: Sayings) -> dict[str, Any]:
    """The JSON that the page speaks; nothing about a person."""
    known = picture.authority
    return {
        **{
            name: getattr(picture, name)
            for name in (
                "id", "site", "purpose", "phase", "busy", "resuming", "paused", "ready", "remaining_s",
                "threshold", "alert_images_h", "pack", "list_size", "list_sha256", "passphrase", "imports",
                "root", "log_size",
            )
        },
        **said.told(failure=picture.failure, why_ended=_own_words(picture.why_ended)),
        "started": utc_text(picture.started_wall_ns) if picture.started_wall_ns else None,
        "lines": [_line(line, said) for line in picture.lines],
        "authority": None
        if known is None
        else {
            "sha256": known.sha256,
            "operation": known.operation,
            "place": known.place,
            "use_case": said(known.use_case).text,
            "start": known.start,
            "end": known.end,
            "threshold_floor": known.threshold_floor,
            "conditions": list(known.conditions),
        },
        "briefing": {
            "text": picture.briefing.text,
            "sha256": picture.briefing.sha256,
            "acknowledged": list(picture.briefing.acknowledged),
        },
        "proposed": [
            {"kind": one.kind, "state": one.state, "summary": list(one.summary), "proposer": one.proposer}
            for one in picture.proposed
        ],
        "receipts": _receipts(picture.receipts, said),
    }  # fmt: skip


def _line(line: Line, said: Sayings) -> dict[str, Any]:
    return {
        "code": line.code,
        "ok": line.ok,
        "required": line.required,
        **said.told(f"readiness_{line.code}", text=line.text, hint=line.hint),
        "clauses": [
            {
                "number": c.number,
                "ok": c.ok,
                "own_words": is_own_words(c.text),
                **said.told(f"authority_{c.code}", title=c.title, text=c.text, hint=c.hint),
            }
            for c in line.clauses
        ],
    }


def _own_words(why: str) -> str:
    """What a person typed is nobody's to translate."""
    return why if isinstance(why, Sentence) else own_words(why)


def _receipts(receipts: Receipts | None, said: Sayings) -> dict[str, Any] | None:
    if receipts is None:
        return None
    return {
        "complete": receipts.complete,
        "items": [
            {
                "items": item.items,
                "when": utc_text(item.when_us * 1000),
                "key_destroyed": item.key_destroyed,
                "what": said(NAMES.get(item.what, item.what)).text,
                # As the record says it, and in its language: the page marks it so.
                "how": item.how,
                "checked": item.checked,
                "left": item.left,
            }
            for item in receipts.items
        ],
    }


async def _answer(request: web.Request) -> web.Response:
    return web.json_response(picture_view(await _control(request).picture(), spoken(request).said))


def _control(request: web.Request) -> DeploymentControl:
    control = request.app[PORTS].deployment
    if control is None:
        raise DeploymentError(
            "deployment_unavailable", "this console has no box behind it", hint="see lfr-edge serve"
        )
    return control


ROUTES: Final = {
    "GET /deployment": page,
    "GET /api/deployment": state,
    "POST /api/deployment/unseal": unseal,
    "POST /api/deployment/authority": authority,
    "POST /api/deployment/briefing": briefing,
    "POST /api/deployment/propose/{what}": propose,
    "POST /api/deployment/start": start,
    "POST /api/deployment/end": end,
    "POST /api/deployment/cancel": cancel,
    "POST /api/deployment/next": prepare_next,
}
