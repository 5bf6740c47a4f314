"""What may be recorded: a closed list of verbs, who, about what, and why.

Each verb belongs to one of the classes of processing that section 62 of the Data Protection Act 2018 wants
logged (collection, alteration, consultation, disclosure, combination, erasure) or to the running of the box.
No image, name, template or unsalted hash of one may enter an event: things are named by a
:func:`~lfr_edge.audit.commitment.reference`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from lfr_edge.errors import AuditError
from lfr_edge.sentences import say

Verb: TypeAlias = Literal[
    "access.account_changed",
    "access.break_glass",
    "access.refused",
    "access.signed_in",
    "access.signed_out",
    "alert.assigned",
    "alert.decided",
    "alert.engaged",
    "alert.erased",
    "alert.escalated",
    "alert.expired",
    "alert.held",
    "alert.looked",
    "alert.offered",
    "alert.outcome",
    "alert.raised",
    "alert.released",
    "alert.suppressed",
    "anchor.confirmed",
    "anchor.printed",
    "anchor.witnessed",
    "briefing.acknowledged",
    "camera.changed",
    "camera.connected",
    "camera.lost",
    "clock.jumped",
    "control.approved",
    "control.proposed",
    "control.refused",
    "deployment.authorised",
    "deployment.cancelled",
    "deployment.closed",
    "deployment.opened",
    "deployment.started",
    "device.deployment_closed",
    "device.deployment_opened",
    "disclosure.sent",
    "disk.full",
    "drill.answered",
    "drill.raised",
    "evidence.exported",
    "evidence.viewed",
    "ledger.counted",
    "log.closed",
    "log.opened",
    "log.recovered",
    "log.succeeded",
    "material.erased",
    "model.changed",
    "model.loaded",
    "receipt.issued",
    "recogniser.started",
    "recogniser.stopped",
    "recognition.paused",
    "recognition.resumed",
    "report.made",
    "retention.changed",
    "statistics.counted",
    "threshold.changed",
    "threshold.set",
    "trust.changed",
    "watchlist.activated",
    "watchlist.added",
    "watchlist.compiled",
    "watchlist.destroyed",
    "watchlist.imported",
    "watchlist.viewed",
    "watchlist.withdrawn",
]
Processing: TypeAlias = Literal[
    "collection", "alteration", "consultation", "disclosure", "combination", "erasure", "operation"
]

_CLASSES: Final[Mapping[Processing, str]] = {
    "collection": "alert.raised alert.suppressed drill.raised watchlist.imported",
    "alteration": "access.account_changed alert.held alert.outcome alert.released model.changed retention.changed"
    " threshold.changed watchlist.activated watchlist.added",
    "consultation": "alert.decided alert.engaged alert.looked evidence.viewed watchlist.viewed access.break_glass",
    "disclosure": "alert.assigned alert.escalated alert.offered disclosure.sent evidence.exported receipt.issued"
    " report.made",
    "combination": "watchlist.compiled",
    "erasure": "alert.erased ledger.counted material.erased watchlist.destroyed watchlist.withdrawn",
    "operation": "access.refused access.signed_in access.signed_out alert.expired anchor.confirmed anchor.printed"
    " anchor.witnessed briefing.acknowledged camera.changed camera.connected camera.lost clock.jumped control.approved"
    " control.proposed control.refused deployment.authorised deployment.cancelled deployment.closed"
    " deployment.opened deployment.started device.deployment_closed device.deployment_opened disk.full drill.answered"
    " log.closed log.opened"
    " log.recovered log.succeeded model.loaded recogniser.started recogniser.stopped recognition.paused"
    " recognition.resumed statistics.counted threshold.set trust.changed",
}
PROCESSING: Final[Mapping[str, Processing]] = {
    verb: processing for processing, verbs in _CLASSES.items() for verb in verbs.split()
}

# A head is signed as soon as one of these is durable (reliability.md 1.5).
SIGNED_AT_ONCE: Final = frozenset({"alert.decided", "deployment.opened", "deployment.closed"})
# With a full disk nothing may begin any more; what ends or erases is still recorded from the ballast.
REFUSED_WHEN_FULL: Final = frozenset(
    {
        "alert.raised",
        "camera.connected",
        "deployment.opened",
        "deployment.started",
        "drill.raised",
        "recogniser.started",
        "recognition.resumed",
        "watchlist.activated",
        "watchlist.added",
        "watchlist.imported",
    }
)
# What needs a proposal by one person and the approval of another (reliability.md 3).
TWO_PERSONS: Final = frozenset(
    {
        "access.break_glass",
        "evidence.exported",
        "model.changed",
        "retention.changed",
        "threshold.changed",
        "trust.changed",
        "watchlist.activated",
        "watchlist.added",
    }
)

Data: TypeAlias = "Mapping[str, object]"  # integers, strings, booleans, lists and dicts of these; checked
INTEGER_MAX: Final = 2**53 - 1  # RFC 8785 numbers are IEEE doubles
STRING_MAX: Final = 1024  # a base64 template of 512 float32 would be 2,732
LIST_MAX: Final = 100  # the shortest face embedding in use has 128 numbers
DEPTH_MAX: Final = 6
_KEY: Final = re.compile(r"[\x21-\x7e]{1,64}")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who: account name, role at that moment, public number of the session (never its secret)."""

    account: str
    role: str
    session: str = ""


SYSTEM: Final = Actor("system", "system")


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    `ref` names the alert, entry or item by its reference; `why` is the person's justification, which section 62
    asks for in consultations and disclosures. Scores are integers: cosine × 10⁴.
    """

    ev: Verb
    actor: Actor = SYSTEM
    ref: str = ""
    data: Data = field(default_factory=dict)
    why: str = ""


def check_event(event: Event) -> None:
    """Refuse what the format cannot hold.

    Raises:
        AuditError: ``audit_event_invalid``; the message names the field, never its value.
    """
    if not _is_plain(event):
        _check_thoroughly(event)


def _is_plain(event: Event) -> bool:
    """Whether it is what nearly all events are: ASCII, and numbers under a few known names. Says nothing of others.

    A third of what an entry costs goes to looking at it field by field.
    """
    actor, data = event.actor, event.data
    for text in (actor.account, actor.role, actor.session, event.ref, event.why):
        if type(text) is not str or len(text) > STRING_MAX or not text.isascii():
            return False
    if event.ev not in PROCESSING or type(data) is not dict:
        return False
    for key, value in data.items():
        if type(value) is int:
            if not -INTEGER_MAX <= value <= INTEGER_MAX:
                return False
        elif type(value) is str:
            if len(value) > STRING_MAX or not value.isascii():
                return False
        elif type(value) is not bool:
            return False
        if type(key) is not str or not _is_key(key):
            return False
    return True


@lru_cache(1024)
def _is_key(name: str) -> bool:
    return _KEY.fullmatch(name) is not None


def _check_thoroughly(event: Event) -> None:
    if event.ev not in PROCESSING:
        raise _invalid(
            say("{ev!r} is not a verb of the record", ev=event.ev), "lfr_edge/audit/event.py lists the verbs"
        )
    for name, text in (
        ("actor.account", event.actor.account),
        ("actor.role", event.actor.role),
        ("actor.session", event.actor.session),
        ("ref", event.ref),
        ("why", event.why),
    ):
        _check_value(name, text, 0, only=str)
    if not isinstance(event.data, dict):
        raise _invalid("data is not a dict", "give a plain dict")
    _check_value("d", event.data, 0)


def _check_value(name: str, value: object, depth: int, *, only: type | None = None) -> None:
    if depth > DEPTH_MAX:
        raise _invalid(
            say("{name} is nested deeper than {depth_max}", name=name, depth_max=DEPTH_MAX), "flatten it"
        )
    if only is not None and not isinstance(value, only):
        raise _invalid(
            say(
                "{name} is a {kind}, not a {kind_2}",
                name=name,
                kind=type(value).__name__,
                kind_2=only.__name__,
            ),
            "",
        )
    if isinstance(value, str):
        _check_text(name, value)
    elif isinstance(value, int):  # bool included
        if not -INTEGER_MAX <= value <= INTEGER_MAX:
            raise _invalid(say("{name} does not fit in 53 bits", name=name), "record it as a decimal string")
    elif isinstance(value, list | tuple):
        if len(value) > LIST_MAX:
            raise _invalid(
                say("{name} has more than {list_max} items", name=name, list_max=LIST_MAX),
                "templates may not enter the record",
            )
        for index, item in enumerate(value):
            _check_value(f"{name}[{index}]", item, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not _is_key(key):
                raise _invalid(
                    say("{name} has a key that is not 1 to 64 visible ASCII characters", name=name),
                    "rename it",
                )
            _check_value(f"{name}.{key}", item, depth + 1)
    elif isinstance(value, float):
        raise _invalid(
            say("{name} is a float", name=name), "record an integer with its unit, such as a score × 10⁴"
        )
    else:
        raise _invalid(
            say("{name} is a {kind}", name=name, kind=type(value).__name__),
            "use integers, strings, booleans, lists, dicts",
        )


def _check_text(name: str, value: str) -> None:
    if len(value) > STRING_MAX:
        raise _invalid(
            say("{name} has more than {string_max} characters", name=name, string_max=STRING_MAX),
            "images and templates may not enter",
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _invalid(say("{name} is not valid Unicode", name=name), "strip lone surrogates") from None


def _invalid(message: str, hint: str) -> AuditError:
    return AuditError("audit_event_invalid", message, hint=hint)
