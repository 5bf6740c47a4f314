"""Reports, accuracy, audit and account pages: full, empty and in trouble, in both languages and at both sizes."""

from __future__ import annotations

import json
from datetime import date

import pytest
import pytest_asyncio

from lfr_edge.alerts.factors import Answer, Factors
from lfr_edge.alerts.record import Actor
from lfr_edge.console.accuracy import Measured
from lfr_edge.console.door.accounts import Role
from lfr_edge.matching.threshold import Calibration, save_calibrations
from lfr_edge.settings import MatchingSettings, Settings
from tests.browser.conftest import PHONE, VAN, signed_in
from tests.browser.test_pages import examine
from tests.console.test_reports import RESULT
from tests.fakes.box import house, raised

SIZES = pytest.mark.parametrize("size", [VAN, PHONE], ids=["van", "phone"])
# The phone's turn with the long pages is a trial: the same templates, half a minute of CI.
VAN_FIRST = pytest.mark.parametrize(
    "size", [VAN, pytest.param(PHONE, marks=pytest.mark.trial)], ids=["van", "phone"]
)
NAME = "2026-11-22-1"
OFFICERS = [Actor("miller", "operator", "s1"), Actor("reed", "operator", "s2")]


def calibrations() -> list[Calibration]:
    return [
        Calibration("f" * 64, 704, "cpu", "fp32", size, fpir, threshold, threshold - 0.004, threshold + 0.004, 2001,
                    1603, date(2026, 11, 22), "half of LFW, still pictures")
        for size, fpir, threshold in ((10, 0.1, 0.27), (100, 0.03, 0.41), (100, 0.01, 0.47), (1000, 0.01, 0.52))
    ]  # fmt: skip


async def a_day(box) -> None:
    """What a record of some hours looks like, in little."""
    record = box.recorder.record
    data = {"site": "Van 3", "purpose": "evaluation", "cameras": ["north", "south"], "alert_images_h": 24}
    record("deployment.opened", actor=None, ref="", data=data, why="")
    record("threshold.set", actor=None, ref="", data={"threshold_e4": 4831, "list_size": 12}, why="")
    data = {"templates": 14, "entries": 12, "categories": {"wanted_on_warrant": 9, "missing_person": 3}}
    record("watchlist.activated", actor=None, ref="list", data=data, why="")
    for number in range(1, 6):
        alert = await box.desk.raise_alert(raised(number, score=0.49 + number / 50))
        answer = Answer.DIFFERENT_PERSON if number == 4 else Answer.SAME_PERSON
        factors = Factors.of(["features_agree"], [], [])
        await box.desk.decide(alert.id.token, OFFICERS[number % 2], answer, factors, "", alert.version)
    counts = {"processed": 1820, "erased": 1815, "retained": 5}
    record("ledger.counted", actor=None, ref="", data=counts, why="")
    box.log.checkpoint()


@pytest_asyncio.fixture(loop_scope="session")
async def box(tmp_path, monkeypatch):
    path = tmp_path / "calibrations.json"
    save_calibrations(path, calibrations())
    monkeypatch.setattr(Measured, "fingerprint", lambda self: "f" * 64)
    monkeypatch.setattr(Measured, "precision", lambda self: "fp32")
    settings = Settings(
        data=tmp_path / "data", audit=tmp_path / "audit", matching=MatchingSettings(calibration=path)
    )
    async with house(tmp_path, site="Van 3, Market Square", settings=settings) as running:
        yield running


@VAN_FIRST
async def test_reports(box, browser, size):
    await a_day(box)
    watched = await signed_in(browser, box, "doyle", Role.AUDITOR, size)
    page = watched.page
    await page.goto(f"{box.url}/reports")
    assert await page.locator("figure.drawing svg").count() >= 1
    await examine(watched, "reports" if size is VAN else "reports-phone")
    async with page.expect_download() as download:
        await page.click("text=Published table, Metropolitan Police")
    assert (await (await download.value).path()).read_bytes().startswith(b"\xef\xbb\xbf")


@VAN_FIRST
async def test_accuracy(box, browser, size):
    watched = await signed_in(browser, box, "doyle", Role.AUDITOR, size)
    page = watched.page
    await page.goto(f"{box.url}/accuracy")
    assert "At most one false alert in 100 passages" in await page.text_content("#standing")
    await examine(watched, "accuracy-empty" if size is VAN else None)
    folder = box.folder / "data" / "evaluations"
    folder.mkdir(parents=True, exist_ok=True)
    curve = [
        {"threshold": n / 60, "fpir": max(1e-4, 1 / (1 + n * n)), "fnir": min(1, (n / 60) ** 3 + 0.01)}
        for n in range(60)
    ]
    (folder / "lfw-2026-11.json").write_text(
        json.dumps(RESULT | {"model": {"fingerprint": "f" * 64}, "det": curve})
    )
    await page.reload()
    await examine(watched, "accuracy" if size is VAN else "accuracy-phone")
    (folder / "lfw-2026-11.json").write_text("{")
    await page.reload()
    await page.wait_for_selector(".problem")
    await examine(watched, "accuracy-trouble" if size is VAN else None)


@SIZES
async def test_audit_timeline_entry_and_verdict(box, browser, size):
    await a_day(box)
    watched = await signed_in(browser, box, "doyle", Role.AUDITOR, size)
    page = watched.page
    await page.goto(f"{box.url}/audit")
    await page.click("#verify")
    await page.wait_for_selector("#verdict:has-text('with reservations')")
    await examine(watched, "audit" if size is VAN else "audit-phone")
    await page.select_option("#verb", "collection")
    await page.click(".filter button")
    await page.wait_for_url("**/audit?*verb=collection*")
    await page.wait_for_selector("#entries-table")
    assert await page.locator("#entries-table code:has-text('alert.raised')").count() == 5
    await examine(watched)
    await page.click("#entries-table th a >> nth=0")
    await page.wait_for_selector("#proof")
    assert "hashes lead" in await page.text_content("#proof")
    await examine(watched, "audit-entry" if size is VAN else None)


async def test_an_altered_record_is_trouble(box, browser):
    await a_day(box)
    entries = box.folder / "audit" / NAME / "entries.lfr"
    raw = bytearray(entries.read_bytes())
    raw[len(raw) // 2] ^= 1
    watched = await signed_in(browser, box, "doyle", Role.AUDITOR)
    page = watched.page
    entries.write_bytes(raw)
    await page.goto(f"{box.url}/audit")
    await page.click("#verify")
    await page.wait_for_selector("#verdict-card[data-verdict='altered']")
    await examine(watched, "audit-trouble")
    await page.goto(f"{box.url}/reports")
    await page.wait_for_selector(".problem")
    await examine(watched, "reports-trouble")


async def test_empty_pages(tmp_path, browser):
    settings = Settings(data=tmp_path / "elsewhere", audit=tmp_path / "nothing-yet")
    async with house(tmp_path, site="Van 3, Market Square", settings=settings) as box:
        watched = await signed_in(browser, box, "doyle", Role.AUDITOR)
        for name in ("reports", "audit"):
            await watched.page.goto(f"{box.url}/{name}")
            await watched.page.wait_for_selector(".empty")
            await examine(watched, f"{name}-empty")


@VAN_FIRST
async def test_every_page_in_welsh(box, browser, size):
    """The language is chosen by a button, kept over pages, said in `lang`, and fits the screen."""
    watched = await signed_in(browser, box, "okafor", Role.DEPLOYMENT_OFFICER, size)
    page = watched.page
    assert await page.get_attribute("html", "lang") == "en"
    await page.click("button.me")
    await page.click("text=Cymraeg")
    await page.wait_for_selector("html[lang='cy']")
    await page.wait_for_load_state()
    links = await page.locator("nav a").evaluate_all("all => all.map((one) => one.getAttribute('href'))")
    assert {"/reports", "/accuracy", "/audit", "/accounts"} <= set(links)
    for path in [*links, "/me"]:
        await page.goto(f"{box.url}{path}")
        assert await page.get_attribute("html", "lang") == "cy", path
        await examine(watched, "system-welsh" if path == "/system" and size is VAN else None)
    await page.click("button.me")
    await page.click("text=English")
    await page.wait_for_selector("html[lang='en']")


async def test_the_menu_on_a_phone(box, browser):
    watched = await signed_in(browser, box, "okafor", Role.DEPLOYMENT_OFFICER, PHONE)
    page = watched.page
    await page.goto(f"{box.url}/system")
    assert not await page.locator("nav a >> nth=0").is_visible()
    await page.click(".menu")
    await page.wait_for_selector("nav a:visible")
    await page.wait_for_timeout(100)
    await examine(watched, "menu-phone")
    await page.keyboard.press("Escape")
    assert not await page.locator("nav a >> nth=0").is_visible()
    await page.focus(".menu")
    await page.keyboard.press("Enter")
    await page.click("nav a[href='/audit']")
    await page.wait_for_url("**/audit")
