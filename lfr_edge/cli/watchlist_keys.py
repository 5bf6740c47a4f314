"""How a person at a terminal opens a sealed list: a key file, or a passphrase that is asked for."""

from __future__ import annotations

import argparse
import getpass
from pathlib import Path
from typing import Final

from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist.keys import read_key_file

SHORTEST: Final = 12  # characters of a passphrase


def add_credential(parser: argparse.ArgumentParser, what: str = "") -> None:
    """``--key-file`` and ``--passphrase`` for an existing list."""
    parser.add_argument("--key-file", type=Path, metavar="FILE", help=f"the list's key{what}")
    parser.add_argument("--passphrase", action="store_true", help="ask for the list's passphrase instead")


def credential(args: argparse.Namespace) -> bytes | str | None:
    """What opens the list; None where nothing was named."""
    if args.passphrase:
        return getpass.getpass("passphrase of the list: ")
    return read_key_file(args.key_file) if args.key_file else None


def ask_passphrase() -> str:
    """A new one, twice. Raises WatchlistError ``watchlist_passphrase_short`` or ``watchlist_passphrase_differs``."""
    first = getpass.getpass("passphrase for the list: ")
    if len(first) < SHORTEST:
        raise WatchlistError(
            "watchlist_passphrase_short",
            "the passphrase is too short",
            hint=f"use at least {SHORTEST} characters",
        )
    if getpass.getpass("once more: ") != first:
        raise WatchlistError("watchlist_passphrase_differs", "the two entries differ", hint="try again")
    return first
