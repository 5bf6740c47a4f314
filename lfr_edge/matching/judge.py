"""Scores of one passage → at most one alert.

A pure state machine: it sees track numbers, references and scores, never a face, and is told the time. What the
scores are (one look's, or the fused template's) is the recogniser's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

NOBODY: Final = ""  # the reference of nobody


class TrackKey(NamedTuple):
    """One passage of one person before one camera."""

    camera: str
    epoch: int  # of the camera's connection
    number: int


@dataclass(frozen=True, slots=True)
class Policy:
    threshold: float  # cosine at and above which a look counts
    agreement: int = 2  # looks of one passage that must name the same person
    margin: float = 0.0  # least lead over the best other person
    cooldown_s: float = 60.0  # one alert per person and camera in this time

    def __post_init__(self) -> None:
        if not (
            -1 <= self.threshold <= 1 and self.agreement >= 1 and self.margin >= 0 and self.cooldown_s >= 0
        ):
            raise ValueError(f"not a policy: {self}")


@dataclass(frozen=True, slots=True)
class Look:
    """What one search said about one passage."""

    best: str  # reference, or NOBODY
    score: float
    runner_up: str = NOBODY
    runner_up_score: float = float("-inf")


class Reason(StrEnum):
    BELOW_THRESHOLD = "below_threshold"
    MARGIN = "margin"  # the runner-up is too close
    AGREEMENT = "agreement"  # too few looks agree so far
    SETTLED = "settled"  # this passage has had its alert, or has been counted as suppressed


@dataclass(frozen=True, slots=True)
class NoMatch:
    reason: Reason


@dataclass(frozen=True, slots=True)
class Candidate:
    """An alert is to be raised."""

    track: TrackKey
    reference: str
    score: float
    runner_up: str
    runner_up_score: float
    agreed: int  # looks that named this person at or above the threshold
    looks: int  # looks of this passage so far


@dataclass(frozen=True, slots=True)
class Suppressed:
    """The same person had an alert at this camera a moment ago: counted, not shown."""

    track: TrackKey
    reference: str
    score: float
    remaining_s: float  # of the cool-down


Verdict = NoMatch | Candidate | Suppressed


@dataclass(slots=True)
class _Passage:
    looks: int = 0
    agreed: dict[str, int] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)
    suppressed: set[str] = field(default_factory=set)


class Judge:
    """Decides look by look. ``raised == shown + suppressed`` at every moment.

    **Thread rule:** one thread. **Lifetime:** what is known of a passage goes with :meth:`forget`; a person who
    never reached the threshold leaves a count of looks and nothing else until then.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._passages: dict[TrackKey, _Passage] = {}
        self._last: dict[tuple[str, str], int] = {}  # (camera, reference) → monotonic ns of the last alert
        self.shown = 0
        self.suppressed = 0

    @property
    def policy(self) -> Policy:
        return self._policy

    @property
    def raised(self) -> int:
        return self.shown + self.suppressed

    @property
    def passages(self) -> int:
        """How many passages are remembered now."""
        return len(self._passages)

    def adopt(self, policy: Policy) -> None:
        """Another threshold from the next look on. Agreement reached under the old one does not count."""
        self._policy = policy
        for passage in self._passages.values():
            passage.agreed.clear()

    def judge(self, track: TrackKey, look: Look, now_ns: int) -> Verdict:
        """One look at one passage, at monotonic time `now_ns`."""
        passage = self._passages.setdefault(track, _Passage())
        passage.looks += 1
        # `not >=` instead of `<`: a score that is no number is below every threshold.
        if look.best == NOBODY or not look.score >= self._policy.threshold:
            return NoMatch(Reason.BELOW_THRESHOLD)
        if look.score - look.runner_up_score < self._policy.margin:
            return NoMatch(Reason.MARGIN)
        agreed = passage.agreed[look.best] = passage.agreed.get(look.best, 0) + 1
        if agreed < self._policy.agreement:
            return NoMatch(Reason.AGREEMENT)
        if look.best in passage.shown:
            return NoMatch(Reason.SETTLED)
        return self._raise(track, passage, look, now_ns)

    def forget(self, track: TrackKey) -> None:
        """The passage has ended."""
        self._passages.pop(track, None)

    def withdraw(self, reference: str) -> None:
        """The person is off the list: looks that named them no longer count."""
        for passage in self._passages.values():
            passage.agreed.pop(reference, None)
        for key in [key for key in self._last if key[1] == reference]:
            del self._last[key]

    def _raise(self, track: TrackKey, passage: _Passage, look: Look, now_ns: int) -> Verdict:
        key = (track.camera, look.best)
        last = self._last.get(key)
        remaining_s = 0.0 if last is None else self._policy.cooldown_s - (now_ns - last) / 1e9
        if remaining_s > 0:
            if look.best in passage.suppressed:
                return NoMatch(Reason.SETTLED)
            passage.suppressed.add(look.best)
            self.suppressed += 1
            return Suppressed(track, look.best, look.score, remaining_s)
        passage.shown.add(look.best)
        self._last[key] = now_ns
        self.shown += 1
        return Candidate(
            track,
            look.best,
            look.score,
            look.runner_up,
            look.runner_up_score,
            passage.agreed[look.best],
            passage.looks,
        )
