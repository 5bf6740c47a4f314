"""What a trained person gives as reasons: closed lists, so that reasons can be counted and compared.

The three groups are those of the College of Policing's APP (domain.md 2): an adjudication has regard to
*subject*, *system* and *environmental* factors. There is no "other": the note is for what the lists lack.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from lfr_edge.errors import AlertError
from lfr_edge.sentences import say

F = TypeVar("F", bound=StrEnum)


class Answer(StrEnum):
    """The three equal answers of a look."""

    SAME_PERSON = "same_person"
    DIFFERENT_PERSON = "different_person"
    CANNOT_JUDGE = "cannot_judge"


class SubjectFactor(StrEnum):
    FEATURES_AGREE = "features_agree"
    MARK_AGREES = "mark_agrees"
    FEATURES_DIFFER = "features_differ"
    AGE_DIFFERS = "age_differs"
    FACE_COVERED = "face_covered"
    HEAD_TURNED = "head_turned"
    NOT_A_PERSON = "not_a_person"  # a printed face or a screen: nothing in the box tells one from a person


class SystemFactor(StrEnum):
    BOTH_CLEAR = "both_clear"
    PROBE_POOR = "probe_poor"
    CANDIDATE_POOR = "candidate_poor"
    LOOK_ALIKES = "look_alikes"


class EnvironmentFactor(StrEnum):
    GOOD_VIEW = "good_view"
    LOW_LIGHT = "low_light"
    BACKLIGHT = "backlight"
    MOTION = "motion"
    CROWD = "crowd"


NOTE_CHARACTERS: Final = 500  # two or three sentences; keeps an audit entry far below 16 KiB


@dataclass(frozen=True, slots=True)
class Factors:
    """The reasons of one look. At least one must be named: an answer without a reason is refused."""

    subject: tuple[SubjectFactor, ...] = ()
    system: tuple[SystemFactor, ...] = ()
    environment: tuple[EnvironmentFactor, ...] = ()

    def __len__(self) -> int:
        return len(self.subject) + len(self.system) + len(self.environment)

    def names(self) -> dict[str, list[str]]:
        return {
            "subject": [str(f) for f in self.subject],
            "system": [str(f) for f in self.system],
            "environment": [str(f) for f in self.environment],
        }

    @staticmethod
    def of(
        subject: Iterable[str] = (), system: Iterable[str] = (), environment: Iterable[str] = ()
    ) -> Factors:
        """Factors from plain words, each once, in the lists' own order.

        Raises:
            AlertError: ``alert_unknown_factor``.
        """
        return Factors(
            _known(SubjectFactor, subject),
            _known(SystemFactor, system),
            _known(EnvironmentFactor, environment),
        )


def _known(kind: type[F], words: Iterable[str]) -> tuple[F, ...]:
    wanted = set(words)
    strange = wanted - {str(f) for f in kind}
    if strange:
        raise AlertError(
            "alert_unknown_factor",
            say("{kind} knows no {strange!r}", kind=kind.__name__, strange=sorted(strange)[0][:40]),
            hint="use the factors that the desk page lists; put anything else into the note",
        )
    return tuple(f for f in kind if str(f) in wanted)


def clean_note(note: str) -> str:
    """The note without control characters, at most :data:`NOTE_CHARACTERS` long.

    Raises:
        AlertError: ``alert_note_too_long``; a reason is never cut silently.
    """
    text = " ".join("".join(c if c.isprintable() else " " for c in note).split())
    if len(text) > NOTE_CHARACTERS:
        raise AlertError(
            "alert_note_too_long",
            say("the note has {text_count} characters", text_count=len(text)),
            hint=say("shorten it to {note_characters} characters", note_characters=NOTE_CHARACTERS),
        )
    return text
