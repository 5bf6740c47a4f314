"""The supervisor's page: how each person decides, measured with drills, with 95 % intervals."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from lfr_edge.alerts.desk import AlertDesk
from lfr_edge.alerts.performance import Operator, median_interval, operators, sensitivity
from lfr_edge.console.keys import PORTS
from lfr_edge.console.pages import render
from lfr_edge.deployment.intervals import Share
from lfr_edge.errors import DeploymentError


def supervision_view(desk: AlertDesk) -> dict[str, Any]:
    """Per person, and what the drills are. Shares as events, trials, value and exact interval."""
    schedule = desk.drills
    return {
        "drills": {
            "per_hour": schedule.per_hour if schedule else 0.0,
            "cases": len(schedule.cases) if schedule else 0,
        },
        "operators": [_person(person) for person in operators(desk.book)],
    }


def _person(person: Operator) -> dict[str, Any]:
    told = sensitivity(person)
    return {
        "account": person.account,
        "looks": person.looks,
        "drills": person.drills,
        "decision_ms": _median(person.took_ms),
        "drill_decision_ms": _median(person.drill_took_ms),
        "override": _share(person.overrides, person.looks),
        "cannot_judge": _share(person.unsure, person.looks),
        "agreement": _share(person.agreed, person.shared),
        "hits": _share(person.hits, person.same_drills),
        "false_alarms": _share(person.false_alarms, person.different_drills),
        "sensitivity": told
        and {"d_prime": told.d_prime, "low": told.low, "high": told.high, "criterion": told.criterion},
    }


def _share(events: int, trials: int) -> dict[str, Any]:
    share = Share(events, trials)
    return {"events": events, "trials": trials, "value": share.value, "interval": share.interval}


def _median(took_ms: list[int]) -> dict[str, Any] | None:
    found = median_interval(took_ms)
    return found and {"median": found[0], "low": found[1], "high": found[2]}


async def page(request: web.Request) -> web.Response:
    try:
        view = supervision_view(request.app[PORTS].desk)
    except DeploymentError as error:
        return render(request, "supervision.html", view=None, why=error)
    return render(request, "supervision.html", view=view, why=None)


async def people(request: web.Request) -> web.Response:
    """How each person at the desk decides, with 95 % intervals."""
    return web.json_response(supervision_view(request.app[PORTS].desk))


ROUTES: Final = {
    "GET /supervision": page,
    "GET /api/supervision": people,
}
