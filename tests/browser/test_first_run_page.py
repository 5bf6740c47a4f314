"""The page of a box without an account, in a browser: by keyboard, without complaints of axe, and then gone."""

from __future__ import annotations

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser

from tests.browser.conftest import PHONE, a_page
from tests.setup.test_page import Served


async def accessible(page) -> None:
    results = await Axe().run(page)
    found = [(rule["id"], rule["nodes"][0]["html"][:120]) for rule in results.response["violations"]]
    assert found == []


async def test_a_box_is_set_up_by_keyboard_alone(browser: Browser, tmp_path):
    box = Served(tmp_path / "box" / "lfr.toml")
    await box.start()
    try:
        watched = await a_page(browser)
        page = watched.page
        await page.goto(f"{box.url}/first-run")
        await accessible(page)
        await page.focus("#code")
        await page.keyboard.type(box.code)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#site")
        await accessible(page)
        ids = await page.evaluate("[...document.querySelectorAll('[id]')].map(element => element.id)")
        assert len(ids) == len(set(ids)), "a label would lead to another thing of the same name"
        await page.fill("#field-audit", "audit")
        await page.fill("#field-data", "data")
        await page.click("label[for=field-site]")
        await page.keyboard.type("Van 7")
        await page.keyboard.press("Enter")
        await page.wait_for_url(
            "**/first-run#people"
        )  # what is typed before it would be lost with the old page
        await page.fill("#people-operator", "jones")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/first-run#cameras")
        await page.click("#checks button")
        await page.wait_for_selector("#checks table")
        await accessible(page)
        await page.set_viewport_size(PHONE)
        table = page.locator("#checks .wide")
        hidden = await table.evaluate("box => box.scrollWidth - box.clientWidth")
        assert hidden == 0, "what a check says can be read without pushing it aside"
        wide = await page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide == 0, "nothing runs out of a phone's side"
        await page.focus("#write button")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("text=One-time codes")
        await accessible(page)
        assert watched.faults == []
        gone = await page.goto(f"{box.url}/first-run")
        assert gone.status == 404
    finally:
        await box.runner.cleanup()
