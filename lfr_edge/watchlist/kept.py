"""A list that joined a live one, kept so that a crash does not lose it.

Two small things lie in the deployment's folder: a copy of the sealed file, because the medium it came on may leave,
and a note with its key, wrapped under a secret of the live list. Whoever unseals the live list has both; whoever
destroys the live list's key has destroyed both. A third is there from the moment somebody proposes a list, whether
it is approved or not: where its file lies, because that file is erased with the live list.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import rfc8785

from lfr_edge.audit.disk import make_folder, write_new
from lfr_edge.errors import WatchlistError
from lfr_edge.sentences import say
from lfr_edge.watchlist.container import SealedWatchlist
from lfr_edge.watchlist.destroy import destroy_file
from lfr_edge.watchlist.keys import Handed
from lfr_edge.watchlist.templates import altered

_LIST: Final = ".sealed"
_NOTE: Final = ".key"
_PROPOSED: Final = ".proposed"


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
        raise _unwritable(folder, error) from None
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


def remember(folder: Path, digest: str, source: Path) -> None:
    """Before a list is proposed: where its file lies, durably. What becomes of the proposal changes nothing of it.

    Raises:
        WatchlistError: ``watchlist_unwritable``.
    """
    try:
        make_folder(folder)
        write_new(folder / f"{digest}{_PROPOSED}", rfc8785.dumps({"source": str(source.absolute())}))
    except OSError as error:
        raise _unwritable(folder, error) from None


def digests(folder: Path) -> tuple[str, ...]:
    """Of every list that a copy or a key is left of."""
    return tuple(sorted({path.stem for path in files(folder)}))


def files(folder: Path) -> tuple[Path, ...]:
    """What is to be destroyed with the live list; keys first."""
    found = [path for path in folder.glob("*") if path.suffix in {_LIST, _NOTE}]
    return tuple(sorted(found, key=lambda path: (path.suffix != _NOTE, path.name)))


def sources(folder: Path) -> tuple[Path, ...]:
    """The files that were proposed, approved or not, as far as the notes can be read."""
    found = []
    for path in sorted((*folder.glob(f"*{_NOTE}"), *folder.glob(f"*{_PROPOSED}"))):
        try:
            found.append(Path(json.loads(path.read_bytes())["source"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return tuple(dict.fromkeys(found))


def forget(folder: Path, digest: str) -> None:
    """Destroy what is left of one. Raises WatchlistError ``watchlist_not_destroyed``."""
    for path in files(folder):
        if path.stem == digest:
            destroy_file(path)


def forget_sources(folder: Path) -> None:
    """After those files were erased and receipted. Raises WatchlistError ``watchlist_not_destroyed``."""
    for path in folder.glob(f"*{_PROPOSED}"):
        destroy_file(path)


def _unwritable(folder: Path, error: OSError) -> WatchlistError:
    return WatchlistError(
        "watchlist_unwritable",
        say("{folder}: {strerror}", folder=folder, strerror=error.strerror),
        hint="make room on the box's disk",
    )


def _secret(live: SealedWatchlist, digest: str) -> bytes:
    return live.secret(f"addition {digest}")


def _note(folder: Path, digest: str) -> dict[str, Any]:
    try:
        raw = json.loads((folder / f"{digest}{_NOTE}").read_bytes())
        return {"source": str(raw["source"]), "wrapped": bytes.fromhex(raw["wrapped"])}
    except (OSError, ValueError, KeyError, TypeError):
        raise altered("the key of a list that was added") from None
