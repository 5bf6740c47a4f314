"""A change that needs two persons: what is proposed, by whom, for how long, and who may say yes to what."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Literal, TypeAlias

import rfc8785

from lfr_edge.errors import AccessError
from lfr_edge.sentences import say

Kind: TypeAlias = Literal[
    "watchlist.activate",
    "watchlist.add",
    "threshold.change",
    "model.change",
    "retention.change",
    "trust.enrol",
    "evidence.export",
    "break_glass",
    "hold.place",
]
State: TypeAlias = Literal["proposed", "approving", "approved", "used", "refused", "void"]
OPEN: Final[frozenset[State]] = frozenset({"proposed", "approving", "approved"})
CHANGE_MAX: Final = 64 * 1024  # canonical bytes; a change names digests, never the things themselves
SUMMARY_MAX: Final = 20  # lines
LINE_MAX: Final = 500
_INVISIBLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


class ControlError(AccessError):
    """Two-person control refused."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Roles by name. The proposer's and the approver's accounts always differ."""

    propose: frozenset[str]
    approve: frozenset[str]


_OFFICER: Final = "deployment_officer"
_APPROVER: Final = frozenset({"authorising_officer"})
# reliability.md 3: the authorising officer approves and does not operate.
RULES: Final[Mapping[Kind, Rule]] = {
    "watchlist.activate": Rule(frozenset({_OFFICER}), _APPROVER),
    "watchlist.add": Rule(frozenset({_OFFICER}), _APPROVER),
    "threshold.change": Rule(frozenset({_OFFICER}), _APPROVER),
    "model.change": Rule(frozenset({_OFFICER, "engineer"}), _APPROVER),
    "retention.change": Rule(frozenset({_OFFICER}), _APPROVER),
    # A second authorising officer may vouch for the first one's key, too.
    "trust.enrol": Rule(frozenset({_OFFICER, "authorising_officer"}), _APPROVER),
    "evidence.export": Rule(frozenset({_OFFICER, "auditor"}), _APPROVER),
    "break_glass": Rule(frozenset({_OFFICER, "auditor", "engineer"}), _APPROVER),
    "hold.place": Rule(frozenset({_OFFICER, "auditor"}), _APPROVER),
}


@dataclass(frozen=True, slots=True)
class Stamp:
    """One moment on both clocks; the monotonic one means nothing after a reboot."""

    mono_ns: int
    wall_ns: int
    boot: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """One change on its way. `sha256` binds kind and change; `summary` is what the approver reads."""

    id: str
    kind: Kind
    change: Mapping[str, Any] = field(repr=False)
    sha256: str
    summary: tuple[str, ...]
    proposer: str
    proposed: Stamp
    state: State = "proposed"
    approver: str = ""
    approved: Stamp | None = None
    why: str = ""  # of a refusal


def plain_change(change: Mapping[str, Any]) -> dict[str, Any]:
    """A copy as JSON has it, so that nobody holds a reference into what was proposed.

    Raises:
        ControlError: ``control_change_invalid``.
    """
    try:
        encoded = rfc8785.dumps(dict(change))
        if len(encoded) > CHANGE_MAX:
            raise ValueError
        copy: dict[str, Any] = json.loads(encoded)
    except (ValueError, TypeError, RecursionError, AttributeError):
        raise ControlError(
            "control_change_invalid",
            "this change cannot be written down exactly",
            hint="a change holds texts, numbers, booleans, lists and dicts, at most 64 KiB",
        ) from None
    return copy


def digest(kind: str, change: Mapping[str, Any]) -> str:
    """Hex SHA-256 of the RFC 8785 form of ``{"kind", "change"}``. Raises as :func:`plain_change`."""
    return sha256(rfc8785.dumps({"kind": kind, "change": plain_change(change)})).hexdigest()


def check_summary(summary: tuple[str, ...]) -> None:
    """Raises ControlError: ``control_summary_invalid``."""
    if not 1 <= len(summary) <= SUMMARY_MAX or any(
        not line.strip() or len(line) > LINE_MAX or _INVISIBLE.search(line) for line in summary
    ):
        raise ControlError(
            "control_summary_invalid",
            say(
                "a proposal needs 1 to {summary_max} lines of visible words, each at most "
                "{line_max} characters",
                summary_max=SUMMARY_MAX,
                line_max=LINE_MAX,
            ),
        )
