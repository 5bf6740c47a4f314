"""A real ceremony: Chromium's virtual authenticator makes a passkey, signs in with it and proves who is there."""

from __future__ import annotations

import pytest_asyncio

from lfr_edge.console.door.accounts import Role
from lfr_edge.settings import ConsoleSettings, Settings
from tests.browser.conftest import signed_in
from tests.browser.test_pages import examine
from tests.fakes.box import ManualClock, house

AUTHENTICATOR = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
    "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip


@pytest_asyncio.fixture(loop_scope="session")
async def box(tmp_path):
    settings = Settings(console=ConsoleSettings(dns_name="localhost"))
    async with house(tmp_path, settings=settings, clock=ManualClock()) as running:
        running.url = running.url.replace("127.0.0.1", "localhost")
        yield running


async def test_a_passkey_from_its_making_to_its_end(box, browser):
    watched = await signed_in(browser, box, "miller", Role.AUTHORISING_OFFICER)
    page = watched.page
    wire = await page.context.new_cdp_session(page)
    await wire.send("WebAuthn.enable")
    device = await wire.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})

    await page.goto(f"{box.url}/me")
    await examine(watched)
    await page.fill("#passkey-name", "key ring")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#passkeys:has-text('key ring')")
    await examine(watched, "me")

    await page.click("button.me")
    await page.click("text=Sign out")
    await page.wait_for_url("**/sign-in")
    await examine(watched)
    await page.click("#by-passkey")
    await page.wait_for_url(lambda url: "sign-in" not in url)
    signed = [entry.event for _, entry in box.log.entries() if entry.event.ev == "access.signed_in"]
    assert [event.data["by"] for event in signed] == ["password", "passkey"]

    # A minute later an approval asks again, and the passkey answers.
    box.sessions._clock.pass_s(61)
    fresh = "window.asked = import('/static/fresh.js').then((fresh) => fresh.freshly())"
    await page.goto(f"{box.url}/me")
    await page.evaluate(f"void ({fresh})")
    await page.wait_for_selector("dialog[open]")
    await examine(watched)
    await page.click("text=Use my passkey")
    assert await page.evaluate("window.asked") is True
    assert await page.locator("dialog").count() == 0
    last = [entry.event for _, entry in box.log.entries()][-1]
    assert (last.ev, last.data) == ("access.signed_in", {"again": True, "by": "passkey"})

    # A person who is not verified by the device is nobody.
    box.sessions._clock.pass_s(61)
    await wire.send(
        "WebAuthn.setUserVerified", {"authenticatorId": device["authenticatorId"], "isUserVerified": False}
    )
    await page.evaluate(f"void ({fresh})")
    await page.wait_for_selector("dialog[open]")
    await page.click("text=Use my passkey")
    await page.wait_for_selector("dialog .problem:not([hidden])")
    await page.click("dialog >> text=Cancel")
    assert await page.evaluate("window.asked") is False

    await page.click("[data-remove]")
    await page.wait_for_selector("text=You have none yet.")
    assert box.accounts.get("miller").passkeys == ()
