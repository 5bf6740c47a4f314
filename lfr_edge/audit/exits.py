"""Exit statuses of the audit commands: 1 means "altered" and nothing else may end with it."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from typing import ClassVar, Final, TypeAlias

from lfr_edge.errors import AuditError

Run: TypeAlias = Callable[[argparse.Namespace], int]
_ALTERED: Final = frozenset({"audit_witness_contradicts"})


class CheckImpossibleError(AuditError):
    """Nothing could be checked: exit status 3."""

    exit_code: ClassVar[int] = 3


def never_altered_by_accident(run: Run) -> Run:
    """Let an error of reading or asking end with status 3."""

    @functools.wraps(run)
    def guarded(arguments: argparse.Namespace) -> int:
        try:
            return run(arguments)
        except AuditError as error:
            if error.code in _ALTERED:
                raise
            raise CheckImpossibleError(error.code, error.message, hint=error.hint) from error

    return guarded
