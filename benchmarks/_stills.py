"""The shared faces as stills with a protocol, a part of their people, and first candidates out of score matrices."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final, get_args

import numpy as np
import numpy.typing as npt

from benchmarks import _line
from benchmarks._material import SHARED
from lfr_edge.evaluation.labels import mislabelled, read_label_errors
from lfr_edge.evaluation.openset import Searches
from lfr_edge.evaluation.protocol import Protocol, Role, Sample, read_protocol

FACES: Final = SHARED / "faces"
ROLES: Final[tuple[Role, ...]] = get_args(Role)
_ERRORS: Final = _line.REPOSITORY / "lfr_edge/evaluation/lfw_label_errors.csv"
_QUICK: Final = 0.01  # of the people, in a quick run


def parser(description: str | None, usual: str) -> argparse.ArgumentParser:
    """The options of every benchmark, and which part of the people; `usual` says what is taken without it."""
    made = _line.parser(description)
    made.add_argument(
        "--share", type=float, metavar="X", help=f"of the people (default: {usual}; quick: {_QUICK:g})"
    )
    return made


def share_of(args: argparse.Namespace, options: argparse.ArgumentParser, usual: float) -> float:
    """Ends the program where the share cannot be meant."""
    share: float = (_QUICK if args.quick else usual) if args.share is None else args.share
    if not 0 < share <= 1:
        options.error("--share: above 0, at most 1 (all people)")
    return share


def drawn(share: float, seed: int) -> Protocol | None:
    """All pictures of a part of the people; label errors are left out. None where the shared faces are not there."""
    path = FACES / "protocol.csv"
    if not path.exists():
        return None
    protocol = read_protocol(path)
    people = sorted({sample.identity for sample in protocol.samples})
    chosen = np.random.default_rng(seed).permutation(len(people))[: max(2, round(share * len(people)))]
    kept = {people[i] for i in chosen}
    part = Protocol(tuple(sample for sample in protocol.samples if sample.identity in kept), seed)
    wrong = mislabelled(part, read_label_errors(_ERRORS))
    hidden = {sample.path for sample, bad in zip(part.of("nonmated"), wrong, strict=True) if bad}
    return Protocol(tuple(sample for sample in part.samples if sample.path not in hidden), seed)


def searches(
    mated: npt.NDArray[np.floating], nonmated: npt.NDArray[np.floating], protocol: Protocol
) -> Searches:
    """First candidates; row i of a matrix is probe i of its role, column j is listed picture j."""
    listed = np.array([sample.identity for sample in protocol.of("gallery")])
    right = np.array([sample.identity for sample in protocol.of("mated")])
    return Searches(
        mated=mated.max(axis=1).astype(np.float64),
        correct=listed[mated.argmax(axis=1)] == right,
        mated_people=_numbered(protocol.of("mated")),
        nonmated=nonmated.max(axis=1).astype(np.float64),
        nonmated_people=_numbered(protocol.of("nonmated")),
    )


def _numbered(samples: Sequence[Sample]) -> npt.NDArray[np.intp]:
    """People in the order of their names.

    Resampling draws by number: in another order (evaluation/identities.py has that of their first appearance) the
    published intervals would move (a fifth of the faces, random scores: TPIR to 77.1 instead of 77.0 %).
    """
    return np.unique([sample.identity for sample in samples], return_inverse=True)[1]
