"""A real Chromium on the running console."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from lfr_edge.console.door.accounts import Role
from tests.fakes.box import PASSWORD, House, enrol
from tests.fakes.closed_box import ClosedBox, closed_box

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
VAN, PHONE = {"width": 1366, "height": 768}, {"width": 390, "height": 844}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)  # one Chromium for all


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[ClosedBox]:
    """What the pages of a box show of a deployment that has ended."""
    made = closed_box(tmp_path / "box")
    yield made
    made.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    if not os.access(CHROMIUM, os.X_OK):
        if os.environ.get("CI") == "true":
            pytest.fail("CI must have Chromium: apt-get install --no-install-recommends chromium")
        pytest.skip("NOT TESTED: no Chromium on this machine, so no page was opened in a browser")
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        await running.close()


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def pages_closed(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """A page that a test leaves open would look for its console for ever, on a core of the next test's."""
    yield
    if "browser" in request.fixturenames:
        running: Browser = request.getfixturevalue("browser")
        for context in running.contexts:
            await context.close()


class Watched:
    """A page, and everything that went wrong on it or came over its wire."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.faults: list[str] = []
        self.wire: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self.faults.append(message.text))
        page.on(
            "websocket", lambda socket: socket.on("framereceived", lambda frame: self.wire.append(str(frame)))
        )


async def a_page(browser: Browser, size: dict[str, int] = VAN) -> Watched:
    context = await browser.new_context(viewport=size, reduced_motion="reduce")
    page = await context.new_page()
    page.set_default_timeout(20_000)
    return Watched(page)


async def signed_in(
    browser: Browser, box: House, name: str, role: Role, size: dict[str, int] = VAN
) -> Watched:
    """A page of its own browser context, past the sign-in form."""
    if box.accounts.get(name) is None:
        enrol(box.accounts, name, role)
    watched = await a_page(browser, size)
    page = watched.page
    await page.goto(f"{box.url}/sign-in")
    await page.fill("#name", name)
    await page.fill("#password", PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(lambda url: "sign-in" not in url)
    return watched
