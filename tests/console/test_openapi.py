"""The description of the API is the code's own, is committed as it is made, and nothing generated from it breaks us."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest

from lfr_edge.alerts.factors import Answer, Factors
from lfr_edge.alerts.record import Actor
from lfr_edge.console.answers import ANSWERS, UPLOADS, AlertAnswer, NoticeAnswer
from lfr_edge.console.api_page import page
from lfr_edge.console.app import api_description
from lfr_edge.console.bodies import LookBody
from lfr_edge.console.door.accounts import Role
from lfr_edge.console.openapi import body_of
from lfr_edge.console.outside.notices import notice_of
from tests.console.conftest import Person
from tests.fakes.box import PASSWORD, ListRecorder, enrol, house, raised

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
DESCRIBED = api_description()


def test_what_is_committed_is_what_the_code_says():
    assert json.loads((REFERENCE / "openapi.json").read_text()) == json.loads(json.dumps(DESCRIBED)), (
        "scripts/docs"
    )
    assert (REFERENCE / "api.md").read_text() == page(DESCRIBED), "scripts/docs"


def test_every_json_route_is_described_and_every_unsafe_one_names_its_body():
    from lfr_edge.console.door.access import load_rules

    routes = {route for route in load_rules() if " /api/" in route}
    described = {
        f"{method.upper()} {path}" for path, methods in DESCRIBED["paths"].items() for method in methods
    }
    assert described == routes
    names = [one["operationId"] for methods in DESCRIBED["paths"].values() for one in methods.values()]
    assert len(set(names)) == len(names)
    without = {
        f"{method} {path}"
        for path, methods in DESCRIBED["paths"].items()
        for method, one in methods.items()
        if method == "post" and "requestBody" not in one
    }
    assert without <= {route.replace("POST", "post") for route, kind in UPLOADS.items() if not kind}, (
        "read_body(request, Model) in the handler itself"
    )
    assert set(ANSWERS) <= routes


def test_bodies_are_read_from_the_handlers():
    from lfr_edge.console.api import look, status

    assert body_of(look) is LookBody
    assert body_of(status) is None


async def test_real_answers_fit_their_description(box, sign_in):
    alert = await box.desk.raise_alert(raised())
    person = await sign_in("miller", Role.OPERATOR)
    urls = {"GET /api/alerts": "/api/alerts", "GET /api/alerts/{token}": f"/api/alerts/{alert.id.token}",
            "GET /api/status": "/api/status", "GET /api/me": "/api/me"}  # fmt: skip
    for _ in range(2):
        for route, url in urls.items():
            async with person.get(url) as answer:
                model = ANSWERS[route][1]
                model.model_validate(await answer.json())
        factors = Factors.of(["features_agree"], [], [])
        actor = Actor("miller", "operator")
        if alert.version == box.desk.get(alert.id.token).version:
            await box.desk.decide(
                alert.id.token, actor, Answer.SAME_PERSON, factors, "", box.desk.get(alert.id.token).version
            )
    async with person.post("/api/pause", json={"why": "a test of it"}) as answer:
        ANSWERS["POST /api/pause"][1].model_validate(await answer.json())
    async with person.post("/api/authenticate", json={"password": PASSWORD}) as answer:
        ANSWERS["POST /api/authenticate"][1].model_validate(await answer.json())
    for kind in ("offered", "decided"):
        NoticeAnswer.model_validate(notice_of(box.desk.get(alert.id.token), kind, 0, "Van 3", "d"))
    with pytest.raises(ValueError, match="version"):
        AlertAnswer.model_validate({"token": "x"})


async def test_it_is_served_to_those_signed_in(box, sign_in):
    person = await sign_in("byte", Role.ENGINEER)
    async with person.get("/api/openapi.json") as answer:
        assert (await answer.json())["openapi"] == "3.1.0"


# ── generated requests ────────────────────────────────────────────────────────────────────────────────────────────


async def generated(
    folder: Path, role: Role | None, examples: int, seed: int, phases: str = "coverage,fuzzing"
) -> tuple[int, list[str]]:
    """Cases that schemathesis made, and the 5xx answers among them."""
    description = folder / "openapi.json"
    paths = {path: methods for path, methods in DESCRIBED["paths"].items() if path != "/api/events"}
    description.write_text(json.dumps(DESCRIBED | {"paths": paths}))
    async with house(folder / str(role), recorder=ListRecorder(), idle_s=36_000) as box:
        for number in range(1, 4):
            await box.desk.raise_alert(raised(number))
        headers = {"Origin": box.url, "Sec-Fetch-Site": "same-origin"}
        if role is not None:
            person = Person(box)
            enrol(box.accounts, "somebody", role)
            await person.sign_in("somebody")
            cookie = next(iter(person.session.cookie_jar))
            headers["Cookie"] = f"{cookie.key}={cookie.value}"
            await person.close()
        report = folder / "cases.json"
        arguments = [
            "-m", "schemathesis.cli", "run", str(description), "--url", box.url, "--checks", "not_a_server_error",
            "--phases", phases, "-n", str(examples), "--seed", str(seed), "--no-color",
            "--suppress-health-check", "all", "--warnings", "off", "--continue-on-failure",
            "--report", "ndjson", "--report-ndjson-path", str(report),
            *(part for item in headers.items() for part in ("-H", "{}:{}".format(*item))),
        ]  # fmt: skip
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("HYPOTHESIS", "CI"))
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, cwd=folder, env=clean,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output = (await process.communicate())[0].decode()
    made = re.search(r"([\d,]+) generated", output)
    assert made, output[-3000:]
    failures = re.findall(r"Server error.*?(?=\n\n)", output, re.S)
    assert process.returncode == 0, output[-6000:]
    return int(made.group(1).replace(",", "")), failures


@pytest.mark.timeout(120)
async def test_generated_requests_find_no_server_error(tmp_path):
    """The slice that runs by default: the role that may do most."""
    cases, failures = await generated(tmp_path, Role.DEPLOYMENT_OFFICER, 3, seed=1, phases="fuzzing")
    assert cases > 120
    assert not failures


ROLES = ((None, 10), (Role.OPERATOR, 40), (Role.DEPLOYMENT_OFFICER, 40), (Role.AUTHORISING_OFFICER, 40))


@pytest.mark.trial
@pytest.mark.timeout(3600)
async def test_ten_thousand_generated_requests_find_no_server_error(tmp_path):
    total = 0
    for seed, (role, examples) in enumerate(ROLES):
        cases, failures = await generated(tmp_path, role, examples, seed=seed)
        assert not failures
        total += cases
        print(f"{role or 'nobody'}: {cases} generated requests, 0 server errors", flush=True)
    assert total >= 10_000
