"""The Deployment page in a browser: from an empty list to receipts, by keyboard, in the van and on a phone."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
import pytest_asyncio
from playwright.async_api import expect

from lfr_edge.console.door.accounts import Role
from lfr_edge.deployment.readiness import CODES
from tests.browser.conftest import PHONE, VAN, signed_in
from tests.browser.test_pages import examine
from tests.fakes.box import house
from tests.fakes.deployment import PASSPHRASE, preparing, receipts


@pytest_asyncio.fixture(loop_scope="session")
async def box(tmp_path):
    async with house(tmp_path, site="Van 3, Market Square") as running:
        running.control.now = preparing(*CODES)
        yield running


async def marks(page) -> dict[str, str]:
    lines = await page.locator("#lines > li").all()
    return {await line.get_attribute("data-line"): await line.get_attribute("data-state") for line in lines}


@pytest.mark.parametrize("size", [VAN, PHONE], ids=["van", "phone"])
async def test_from_an_empty_list_to_receipts(box, browser, size, tmp_path):
    suffix = "" if size is VAN else "-phone"
    watched = await signed_in(browser, box, "okafor", Role.DEPLOYMENT_OFFICER, size)
    page = watched.page
    await page.wait_for_url("**/deployment")
    await page.wait_for_selector(f"[data-line='{CODES[-1]}']")
    assert set(await marks(page)) == set(CODES)
    assert (await marks(page))["clock"] == "advice"
    assert {state for code, state in (await marks(page)).items() if code != "clock"} == {"missing"}
    if size is PHONE:  # what is said stands under its name, not half beside it
        lefts = [
            await page.evaluate(
                "(q) => document.querySelector(q).getClientRects()[0].left", f"[data-line='authority'] {part}"
            )
            for part in ("strong", ".says")
        ]
        assert lefts[0] == lefts[1]
    await examine(watched, f"deployment-empty{suffix}")

    # Start says what is missing instead of starting; nothing was asked of the box.
    await page.focus("#start")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#problem:not([hidden])")
    assert "Authority" in await page.text_content("#problem")
    assert box.control.said == []

    # The authority: a draft is refused in words, the signed one is taken.
    for name, content in (("draft.json", {"unsigned": 1}), ("signed.json", {"signed": 1})):
        (tmp_path / name).write_text(json.dumps(content))
    await page.set_input_files("#authority-file", tmp_path / "draft.json")
    await page.focus("#authority-use")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#authority-form .problem:has-text('nobody has signed it')")
    watched.faults.clear()  # Chromium reports the 409 itself
    await examine(watched)
    await page.set_input_files("#authority-file", tmp_path / "signed.json")
    await page.focus("#authority-use")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("[data-line='authority'][data-state='ok']")
    assert "Op Lantern" in await page.text_content("#facts")

    # The list: a wrong passphrase, then the right one; it is nowhere on the page afterwards.
    for words, after in (
        ("wrong words", "#unseal-form .problem:not([hidden])"),
        (PASSPHRASE, "#unseal-card[hidden]"),
    ):
        await page.focus("#passphrase")
        await page.keyboard.type(words)
        await page.keyboard.press("Enter")
        await page.wait_for_selector(after, state="attached")
    watched.faults.clear()
    assert PASSPHRASE not in await page.content()
    await page.wait_for_selector("#propose-list:not([hidden])")
    await page.focus("#propose-list")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#proposed:has-text('Look for 1204 people')")
    await page.focus("#acknowledge")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#acknowledged:has-text('okafor')")
    assert await page.is_hidden("#acknowledge")
    await examine(watched, f"deployment-preparing{suffix}")

    # Everything else becomes ready by itself; the page notices, and Start starts.
    box.control.now = replace(box.control.now, lines=preparing().lines, threshold=0.48)
    await page.wait_for_selector("#start[aria-disabled='false']")
    await page.focus("#start")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("body[data-phase='running']")
    await page.wait_for_selector("#counters:has-text('30\u202f521')")
    assert "7 h 12 min" in await page.text_content("#facts")
    assert await page.is_hidden("#readiness")
    await examine(watched, f"deployment-running{suffix}")
    await page.fill("#threshold", "0.52")
    await page.keyboard.press("Enter")
    await expect(page.locator("#threshold")).to_have_value("", timeout=20_000)
    assert ("propose threshold", "0.52") in box.control.said

    # The end asks for a reason and for the import copies.
    await page.focus("#end")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#ending[open]")
    await examine(watched)
    await page.keyboard.type("end of the shift")
    await page.check("#imports")
    await page.focus("#ending-why")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("body[data-phase='ended']")
    assert ("end", "end of the shift True") in box.control.said
    assert await page.locator("#receipts tr").count() == 2
    assert "gone" in await page.text_content("#receipts-verdict")
    await examine(watched, f"deployment-ended{suffix}")
    await page.focus("#next")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("body[data-phase='preparing']")


async def test_in_trouble(box, browser):
    running = replace(preparing(), phase="running", lines=(), remaining_s=412, started_wall_ns=10**18,
                      failure="the recogniser ended 4 times")  # fmt: skip
    box.control.now = running
    watched = await signed_in(browser, box, "hughes", Role.AUTHORISING_OFFICER)
    page = watched.page
    await page.goto(f"{box.url}/deployment")
    await page.wait_for_selector(".banner[data-health='failed']:has-text('People pass unrecognised')")
    await page.wait_for_selector(".banner:has-text('ends in 6 min')")
    assert await page.locator("#start, #end, #unseal-card, #authority-card").count() == 0, (
        "approves, does not operate"
    )
    await examine(watched, "deployment-trouble")
    await page.focus("#cancel")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#why[open]")
    await page.keyboard.type("the intelligence was wrong")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("body[data-phase='ended']")
    assert box.control.said == [("cancel", "the intelligence was wrong")]
    box.control.now = replace(box.control.now, receipts=receipts("the medium is read-only"))
    await page.reload()
    await page.wait_for_selector("#receipts:has-text('still there: the medium is read-only')")
    assert "problem" in await page.get_attribute("#receipts-verdict", "class")
    await examine(watched)


async def test_the_clauses_unfold_and_an_interrupted_deployment_says_so(box, browser):
    box.control.now = replace(preparing("authority", "list_unsealed"), resuming=True)
    watched = await signed_in(browser, box, "okafor", Role.DEPLOYMENT_OFFICER)
    page = watched.page
    await page.wait_for_url("**/deployment")
    assert "Interrupted" in await page.text_content("#state")
    assert await page.is_hidden("#start"), "it goes on by itself"
    await page.focus("[data-line='authority'] summary")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("[data-line='authority'] details[open] li:has-text('not authorised: south')")
    await page.wait_for_timeout(2500)  # a refresh leaves it open
    assert await page.get_attribute("[data-line='authority'] details", "open") is not None
    await examine(watched)


async def test_an_operator_reads_the_briefing_and_nothing_else(box, browser):
    watched = await signed_in(browser, box, "miller", Role.OPERATOR, PHONE)
    page = watched.page
    asked, go = asyncio.Event(), asyncio.Event()

    async def late(route) -> None:
        """A refresh from before the act whose answer comes after it."""
        answer = await route.fetch()
        asked.set()
        await go.wait()
        await route.fulfill(response=answer)

    await page.route("**/api/deployment", late, times=1)
    await page.goto(f"{box.url}/deployment")
    await asked.wait()
    await page.click("#acknowledge")
    await page.wait_for_selector("#acknowledged:has-text('miller')")
    async with page.expect_event("requestfinished", lambda one: one.url.endswith("/api/deployment")):
        go.set()
    assert "miller" in await page.text_content("#acknowledged"), "what was known before is not drawn over it"
    assert (
        await page.locator("#start, #end, #cancel, #unseal-card, #authority-card, #propose-card").count() == 0
    )
    await examine(watched)
