"""How a verb is added whose help ends with examples."""

from __future__ import annotations

import argparse


def add_verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    line: str,
    examples: str,
    *,
    description: str | None = None,
) -> argparse.ArgumentParser:
    """`examples` keep their lines; without a `description` the help's own `line` stands there."""
    return verbs.add_parser(
        name,
        help=line,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
