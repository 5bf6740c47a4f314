"""Every route × six identities, and every unsafe route against other sites."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web

from lfr_edge.console.app import build_app, routes_of
from lfr_edge.console.door.access import check_complete, load_rules
from lfr_edge.console.door.accounts import Role
from lfr_edge.console.door.guard import SAFE_METHODS
from lfr_edge.console.ports import ConsolePorts
from lfr_edge.errors import ConfigError
from lfr_edge.settings import IntegrationSettings, Settings, SystemSettings
from tests.fakes.box import ListRecorder, house, raised

RULES = load_rules()


class Filled(dict):
    """Something for every placeholder of a path, so that a route is tested from the day it is added."""

    def __missing__(self, name: str) -> str:
        return "1"


FILLED = Filled(name="console.css", which="probe", camera="north", reference="W-0001", change="enable")
# What each identity may do, once more and by hand: the matrix file is checked against people's expectation.
OPERATOR_ONLY = {"GET /desk", "GET /api/alerts", "GET /api/alerts/{token}", "POST /api/alerts/{token}/looks",
                 "GET /api/alerts/{token}/explanation"}  # fmt: skip
STREET_ONLY = {"GET /engagement", "GET /api/referrals"}
DESK_AND_STREET = {"GET /live", "GET /alerts/{token}/{which}.jpg", "POST /api/alerts/{token}/engagement",
                   "POST /api/alerts/{token}/outcome", "POST /api/alerts/{token}/receipt"}  # fmt: skip
NEVER_ENGINEER = (
    OPERATOR_ONLY
    | STREET_ONLY
    | DESK_AND_STREET
    | {"GET /tiles/{camera}.jpg", "GET /watchlist", "GET /audit"}
)


def test_the_matrix_says_what_reliability_says():
    for route in OPERATOR_ONLY:
        assert RULES[route].roles == {Role.OPERATOR}, route
        assert not RULES[route].anyone
    for route in STREET_ONLY:
        assert RULES[route].roles == {Role.ENGAGEMENT_OFFICER}, route
    for route in DESK_AND_STREET:
        assert RULES[route].roles == {Role.OPERATOR, Role.ENGAGEMENT_OFFICER}, route
    for route in NEVER_ENGINEER:
        assert Role.ENGINEER not in RULES[route].roles, route
    for route, rule in RULES.items():
        if route.endswith(".jpg"):
            assert Role.AUDITOR not in rule.roles, "an auditor sees images only when granted"
        if Role.AUTHORISING_OFFICER in rule.roles and not rule.anyone:
            assert route not in OPERATOR_ONLY | DESK_AND_STREET, "an authorising officer does not operate"


@pytest.mark.parametrize("identity", [None, *Role])
async def test_every_route_admits_exactly_its_roles(box, sign_in, identity):
    alert = await box.desk.raise_alert(raised())
    person = await sign_in("somebody", identity)
    for route, rule in sorted(RULES.items(), key=lambda item: item[0] == "POST /sign-out"):
        method, path = route.split(" ")
        url = path.format_map(Filled(FILLED, token=alert.id.token))
        headers = {"Accept": "application/json"}
        async with person.request(method, url, headers=headers, allow_redirects=False) as answer:
            if rule.admits(identity):
                assert answer.status not in {401, 403} or "setup" in route or "sign-in" in route, route
            elif identity is None:
                assert answer.status == 401, route
            else:
                assert answer.status == 403, route
                assert (await answer.json())["error"] == "access_role_refused"


async def test_a_systems_token_opens_stream_and_metrics_and_no_other_route(tmp_path):
    (tmp_path / "token").write_text("t" * 32)
    systems = (SystemSettings(id="map", token_file=tmp_path / "token", events=("status",)),)
    settings = Settings(data=tmp_path / "data", integrations=IntegrationSettings(systems=systems))
    headers = {"Authorization": "Bearer " + "t" * 32, "Accept": "application/json"}
    async with house(tmp_path, recorder=ListRecorder(), settings=settings) as box:
        headers |= {"Origin": box.url, "Sec-Fetch-Site": "same-origin"}
        async with aiohttp.ClientSession(box.url, headers=headers) as system:
            for route, rule in RULES.items():
                if rule.anyone:
                    continue
                method, path = route.split(" ")
                url = path.format_map(Filled(FILLED, token="0" * 32)) + ("?wait=0" if rule.systems else "")
                async with system.request(method, url, allow_redirects=False) as answer:
                    assert answer.status == (200 if rule.systems else 401), route


async def test_a_route_without_a_rule_stops_the_start(box):
    ports = box_ports(box)
    app = build_app(ports)
    assert set(routes_of(app)) == set(RULES)
    with pytest.raises(ConfigError) as caught:
        check_complete(RULES, [*RULES, "GET /backdoor"])
    assert caught.value.code == "access_rules_incomplete"
    with pytest.raises(ConfigError):
        check_complete(RULES, list(RULES)[1:])


def box_ports(box) -> ConsolePorts:
    from lfr_edge.clock import SystemClock

    return ConsolePorts(
        lambda: box.desk,
        box.system,
        box.accounts,
        box.sessions,
        box.recorder,
        SystemClock(),
        "Van 3",
        tls=True,
    )


UNSAFE = [*sorted(route for route in RULES if route.split(" ")[0] not in SAFE_METHODS), "GET /live"]
STRANGERS = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "{url}.evil.example"},
    {"Origin": "https://{host}"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Host": "evil.example"},
]


@pytest.mark.parametrize("route", UNSAFE)
async def test_no_other_site_can_act(box, sign_in, route):
    alert = await box.desk.raise_alert(raised())
    role = next(iter(sorted(RULES[route].roles)))
    person = await sign_in("somebody", role)
    method, path = route.split(" ")
    url = path.format_map(Filled(FILLED, token=alert.id.token))
    for stranger in STRANGERS:
        headers = {
            k: v.format(url=box.url, host=box.url.removeprefix("http://")) for k, v in stranger.items()
        }
        if route == "GET /live":
            headers |= {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip
        async with person.request(method, url, headers=headers, json={}) as answer:
            assert answer.status == 403, (route, stranger)
            assert (await answer.json())["error"] in {"access_cross_site", "access_host_refused"}
    assert person.closed is False


async def test_missing_origin_is_refused_too(box):
    async with aiohttp.ClientSession(box.url) as bare:
        async with bare.post("/sign-in", data={"name": "a", "password": "b"}) as answer:
            assert answer.status == 403
        async with bare.get("/static/console.css") as answer:
            assert answer.status == 200


async def test_pictures_cannot_be_embedded_elsewhere(box, sign_in):
    alert = await box.desk.raise_alert(raised())
    person = await sign_in("miller", Role.OPERATOR)
    url = f"/alerts/{alert.id.token}/probe.jpg"
    async with person.get(
        url, headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    ) as answer:
        assert answer.status == 403
    async with person.get(url) as answer:
        assert answer.status == 200
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


async def test_every_answer_carries_the_headers(box, sign_in):
    alert = await box.desk.raise_alert(raised())
    person = await sign_in("miller", Role.OPERATOR)
    urls = ["/desk", "/system", "/sign-in", "/static/desk.js", "/nowhere", "/watchlist", "/api/status", "/healthz",
            f"/alerts/{alert.id.token}/probe.jpg", "/alerts/zzz/probe.jpg", "/tiles/north.jpg",
            "/api/alerts/x"]  # fmt: skip
    for url in urls:
        async with person.get(url, allow_redirects=False) as answer:
            headers = answer.headers
            policy = headers["Content-Security-Policy"]
            assert "unsafe" not in policy, url
            for part in (
                "default-src 'none'",
                "object-src 'none'",
                "base-uri 'none'",
                "frame-ancestors 'none'",
            ):
                assert part in policy
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cache-Control"] == "no-store"
            assert headers["Server"] == "lfr-edge"
            assert "Strict-Transport-Security" not in headers, "loopback http"
    async with person.put("/desk") as answer:
        assert answer.status in {403, 405}
        assert "Content-Security-Policy" in answer.headers
    async with person.ws_connect("/live") as socket:
        assert "Content-Security-Policy" in socket._response.headers


async def test_large_bodies_are_refused(box, sign_in):
    person = await sign_in("okafor", Role.DEPLOYMENT_OFFICER)
    async with person.post(
        "/api/pause", data=b" " * 70_000, headers={"Content-Type": "application/json"}
    ) as answer:
        assert answer.status == 413


async def test_an_error_of_ours_tells_nothing(box, sign_in, caplog):
    person = await sign_in("miller", Role.OPERATOR)

    def broken():
        raise RuntimeError("secret detail")

    box.system.status = broken
    async with person.get("/api/status") as answer:
        assert answer.status == 500
        assert "secret" not in await answer.text()
        assert "Content-Security-Policy" in answer.headers
    assert "/api/status" in caplog.text


async def test_tls_pins_the_cookie_to_the_host(box):
    from lfr_edge.console.door.guard import cookie_name

    assert cookie_name(box_ports(box)) == "__Host-lfr-session"
    assert isinstance(build_app(box_ports(box)), web.Application)
    assert box_ports(box).answers_to("van-3.force.example"), "with TLS the certificate names the console"
