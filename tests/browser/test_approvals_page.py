"""Approving in a real browser: by keyboard, with the password again, accessible in every state."""

from __future__ import annotations

import pytest
import pytest_asyncio

from lfr_edge.alerts.record import Actor
from lfr_edge.console.door.accounts import Role
from lfr_edge.deployment.authority.signing import make_key, public_path
from tests.browser.conftest import PHONE, VAN, signed_in
from tests.browser.test_pages import examine
from tests.fakes.box import PASSWORD, enrol, house

SUMMARY = (
    "Activate the list of 14 812 entries for Op EXAMPLE 26/117.",
    "Compiled today at 08:10 UTC; 0 under 18.",
)


@pytest_asyncio.fixture(loop_scope="session")
async def box(tmp_path):
    async with house(tmp_path, site="Van 3, Market Square") as running:
        enrol(running.accounts, "okafor", Role.DEPLOYMENT_OFFICER)
        yield running


def propose(box, n=1):
    officer = Actor("okafor", "deployment_officer")
    return box.approvals.propose("watchlist.activate", {"list": "ab" * 32, "n": n}, officer, SUMMARY)


@pytest.mark.parametrize("size", [VAN, PHONE], ids=["van", "phone"])
async def test_the_page_in_every_state(box, browser, size):
    suffix = "" if size is VAN else "-phone"
    watched = await signed_in(browser, box, "lang", Role.AUTHORISING_OFFICER, size)
    page = watched.page
    await page.goto(f"{box.url}/approvals")
    await page.wait_for_selector("#none:visible")
    await examine(watched, "approvals-empty" if size is VAN else None)
    propose(box)
    await page.wait_for_selector("article.proposal")
    assert "14 min" in await page.text_content("[data-left]")
    await examine(watched, f"approvals{suffix}")
    await page.click("#enrol summary")
    await examine(watched)


async def test_approving_by_keyboard_with_the_password_again(box, browser):
    watched = await signed_in(browser, box, "lang", Role.AUTHORISING_OFFICER)
    page = watched.page
    first = propose(box)
    await page.goto(f"{box.url}/approvals")
    await page.wait_for_selector("[data-approve]")
    session = next(s for s in box.sessions._open.values() if s.account == "lang")
    session.authenticated_ns -= 3600 * 10**9  # signed in an hour ago
    assert await page.evaluate("document.activeElement.tagName") == "BODY", "no decision has the first focus"
    for _ in range(40):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.dataset.approve ?? ''") == first.id:
            break
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#fresh-password")
    await examine(watched)
    await page.keyboard.type("not the password")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("dialog .problem:visible")
    watched.faults.clear()  # Chromium reports the 403 itself
    assert box.approvals.get(first.id).state == "proposed"
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#told:has-text('Approved and recorded')")
    await page.wait_for_selector("article:has-text('waits to be used')")
    assert box.approvals.get(first.id).approver == "lang"
    await examine(watched, "approvals-approved")
    second = propose(box, 2)
    await page.wait_for_selector(f'[data-refuse="{second.id}"]')
    await page.click(f'[data-refuse="{second.id}"]')
    await page.wait_for_selector("dialog[open]")
    await page.keyboard.type("not this list")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#settled:has-text('refused')")
    await examine(watched)


async def test_the_proposer_sees_who_must_act_and_proposes_a_key(box, browser, tmp_path):
    make_key(tmp_path / "ao.key", None)
    propose(box)
    watched = await signed_in(browser, box, "okafor", Role.DEPLOYMENT_OFFICER)
    page = watched.page
    await page.goto(f"{box.url}/approvals")
    await page.wait_for_selector("article:has-text('another person must approve')")
    assert await page.locator("[data-approve]").count() == 0
    await page.click("#enrol summary")
    await page.fill("#key-name", "Supt A. Example")
    await page.select_option("#key-purpose", "authority")
    await page.fill("#key-pem", "no key")
    await page.click("#enrol button")
    await page.wait_for_selector("#enrol .problem:visible")
    watched.faults.clear()
    await page.fill("#key-pem", public_path(tmp_path / "ao.key").read_text())
    await page.click("#enrol button")
    await page.wait_for_selector("article:has-text('Supt A. Example')")
    await examine(watched)
    officer = await signed_in(browser, box, "lang", Role.AUTHORISING_OFFICER)
    await officer.page.goto(f"{box.url}/approvals")
    await officer.page.locator("article", has_text="Supt A. Example").locator("[data-approve]").click()
    await officer.page.wait_for_selector("#keys:has-text('Supt A. Example')")
    await examine(officer, "approvals-keys")
