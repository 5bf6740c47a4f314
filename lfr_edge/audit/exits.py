"""Exit statuses of the audit commands: only a verdict may end with 0, 1 ("altered") or 2 ("nothing altered, but …")."""

from __future__ import annotations

import argparse
import functools
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, NoReturn, TypeAlias

from lfr_edge.errors import AuditError
from lfr_edge.sentences import say

Run: TypeAlias = Callable[[argparse.Namespace], int]
_CODE_GROUPS: Final = 8
_CODE_GROUP: Final = re.compile(r"[A-Za-z0-9]{4}")  # 0, 1, 8 and 9 too: a misread letter is told as such
_ALTERED: Final = frozenset({"audit_witness_contradicts"})


class CheckImpossibleError(AuditError):
    """Nothing could be checked: exit status 3."""

    exit_code: ClassVar[int] = 3


class CheckParser(argparse.ArgumentParser):
    """Ends with 3 where it is used wrongly: argparse's own 2 would tell a script that nothing was altered."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Below another parser too, a word that is not known here ends here: that one would end with 2."""
        words = sys.argv[1:] if args is None else args
        known, unknown = super().parse_known_args(_codes_joined(words), namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return known, unknown

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(CheckImpossibleError.exit_code, f"{self.prog}: error: {message}\n")


def _codes_joined(words: Sequence[str]) -> list[str]:
    """A printed code that was typed without quotation marks is one word again: eight groups of four follow ``--code``.

    A first word that is no single group is a code that was quoted, and stays alone.
    """
    joined: list[str] = []
    groups = 0  # of the code that the last word is
    for word in words:
        if joined and joined[-1] == "--code":
            groups = 1 if _CODE_GROUP.fullmatch(word) else 0
        elif 0 < groups < _CODE_GROUPS and _CODE_GROUP.fullmatch(word):
            groups += 1
            joined[-1] += f" {word}"
            continue
        else:
            groups = 0
        joined.append(word)
    return joined


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
        except OSError as error:
            raise CheckImpossibleError(
                "audit_files_refused",
                say("{file}: {reason}", file=error.filename or "?", reason=error.strerror or str(error)),
                hint="is the medium there, may it be read (and written, where something is added), is it full?",
            ) from error
        except Exception as error:
            # Python would end with 1, and somebody would be told that evidence was altered.
            traceback.print_exc()
            raise CheckImpossibleError(
                "audit_check_failed",
                say("the check itself failed: {kind}: {error}", kind=type(error).__name__, error=str(error)),
                hint="nothing is said about the log; keep it and report this fault",
            ) from error

    return guarded
