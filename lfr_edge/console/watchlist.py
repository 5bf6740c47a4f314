"""The Watchlist page: a bundle is sent, compiled, looked through and submitted; the list in force, and withdrawals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import Field

from lfr_edge.alerts.record import Plain
from lfr_edge.console.bodies import Body, read_body
from lfr_edge.console.compile_order import Order
from lfr_edge.console.compiling import MOST_BYTES, Compiler, spoken_row
from lfr_edge.console.door.guard import session_of
from lfr_edge.console.keys import COMPILER, PORTS, RULES
from lfr_edge.console.language import spoken
from lfr_edge.console.pages import render
from lfr_edge.console.recording import record
from lfr_edge.console.views import category_title, source_title
from lfr_edge.errors import DeploymentError, WatchlistError
from lfr_edge.matching.forecast import forecast
from lfr_edge.matching.threshold import calibrations_of
from lfr_edge.sentences import say
from lfr_edge.settings import Settings
from lfr_edge.watchlist.bundle import Limits as ArchiveLimits
from lfr_edge.watchlist.container import SealedWatchlist
from lfr_edge.watchlist.keys import read_key_file

PAGE: Final = 50  # entries a page of the table shows
_MOST_NAME: Final = 100
_MOST_FACES: Final = 1e6  # an hour
_MOST_HOURS: Final = 24.0


class StartBody(Body):
    passphrase: Annotated[str, Field(min_length=12, max_length=1000)] | None = None  # None: by the key file


class SubmitBody(Body):
    leave_out: bool = False  # people without a usable picture are left out, knowingly
    passphrase: Annotated[str, Field(min_length=1, max_length=1000)] | None = None


class NothingBody(Body):
    pass


async def watchlist(request: web.Request) -> web.Response:
    """Who looked at the list is on the record before it is shown (DPA 2018 s62: consultation)."""
    ports = request.app[PORTS]
    session, rules = session_of(request), request.app[RULES]
    entries = ports.system.watchlist()
    await record(request, "watchlist.viewed", session.actor, "", {"entries": len(entries)}, "watchlist page")
    return render(
        request,
        "watchlist.html",
        entries=entries,
        deployment=ports.system.status().deployment,
        may_withdraw=rules["POST /api/watchlist/{reference}/withdraw"].admits(session.role),
        may_see=rules["GET /api/compile"].admits(session.role),
        may_compile=rules["POST /api/compile"].admits(session.role),
        key_file=await asyncio.to_thread(_has_key_file, ports.settings),
    )


async def state(request: web.Request) -> web.Response:
    """The newest bundle: how far it is, and what was found."""
    return _answer(request)


async def entries(request: web.Request) -> web.Response:
    """A page of the entries of the newest bundle with their verdicts and reasons, by `verdict`, `find`, `offset`."""
    query = request.query
    offset = (
        int(query["offset"]) if query.get("offset", "").isascii() and query.get("offset", "").isdigit() else 0
    )
    rows, count = request.app[COMPILER].rows(query.get("verdict", ""), query.get("find", ""), offset, PAGE)
    rows = [spoken_row(row, spoken(request).said) for row in rows]
    return web.json_response({"entries": rows, "count": count, "offset": offset, "page": PAGE})


async def expected(request: web.Request) -> web.Response:
    """Expected false alerts of the newest list, for `faces_per_hour` people an hour during `hours`."""
    result, settings = request.app[COMPILER].now.result, _settings(request)
    if not result:
        raise WatchlistError("compile_not_done", "no compiled list waits", hint="send a bundle first")
    threshold = result["resemblance"]["scale"]["look_alike"]
    found = forecast(
        await asyncio.to_thread(calibrations_of, settings.matching.calibration),
        fingerprint=result["fingerprint"],
        provider=settings.models.providers[0],
        precision=result["precision"],
        list_size=result["facts"]["entries"],
        threshold=1.0 if threshold is None else threshold,
        faces_per_hour=_number(request, "faces_per_hour", _MOST_FACES),
        hours=_number(request, "hours", _MOST_HOURS),
    )
    basis = spoken(request).said.told(basis=found.basis)
    return web.json_response(found.to_json() | {"text": str(found), "threshold": threshold} | basis)


async def receive(request: web.Request) -> web.Response:
    """Take a bundle's ZIP as it comes, into a private folder; nothing of it is opened yet."""
    if (request.content_length or 0) > MOST_BYTES:
        raise WatchlistError(
            "compile_upload_large",
            say("the bundle is larger than {most_bytes} GiB", most_bytes=MOST_BYTES >> 30),
            hint="split the list",
        )
    compiler = request.app[COMPILER]
    name = PurePosixPath(request.query.get("name", "")).name[:_MOST_NAME]
    await compiler.receive(name if name.isprintable() else "", _chunks(request))
    now = compiler.now
    data: dict[str, Any] = {"bytes": now.size, "bundle_sha256": now.bundle_sha256}
    try:
        await record(request, "watchlist.imported", session_of(request).actor, "", data, "watchlist page")
    except BaseException:
        await compiler.cancel()  # without a record it was never here
        raise
    return _answer(request, 201)


async def start(request: web.Request) -> web.Response:
    """Compile what was sent, in a process of its own; the key file of the configuration or a passphrase seals it."""
    body = await read_body(request, StartBody)
    ports, settings, compiler = request.app[PORTS], _settings(request), request.app[COMPILER]
    has_key = await asyncio.to_thread(_has_key_file, settings)
    if not has_key and body.passphrase is None:
        raise WatchlistError(
            "watchlist_no_credential",
            "nothing was named that opens the list",
            hint="bring the medium with the key file, or type a passphrase of at least 12 characters",
        )
    issuers = [key for key in (ports.trust.all() if ports.trust else ()) if key.purpose == "watchlist"]
    order = Order(
        bundle=compiler.bundle,
        out=compiler.sealed,
        store=settings.models.store,
        pack=settings.models.pack,
        purpose=settings.models.purpose,
        trusted=ports.trust.keys("watchlist") if ports.trust else {},
        names={key.key_id: key.name for key in issuers},
        key_file=settings.watchlist.key_file if has_key else None,
        passphrase=body.passphrase,
        most_files=ArchiveLimits().members,
        calibration=settings.matching.calibration,
        target_fpir=settings.matching.target_fpir,
        threshold=settings.matching.threshold,
    )
    data: dict[str, Plain] = {"bundle_sha256": compiler.now.bundle_sha256, "step": "begun"}
    await record(request, "watchlist.compiled", session_of(request).actor, "", data, "watchlist page")
    await compiler.start(order)
    return _answer(request)


async def cancel(request: web.Request) -> web.Response:
    """End what runs, erase the bundle and any list that was not submitted."""
    await read_body(request, NothingBody)
    await request.app[COMPILER].cancel()
    return _answer(request)


async def submit(request: web.Request) -> web.Response:
    """Propose the compiled list to a second person: as the list of the deployment that is prepared, or as an
    addition to the one that runs."""
    body = await read_body(request, SubmitBody)
    compiler, control = request.app[COMPILER], request.app[PORTS].deployment
    actor, left_out = session_of(request).actor, compiler.now.left_out
    if left_out and not body.leave_out:
        raise WatchlistError(
            "compile_left_out",
            say("{left_out} people have no usable picture and would not be looked for", left_out=left_out),
            hint="confirm that they are left out, or send a bundle with better pictures",
        )
    phase = (await control.picture()).phase if control else "ended"
    if control is None or phase == "ended":
        raise DeploymentError(
            "deployment_ended",
            "no deployment is open that could take a list",
            hint="prepare the next one first",
        )
    await _check_credential(request, body.passphrase)
    await _record_submission(request, left_out)
    place = _settings(request).watchlist.path
    if phase == "preparing":
        await compiler.install(place)
        await control.unseal(body.passphrase, actor)
        proposal = await control.propose("watchlist", "", actor)
    else:
        target = addition_path(place, compiler.now.sha256)
        await compiler.install(target)
        try:
            proposal = await control.add_list(target, body.passphrase, actor)
        except BaseException:
            await compiler.take_back(target)
            raise
    told = {"proposal": proposal.id, "change_sha256": proposal.sha256}
    return web.json_response(compiler.now.to_json(spoken(request).said) | told)


def addition_path(place: Path, digest: str) -> Path:
    """Where an addition to the list at `place` lies until the deployment ends: beside it."""
    return place.with_name(f"{place.name}.added-{digest[:16]}")


async def _check_credential(request: web.Request, passphrase: str | None) -> None:
    """Before anything is moved: what was given opens the compiled list. Raises WatchlistError."""
    compiler, settings = request.app[COMPILER], _settings(request)
    if compiler.now.phase != "done":
        raise WatchlistError("compile_not_done", "no compiled list waits", hint="send a bundle first")

    def check() -> None:
        key_file = settings.watchlist.key_file
        if passphrase is None and key_file is None:
            raise WatchlistError(
                "watchlist_no_credential", "nothing was named that opens the list", hint="type its passphrase"
            )
        credential = passphrase if passphrase is not None else read_key_file(key_file or Path())
        SealedWatchlist.open(compiler.sealed, credential).close()

    await asyncio.to_thread(check)


async def _record_submission(request: web.Request, left_out: int) -> None:
    now = request.app[COMPILER].now
    data: dict[str, Plain] = {
        "step": "submitted",
        "bundle_sha256": now.bundle_sha256,
        "list_sha256": now.sha256,
        "entries": now.result["facts"]["entries"],
        "left_out": left_out,
    }
    await record(request, "watchlist.compiled", session_of(request).actor, "", data, "watchlist page")


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    async for chunk in request.content.iter_chunked(1 << 18):
        yield chunk


def _answer(request: web.Request, status: int = 200) -> web.Response:
    said = spoken(request).said
    view = request.app[COMPILER].now.to_json(said)
    if view["result"]:
        # Titles are the policy's words; codes stay for scripts.
        shares = view["result"]["shares"]
        view["categories"] = [[category_title(code, said), *rest] for code, *rest in shares["categories"]]
        view["sources"] = [[source_title(code, said), *rest] for code, *rest in shares["sources"]]
    return web.json_response(view, status=status)


def _number(request: web.Request, name: str, most: float) -> float:
    try:
        value = float(request.query.get(name, ""))
    except ValueError:
        value = -1.0
    if not 0 < value <= most:
        raise WatchlistError(
            "compile_crowd",
            say("{name} is a number above 0, at most {most:g}", name=name, most=most),
            hint="correct it",
        )
    return value


def _settings(request: web.Request) -> Settings:
    settings = request.app[PORTS].settings
    if settings is None:
        raise DeploymentError(
            "deployment_not_started", "this console has no box behind it", hint="start lfr-edge serve"
        )
    return settings


def _has_key_file(settings: Settings | None) -> bool:
    return bool(settings and settings.watchlist.key_file and settings.watchlist.key_file.is_file())


async def compiler_of(app: web.Application) -> AsyncIterator[None]:
    """The compiler lives as long as the console; nothing of an unfinished compile outlives it."""
    settings = app[PORTS].settings
    app[COMPILER] = Compiler((settings.data if settings else Settings().data) / "compile")
    yield
    await app[COMPILER].close()


ROUTES: Final = {
    "GET /watchlist": watchlist,
    "GET /api/compile": state,
    "GET /api/compile/entries": entries,
    "GET /api/compile/forecast": expected,
    "POST /api/compile": receive,
    "POST /api/compile/start": start,
    "POST /api/compile/cancel": cancel,
    "POST /api/compile/submit": submit,
}
