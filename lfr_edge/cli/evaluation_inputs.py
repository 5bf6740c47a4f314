"""What evaluations check before they begin: numbers, pictures, and the places that they will write to.

An hour of embedding must not end in "no such folder". Numbers are refused where they are read, so that no run begins.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from lfr_edge.errors import EvaluationError
from lfr_edge.evaluation.labels import LabelError, read_label_errors
from lfr_edge.evaluation.protocol import Protocol, Sample, draw_protocol, read_people, read_protocol

_MOST_SEED: Final = 2**63 - 1
MOST_LISTED: Final = 10_000_000
FACE_PX: Final = (8, 1024)  # below eight pixels no face is drawn; above, nothing is shrunk


class UsageError(EvaluationError):
    """An option's value that cannot be meant."""

    exit_code = 2


def whole(option: str, low: int, high: int) -> Callable[[str], int]:
    """For ``type=`` of an option; raises UsageError ``option_invalid``."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            raise invalid(option, text, f"a whole number from {low} to {high:,}")
        return number

    return read


def real(
    option: str, low: float, high: float, *, open_ends: bool = False, what: str = "a number"
) -> Callable[[str], float]:
    """As :func:`whole`; `open_ends` leaves both bounds out."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        inside = low < number < high if open_ends else low <= number <= high
        if not (math.isfinite(number) and inside):
            between = f"between {low:g} and {high:g}" if open_ends else f"from {low:g} to {high:g}"
            raise invalid(option, text, f"{what} {between}")
        return number

    return read


def add_whole(parser: argparse.ArgumentParser, option: str, low: int, high: int, **more: Any) -> None:
    """An option that takes what :func:`whole` takes; `more` is for ``add_argument``."""
    parser.add_argument(option, type=whole(option, low, high), **{"metavar": "N"} | more)


def add_rate(parser: argparse.ArgumentParser, option: str, **more: Any) -> None:
    """As :func:`add_whole`, a share between 0 and 1 that is neither."""
    kind = real(option, 0, 1, open_ends=True, what="a rate")
    parser.add_argument(option, type=kind, metavar="RATE", **more)


def add_seed(parser: argparse.ArgumentParser, of: str) -> None:
    add_whole(parser, "--seed", 0, _MOST_SEED, default=0, help=of)


def invalid(option: str, text: str, wanted: str) -> UsageError:
    return UsageError(
        "option_invalid", f"{option} {text!a}: {wanted} is needed", hint="--help says what each option is for"
    )


def check_output(option: str, path: Path | None) -> None:
    """Whether a file can be written there, before the work whose result it holds.

    Raises:
        UsageError: ``output_unwritable``.
    """
    if path is None:
        return
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        if path.exists():
            with path.open("ab"):
                pass
        else:
            with tempfile.TemporaryFile(dir=path.parent):
                pass
    except OSError as error:
        raise _unwritable(option, path, error) from None


@contextmanager
def writing(option: str, path: Path) -> Iterator[None]:
    """Around the write itself: a disk may have filled up since :func:`check_output`.

    Raises:
        UsageError: ``output_unwritable``.
    """
    try:
        yield
    except OSError as error:
        raise _unwritable(option, path, error) from None


def check_pictures(folder: Path, samples: Sequence[Sample]) -> None:
    """Whether every picture is there: the last one's absence must not be noticed last.

    Raises:
        EvaluationError: ``faces_unreadable`` or ``sample_unreadable``.
    """
    if not folder.is_dir():
        raise EvaluationError(
            "faces_unreadable",
            f"{folder} is no folder",
            hint="name the folder that the protocol's paths count from",
        )
    missing = [sample.path for sample in samples if not (folder / sample.path).is_file()]
    if missing:
        raise EvaluationError(
            "sample_unreadable",
            f"{folder}: {len(missing)} of {len(samples)} pictures are not there, {missing[0]!a} first",
            hint="the protocol's paths count from the folder that is evaluated",
        )


def protocol_of(folder: Path, args: argparse.Namespace) -> Protocol:
    """The one that was named, the one that lies in the folder, or one drawn with the seed; its pictures are there."""
    named = args.protocol or folder / "protocol.csv"
    found = read_protocol(named) if args.protocol or named.is_file() else draw_protocol(folder, args.seed)
    check_pictures(folder, found.samples)
    return found


def crowd_of(folder: Path, args: argparse.Namespace) -> Sequence[Sample]:
    """Everybody of a named protocol, of the folder's own, or of the folder: one picture of each is enough."""
    named = args.protocol or folder / "protocol.csv"
    samples = read_protocol(named).samples if args.protocol or named.is_file() else read_people(folder)
    check_pictures(folder, samples)
    return samples


def label_errors_of(args: argparse.Namespace) -> tuple[LabelError, ...]:
    """Read before anything is embedded."""
    return read_label_errors(args.label_errors) if args.label_errors else ()


def check_different(options: Iterable[tuple[str, Path | None]]) -> None:
    """No two results in one file. Raises UsageError ``output_unwritable``."""
    seen: dict[Path, str] = {}
    for option, path in options:
        if path is None:
            continue
        other = seen.setdefault(path.absolute(), option)
        if other != option:
            raise UsageError(
                "output_unwritable", f"{other} and {option} name one file, {path}", hint="name two files"
            )


def _unwritable(option: str, path: Path, error: OSError) -> UsageError:
    return UsageError(
        "output_unwritable",
        f"{option} {path}: {error.strerror}",
        hint="name a file in a folder that exists and may be written to, on a disk with room",
    )
