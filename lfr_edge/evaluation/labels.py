"""One person under two names: known errors of a data set, told apart from the system's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lfr_edge.evaluation.columns import open_table
from lfr_edge.evaluation.protocol import Protocol

_COLUMNS = ["identity", "same_as", "reason"]


@dataclass(frozen=True, slots=True)
class LabelError:
    identity: str
    same_as: str
    reason: str  # how a person saw it; a high score alone is no reason


def read_label_errors(path: Path) -> tuple[LabelError, ...]:
    """Raises EvaluationError ``label_errors_invalid``: each error needs its reason."""
    hint = "columns identity,same_as,reason; lfr_edge/evaluation/lfw_label_errors.csv is an example"
    with open_table(path, "label_errors_invalid", hint, _COLUMNS) as table:
        errors = [LabelError(**{name: (row[name] or "").strip() for name in _COLUMNS}) for row in table]
        if not all(error.identity and error.same_as and error.reason for error in errors):
            raise ValueError("identity, same_as and reason are needed in every row")
    return tuple(errors)


def mislabelled(protocol: Protocol, errors: tuple[LabelError, ...]) -> NDArray[np.bool_]:
    """(k,) non-mated samples whose person is on the list under another name: no strangers at all."""
    listed = {sample.identity for sample in protocol.of("gallery")}
    pairs = [(error.identity, error.same_as) for error in errors]
    hidden = {a for a, b in pairs if b in listed} | {b for a, b in pairs if a in listed}
    return np.array([sample.identity in hidden for sample in protocol.of("nonmated")], np.bool_)
