"""The documents as a site: built without a warning, whole without a network, and changes that are gathered."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Request, sync_playwright

from tests.conftest import REPOSITORY

_QUIET = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
# What a page loads by itself. A link that a reader clicks on is no load.
_LOADS = re.compile(
    r"""<(?:script|img|iframe|source|audio|video)\b[^>]*?\ssrc=["']?([^"'\s>]+)"""
    r"""|<link\b[^>]*?\shref=["']?([^"'\s>]+)|url\(["']?([^"')]+)"""
)


def _build(into: Path, config: Path = REPOSITORY / "mkdocs.yml") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]  # --quiet would count no warning
    command += ["--config-file", str(config), "--site-dir", str(into)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=_QUIET)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("site")
    told = _build(into)
    assert told.returncode == 0, told.stderr
    assert "WARNING" not in told.stderr
    return into


def _loads(text: str) -> Iterator[str]:
    for found in _LOADS.finditer(text):
        yield next(group for group in found.groups() if group)


def test_nothing_is_loaded_from_another_server(site: Path) -> None:
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(pages) > 60
    away = {
        (page.name, load)
        for page in pages
        for load in _loads(page.read_text(encoding="utf-8"))
        if re.match(r"(?:https?:)?//", load)
    }
    assert away == set()
    assert list(_loads('<script defer src="https://cdn.example/x.js">')) == ["https://cdn.example/x.js"]


@pytest.mark.browser
def test_it_opens_and_searches_from_a_usb_stick(site: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("NOT TESTED: no Chromium on this machine")
    faults: list[str] = []
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for size in ({"width": 1366, "height": 768}, {"width": 390, "height": 844}):
            page = running.new_page(viewport=size)
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("request", note)
            for name in ("index.html", "explanation/clauses.html", "reference/configuration.html"):
                page.goto((site / name).as_uri())
                wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert wide <= 0, f"{name} is {wide} px too wide at {size['width']}"
            if size["width"] > 1000:
                page.locator("input[name=query]").click()
                page.keyboard.type("threshold", delay=20)
                page.locator(".md-search-result__item").first.wait_for(timeout=30_000)
            page.close()
        running.close()
    assert faults == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "about:"))] == []


def test_no_markdown_is_left_standing(site: Path) -> None:
    """A list or a fence that mkdocs reads differently from the repository's own pages would show as text."""
    for page in site.rglob("*.html"):
        text = re.sub(r"<(pre|code|script)\b.*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not re.search(r"```|\]\((?!\))|^\s*\|.*\|\s*$", text, re.MULTILINE), page.relative_to(site)


def test_every_page_of_the_documents_is_in_the_navigation(site: Path) -> None:
    written = {
        path.relative_to(REPOSITORY / "docs").as_posix() for path in (REPOSITORY / "docs").rglob("[!+]*.md")
    }
    listed = set(re.findall(r"[\w/.-]+\.md", (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")))
    assert written <= listed, "mkdocs.yml, nav"


def test_a_dead_link_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# One\n\n[two](two.md) and [three](#three)\n")
    given = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")
    (tmp_path / "mkdocs.yml").write_text(
        re.sub(r"^nav:.*?^(?=theme)|^hooks:.*?$", "", given, flags=re.M | re.S)
    )
    told = _build(tmp_path / "site", tmp_path / "mkdocs.yml")
    assert told.returncode == 1
    assert "two.md" in told.stderr
    assert "#three" in told.stderr


def test_every_fragment_of_the_changes_is_gathered() -> None:
    """A misspelt kind would be left out of the release's changes without a word."""
    fragments = [path for path in (REPOSITORY / "docs" / "changes").iterdir() if path.name != "README.md"]
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "next"]
    told = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    for fragment in fragments:
        first = fragment.read_text(encoding="utf-8").split("\n", 1)[0]
        assert f"- {first}" in told, fragment.name
