"""``python -m lfr_edge.audit verify …`` on a machine that has nothing else of this product."""

from __future__ import annotations

import argparse
import sys

from lfr_edge.audit.commands import add_commands
from lfr_edge.audit.exits import CheckParser
from lfr_edge.errors import LfrError


def main(argv: list[str] | None = None) -> int:
    parser: argparse.ArgumentParser = CheckParser(
        prog="lfr-edge-audit", description="Verify and read audit logs."
    )
    add_commands(parser.add_subparsers(dest="command", required=True, metavar="COMMAND"))
    arguments = parser.parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except LfrError as error:
        sys.stderr.write(error.diagnostics() + "\n")
        return error.exit_code
    return status


if __name__ == "__main__":
    sys.exit(main())
