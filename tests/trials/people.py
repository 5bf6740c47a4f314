"""The desk and what is kept: each alert decided once, what is erased stays erased, no request breaks the console."""

from __future__ import annotations

import io
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from typing import Any, Final, TypeAlias
from unittest.mock import patch

from aiohttp import web

from lfr_edge.alerts.material import AlertMaterial
from lfr_edge.console.app import build_app
from lfr_edge.console.door.accounts import Role
from lfr_edge.console.ports import ConsolePorts
from tests.alerts import test_once as once
from tests.console import test_openapi as openapi
from tests.deployment import test_erased_items as erased_items
from tests.deployment.conftest import van as van_fixture
from tests.trials.parts import plain, run
from tests.trials.running import within
from tests.trials.sabotage import sabotaged
from tests.trials.trial import Attempt, Outcome, Trial

Careless: TypeAlias = Callable[[web.Request], Coroutine[Any, Any, web.StreamResponse]]
_KILL_EVERY: Final = 250  # alerts: 40 kills in 10,000
_AT_A_TIME: Final = 500  # erased items of one deployment


def decide_once(attempt: Attempt) -> Outcome:
    kills = max(1, attempt.n // _KILL_EVERY)
    van, told = run(once.trial(attempt.folder, attempt.n, kills, attempt.seed))
    once.check(attempt.folder, attempt.n, told)
    attempt.step(attempt.n)
    return Outcome(
        attempt.n,
        facts={
            "kills": van.kills,
            "disconnects": told.disconnects,
            "answers acknowledged": len(told.acknowledged),
            "refused: somebody was first": told.refused["alert_already_decided"],
        },
    )


def decide_without_comparing(attempt: Attempt) -> Outcome:
    with sabotaged("no_compare"):
        return decide_once(attempt)


def erase(attempt: Attempt) -> Outcome:
    """Twice as many alerts, the older half erased; a thief with every copy and key tries the erased ones."""
    return _erase(attempt, sabotage=False)


def erase_only_on_paper(attempt: Attempt) -> Outcome:
    return _erase(attempt, sabotage=True)


def _erase(attempt: Attempt, *, sabotage: bool) -> Outcome:
    done = 0
    while done < attempt.n:
        items = min(_AT_A_TIME, attempt.n - done)
        part = within(attempt, f"{done}")
        with ExitStack() as stack, redirect_stdout(io.StringIO()):
            if sabotage:
                stack.enter_context(patch.object(AlertMaterial, "erase", lambda self, token: None))
            van = stack.enter_context(contextmanager(plain(van_fixture))(part.folder))
            erased_items.test_erased_items_decrypt_with_no_key_that_is_left(van, part.folder, items)
        done += items
        attempt.step(items)
    return Outcome(done)


def generate_requests(attempt: Attempt, roles: Sequence[tuple[Role | None, int]] = openapi.ROLES) -> Outcome:
    """Requests that schemathesis makes up from the API's description, by nobody and by three roles."""
    total, failures, seed = 0, [], attempt.seed
    examples = 10
    while total < attempt.n:
        for role, _ in roles:
            part = within(attempt, f"{seed}")
            phases = "fuzzing" if attempt.n < 1000 else "coverage,fuzzing"
            wanted = 2 if attempt.n < 1000 else examples
            cases, wrong = run(openapi.generated(part.folder, role, wanted, seed, phases))
            total, seed = total + cases, seed + 1
            failures += wrong
            attempt.step(cases)
            if total >= attempt.n:
                break
    return Outcome(total, tuple(failures))


def generate_requests_for_a_careless_route(attempt: Attempt) -> Outcome:
    """One handler trusts what it reads."""

    async def careless(request: web.Request) -> web.Response:
        raise KeyError(await request.text())

    with patch("tests.fakes.box.build_app", _with(careless)):
        try:
            return generate_requests(attempt, openapi.ROLES[2:3])
        except AssertionError as error:
            return Outcome(attempt.n, ("a server error: " + str(error)[-300:],))


def _with(handler: Careless) -> Callable[[ConsolePorts], web.Application]:
    def build(ports: ConsolePorts) -> web.Application:
        app = build_app(ports)
        for resource in app.router.resources():
            for route in resource:
                if resource.canonical == "/api/me":
                    route._handler = handler
        return app

    return build


TRIALS: Final = (
    Trial(
        name="desk-once",
        bar="E2",
        promise="each alert is decided exactly once",
        does="four operators race, click twice and lose their line; the desk is killed again and again; everything "
        "that anybody was told is on the record, and nothing else",
        sabotage="the desk does not compare the version that a person saw",
        unit="alerts",
        slice=60,
        full=10_000,
        run=decide_once,
        control=decide_without_comparing,
        control_n=40,
        ci="tests/alerts/test_once.py::test_each_alert_is_decided_exactly_once",
        about="15 min",
    ),
    Trial(
        name="erased-items",
        bar="B3",
        promise="what was erased decrypts with no key that is left; everything else does",
        does="a thief with a copy of every sealed picture, the deployment's key and all files that are left tries "
        "each erased alert with every key; a key taken before the erasure works",
        sabotage="the sweeper records the erasure and destroys nothing",
        unit="erased alerts",
        slice=30,
        full=1000,
        run=erase,
        control=erase_only_on_paper,
        control_n=20,
        ci="tests/deployment/test_erased_items.py::test_erased_items_decrypt_with_no_key_that_is_left",
    ),
    Trial(
        name="console-requests",
        bar="D4",
        promise="no generated request makes the console fail (5xx)",
        does="schemathesis makes up requests from the API's own description, as nobody and in three roles",
        sabotage="one route raises on what it reads",
        unit="requests",
        slice=150,
        full=10_000,
        run=generate_requests,
        control=generate_requests_for_a_careless_route,
        control_n=100,
        ci="tests/console/test_openapi.py::test_generated_requests_find_no_server_error",
        about="10 min",
    ),
)
