"""The Watchlist page in Chromium: a bundle from the file dialog to the second person, and each state it can be in."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_asyncio

from lfr_edge.console.door.accounts import Role
from lfr_edge.settings import ModelSettings, Settings, WatchlistSettings
from lfr_edge.watchlist.keys import new_key, write_key_file
from tests.browser.conftest import PHONE, VAN, signed_in
from tests.browser.test_pages import examine
from tests.console.test_compile import bundle, trust  # noqa: F401 - a fixture
from tests.fakes.box import house
from tests.waiting import until


@pytest_asyncio.fixture(loop_scope="session")
async def box(tmp_path, model_store):
    write_key_file(tmp_path / "list.key", new_key())
    settings = Settings(
        data=tmp_path / "data",
        audit=tmp_path / "audit",
        models=ModelSettings(store=model_store.root, purpose="evaluation"),
        watchlist=WatchlistSettings(path=tmp_path / "watchlist.sealed", key_file=tmp_path / "list.key"),
    )
    trust(tmp_path)
    async with house(tmp_path, site="Van 3, Market Square", settings=settings) as running:
        yield running


@pytest.mark.network
async def test_from_the_file_to_the_second_person_by_keyboard(box, browser, bundle, tmp_path):  # noqa: F811
    (tmp_path / "list.zip").write_bytes(bundle)
    watched = await signed_in(browser, box, "okafor", Role.DEPLOYMENT_OFFICER)
    page = watched.page
    await page.goto(f"{box.url}/watchlist")
    await examine(watched, "watchlist-new")
    await page.set_input_files("#bundle", tmp_path / "list.zip")
    await page.focus("#send button")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#running:not([hidden])")
    await examine(watched, "watchlist-progress")
    await page.wait_for_selector("#found:not([hidden])", timeout=60_000)
    assert await page.text_content("#outcome") == "2 entries, 2 pictures, checked and sealed."
    await page.wait_for_selector("#expected:has-text('Expected false alerts')")
    await page.wait_for_selector("#compiled tr >> nth=2")
    findings = await page.text_content("#findings")
    assert "likely the same person" in findings
    await page.select_option("#verdict", "refuse")
    await page.wait_for_selector("#place:has-text('1–1 of 1')")
    assert "no face was found in the picture" in await page.text_content("#compiled")
    await examine(watched, "watchlist-found")
    await page.set_viewport_size(PHONE)
    await examine(watched, "watchlist-found-phone")
    await page.set_viewport_size(VAN)

    await page.focus("#submit")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#not-submitted:not([hidden])")
    assert "1 people have no usable picture" in await page.text_content("#not-submitted")
    watched.faults.clear()  # Chromium reports the 409 itself
    await page.focus("#leave-out")
    await page.keyboard.press("Space")
    await page.focus("#submit")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#submitted:not([hidden])")
    assert len(await page.text_content("#hash")) == 64
    await examine(watched)
    assert (box.folder / "watchlist.sealed").exists()
    # Opened again, the page shows where things are; the approver sees the same and cannot send.
    await page.reload()
    await page.wait_for_selector("#submitted:not([hidden])")
    approver = await signed_in(browser, box, "superintendent", Role.AUTHORISING_OFFICER)
    await approver.page.goto(f"{box.url}/watchlist")
    await approver.page.wait_for_selector("#found:not([hidden])")
    assert await approver.page.locator("#send, #submit").count() == 0
    await examine(approver)


@pytest.mark.parametrize("size", [VAN, PHONE], ids=["van", "phone"])
async def test_a_bundle_that_is_none_is_refused_in_words(box, browser, size):
    watched = await signed_in(browser, box, "okafor", Role.DEPLOYMENT_OFFICER, size)
    page = watched.page
    await page.goto(f"{box.url}/watchlist")
    await page.set_input_files(
        "#bundle", {"name": "holiday.zip", "mimeType": "application/zip", "buffer": b"no archive at all"}
    )
    await page.click("#send button")
    await page.wait_for_selector("#refused:not([hidden])", timeout=60_000)
    assert len(await page.text_content("#refusal")) > 20
    assert await page.is_visible("#send"), "another one may be sent"
    await examine(watched, "watchlist-refused" if size is VAN else None)
    folder = Path(box.folder / "data" / "compile")
    await until(lambda: not list(folder.iterdir()), what="nothing of it is left")
