"""A list that joined a live one, kept so that a crash does not lose it.

Two small things lie in the deployment's folder: a copy of the sealed file, because the medium it came on may leave,
and a note with its key, wrapped under a secret of the live list. Whoever unseals the live list has both; whoever
destroys the live list's key has destroyed both.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import rfc8785

from lfr_edge.audit.disk import make_folder, write_new
from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist.container import SealedWatchlist
from lfr_edge.watchlist.destroy import destroy_file
from lfr_edge.watchlist.keys import Handed
from lfr_edge.watchlist.templates import altered

_LIST: Final = ".sealed"
_NOTE: Final = ".key"


def keep(folder: Path, live: SealedWatchlist, joined: SealedWatchlist, source: Path) -> SealedWatchlist:
    """Copy `joined` and its wrapped key into `folder`, durably; the copy, opened. The caller closes both.

    Raises:
        WatchlistError: ``watchlist_unwritable``, or ``watchlist_altered`` where the file behind `joined` changed
            since its digest was taken; then nothing is left in `folder`.
    """
    digest = joined.digest
    handed = joined.hand_key(_secret(live, digest))
    note = {"source": str(source.absolute()), "wrapped": handed.wrapped.hex()}
    try:
        make_folder(folder)
        joined.copy_to(folder / f"{digest}{_LIST}")
        write_new(folder / f"{digest}{_NOTE}", rfc8785.dumps(note))
        return reopen(folder, live, digest, fingerprint=joined.header.fingerprint)
    except OSError as error:
        forget(folder, digest)
        raise WatchlistError(
            "watchlist_unwritable", f"{folder}: {error.strerror}", hint="make room on the box's disk"
        ) from None
    except BaseException:
        forget(folder, digest)
        raise


def reopen(folder: Path, live: SealedWatchlist, digest: str, *, fingerprint: str) -> SealedWatchlist:
    """The list that was kept under `digest`, exactly as it was approved. The caller closes.

    Raises:
        WatchlistError: as :meth:`SealedWatchlist.open`; ``watchlist_altered`` where one of the two files was.
    """
    note = _note(folder, digest)
    handed = Handed(_secret(live, digest), note["wrapped"])
    joined = SealedWatchlist.open(folder / f"{digest}{_LIST}", handed, fingerprint=fingerprint)
    if joined.digest != digest:
        joined.close()
        raise altered("a list that was added")
    return joined


def digests(folder: Path) -> tuple[str, ...]:
    """Of every list that something is left of."""
    return tuple(sorted({path.stem for path in files(folder)}))


def files(folder: Path) -> tuple[Path, ...]:
    """What is to be destroyed with the live list; keys first."""
    found = [path for path in folder.glob("*") if path.suffix in {_LIST, _NOTE}]
    return tuple(sorted(found, key=lambda path: (path.suffix != _NOTE, path.name)))


def sources(folder: Path) -> tuple[Path, ...]:
    """The files that the kept lists were copied from, as far as their notes can be read."""
    found = []
    for digest in digests(folder):
        try:
            found.append(Path(_note(folder, digest)["source"]))
        except WatchlistError:
            continue
    return tuple(found)


def forget(folder: Path, digest: str) -> None:
    """Destroy what is left of one. Raises WatchlistError ``watchlist_not_destroyed``."""
    for path in files(folder):
        if path.stem == digest:
            destroy_file(path)


def _secret(live: SealedWatchlist, digest: str) -> bytes:
    return live.secret(f"addition {digest}")


def _note(folder: Path, digest: str) -> dict[str, Any]:
    try:
        raw = json.loads((folder / f"{digest}{_NOTE}").read_bytes())
        return {"source": str(raw["source"]), "wrapped": bytes.fromhex(raw["wrapped"])}
    except (OSError, ValueError, KeyError, TypeError):
        raise altered("the key of a list that was added") from None
