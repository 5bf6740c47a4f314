"""No secret and no biometric in a log: by what may be handed over, and by what becomes of it all the same."""

from __future__ import annotations

import ast
import base64
import functools
import io
import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lfr_edge import logs
from lfr_edge.errors import CameraError
from lfr_edge.logs import FIELDS, clean, fields_of, install
from tests.fakes.box import drawn_face

ROOT = Path(__file__).resolve().parents[1] / "lfr_edge"
METHODS = {"debug", "info", "warning", "error", "exception", "critical"}
# What a call may hand over: counts, states, our own errors and identifiers of the configuration. Nobody's data.
ALLOWED = {
    "error", "error.code", "error.diagnostics()", "ending.message", "why", "type(error).__name__",
    "failure.what", "failure.deployment", "failure.reason",
    "settings.id", "self._receiver.settings.id", "notice.id", "status",
    "request.method", "_route_name(request)",
    "step.to", "step.title", "len(files)",
    "change.names", "change.code",
    "error.message", "camera", "drift.level", "worst",  # the name of a measure and its number
}  # fmt: skip


def calls(source: str) -> Iterator[tuple[str, list[str]]]:
    """(pattern, arguments as written) of each logging call."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in METHODS
            and re.fullmatch(r"_?log(ger)?|_LOG|logging(\.getLogger\(.*\))?", ast.unparse(node.func.value))
        ):
            first = node.args[0]
            assert isinstance(first, ast.Constant), (
                f"line {first.lineno}: a pattern is a constant, never built"
            )
            extra = {keyword.arg for keyword in node.keywords} - {"exc_info"}
            assert not extra, f"line {first.lineno}: {extra}"
            yield str(first.value), [ast.unparse(argument) for argument in node.args[1:]]


@functools.cache
def every_call() -> list[tuple[str, list[str]]]:
    return [call for path in sorted(ROOT.rglob("*.py")) for call in calls(path.read_text(encoding="utf-8"))]


def test_what_call_sites_hand_over_is_a_closed_list():
    found = every_call()
    assert len(found) >= 15, "the search finds the calls"
    handed = {argument for _, arguments in found for argument in arguments}
    assert handed <= ALLOWED, handed - ALLOWED


@pytest.mark.parametrize(
    "line",
    [
        "log.info('camera %s', spec.password)",
        "_LOG.error(f'{template}')",
        "log.warning('x', extra={'face': crop})",
    ],
)
def test_the_search_finds_a_call_that_would_leak(line):
    """The control."""
    assert not permitted(line)
    assert permitted("log.info('%d files', len(files))")


def permitted(source: str) -> bool:
    try:
        return {argument for _, arguments in calls(source) for argument in arguments} <= ALLOWED
    except AssertionError:
        return False


SECRET = "hunter2-Sesame-9"
KEY = bytes(range(32, 64))
TEMPLATE = np.linspace(-1, 1, 512, dtype=np.float32) / 16


class Talkative:
    def __repr__(self) -> str:
        return f"Session(password={SECRET!r})"

    __str__ = __repr__


HOSTILE = {
    "address": f"rtsp://ops:{SECRET}@192.0.2.7/1",
    "address in words": f"cannot open rtsp://ops:{SECRET}@192.0.2.7/1: timed out",
    "bearer": f"Authorization: Bearer {SECRET}",
    "assignment": f"password={SECRET}; user=ops",
    "assignment in words": f"the token: {SECRET}",
    "pem": f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----",
    "hash": f"$argon2id$v=19$m=65536,t=3,p=4${SECRET}",
    "code": "ABCD-EFGH-JKMN-PQRS",
    "key in hex": KEY.hex(),
    "key in base64": base64.b64encode(KEY).decode(),
    "template printed": " ".join(f"{value:.4f}" for value in TEMPLATE[:64]),
    "template as a list": str(TEMPLATE[:64].tolist()),
    "template in base64": base64.b64encode(TEMPLATE.tobytes()).decode(),
    "picture in base64": base64.b64encode(drawn_face(1)).decode(),
    "picture": drawn_face(1),
    "key": KEY,
    "memory": memoryview(TEMPLATE),
    "template": TEMPLATE,
    "mapping": {"password": SECRET, "template": TEMPLATE},
    "list": [SECRET, KEY],
    "object": Talkative(),
    "another's error": ValueError(f"could not parse {SECRET}"),
    "a file's error": FileNotFoundError(2, "No such file", f"/secrets/{SECRET}"),
    "our error": CameraError("camera_auth_refused", f"rtsp://ops:{SECRET}@192.0.2.7/1 refused"),
    "lines": f"done\n2026-11-22 CRITICAL forged token={SECRET}",
}
# What none of it may leave in a line.
TRACES = (
    SECRET, "ABCD-EFGH-JKMN-PQRS", KEY.hex(), base64.b64encode(KEY).decode(), repr(KEY)[2:-1],
    base64.b64encode(TEMPLATE.tobytes()).decode()[:60], base64.b64encode(drawn_face(1)).decode()[:60],
    ", ".join(map(str, TEMPLATE[3:6].tolist())), " ".join(f"{value:.4f}" for value in TEMPLATE[3:6]),
    str(float(TEMPLATE[7])), "Exif", "JFIF",
)  # fmt: skip


@pytest.fixture
def heard():
    """What the installed log writes, in each style in turn."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level, sys.excepthook, logging.raiseExceptions)
    stream = io.StringIO()

    def begin(style):
        stream.truncate(0)
        stream.seek(0)
        install(style, stream)
        return stream

    yield begin
    logging.captureWarnings(False)
    for handler in list(root.handlers):
        root.removeHandler(handler)
    for handler in before[0]:
        root.addHandler(handler)
    root.setLevel(before[1])
    sys.excepthook, logging.raiseExceptions = before[2:]


@pytest.mark.parametrize("style", ["text", "journal", "json"])
def test_every_call_with_every_secret_leaves_no_trace(heard, style):
    stream = heard(style)
    log = logging.getLogger("lfr_edge.service")
    said = 0
    for pattern, arguments in every_call()[:: 1 if style == "json" else 9]:
        for value in HOSTILE.values():
            log.error(pattern, *[value] * len(arguments))
            try:
                raise value if isinstance(value, Exception) else RuntimeError(value)
            except Exception:
                log.exception(pattern, *[value] * len(arguments))
            said += 2
    text = stream.getvalue()
    assert len(text.splitlines()) == said, "one event is one line"
    for trace in TRACES:
        assert trace not in text, trace
    assert "forged" not in text or "\n2026-11-22 CRITICAL forged" not in text


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_without_the_locks_each_of_them_would_be_seen(name):
    """The control: what a plain handler writes."""
    record = logging.LogRecord("x", logging.ERROR, "", 0, "%s", (HOSTILE[name],), None)
    plain = record.getMessage() + repr(record.args)
    assert any(trace in plain for trace in TRACES) or isinstance(HOSTILE[name], memoryview | np.ndarray)


def test_a_library_is_cut_to_its_first_line_and_its_arguments_are_dropped(heard):
    stream = heard("json")
    logging.getLogger("asyncio").error(f"Task exception was never retrieved\nfuture: <Task {SECRET}>")
    logging.getLogger("httpx").warning(
        "HTTP Request: %s", f"http://x/?q={SECRET}", extra={"password": SECRET}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn_explicit(f"a warning\nwith {SECRET}", UserWarning, "x.py", 1)
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert SECRET not in stream.getvalue()
    assert rows[0]["text"] == "Task exception was never retrieved"
    assert rows[2]["text"] == "x.py:1: UserWarning"
    assert all(set(row) <= set(FIELDS) for row in rows)


def test_the_fields_are_a_closed_list(heard):
    stream = heard("json")
    log = logging.getLogger("lfr_edge.service")
    log.info("list of %d entries", 12, extra={"face": SECRET})
    try:
        raise CameraError("camera_refused", "no camera there")
    except CameraError as error:
        log.exception("camera %s: %s", "north", error)
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["level"], first["event"], first["text"]) == (
        "info",
        "list of %d entries",
        "list of 12 entries",
    )
    assert set(first) == {"at", "level", "room", "event", "text"}
    assert set(second) == set(FIELDS)
    assert (second["code"], second["error"]) == ("camera_refused", "no camera there [camera_refused]")
    assert re.fullmatch(r"test_logs\.py:\d+ test_the_fields_are_a_closed_list", second["where"])


def test_what_people_need_is_still_there():
    for text in (
        "north is lost: camera_timeout", "the disk is full: 1.2 GiB free", "webhook map answered 503",
        "deployment 2026-11-22-1 goes on", "/var/lib/lfr-edge/data/accounts.json cannot be read",
        "rtsp://192.0.2.7:554/stream1 does not answer", "threshold 0.4831 of pack default-1",
    ):  # fmt: skip
        assert clean(text) == text


def test_the_journal_gets_priorities(heard):
    stream = heard("journal")
    log = logging.getLogger("lfr_edge.service")
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(log, level)("it is so")
    assert stream.getvalue().splitlines() == [
        f"<{number}>lfr_edge.service: it is so" for number in (6, 4, 3, 2)
    ]


def test_the_journal_is_recognised(monkeypatch, tmp_path):
    with (tmp_path / "journal").open("w") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        assert logs._journal_or_text(stream) == "journal"
        monkeypatch.setenv("JOURNAL_STREAM", "1:1")
        assert logs._journal_or_text(stream) == "text"
    assert logs._journal_or_text(io.StringIO()) == "text"


def test_last_words_are_one_line_without_the_text_of_the_error(heard):
    stream = heard("text")
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert len(stream.getvalue().splitlines()) == 1
    assert "ValueError at test_logs.py" in stream.getvalue()
    assert SECRET not in stream.getvalue()


def test_a_pattern_that_does_not_fit_says_so_all_the_same():
    record = logging.LogRecord("lfr_edge.x", logging.INFO, "", 0, "%d of %d", (KEY, "many"), None)
    assert fields_of(record)["text"] == "%d of %d (<32 bytes>, many)"
    named = logging.LogRecord("lfr_edge.x", logging.INFO, "", 0, "%(n)d", ({"n": 3},), None)
    assert fields_of(named)["text"] == "3"
