"""Every error that a person can meet, as one tree.

::

    LfrError                    code, message, hint
    ├── ConfigError             the configuration file is wrong or contradicts itself
    ├── ModelError              a network is missing, altered, or may not be used here
    ├── CameraError             a source cannot be opened, read or trusted
    ├── VisionError             an inference session or an image cannot be used
    ├── WatchlistError          a list, an entry or a sealed container is refused
    ├── MatchingError           a threshold does not belong to this model or list
    ├── ConfinementError        the kernel did not confine a process as asked
    ├── RecogniserError         the sealed process died, hung or broke the protocol
    ├── AlertError              a decision cannot be taken (somebody else was first, wrong state)
    ├── DeploymentError         recognition is not authorised here and now
    ├── AuditError              the log cannot be written, or does not verify
    ├── AccessError             sign-in, session or role refused
    └── EvaluationError         a protocol or a truth file cannot be used

An error carries a stable ``code`` (snake_case; scripts and tests rely on it), a message that says what
happened, and a ``hint`` that tells the person what to do next. Neither ever holds a password, a template or a
face: whoever raises is responsible for redaction (see :func:`lfr_edge.capture.source.redact`).
The command line prints code, message and hint, and a traceback only with ``--verbose``.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final

_CODE: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")


class LfrError(Exception):
    """Base of all errors that this product raises on purpose."""

    exit_code: ClassVar[int] = 1

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        if not _CODE.fullmatch(code):
            raise ValueError(f"not an error code: {code!r}")
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message

    def diagnostics(self) -> str:
        """The text for a person: what happened, the code to look up, what to do next."""
        lines = [f"{self.message} [{self.code}]"]
        if self.hint:
            lines.append(f"  → {self.hint}")
        return "\n".join(lines)


class ConfigError(LfrError):
    exit_code = 2


class ModelError(LfrError):
    pass


class CameraError(LfrError):
    pass


class VisionError(LfrError):
    pass


class WatchlistError(LfrError):
    pass


class MatchingError(LfrError):
    pass


class ConfinementError(LfrError):
    pass


class RecogniserError(LfrError):
    pass


class AlertError(LfrError):
    pass


class DeploymentError(LfrError):
    pass


class AuditError(LfrError):
    pass


class AccessError(LfrError):
    pass


class EvaluationError(LfrError):
    pass
