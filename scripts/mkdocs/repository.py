"""A hook of mkdocs: what pages link to outside `docs/` comes into the site, so that it is whole on a USB stick.

A page of the repository (`watchlists/README.md`) becomes a page of the site, any other file (`deploy/lfr.toml`) is
copied beside it, and links are turned to them. The sources keep links that work on the repository's own pages, too.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

REPOSITORY: Final = Path(__file__).resolve().parents[2]
_INTO: Final = "repository"
_LINK: Final = re.compile(r"(?P<code>`[^`\n]*`)|(?<=\]\()(?![a-z]+:|#)(?P<path>[^)\s#]+)")
_FENCE: Final = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Take in every file that is linked to, and what those link to."""
    waiting = [f"docs/{file.src_uri}" for file in files.documentation_pages()]
    waiting += ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE"]
    seen: set[str] = set()
    while waiting:
        real = waiting.pop()
        uri = _site_uri(real)
        if uri in seen or not (REPOSITORY / real).exists():  # mkdocs itself complains of a link to nothing
            continue
        seen.add(uri)
        text = _text(real)
        if text is not None:
            waiting += _targets(text, real)
        if not uri.startswith(f"{_INTO}/"):
            continue
        level = InclusionLevel.UNDEFINED if f"'{uri}'" in str(config.nav) else InclusionLevel.NOT_IN_NAV
        if text is not None:
            files.append(File.generated(config, uri, content=text, inclusion=level))
        else:
            files.append(File.generated(config, uri, abs_src_path=str(REPOSITORY / real)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    real = _real(page.file.src_uri)

    def turned(found: re.Match[str]) -> str:
        if found["code"]:
            return found[0]
        uri = _site_uri(_joined(real, found["path"]))
        return posixpath.relpath(uri, posixpath.dirname(page.file.src_uri))

    parts = _FENCE.split(markdown)
    parts[::2] = [_LINK.sub(turned, part) for part in parts[::2]]
    return "".join(parts)


def _text(real: str) -> str | None:
    """A page's Markdown; of a folder that has none, a list of what is in it; None for any other file."""
    path = REPOSITORY / real
    if not path.is_dir():
        return path.read_text(encoding="utf-8") if path.suffix == ".md" else None
    if (path / "README.md").is_file():
        return (path / "README.md").read_text(encoding="utf-8")
    names = sorted(each.name for each in path.iterdir() if not each.name.startswith((".", "__")))
    rows = [f"- [{name}]({path.name}/{name})" for name in names]
    return "\n".join([f"# {path.name}", "", f"The folder `{real}` of the repository.", "", *rows]) + "\n"


def _targets(markdown: str, real: str) -> Iterator[str]:
    """Every path that a page links to, from the repository's root."""
    for part in _FENCE.split(markdown)[::2]:
        for found in _LINK.finditer(part):
            if found["path"]:
                yield _joined(real, found["path"])


def _joined(real: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(real), target))


def _real(uri: str) -> str:
    if not uri.startswith(f"{_INTO}/"):
        return f"docs/{uri}"
    real = uri.removeprefix(f"{_INTO}/")
    return real if (REPOSITORY / real).is_file() else real.removesuffix(".md")


def _site_uri(real: str) -> str:
    """Where a file of the repository lies in the site; a folder is a page, its own or a list."""
    if (REPOSITORY / real).is_dir():
        real = f"{real}/README.md" if (REPOSITORY / real / "README.md").is_file() else f"{real}.md"
    return real.removeprefix("docs/") if real.startswith("docs/") else f"{_INTO}/{real}"
