"""The main job as its user sees it: a camera, the real service, and a person at a real Chromium."""

from __future__ import annotations

import os

import pytest
from playwright.async_api import async_playwright

from lfr_edge.alerts.alert import State
from lfr_edge.audit.verify import verify
from tests.browser.conftest import ARGUMENTS, CHROMIUM, VAN
from tests.service.conftest import SOUGHT

pytestmark = [pytest.mark.browser, pytest.mark.network, pytest.mark.timeout(150)]
WORDS = "three plain words"


async def test_an_alert_is_decided_in_the_browser_and_the_record_holds_it(van, start) -> None:
    if not os.access(CHROMIUM, os.X_OK):
        if os.environ.get("CI") == "true":
            pytest.fail("CI must have Chromium: apt-get install --no-install-recommends chromium")
        pytest.skip("NOT TESTED: no Chromium on this machine")
    service = await start(matching={"cooldown_s": 600})  # one alert, however long the browser takes
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await (await browser.new_context(viewport=VAN, reduced_motion="reduce")).new_page()
        page.set_default_timeout(30_000)
        wire: list[str] = []
        page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: wire.append(str(frame))))
        await page.goto(f"{service.address}setup")
        await page.fill("#code", service.accounts.first_code())
        await page.fill("#name", "miller")
        await page.check("input[name=role][value=operator]")
        await page.fill("#password", WORDS)
        await page.fill("#again", WORDS)
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/desk")

        await page.wait_for_selector("#alert:not([hidden])")
        await page.wait_for_selector(".tile img:not([hidden])")
        (alert,) = service.run.desk.open_alerts()
        assert "Missing and at risk" in (await page.text_content("#alert") or "")
        assert not any(SOUGHT in text or '"score' in text for text in wire), "blind before the look"
        for key in ("1", "q", "a", "Enter"):
            await page.keyboard.press(key)
        await page.wait_for_selector("#after:not([hidden])")
        assert service.run.desk.get(alert.id.token).state is State.REFERRED
        assert SOUGHT in (await page.text_content("#after") or "")
        await page.goto(f"{service.address}system")
        await page.wait_for_selector("#ledger-exact:not([hidden])")
        await page.wait_for_timeout(2500)  # refreshed once, in the middle of passages
        assert await page.is_hidden("#ledger-inexact")
        await browser.close()
    await service.stop()
    decided = [entry.event for entry in van.entries() if entry.event.ev == "alert.decided"]
    assert [event.actor.account for event in decided] == ["miller"]
    report = verify(van.log())
    assert report.intact, report.text()
