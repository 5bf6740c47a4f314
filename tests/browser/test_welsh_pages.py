"""Every page in Welsh, full and in trouble: what is English on it says that it is (WCAG 2.2, 3.1.2)."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest_asyncio

from lfr_edge.alerts.factors import Answer, Factors
from lfr_edge.console.door.accounts import Role
from lfr_edge.console.ports import Trouble
from lfr_edge.console.texts import read_texts
from lfr_edge.deployment.authority import clauses
from lfr_edge.deployment.readiness import readiness
from lfr_edge.errors import ModelError
from lfr_edge.sentences import say
from lfr_edge.settings import Settings
from tests.browser.conftest import a_page, signed_in
from tests.browser.test_pages import examine
from tests.browser.test_record_pages import OFFICERS, a_day
from tests.deployment.test_readiness import READY
from tests.fakes.authority import authority, fitting, signed_authority
from tests.fakes.box import house, raised, van_status
from tests.fakes.closed_box import ClosedBox
from tests.fakes.deployment import preparing, receipts

# Words that English sentences hold and Welsh ones do not.
ENGLISH = re.compile(
    r"\b(?:the|of|and|not|with|for|this|that|which|has|have|are|was|from|must|cannot|there|who|its|what|at most)\b",
    re.IGNORECASE,
)
# What a person reads or hears, where it is said to be Welsh: texts, names of controls, hints in fields.
SEEN = """() => {
  const seen = [];
  const welsh = (node) => (node.closest("[lang]")?.lang ?? "") === "cy";
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walk.nextNode(); text; text = walk.nextNode()) {
    const holder = text.parentElement;
    if (holder.closest("script, style, template, code, [data-own]") || !welsh(holder)) continue;
    if (text.data.trim()) seen.push(text.data.trim());
  }
  for (const node of document.querySelectorAll("[aria-label], [title], [placeholder], [alt]")) {
    if (!welsh(node) || node.closest("template")) continue;
    for (const name of ["aria-label", "title", "placeholder", "alt"]) {
      if (node.getAttribute(name)) seen.push(node.getAttribute(name));
    }
  }
  return [document.title, ...seen];
}"""


def english_texts(node=None) -> set[str]:
    """Every text of en.toml that reads otherwise in Welsh."""
    found: set[str] = set()

    def walk(english, welsh):
        for key, text in english.items():
            if isinstance(text, dict):
                walk(text, welsh[key])
            elif text != welsh[key] and "{" not in text:
                found.add(text)

    walk(read_texts("en"), read_texts("cy"))
    return found


ENGLISH_TEXTS = english_texts()


def trouble_lines():
    """The real list where nothing holds, with the real clauses: most of them broken."""
    granted = authority(
        legal_basis="", objective="", cameras=("east",), urgent=None, conditions=("",),
        place={"name": "", "zone": ""}, watchlist={"criteria": "", "maximum_size": 1, "categories": ()},
    )  # fmt: skip
    broken = clauses(signed_authority(granted), fitting(authority()))
    dark = replace(
        READY, clauses=broken, listing=None, cameras={"south": "stalled"}, free=10**9, clock_in_step=False,
        briefed={}, log=say("the audit log failed: {error}", error="I/O"), standing=None,
        models=ModelError("model_file_missing", say("{label}: {where}: {fault}", label="x", where="y", fault="z"),
                          hint="choose a folder that you may write to with --store, and check the free space"),
    )  # fmt: skip
    return readiness(dark)


def fine_lines():
    return readiness(replace(READY, clauses=clauses(signed_authority(), fitting(authority()))))


async def english_on(page) -> list[str]:
    seen = await page.evaluate(SEEN)
    return [text for text in seen if ENGLISH.search(text) or text in ENGLISH_TEXTS]


async def in_welsh(watched, url: str, *, wait: str | None = None) -> None:
    page = watched.page
    await page.set_extra_http_headers({"Accept-Language": "cy"})
    await page.goto(url)
    if wait:
        await page.wait_for_selector(wait)
    assert await page.evaluate("document.documentElement.lang") == "cy"
    assert await english_on(page) == [], url
    watched.faults.clear()  # Chromium reports what was refused on purpose


@pytest_asyncio.fixture(loop_scope="session")
async def box(tmp_path: Path, behind: ClosedBox):
    settings = Settings(data=tmp_path / "data", audit=tmp_path / "audit")
    more = behind.ports
    async with house(tmp_path, site="Fan 3", settings=settings, more=more) as running:
        yield running


async def test_pages_for_each_role(box, behind: ClosedBox, browser):
    await a_day(box)
    behind.announce()
    officer = await signed_in(browser, box, "okafor", Role.DEPLOYMENT_OFFICER)
    for name in ("system", "watchlist", "approvals", "supervision", "reports", "accuracy", "holds", "anchors",
                 "accounts", "me", "notice"):  # fmt: skip
        await in_welsh(officer, f"{box.url}/{name}")
    await examine(officer)
    auditor = await signed_in(browser, box, "doyle", Role.AUDITOR)
    for name in ("audit", "audit/2026-11-22-1/0", "reports"):
        await in_welsh(auditor, f"{box.url}/{name}")
    await in_welsh(auditor, f"{box.url}/audit")
    await auditor.page.click("#verify")
    await auditor.page.wait_for_selector("#told li")
    assert await english_on(auditor.page) == []


async def test_the_desk_and_the_street(box, browser):
    operator = await signed_in(browser, box, "miller", Role.OPERATOR)
    await in_welsh(operator, f"{box.url}/desk", wait="#link[data-link='on']")
    first = await box.desk.raise_alert(raised(1))
    await box.desk.raise_alert(raised(2))
    await operator.page.wait_for_selector("#alert:not([hidden])")
    assert await english_on(operator.page) == []
    why = Factors.of(["features_agree"], [], [])
    await box.desk.decide(first.id.token, OFFICERS[1], Answer.SAME_PERSON, why, "", first.version)
    await operator.page.reload()
    await operator.page.wait_for_selector("#recent button")
    await operator.page.click("#recent button")
    await operator.page.wait_for_selector("#after:not([hidden])")
    assert await english_on(operator.page) == []
    street = await signed_in(browser, box, "baker", Role.ENGAGEMENT_OFFICER)
    await in_welsh(street, f"{box.url}/engagement", wait="#referral:not([hidden])")


async def test_a_deployment_from_preparation_to_receipts(box, browser):
    officer = await signed_in(browser, box, "okafor", Role.DEPLOYMENT_OFFICER)
    now = preparing()
    url = f"{box.url}/deployment"
    for lines in (trouble_lines(), fine_lines()):
        box.control.now = replace(now, lines=lines)
        await in_welsh(officer, url, wait="#lines details")
        assert await officer.page.locator("#lines details li[lang='en']").count() == 0
    running = replace(now, phase="running", lines=(), remaining_s=412, started_wall_ns=10**18,
                      failure=say("the recogniser ended {restarts} times: {message}", restarts=4,
                                  message=say("the recogniser is not running")))  # fmt: skip
    box.control.now = running
    await in_welsh(officer, url, wait=".banner[data-health='failed']")
    box.control.now = replace(now, phase="ended", lines=(), why_ended=say("cancelled: {why}", why="IX/12"),
                              receipts=receipts("the medium is read-only"))  # fmt: skip
    await in_welsh(officer, url, wait="#receipts tr")
    assert await officer.page.locator("#receipts [lang='en']").count() == 4, "as the record says it"


async def test_in_trouble(box, browser):
    now = van_status()
    note = say("{place} did not answer in {open_timeout_s:g} s", place="10.0.0.5", open_timeout_s=5.0)
    lost = replace(now.cameras[1], state="lost", fps=0.0, note=note, median_eye_px=None)
    troubles = (
        Trouble("degraded", say("camera {id} gives no picture", id="south"), note),
        Trouble("degraded", "a driver's own words, which are of no language of ours"),
    )
    box.system.now = replace(now, cameras=(now.cameras[0], lost), troubles=troubles)
    box.system.paused = True
    officer = await signed_in(browser, box, "okafor", Role.DEPLOYMENT_OFFICER)
    await in_welsh(officer, f"{box.url}/system")
    assert await officer.page.locator("#banners [lang='en']").count() == 1
    operator = await signed_in(browser, box, "miller", Role.OPERATOR)
    await in_welsh(operator, f"{box.url}/desk", wait="#banners p >> nth=2")
    await in_welsh(operator, f"{box.url}/accounts")  # not for this role
    await in_welsh(operator, f"{box.url}/no/such/page")
    stranger = await a_page(browser)
    for name in ("sign-in", "setup", "notice"):
        await in_welsh(stranger, f"{box.url}/{name}")
    await in_welsh(stranger, f"{box.url}/sign-in")
    await stranger.page.fill("#name", "nobody")
    await stranger.page.fill("#password", "wrong words here")
    await stranger.page.keyboard.press("Enter")
    await stranger.page.wait_for_selector(".problem")
    assert await english_on(stranger.page) == []


async def test_refusals_that_scripts_show(box, browser):
    """What an act answers lands on the page: a wrong passphrase, a proposal that is gone, a body that is none."""
    box.control.now = preparing("list_unsealed")
    officer = await signed_in(browser, box, "okafor", Role.DEPLOYMENT_OFFICER)
    page = officer.page
    await in_welsh(officer, f"{box.url}/deployment", wait="#unseal-card:not([hidden])")
    await page.fill("#passphrase", "wrong words")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#unseal-form .problem:not([hidden])")
    told = await page.text_content("#unseal-form .problem")
    assert told.startswith("nid yw'r cyfrinymadrodd yn agor y rhestr hon. gwiriwch")
    assert await english_on(page) == []
    await page.set_input_files(
        "#authority-file", {"name": "a.json", "mimeType": "", "buffer": b'{"unsigned": 1}'}
    )
    await page.click("#authority-use")
    await page.wait_for_selector("#authority-form .problem:not([hidden])")
    assert await page.get_attribute("#authority-form .problem", "lang") == "en", (
        "it has no Welsh, and says so"
    )
    assert await english_on(page) == []


async def test_the_search_sees_an_english_sentence(box, browser):
    """The control: the same page with English left on it is found out."""
    stranger = await a_page(browser)
    await in_welsh(stranger, f"{box.url}/sign-in")
    await stranger.page.evaluate("document.querySelector('main').append('There is no such thing')")
    assert await english_on(stranger.page) == ["There is no such thing"]
    await stranger.page.evaluate("document.querySelector('main').lang = 'en'")
    assert await english_on(stranger.page) == []
