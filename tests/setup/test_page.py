"""The page of a box without an account: who gets in, what it does, and that it is gone afterwards."""

from __future__ import annotations

import asyncio
import re

import aiohttp
import pytest
from aiohttp import web
from onveef import wsdiscovery

from lfr_edge.cli import setup as cli
from lfr_edge.cli.main import main
from lfr_edge.clock import SystemClock
from lfr_edge.console.door.accounts import Accounts, Role
from lfr_edge.console.first_run import CODE_LIFE_NS, ROUTES, Door, build_first_run
from lfr_edge.settings import ConsoleSettings, load_settings
from lfr_edge.setup import page as page_room
from lfr_edge.setup.finding import Finding
from lfr_edge.setup.onvif import find_cameras
from lfr_edge.setup.page import PageSetup
from lfr_edge.setup.preparation import Preparation
from tests.fakes.box import ManualClock
from tests.setup.conftest import PASSWORD, USER

SITE = {
    "site": "Van 7", "data": "data", "audit": "audit", "store": "models", "purpose": "evaluation",
    "place": "Market Sq", "position": "51.5 -0.1", "force": "Exampleshire <Police>", "contact": "101",
}  # fmt: skip
PEOPLE = {"deployment_officer": "miller", "authorising_officer": "okoro", "operator": "jones singh"}


class Served:
    def __init__(self, config) -> None:
        self.clock = ManualClock()
        self.preparation = Preparation(config, SystemClock())
        self.preparation.draft.answers = self.preparation.draft.answers.model_copy(update={"probe_s": 1.0})
        self.setup = PageSetup(self.preparation, interfaces=["127.0.0.1"])
        self.door = Door(self.clock, tls=False)
        self.code = self.door.new_code()

    async def start(self) -> None:
        self.runner = web.AppRunner(build_first_run(self.setup, self.door), access_log=None)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}"

    def browser(self, **headers: str) -> aiohttp.ClientSession:
        manners = {"Origin": self.url, "Sec-Fetch-Site": "same-origin"} | headers
        return aiohttp.ClientSession(self.url, headers=manners, cookie_jar=aiohttp.CookieJar(unsafe=True))


@pytest.fixture
async def served(config):
    box = Served(config)
    await box.start()
    yield box
    await box.runner.cleanup()


@pytest.fixture
async def holder(served):
    async with served.browser() as person:
        async with person.post("/first-run/code", data={"code": served.code}) as answer:
            assert answer.status == 200
        yield person


async def send(person, step: str, **form: str) -> str:
    async with person.post(f"/first-run/{step}", data=form) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.text()


def paths(who: str) -> list[tuple[str, str]]:
    return [tuple(route.split(" ")) for route, (_, allowed) in ROUTES.items() if allowed == who]


async def test_without_the_code_every_step_is_refused(served):
    async with served.browser() as stranger:
        for method, path in paths("holder"):
            async with stranger.request(method, path, data={}) as answer:
                assert answer.status == 403, path
        async with stranger.get("/first-run") as answer:
            assert "XXXX-XXXX" in await answer.text()
        for code in ("", "AAAA-AAAA-AAAA-AAAA", served.code[:-1]):
            async with stranger.post("/first-run/code", data={"code": code}) as answer:
                assert answer.status == 403
    assert not served.preparation.path.exists()


async def test_the_code_opens_one_browser_once(served, holder):
    async with holder.get("/first-run") as answer:
        assert "1 · Site" in await answer.text()
    async with (
        served.browser() as second,
        second.post("/first-run/code", data={"code": served.code}) as answer,
    ):
        assert answer.status == 403


async def test_a_code_is_forgotten_after_an_hour(served):
    served.clock.pass_s(CODE_LIFE_NS / 1e9 + 1)
    async with served.browser() as late, late.post("/first-run/code", data={"code": served.code}) as answer:
        assert answer.status == 403


async def test_guessing_is_slowed_down(served):
    async with served.browser() as guesser:
        for _ in range(10):
            async with guesser.post("/first-run/code", data={"code": "A" * 16}):
                pass
        async with guesser.post("/first-run/code", data={"code": served.code}) as answer:
            assert answer.status == 429


STRANGERS = [
    {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"},
]  # fmt: skip


@pytest.mark.parametrize("manners", STRANGERS, ids=str)
async def test_no_other_site_can_act(served, holder, manners):
    for method, path in [*paths("holder"), ("POST", "/first-run/code")]:
        async with holder.request(method, path, data={"code": served.code}, headers=manners) as answer:
            assert answer.status == 403, path


async def test_the_answers_carry_the_consoles_headers(served):
    async with served.browser() as person, person.get("/first-run") as answer:
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
    async with served.browser() as person:
        for path, status in (("/static/console.css", 200), ("/static/../first_run.py", 404), ("/static/desk.js", 404),
                             ("/desk", 404), ("/static/%2e%2e%2faccess.toml", 404)):  # fmt: skip
            async with person.get(path) as answer:
                assert answer.status == status, path


async def test_from_nothing_to_a_box(served, holder, street, monkeypatch):
    monkeypatch.setattr(wsdiscovery, "WS_DISCOVERY_PORT", street.camera.discovery_port)
    monkeypatch.setattr(page_room, "find_cameras", lambda interfaces: find_cameras(interfaces, listen_s=0.5))
    assert "Exampleshire &lt;Police&gt;" in await send(holder, "site", **SITE)
    text = await send(holder, "people", **PEOPLE)
    assert "jones singh" in text
    assert "127.0.0.1: Gate X-200" in await send(holder, "find")
    camera = {"id": "gate", "service": street.camera.service, "username": USER, "password": PASSWORD}
    text = await send(holder, "camera", **camera)
    assert "h264 320 × 240" in text
    assert PASSWORD not in text
    text = await send(holder, "camera", id="dead", url="rtsp://127.0.0.1:1/x")
    assert "127.0.0.1:1" in text
    await send(holder, "remove", id="dead")
    assert "durability" in await send(holder, "checks")
    assert 'class="problem"' in await send(holder, "benchmark"), "no networks are installed here"
    done = await send(holder, "write")
    codes = dict(re.findall(r'<th scope="row">(\w+)</th>.*?<code>([A-Z0-9-]{19})</code>', done))
    assert set(codes) == {"miller", "okoro", "jones", "singh"}
    settings = load_settings(served.preparation.path)
    assert (settings.notice.force, settings.cameras[0].id) == ("Exampleshire <Police>", "gate")
    assert (settings.deployment.latitude, settings.deployment.longitude) == (51.5, -0.1)
    assert settings.cameras[0].password_file.read_text() == f"{PASSWORD}\n"
    accounts = Accounts(settings.data / "accounts.json", SystemClock())
    accounts.redeem(codes["okoro"], "okoro", None, "three random words")
    assert accounts.verify("okoro", "three random words").role is Role.AUTHORISING_OFFICER
    assert served.door.finished.is_set()
    for method, path in [*paths("anyone"), *paths("holder")]:
        async with holder.request(method, path, data=SITE) as answer:
            assert answer.status == 404, path
    assert main(["config", "check", str(served.preparation.path)]) == 0


async def test_an_account_from_elsewhere_ends_the_page_at_once(served, holder):
    await send(holder, "site", **SITE)
    Accounts(served.preparation.path.parent / "data/accounts.json", served.clock).add("weber", Role.ENGINEER)
    async with holder.get("/first-run") as answer:
        assert answer.status == 404


async def test_what_is_wrong_is_said_and_nothing_of_it_is_kept(served, holder):
    assert "models.purpose" in await send(holder, "site", **(SITE | {"purpose": "fun"}))
    text = await send(holder, "site", **(SITE | {"position": "somewhere"}))
    assert "a position is two numbers" in text
    assert 'value="somewhere"' in text
    assert served.preparation.draft.answers.configuration == {}
    text = await send(holder, "people", operator="Miller!", auditor="ng")
    assert "cannot be a name" in text
    assert 'value="Miller!"' in text, "to be mended, not typed again"
    assert 'value="ng"' in text
    async with holder.get("/first-run") as answer:
        assert "Miller!" not in await answer.text(), "once"
    assert "another role" in await send(holder, "people", operator="miller", auditor="miller")
    assert served.preparation.draft.answers.accounts == ()
    text = await send(holder, "camera", id="a", url="telnet://x", username="lfr", password=PASSWORD)
    assert 'value="telnet://x"' in text
    assert 'value="lfr"' in text
    assert PASSWORD not in text
    assert "no address was given" in await send(holder, "camera", id="a", url=" ")
    assert "did not answer" in await send(holder, "camera", id="a", service="http://192.0.2.1/internal")
    assert "part 1 was not kept yet" in await send(holder, "write")
    await send(holder, "site", **SITE)
    assert "nobody could sign in" in await send(holder, "write")
    async with holder.get("/first-run") as answer:
        assert "nobody could sign in" not in await answer.text(), "said once"


async def test_a_configuration_that_is_there_is_set_aside_only_when_told(served, holder):
    config = served.preparation.path
    config.parent.mkdir(exist_ok=True)
    config.write_text('site = "Van 7"\n')
    await send(holder, "site", **SITE)
    await send(holder, "people", **PEOPLE)
    assert "exists and says something else" in await send(holder, "write")
    assert config.read_text() == 'site = "Van 7"\n'
    assert "One-time codes" in await send(holder, "write", replace="yes")
    assert config.with_name("lfr.toml.1").read_text() == 'site = "Van 7"\n'


async def test_a_fault_of_ours_tells_nothing(served, holder, monkeypatch):
    monkeypatch.setattr(PageSetup, "check", lambda self: 1 / 0)
    async with holder.post("/first-run/checks") as answer:
        assert (answer.status, await answer.text()) == (500, "the page made an error")


async def test_in_welsh(served, holder, monkeypatch):
    monkeypatch.setattr(
        PageSetup, "check", lambda self: setattr(self, "_findings", (Finding("disk", "fail", "x", "y"),))
    )
    await send(holder, "checks")
    async with holder.get("/first-run", headers={"Accept-Language": "cy"}) as answer:
        text = await answer.text()
    assert 'lang="cy"' in text
    assert "Gosod y blwch hwn" in text
    assert "trwsiwch ef" in text


async def test_the_command_ends_when_the_box_is_written(config, capsys, monkeypatch):
    monkeypatch.setattr(cli, "_FAREWELL_S", 0)
    box = PageSetup(Preparation(config, SystemClock()))
    running = asyncio.create_task(cli._serve_page(box, ConsoleSettings(port=0)))
    said = ""
    while "setup code" not in said:
        await asyncio.sleep(0.01)
        said += capsys.readouterr().out
    url, code = re.search(r"setup page  (\S+)/first-run\nsetup code  (\S+)", said).groups()
    async with aiohttp.ClientSession(
        url,
        headers={"Origin": url, "Sec-Fetch-Site": "same-origin"},
        cookie_jar=aiohttp.CookieJar(unsafe=True),
    ) as person:
        async with person.post("/first-run/code", data={"code": code.lower().replace("-", " ")}) as answer:
            assert answer.status == 200
        await send(person, "site", **SITE)
        await send(person, "people", **PEOPLE)
        assert "One-time codes" in await send(person, "write")
    assert await asyncio.wait_for(running, 20) == 0
    assert "is gone" in capsys.readouterr().out


def test_a_box_with_an_account_has_no_page(config, capsys):
    config.parent.mkdir()
    config.write_text('data = "data"\n')
    Accounts(config.parent / "data/accounts.json", ManualClock()).add("weber", Role.ENGINEER)
    assert main(["setup", "--config", str(config), "--page", "--port", "0"]) == 1
    assert "access_first_account_exists" in capsys.readouterr().err


def test_others_reach_the_page_over_tls_only(config, capsys):
    assert main(["setup", "--config", str(config), "--page", "--host", "0.0.0.0"]) == 2
    assert "setup_page_needs_tls" in capsys.readouterr().err
