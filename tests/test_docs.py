"""The documents against the code: generated pages are current, links lead somewhere, commands parse."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from lfr_edge.cli.main import GROUPS, build_parser, main
from tests.conftest import REPOSITORY

PAGES = sorted(
    page
    for page in (*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("*/README.md"))
    if ".venv" not in page.parts
)
IDS = [str(page.relative_to(REPOSITORY)) for page in PAGES]
PARSER = build_parser()


GENERATED = {
    "configuration.md": "reference",
    "errors.md": "errors",
    "commands.md": "commands",
    "verbs.md": "verbs",
    "api.md": "api",
    "openapi.json": "openapi",
}


@pytest.mark.parametrize(("name", "action"), GENERATED.items(), ids=GENERATED)
def test_a_generated_page_is_current(name: str, action: str, capsys: pytest.CaptureFixture[str]) -> None:
    committed = (REPOSITORY / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert main(["config", action]) == 0
    assert committed == capsys.readouterr().out, "run scripts/docs and commit what it writes"


def _words(page: Path) -> str:
    """A page without its code, in which what looks like a link is none."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "`", text)


def _anchors(page: Path) -> set[str]:
    """What a heading can be reached by, as the repository's pages and the site make it."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "", heading)) for heading in headings]
    return {words.strip().lower().replace(" ", "-") for words in plain}


def _dead(page: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    file = page.parent / name if name else page
    return not file.exists() or (file.suffix == ".md" and bool(anchor) and anchor not in _anchors(file))


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", _words(page))
    assert [one for one in targets if not re.match(r"[a-z]+:", one) and _dead(page, one)] == []


def test_a_dead_link_is_noticed() -> None:
    page = REPOSITORY / "docs" / "README.md"
    assert not _dead(page, "reference/api.md#calls")
    assert _dead(page, "reference/api.md#no-such-heading")
    assert _dead(page, "no-such-page.md")


def commands(page: Path) -> Iterator[list[str]]:
    """Arguments of every ``lfr-edge`` command line in the page's shell blocks."""
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            words = words[
                : next((at for at, word in enumerate(words) if word in {">", "|", "&&"}), len(words))
            ]
            if not words:
                continue
            if words[0].endswith("lfr-edge"):
                yield words[1:]
            elif words[0] == "./scripts/demo":
                yield ["demo", *words[1:]]
            elif words[0].startswith(("./scripts/", "scripts/")):
                assert (REPOSITORY / words[0]).exists(), line


def parses(arguments: list[str]) -> str:
    """What argparse complains of, empty where it accepts."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            PARSER.parse_args(arguments)
        except SystemExit as end:
            return said.getvalue() if end.code else ""
    return ""


COMMANDS = [(page, arguments) for page in PAGES for arguments in commands(page)]


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) > 20
    assert parses(["serve", "--no-such-option"]), "the control: a wrong command is noticed"


@pytest.mark.parametrize(
    ("page", "arguments"), COMMANDS, ids=[f"{page.name}: {' '.join(words)[:60]}" for page, words in COMMANDS]
)
def test_every_command_line_is_accepted(page: Path, arguments: list[str]) -> None:
    assert parses(arguments) == ""


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_command_that_is_named_exists(page: Path) -> None:
    """``lfr-edge group action`` in running text and tables."""
    for named in re.findall(r"`lfr-edge ([a-z][a-z-]*(?: [a-z-]+)?)", page.read_text(encoding="utf-8")):
        group, _, action = named.partition(" ")
        assert group in GROUPS, f"{page.name}: lfr-edge {named}"
        if action and group in {"models", "watchlist", "camera", "accounts", "audit", "config", "evaluate"}:
            assert parses([group, action, "--help"]) == "", f"{page.name}: lfr-edge {named}"


def _examples() -> Iterator[tuple[str, str]]:
    import argparse

    def below(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
        yield parser
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for one in action.choices.values():
                    yield from below(one)

    seen = set()
    for parser in below(PARSER):
        for line in re.findall(r"^  (lfr-edge .*)$", parser.epilog or "", re.MULTILINE):
            if line not in seen:
                seen.add(line)
                yield parser.prog, line


@pytest.mark.parametrize(("program", "line"), list(_examples()), ids=lambda value: value[:70])
def test_every_example_in_a_help_is_accepted(program: str, line: str) -> None:
    command = re.split(r"\s{2,}| > ", line)[0]
    assert parses(shlex.split(command)[1:]) == ""


def test_the_rooms_that_the_documents_name_exist() -> None:
    for page in PAGES:
        for path in re.findall(
            r"`((?:lfr_edge|tests|docs|scripts|deploy|audit_logs|watchlists)/[\w./-]*)`", page.read_text()
        ):
            assert (REPOSITORY / path).exists() or path.startswith("audit_logs/var"), f"{page.name}: {path}"
