"""The command ``lfr-edge``: one module of this package per command group.

A group's module offers ``register(commands)``, which adds its parser with examples, and functions that take the
parsed arguments and return an exit status. Only the group that was asked for is imported.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from importlib.metadata import version

from lfr_edge.errors import LfrError

# In the order of the overview, with its lines: for the overview alone no group is imported.
GROUPS = {
    "setup": "set this box up: accounts, keys, cameras, checks, a measured verdict",
    "demo": "see it work: no camera, no GPU, nothing to configure",
    "serve": "prepare and run deployments",
    "doctor": "check every prerequisite and say what to do",
    "camera": "look at a camera",
    "models": "fetch, import, list and verify the networks",
    "watchlist": "check, seal, inspect, compare and destroy lists of sought persons",
    "drill": "make and check known-answer alerts of consenting staff",
    "evaluate": "measure recognition on pictures and clips with known truth",
    "calibrate": "find the threshold that keeps false alerts to a rate, for a list's length",
    "fieldtest": "plan, run and analyse a field test with consenting people",
    "accounts": "who may sign in to the console",
    "authority": "why, where and when: write, check, sign and cancel an authority",
    "audit": "verify and read audit logs",
    "config": "check a configuration; explain a field or an error code",
    "report": "tables, pages and packs from the audit log alone",
    "retention": "what is kept and until when; erase what is over",
    "status": "how a running box does: cameras, alerts, erasure, troubles",
    "support-bundle": "collect what a helper from afar needs; nothing about any person",
    "tls": "certificates of the console, from the force's own authority",
}

_EPILOG = """\
examples:
  lfr-edge demo                          see it work: no camera, no GPU, nothing to configure
  lfr-edge setup --config lfr.toml       set a box up: accounts, keys, cameras, checks
  lfr-edge doctor                        what this machine lacks, and what to do about it
  lfr-edge models pull default           fetch, check and convert the default networks
  lfr-edge camera probe rtsp://10.0.0.5/stream1
  lfr-edge serve --config lfr.toml       run a deployment
  lfr-edge audit verify audit_logs/var/2026-11-22-van-1

Each command has its own --help with examples. Exit status: 0 done, 1 refused or failed, 2 wrong usage or
configuration, 130 interrupted.
"""


def build_parser(groups: Iterable[str] = GROUPS) -> argparse.ArgumentParser:
    """The parser with these groups, each of which is imported."""
    parser, commands = _top()
    for group in groups:
        importlib.import_module(f"lfr_edge.cli.{group.replace('-', '_')}").register(commands)
    for below in commands.choices.values():
        _complete(below)
    return parser


def overview() -> argparse.ArgumentParser:
    """The parser where no group was named: it can only say what there is, or that this is no command."""
    parser, commands = _top()
    for group, line in GROUPS.items():
        commands.add_parser(group, help=line)
    return parser


def _top() -> tuple[argparse.ArgumentParser, argparse._SubParsersAction[argparse.ArgumentParser]]:
    parser = argparse.ArgumentParser(
        prog="lfr-edge",
        description="Overt live facial recognition that an auditor, a court and the public can check.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lfr-edge {version('lfr-edge')}")
    parser.add_argument("--verbose", action="store_true", help="show a traceback with an error")
    return parser, parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def _complete(parser: argparse.ArgumentParser) -> None:
    """Give every action below a group what it did not say itself: its one-line help as description, and the
    group's examples."""
    for actions in parser._actions:
        if not isinstance(actions, argparse._SubParsersAction):
            continue
        lines = {choice.dest: choice.help for choice in actions._choices_actions}
        for name, below in actions.choices.items():
            line = lines.get(name)
            if not below.description and line:
                below.description = f"{line[0].upper()}{line[1:]}."
            if not below.epilog:
                below.epilog, below.formatter_class = parser.epilog, parser.formatter_class
            _complete(below)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    named = next((word for word in arguments if not word.startswith("-")), None)
    parser = build_parser([named]) if named in GROUPS else overview()
    try:
        args = parser.parse_args(arguments)
        return int(args.run(args))
    except LfrError as error:
        if "--verbose" in arguments:
            traceback.print_exc()
        print(f"lfr-edge: {error.diagnostics()}", file=sys.stderr)
        return error.exit_code
    except EOFError:
        print(
            "lfr-edge: this command asks a question, and its input has ended [input_ended]\n"
            "  → run it in a terminal, or give the options that answer it (see --help)",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (head, less) went away: not an error of ours. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


if __name__ == "__main__":
    sys.exit(main())
