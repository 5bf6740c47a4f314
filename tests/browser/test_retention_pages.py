"""Holds, anchors and the public notice in a browser: full, empty, on a phone, by keyboard."""

from __future__ import annotations

import time
from pathlib import Path

import pytest_asyncio

from lfr_edge.console import anchors
from lfr_edge.console.door.accounts import Role
from lfr_edge.deployment.ending.anchor_sheet import sheet
from tests.browser.conftest import PHONE, VAN, a_page, signed_in
from tests.browser.test_pages import examine
from tests.fakes.box import house
from tests.fakes.closed_box import NAME, ClosedBox


async def both_sizes(watched, name: str) -> None:
    """One page on the laptop and on the phone, without signing in twice."""
    await examine(watched, name)
    await watched.page.set_viewport_size(PHONE)
    await examine(watched, f"{name}-phone")
    await watched.page.set_viewport_size(VAN)


@pytest_asyncio.fixture(loop_scope="session")
async def box(tmp_path: Path, behind: ClosedBox):
    async with house(tmp_path / "console", site="Van 3, Market Square", more=behind.ports) as running:
        yield running


async def test_the_notice_with_and_without_an_authority(box, behind: ClosedBox, browser) -> None:
    watched = await a_page(browser)
    page = watched.page
    await page.goto(f"{box.url}/notice")
    await examine(watched, "notice-empty")
    behind.announce()
    await page.reload()
    assert "Market Square, Exampleton" in await page.text_content("main")
    await both_sizes(watched, "notice")


async def test_a_hold_by_two_persons_by_keyboard(box, behind: ClosedBox, browser) -> None:
    officer = await signed_in(browser, box, "okafor", Role.DEPLOYMENT_OFFICER)
    page = officer.page
    await page.goto(f"{box.url}/holds")
    await page.focus("[data-hold]")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#ask[open]")
    assert await page.locator("input[name=ground]:checked").count() == 0, "nothing is chosen beforehand"
    await page.keyboard.press("Space")
    await examine(officer)
    await page.keyboard.press("Tab")
    await page.keyboard.type("IX/12/26")
    await page.keyboard.press("Tab")
    await page.keyboard.type("30")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("[data-refuse]")
    await examine(officer, "holds-waiting")
    boss = await signed_in(browser, box, "singh", Role.AUTHORISING_OFFICER)
    await boss.page.goto(f"{box.url}/holds")
    await boss.page.focus("[data-approve]")
    await boss.page.keyboard.press("Enter")
    await boss.page.wait_for_selector("[data-release]")
    assert "IX/12/26" in await boss.page.text_content("main")
    await both_sizes(boss, "holds")
    await boss.page.focus("[data-release]")
    await boss.page.keyboard.press("Enter")
    await boss.page.wait_for_selector("#why[open]")
    await boss.page.keyboard.type("case closed")
    await boss.page.keyboard.press("Enter")
    await boss.page.wait_for_selector("[data-release]", state="detached")


async def test_the_sheet_is_confirmed_from_paper(box, behind: ClosedBox, browser, monkeypatch) -> None:
    monkeypatch.setattr(anchors, "sheet", lambda anchor: (time.sleep(1.6), sheet(anchor))[1])  # of a slow box
    watched = await signed_in(browser, box, "okafor", Role.DEPLOYMENT_OFFICER)
    page = watched.page
    await page.goto(f"{box.url}/anchors")
    async with page.expect_download() as given:
        await page.click("form[action$='/sheet'] button")
    assert (await given.value).suggested_filename == f"anchor-{NAME}.pdf"
    await page.wait_for_selector("form.confirm")
    await examine(watched, "anchors-printed")
    await page.fill("form.confirm input", "ABCD EFGH")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("form.confirm .problem:not([hidden])")
    watched.faults.clear()  # the browser notes the 409 that we meant
    code = behind.ports(box.accounts)["anchors"].get(NAME).asked
    await page.fill("form.confirm input", code)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("svg.square")
    await examine(watched, "anchors")


async def test_empty_pages(tmp_path: Path, browser) -> None:
    async with house(tmp_path / "bare", site="Van 3, Market Square") as bare:
        watched = await signed_in(browser, bare, "okafor", Role.DEPLOYMENT_OFFICER)
        for name in ("holds", "anchors"):
            await watched.page.goto(f"{bare.url}/{name}")
            await examine(watched, f"{name}-empty")
