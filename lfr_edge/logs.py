"""What the service says to its operator's terminal, the journal or a collector: never a secret, never a biometric.

Three locks, because a log is copied to places that nobody thinks of:

- what a call site may hand over is a closed list of expressions, held by a test over the source (tests/test_logs.py);
- what is handed over all the same is written by its kind: numbers and our own errors as they are, text without what
  looks like a credential, an array or bytes as their size, anything else as the name of its type. An exception that
  is not ours is its type and the places in the code, never its text, which can quote what it choked on;
- a line has the fields of :data:`FIELDS` and no others, whatever ``extra`` a library adds.

What other libraries say is cut to its first line. One event is one line: nobody forges a second one.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePath
from types import TracebackType
from typing import Any, Final, Literal, TextIO

from lfr_edge.errors import LfrError

Style = Literal["auto", "text", "journal", "json"]
STYLES: Final[tuple[Style, ...]] = ("auto", "text", "journal", "json")
FIELDS: Final = ("at", "level", "room", "event", "text", "code", "error", "where")
OURS: Final = "lfr_edge"
LONGEST: Final = 1000  # characters of a line's text
_LOOKED_AT: Final = 4 * LONGEST
HIDDEN: Final = "***"
# syslog(3), which the journal reads in front of a line
_PRIORITIES: Final = {"CRITICAL": 2, "ERROR": 3, "WARNING": 4, "INFO": 6, "DEBUG": 7}
_PATTERNS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), replacement)
    for pattern, replacement in (
        (r"-----BEGIN [A-Z ]+-----.*?(-----END [A-Z ]+-----|$)", HIDDEN),
        (r"\b([a-z][a-z0-9+.-]*://)[^\s/@]*(?:@[^\s/@]*)*@", rf"\1{HIDDEN}@"),
        (r"\b(bearer|basic|digest)\s+[^\s,;]+", rf"\1 {HIDDEN}"),
        (r"\b(pass(?:word|wd|phrase)?|token|secret|cookie|authorization|api[_-]?key|otp)(\s*[=:]\s*|=)[^\s,;]+",
         rf"\1\2{HIDDEN}"),
        (r"\$argon2[a-z]*\$\S+", HIDDEN),
        (r"\b[A-HJ-NP-Z2-9]{4}(?:-[A-HJ-NP-Z2-9]{4}){3}\b", HIDDEN),  # a one-time code
        (r"AGE-SECRET-KEY-\S+", HIDDEN),
        # Keys, templates and pictures in base64 or hex; a digest of 64 hex digits is hidden with them.
        (r"[A-Za-z0-9+/_-]{40,}={0,2}", HIDDEN),
        (r"(?:-?\d+(?:\.\d+)?(?:e[+-]?\d+)?[,\s]+){12,}", f"{HIDDEN} "),  # a row of numbers: a template, printed
    )
)  # fmt: skip


def clean(text: str) -> str:
    """One printable line without what looks like a credential, a key, a template or a picture."""
    if len(text) > _LOOKED_AT:
        text = text[:_LOOKED_AT].rpartition(" ")[0]  # half a credential is not recognised
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    line = " ".join(text.split())
    return "".join(character for character in line if character.isprintable())[:LONGEST]


def said(value: object) -> Any:
    """What a log says of `value`, by its kind."""
    match value:
        case None | bool() | int() | float():
            return value
        case LfrError():
            return clean(f"{value.message} [{value.code}]")
        case OSError():
            return clean(f"{type(value).__name__}: {value.strerror or 'no reason given'}")
        case BaseException():
            return type(value).__name__
        case str():
            return clean(value)
        case PurePath():
            return clean(str(value))
        case bytes() | bytearray() | memoryview():
            return f"<{len(value)} bytes>"
    return f"<{type(value).__name__}>"


def fields_of(record: logging.LogRecord) -> dict[str, str]:
    """The fields of one line, and nothing else that the record carries."""
    ours = record.name == OURS or record.name.startswith(f"{OURS}.")
    pattern = str(record.msg) if ours else str(record.msg).partition("\n")[0]
    row = {
        "at": datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "room": record.name,
        "event": clean(pattern),
        "text": _warned(record) if record.name == "py.warnings" else _text(pattern, record.args, ours=ours),
    }
    error = record.exc_info[1] if record.exc_info else None
    known = [arg for arg in (*_values(record.args), error) if isinstance(arg, LfrError)]
    if known:
        row["code"] = known[0].code
    if error is not None:
        row["error"] = str(said(error))
        row["where"] = _where(error.__traceback__)
    return row


def _warned(record: logging.LogRecord) -> str:
    """Place and kind of a warning; its text is a library's."""
    return clean(f"{str(record.msg).partition('Warning:')[0]}Warning")


def _text(pattern: str, args: Any, *, ours: bool) -> str:
    if not args:
        return clean(pattern)
    if not ours:  # a library's arguments are whatever it had in its hand
        return clean(pattern)
    values = _values(args)
    try:
        if isinstance(args, Mapping) and "%(" in pattern:
            return clean(pattern % {key: said(value) for key, value in args.items()})
        return clean(pattern % tuple(map(said, values)))
    except (TypeError, ValueError, KeyError):  # a number was expected and something else was hidden
        return clean(f"{pattern} ({', '.join(str(said(value)) for value in values)})")


def _values(args: Any) -> tuple[Any, ...]:
    """`logging` hands a lone mapping over as the arguments themselves."""
    return args if isinstance(args, tuple) else (args,) if args else ()


def _where(trace: TracebackType | None) -> str:
    """Files and lines, innermost last; no source line and no value."""
    frames = traceback.extract_tb(trace)[-8:]
    return " < ".join(
        f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames)
    )


class Lines(logging.Formatter):
    """One line for each record, in one of the styles."""

    def __init__(self, style: Literal["text", "journal", "json"]) -> None:
        super().__init__()
        self._kind = style

    def format(self, record: logging.LogRecord) -> str:
        row = fields_of(record)
        if self._kind == "json":
            return json.dumps(row, ensure_ascii=False)
        line = row["text"]
        if "error" in row:
            line = f"{line}: {row['error']} at {row['where']}"
        if self._kind == "journal":  # which knows time and unit by itself
            return f"<{_PRIORITIES.get(record.levelname, 5)}>{row['room']}: {line}"
        return f"{row['at']} {record.levelname} {line}"


def install(
    style: Style = "auto", stream: TextIO | None = None, level: int = logging.INFO
) -> logging.Handler:
    """Let everything that is logged in this process, and whatever ends it, go out as lines. The handler."""
    target = sys.stderr if stream is None else stream
    chosen = _journal_or_text(target) if style == "auto" else style
    handler = logging.StreamHandler(target)
    handler.setFormatter(Lines(chosen))
    root = logging.getLogger()
    for other in list(root.handlers):
        root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(level)
    logging.raiseExceptions = False  # a failing handler would print the record's arguments
    logging.captureWarnings(True)
    sys.excepthook = _last_words
    return handler


def _last_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger(OURS).critical("the program ended", exc_info=(kind, error, trace))


def _journal_or_text(stream: TextIO) -> Literal["text", "journal"]:
    """The journal where this stream is connected to it (systemd.exec(5), ``JOURNAL_STREAM``)."""
    named = os.environ.get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return "text"
    return "journal" if named == f"{status.st_dev}:{status.st_ino}" else "text"
