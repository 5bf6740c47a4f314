"""The pages in a real Chromium: accessible (axe, WCAG 2.2 AA), nothing fetched, nothing wider than the screen."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, sync_playwright

from lfr_edge.deployment.report.content import report_document
from lfr_edge.deployment.report.foi import foi_document
from lfr_edge.deployment.report.html import page
from lfr_edge.deployment.report.packs import auditor_pack, public_pack
from lfr_edge.deployment.verified import read_verified

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
SIZES = {"desk": (1280, 900), "phone": (390, 844)}


@pytest.fixture
def browser() -> Iterator[Browser]:
    if not os.access(CHROMIUM, os.X_OK):
        if os.environ.get("CI") == "true":
            pytest.fail("CI must have Chromium: apt-get install --no-install-recommends chromium")
        pytest.skip("NOT TESTED: no Chromium on this machine, so no report was opened in a browser")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield running
        running.close()


@pytest.fixture
def pages(van: Any, tmp_path: Path) -> dict[str, Path]:
    told = van.deployment()
    told.open(location="East Ham", use_case="crime hotspot")
    for answer, result in (("same_person", "referred"), ("different_person", "not_referred")):
        told.wait(20)
        told.alert(answer, result=result)
        told.count(300, latency_ms={"300": 1, "2000": 1}, score_e4={"1200": 20})
    told.close()
    logs = read_verified(told.folder)
    texts = {
        "report": page(report_document(logs)).encode(),
        "foi": page(foi_document(logs)).encode(),
        "public": public_pack(logs)["index.html"],
        "poster": public_pack(logs, "https://force.example/lfr")["poster.html"],
        "auditor": auditor_pack(logs)["index.html"],
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.html").write_bytes(text)
    return {name: tmp_path / f"{name}.html" for name in texts}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fetches_nothing(
    browser: Browser, pages: dict[str, Path], scheme: Any
) -> None:
    for size, (width, height) in SIZES.items():
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        opened = context.new_page()
        asked: list[str] = []
        faults: list[str] = []
        opened.on("request", lambda request, asked=asked: asked.append(request.url))
        opened.on("console", lambda message, faults=faults: faults.append(message.text))
        for name, path in pages.items():
            opened.goto(path.as_uri())
            found = Axe().run(opened, options=RULES)
            wrong = [
                f"{item['id']}: {node['html'][:120]}"
                for item in found.response["violations"]
                for node in item["nodes"]
            ]
            assert wrong == [], f"{name} on a {size} in {scheme}"
            across = opened.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert across <= 0 or name == "poster", f"{name} is {across} px too wide on a {size}"
        assert all(url.startswith("file:") for url in asked)
        assert faults == []
        context.close()


def test_axe_sees_a_page_that_is_not_accessible(browser: Browser, pages: dict[str, Path]) -> None:
    """The control: grey on white, and a page without a language."""
    path = pages["report"]
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace('<html lang="en-GB">', "<html>").replace("--soft: #56616f", "--soft: #ccd"), "utf-8"
    )
    opened = browser.new_page(color_scheme="light")
    opened.goto(path.as_uri())
    seen = {item["id"] for item in Axe().run(opened, options=RULES).response["violations"]}
    assert {"html-has-lang", "color-contrast"} <= seen
