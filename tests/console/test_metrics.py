"""What a monitoring system reads: true, well-formed, for those who may, and nothing about any person."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from lfr_edge.console.door.accounts import Role
from lfr_edge.energy import Energy
from lfr_edge.settings import IntegrationSettings, Settings, SystemSettings
from tests.fakes.box import House, ListRecorder, house, raised

TOKENS = {"monitor": "m" * 32, "map": "p" * 32}
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


@pytest.fixture
async def watched(tmp_path: Path):
    """A console with one system that may read the status and one that may not."""
    systems = []
    for name, events in (("monitor", ("status",)), ("map", ("alert.decided",))):
        (tmp_path / name).write_text(TOKENS[name])
        systems.append(SystemSettings(id=name, token_file=tmp_path / name, events=events))
    settings = Settings(
        data=tmp_path / "data",
        audit=tmp_path / "audit",
        integrations=IntegrationSettings(systems=tuple(systems)),
    )
    async with house(tmp_path, recorder=ListRecorder(), settings=settings) as running:
        yield running


async def _scrape(box: House, token: str) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as client, client.get(box.url + "/metrics", headers=headers) as answer:
        return answer.status, await answer.text()


def _samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_figures_are_the_boxes_own(watched: House) -> None:
    await watched.desk.raise_alert(raised())
    status, text = await _scrape(watched, TOKENS["monitor"])
    assert status == 200
    found = _samples(text)
    now = watched.system.status()
    assert found["lfr_templates_processed_total", ()] == now.ledger.processed
    erased, retained = found["lfr_templates_erased_total", ()], found["lfr_templates_retained_total", ()]
    assert found["lfr_templates_processed_total", ()] == erased + retained
    for camera in now.cameras:
        assert found["lfr_camera_state", (("camera", camera.id), ("state", camera.state))] == 1
        assert found["lfr_camera_dropped_frames_total", (("camera", camera.id),)] == camera.drops
        absent = camera.frame_age_ms is None
        assert (("lfr_camera_frame_age_seconds", (("camera", camera.id),)) not in found) is absent
    assert found["lfr_alerts", (("state", "raised"),)] == 1
    assert ("lfr_power_watts", ()) not in found, "not measured is absent, never zero"
    watched.system.now = replace(now, energy=Energy(31.5, 1200.0, ("rapl:package-0",)))
    found = _samples((await _scrape(watched, TOKENS["monitor"]))[1])
    assert (found["lfr_power_watts", ()], found["lfr_energy_joules_total", ()]) == (31.5, 1200)


async def test_no_alert_and_no_entry_is_named(watched: House) -> None:
    alert = await watched.desk.raise_alert(raised())
    _, text = await _scrape(watched, TOKENS["monitor"])
    assert alert.id.token not in text
    assert alert.facts.reference not in text


@pytest.mark.parametrize(
    ("token", "status"), [(TOKENS["map"], 403), ("x" * 32, 403), (TOKENS["monitor"], 200)]
)
async def test_only_a_system_that_may_read_the_status(watched: House, token: str, status: int) -> None:
    assert (await _scrape(watched, token))[0] in {status, 401 if status == 403 else status}


async def test_an_engineer_may_look_and_an_operator_may_not(box: House, sign_in) -> None:
    for name, role, status in (("wood", Role.ENGINEER, 200), ("miller", Role.OPERATOR, 403)):
        person = await sign_in(name, role)
        async with person.get("/metrics") as answer:
            assert answer.status == status


async def test_dashboard_and_alarms_ask_for_what_is_there(watched: House) -> None:
    """A panel over a name that nobody exports would stay empty for ever, and an alarm silent."""
    watched.system.now = replace(watched.system.status(), energy=Energy(31.5, 1200.0, ("rapl:package-0",)))
    _, text = await _scrape(watched, TOKENS["monitor"])
    exported = {
        sample.name for family in text_string_to_metric_families(text) for sample in family.samples
    } | set(re.findall(r"# TYPE (\S+)", text))
    board = json.loads((DEPLOY / "grafana" / "lfr-edge.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    asked += re.findall(r"expr: (.+)", (DEPLOY / "prometheus" / "alarms.yml").read_text())
    names = {name for expr in asked for name in re.findall(r"\blfr_\w+", expr)}
    assert len(names) > 15
    assert names <= exported
    assert not {"lfr_nobody_exports_this"} <= exported  # the control
    shown = {name for target in asked for name in re.findall(r"\blfr_\w+", target)}
    unseen = {
        name
        for name in exported
        if name.removesuffix("_total") not in {one.removesuffix("_total") for one in shown}
    }
    assert unseen == set(), "measured, and on no panel and in no alarm"


LABELLED = re.compile(r"(lfr_\w+)(?:\{([^}]*)\})?")


async def test_labels_that_dashboard_and_alarms_name_are_there(watched: House) -> None:
    """A matcher over a label or value that nobody exports is as empty as one over a missing name."""
    now = watched.system.status()
    drifting = tuple(replace(camera, drift={"quality": 0.3}) for camera in now.cameras)
    latency = replace(now.latency, p50=1.0, p95=2.0, p99=3.0)
    watched.system.now = replace(now, cameras=drifting, latency=latency)
    found = [
        (name, dict(labels)) for name, labels in _samples((await _scrape(watched, TOKENS["monitor"]))[1])
    ]
    labels = {name: set().union(*(have for one, have in found if one == name)) for name, _ in found}

    def fits(expr: str) -> bool:
        for name, matchers in LABELLED.findall(expr):
            for label, sign, value in re.findall(r'(\w+)(!?=)"([^"]*)"', matchers):
                values = {have.get(label) for one, have in found if one == name}
                if value not in values and sign == "=":
                    return False
                if label not in labels.get(name, ()):
                    return False
        return True

    def has(expr: str, named: str) -> bool:
        (first, _), *_ = LABELLED.findall(expr)
        return set(re.findall(r"\{\{ ?(?:\$labels\.)?(\w+) ?\}\}", named)) <= labels.get(first, set())

    board = json.loads((DEPLOY / "grafana" / "lfr-edge.json").read_text())
    targets = [target for panel in board["panels"] for target in panel.get("targets", ())]
    alarms = (DEPLOY / "prometheus" / "alarms.yml").read_text()
    rules = re.findall(r"expr: (.+)(?:\n(?!      - ).*)*?\n +summary: (.+)", alarms)
    assert len(rules) == alarms.count("- alert:")
    assert "on()" not in alarms, (
        "one van's cameras would be blind because another van is at work (promtool showed it)"
    )
    for expr, named in [*((one["expr"], one.get("legendFormat", "")) for one in targets), *rules]:
        assert fits(expr), expr
        assert has(expr, named), (expr, named)
    assert not fits('lfr_alerts{state="forgotten"}')  # the controls
    assert not fits('lfr_alerts{camera="left"}')
    assert not has("lfr_alerts", "{{camera}}")
