"""The command as a person meets it: help with examples, errors without tracebacks, exit statuses."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lfr_edge.cli import main as command
from lfr_edge.cli.main import GROUPS, build_parser, main
from lfr_edge.errors import CameraError, ConfigError


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """This parser and every one below it, each once."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in {id(one): one for one in action.choices.values()}.values():
                yield from parsers(below)


EVERY = list(parsers(build_parser()))


@pytest.mark.parametrize("parser", EVERY, ids=lambda parser: parser.prog)
def test_every_help_says_what_it_does_and_shows_an_example_of_itself(
    parser: argparse.ArgumentParser,
) -> None:
    text = parser.format_help()
    examples = re.split(r"examples?:\n", text, maxsplit=1)
    assert len(examples) == 2, text
    assert parser.prog in examples[1], text
    assert parser.description


@pytest.mark.parametrize("parser", EVERY, ids=lambda parser: parser.prog)
def test_every_option_says_what_it_is_for(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            assert action.help, f"{parser.prog} {action.option_strings or action.dest}"


def test_every_module_of_the_package_that_registers_is_a_group() -> None:
    folder = Path(command.__file__).parent
    modules = {path.stem.replace("_", "-"): path.read_text() for path in folder.glob("*.py")}
    registering = {name for name, text in modules.items() if "def register(" in text}
    registering |= {name for name, text in modules.items() if "import register\n" in text}
    assert registering == set(GROUPS)


def _raising(error: BaseException):
    def build() -> argparse.ArgumentParser:
        def run(args: argparse.Namespace) -> int:
            raise error

        parser = argparse.ArgumentParser()
        parser.add_argument("--verbose", action="store_true")
        parser.set_defaults(run=run)
        return parser

    return build


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (CameraError("camera_refused", "nobody answers", hint="check the cable"), 1),
        (ConfigError("config_missing", "no file", hint="give one"), 2),
    ],
)
def test_an_error_is_told_with_code_and_hint_and_no_traceback(monkeypatch, capsys, error, status) -> None:
    monkeypatch.setattr(command, "overview", _raising(error))
    assert main([]) == status
    err = capsys.readouterr().err
    assert err == f"lfr-edge: {error.message} [{error.code}]\n  → {error.hint}\n"
    assert main(["--verbose"]) == status
    assert "Traceback" in capsys.readouterr().err


def test_a_question_to_nobody_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "overview", _raising(EOFError()))
    assert main([]) == 2
    err = capsys.readouterr().err
    assert "[input_ended]" in err
    assert "Traceback" not in err


def test_an_interrupt_is_no_error(monkeypatch, capsys) -> None:
    monkeypatch.setattr(command, "overview", _raising(KeyboardInterrupt()))
    assert main([]) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("arguments", [[], ["no-such-command"], ["serve"], ["demo", "--seconds", "0"]])
def test_wrong_usage_ends_with_status_2(arguments, capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def _command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lfr_edge.cli.main", *arguments], capture_output=True, text=True, timeout=60
    )


def test_version_and_help_as_a_process() -> None:
    assert _command("--version").stdout.startswith("lfr-edge 0.")
    done = _command("--help")
    assert done.returncode == 0
    for group in GROUPS:
        assert group in done.stdout


def test_a_reader_that_goes_away_is_no_error_of_ours() -> None:
    script = f"{sys.executable} -m lfr_edge.cli.main models show --help | true"
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""


@pytest.mark.parametrize(
    "group", ["demo", "serve", "doctor", "camera", "models", "accounts", "audit", "config", "retention"]
)
def test_help_of_a_group_imports_nothing_heavy(group: str) -> None:
    """``--help`` and a typing error answer at once: no inference runtime, decoder or web server is loaded."""
    code = (
        f"import sys\nfrom lfr_edge.cli.main import build_parser\nbuild_parser(['{group}']).format_help()\n"
        "heavy = {'onnxruntime', 'av', 'cv2', 'faiss', 'aiohttp', 'onnx'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_overview_is_what_the_whole_parser_says_and_imports_no_group() -> None:
    assert command.overview().format_help() == build_parser().format_help()
    code = (
        "import sys\nfrom lfr_edge.cli.main import overview\noverview().format_help()\n"
        "ours = {name for name in sys.modules if name.startswith('lfr_edge.')}\n"
        "assert ours == {'lfr_edge.cli', 'lfr_edge.cli.main', 'lfr_edge.errors'}, ours"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
