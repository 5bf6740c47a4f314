"""The street's page on a phone and the supervisor's in the van: by keyboard, accessible, full, empty and in trouble."""

from __future__ import annotations

import pytest_asyncio

from lfr_edge.alerts.alert import Drill, State
from lfr_edge.alerts.drills import DrillCase, DrillSchedule
from lfr_edge.alerts.factors import Answer, Factors
from lfr_edge.alerts.street import Identity, Outcome
from lfr_edge.audit.event import Actor
from lfr_edge.audit.receipt import entries_of, read_code
from lfr_edge.console.door.accounts import Role
from tests.browser.conftest import PHONE, signed_in
from tests.browser.test_pages import alert_of, examine
from tests.fakes.box import ManualClock, house, raised

MILLER, REED = Actor("miller", "operator", "s1"), Actor("reed", "operator", "s2")
SAME, DIFFERENT, UNSURE = Answer.SAME_PERSON, Answer.DIFFERENT_PERSON, Answer.CANNOT_JUDGE
WHY = Factors.of(["features_agree", "mark_agrees"], ["both_clear"])


@pytest_asyncio.fixture(loop_scope="session")
async def box(tmp_path):
    async with house(tmp_path, site="Van 3, Market Square") as running:
        yield running


async def referred(box, number: int):
    alert = await box.desk.raise_alert(alert_of(number))
    return await box.desk.decide(alert.id.token, MILLER, SAME, WHY, "scar over the left brow", alert.version)


async def choose(page, name: str, value: str) -> None:
    await page.focus(f'#close [name="{name}"]')
    while await page.evaluate("document.activeElement.value") != value:
        await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Space")


async def test_from_the_referral_to_the_receipt_by_keyboard_alone(box, browser):
    watched = await signed_in(browser, box, "baker", Role.ENGAGEMENT_OFFICER, PHONE)
    page = watched.page
    assert page.url.endswith("/engagement")
    await page.wait_for_selector('#link[data-link="on"]')
    await examine(watched, "engagement-empty-phone")
    await box.desk.raise_alert(raised(1))
    alert = await referred(box, 2)
    await page.wait_for_selector("#referral:not([hidden])")
    assert await page.text_content("#referral-title") == "Alert 2", "the one that was referred, and no other"
    await page.wait_for_timeout(300)
    await examine(watched, "engagement-phone")
    assert "0.62" not in "".join(watched.wire), "no score reaches the street"
    await page.focus("#take")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#close:not([hidden])")
    assert box.desk.get(alert.id.token).engagement.account == "baker"
    await page.focus("#issue")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#receipt:not([hidden])")
    code = await page.text_content("#code")
    await choose(page, "identity", "different_person")
    await choose(page, "outcome", "no_action")
    await examine(watched)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#close", state="hidden")
    closed = box.desk.get(alert.id.token)
    assert (closed.state, closed.outcome) == (State.CLOSED, Outcome.NO_ACTION)
    assert closed.identity is Identity.DIFFERENT_PERSON
    assert await page.text_content("#code") == code
    await examine(watched, "engagement-closed-phone")

    found = entries_of((entry for _, entry in box.log.entries()), read_code(code.lower().replace("-", " ")))
    verbs = [entry.event.ev for entry in found]
    assert verbs[0] == "alert.raised"
    assert verbs[-1] == "alert.outcome"
    assert "alert.decided" in verbs


async def test_not_located_says_that_nobody_was_identified(box, browser):
    page = (await signed_in(browser, box, "baker", Role.ENGAGEMENT_OFFICER, PHONE)).page
    await page.wait_for_selector('#link[data-link="on"]')
    alert = await referred(box, 1)
    await page.click("#take")
    await page.check('[value="not_located"]')
    assert await page.is_checked('#close [value="not_established"]')
    await page.click("#close button")
    await page.wait_for_selector("#close", state="hidden")
    assert box.desk.get(alert.id.token).receipt is None
    assert await page.is_hidden("#issue")


async def test_somebody_else_was_first_and_the_line_is_lost(box, browser):
    watched = await signed_in(browser, box, "baker", Role.ENGAGEMENT_OFFICER, PHONE)
    page = watched.page
    await page.wait_for_selector('#link[data-link="on"]')
    alert = await referred(box, 1)
    await page.wait_for_selector("#take:visible")
    await box.desk.engage(alert.id.token, Actor("singh", "engagement_officer", "s8"), alert.version)
    await page.wait_for_selector('#referral-tags:has-text("taken by singh")')
    await page.context.set_offline(True)
    await page.click("#issue")
    await page.wait_for_selector("#banners .banner")
    watched.faults.clear()
    await examine(watched, "engagement-trouble-phone")


async def test_the_supervisor(tmp_path, browser):
    async with house(tmp_path / "sup", site="Van 3, Market Square") as box:
        watched = await signed_in(browser, box, "okafor", Role.DEPLOYMENT_OFFICER)
        page = watched.page
        await page.goto(f"{box.url}/supervision")
        await examine(watched, "supervision-empty")
        case = DrillCase("case-1", SAME, tmp_path / "p.jpg", tmp_path / "c.jpg")
        box.desk.drills = DrillSchedule(box.desk, [case] * 40, 4.0, ManualClock(), lambda: None)
        for number in range(1, 9):
            await referred(box, number)
            for who, answer in ((MILLER, None), (REED, UNSURE if number == 4 else SAME)):
                truth = (SAME, DIFFERENT)[number % 2]
                drill = await box.desk.raise_drill(raised(number), Drill(truth, "case-1"))
                await box.desk.decide(drill.id.token, who, answer or truth, WHY, "", drill.version)
        await page.reload()
        await page.wait_for_selector("tbody tr")
        assert "40 cases" in await page.text_content("main")
        await examine(watched, "supervision")
        phone = await signed_in(browser, box, "okafor", Role.DEPLOYMENT_OFFICER, PHONE)
        await phone.page.goto(f"{box.url}/supervision")
        await examine(phone)
