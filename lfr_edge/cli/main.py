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
from collections.abc import Sequence
from importlib.metadata import version

from lfr_edge.errors import LfrError

GROUPS = (
    "setup",
    "demo",
    "serve",
    "doctor",
    "camera",
    "models",
    "watchlist",
    "drill",
    "evaluate",
    "calibrate",
    "accounts",
    "authority",
    "audit",
    "config",
    "report",
    "retention",
    "status",
    "support-bundle",
    "tls",
)

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


def build_parser(groups: Sequence[str] = GROUPS) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lfr-edge",
        description="Overt live facial recognition that an auditor, a court and the public can check.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lfr-edge {version('lfr-edge')}")
    parser.add_argument("--verbose", action="store_true", help="show a traceback with an error")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for group in groups:
        importlib.import_module(f"lfr_edge.cli.{group.replace('-', '_')}").register(commands)
    for below in commands.choices.values():
        _complete(below)
    return parser


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
    parser = build_parser([named] if named in GROUPS else GROUPS)
    args = parser.parse_args(arguments)
    try:
        return int(args.run(args))
    except LfrError as error:
        if args.verbose:
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
