"""Exit statuses of the audit commands: 1 means "altered" and nothing else may end with it."""

from __future__ import annotations

import argparse
import functools
import traceback
from collections.abc import Callable
from typing import ClassVar, Final, TypeAlias

from lfr_edge.errors import AuditError
from lfr_edge.sentences import say

Run: TypeAlias = Callable[[argparse.Namespace], int]
_ALTERED: Final = frozenset({"audit_witness_contradicts"})


class CheckImpossibleError(AuditError):
    """Nothing could be checked: exit status 3."""

    exit_code: ClassVar[int] = 3


def never_altered_by_accident(run: Run) -> Run:
    """Let an error of reading or asking end with status 3, a fault of this program too."""

    @functools.wraps(run)
    def guarded(arguments: argparse.Namespace) -> int:
        try:
            return run(arguments)
        except AuditError as error:
            if error.code in _ALTERED:
                raise
            raise CheckImpossibleError(error.code, error.message, hint=error.hint) from error
        except Exception as error:
            # Python would end with 1, and somebody would be told that evidence was altered.
            traceback.print_exc()
            raise CheckImpossibleError(
                "audit_check_failed",
                say("the check itself failed: {kind}: {error}", kind=type(error).__name__, error=str(error)),
                hint="nothing is said about the log; keep it and report this fault",
            ) from error

    return guarded
