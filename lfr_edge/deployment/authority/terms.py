"""What a Written Authority Document (WAD) says (domain.md 4): one value, the same for people, schema and signature.

Types and forms are checked when a file is read; whether the words suffice (an empty necessity, a rank too low) is
for :mod:`lfr_edge.deployment.authority.clauses`, so that a draft can be read and its gaps listed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Final, Literal

import rfc8785
from pydantic import ConfigDict, Field

from lfr_edge.deployment.authority.words import (
    CategoryCode,
    Instant,
    Line,
    Prose,
    Rank,
    SourceCode,
    UseCaseCode,
    instant_ns,
)
from lfr_edge.settings import Identifier

FORMAT: Final = "lfr-edge authority 1"
CANCELLATION_FORMAT: Final = "lfr-edge authority cancellation 1"
CONFIRMATION_FORMAT: Final = "lfr-edge authority confirmation 1"
ALERT_IMAGES_MAX_H: Final = 31 * 24  # domain.md 3
WATCHLIST_MAX_H: Final = 24  # domain.md 3: destroyed at the end, at the latest 24 h after
RADIUS_MAX_M: Final = 5_000  # a town centre; a city is no place
_STRICT: Final = ConfigDict(extra="forbid", strict=True)

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
KeyId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Changer = Literal["deployment_officer"]  # who may propose it at all: deployment.proposal.RULES


@dataclass(frozen=True, slots=True)
class Place:
    """Where: a name, a point with a radius, and the zone of recognition within it."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    name: Annotated[Line, Field(title="Name", description="As printed in the published table.")]
    latitude: Annotated[float, Field(ge=-90, le=90, title="Latitude", description="Degrees north, WGS 84.")]
    longitude: Annotated[
        float, Field(ge=-180, le=180, title="Longitude", description="Degrees east, WGS 84.")
    ]
    radius_m: Annotated[
        int,
        Field(
            ge=10, le=RADIUS_MAX_M, title="Radius", description="Metres from the point that are authorised."
        ),
    ]
    zone: Annotated[
        Prose,
        Field(title="Zone of recognition", description="The area in which faces are looked at, in words."),
    ]
    sensitive_places: Annotated[
        tuple[Line, ...],
        Field(
            max_length=50,
            title="Sensitive places near",
            description="Schools, places of worship, surgeries, courts …; write what was looked for if there is none.",
        ),
    ]


@dataclass(frozen=True, slots=True)
class ListTerms:
    """Who may be on the list."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    categories: Annotated[
        tuple[CategoryCode, ...],
        Field(max_length=50, title="Categories", description="Codes; there is no other."),
    ]
    criteria: Annotated[
        Prose, Field(title="Criteria", description="What puts a person of these categories on this list.")
    ]
    maximum_size: Annotated[
        int, Field(ge=1, le=500_000, title="Maximum size", description="Most entries on the list.")
    ]
    image_sources: Annotated[
        tuple[SourceCode, ...],
        Field(max_length=50, title="Image sources", description="Codes of lawful sources."),
    ]
    under_18: Annotated[
        bool, Field(title="Under-18s", description="Whether people under 18 may be on the list.")
    ]
    under_18_reason: Annotated[
        Prose, Field(title="Reason for under-18s", description="Needed where under_18 is true.")
    ]


@dataclass(frozen=True, slots=True)
class ThresholdTerms:
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    floor: Annotated[
        float,
        Field(ge=-1, le=1, title="Floor", description="Lowest cosine similarity that may raise an alert."),
    ]
    changed_by: Annotated[
        tuple[Changer, ...],
        Field(
            max_length=1,
            title="Changed by",
            description="Roles that may propose a change while live; another person approves. Empty: nobody.",
        ),
    ]


@dataclass(frozen=True, slots=True)
class RetentionTerms:
    """Longest times; the box may keep things shorter."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    alert_images_h: Annotated[
        int, Field(ge=1, le=ALERT_IMAGES_MAX_H, title="Alert images", description="Hours, at most 31 days.")
    ]
    watchlist_h: Annotated[
        int,
        Field(ge=0, le=WATCHLIST_MAX_H, title="Watchlist", description="Hours after the end, at most 24."),
    ]


@dataclass(frozen=True, slots=True)
class Assessment:
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    reference: Annotated[Line, Field(title="Reference", description="Where it is filed.")]
    version: Annotated[
        Line, Field(title="Version", description="The version that was read for this authority.")
    ]


@dataclass(frozen=True, slots=True)
class Assessments:
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    dpia: Annotated[Assessment, Field(description="Data protection impact assessment.")]
    eia: Annotated[Assessment, Field(description="Equality impact assessment.")]
    cia: Annotated[Assessment, Field(description="Community impact assessment.")]
    apd: Annotated[Assessment, Field(description="Appropriate policy document (DPA 2018 s42).")]


@dataclass(frozen=True, slots=True)
class Officer:
    """The Authorising Officer."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    name: Annotated[Line, Field(title="Name")]
    rank: Annotated[
        Rank, Field(strict=False, title="Rank", description="Superintendent or above may authorise.")
    ]
    granted: Annotated[Instant, Field(title="Granted", description="When the authority was given, UTC.")]


@dataclass(frozen=True, slots=True)
class Urgent:
    """An authority that was given by word of mouth and taken down by somebody else."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    reason: Annotated[Prose, Field(title="Reason", description="Why it could not be given in writing.")]
    given: Annotated[Instant, Field(title="Given", description="When it was given by word of mouth, UTC.")]
    taken_down_by: Annotated[Line, Field(title="Taken down by", description="Who wrote it down.")]
    confirm_by: Annotated[
        Instant,
        Field(title="Confirm by", description="Written confirmation until then, at most 24 h after given."),
    ]


@dataclass(frozen=True, slots=True)
class Command:
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    gold: Annotated[Line, Field(title="Gold", description="Strategic commander.")]
    silver: Annotated[Line, Field(title="Silver", description="Tactical commander.")]
    bronze: Annotated[Line, Field(title="Bronze", description="Operational commander at the van.")]


@dataclass(frozen=True, slots=True)
class Authority:
    """The whole document. All fields are written out, so that its digest is the file's."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    format: Annotated[Literal["lfr-edge authority 1"], Field(description="Says what is signed.")]
    purpose: Annotated[
        Literal["operational", "evaluation"],
        Field(title="Purpose", description="'evaluation' covers demonstration, training and tests."),
    ]
    operation: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._/-]{0,63}$",
            title="Operation",
            description="The operation's reference.",
        ),
    ]
    use_case: Annotated[UseCaseCode, Field(title="Use case", description="One of a closed set.")]
    policy_paragraph: Annotated[
        Line,
        Field(
            title="Policy paragraph", description="The paragraph of the LFR policy that allows this use case."
        ),
    ]
    legal_basis: Annotated[Prose, Field(title="Legal basis", description="The power that is relied on.")]
    objective: Annotated[Prose, Field(title="Objective", description="What the deployment is for.")]
    necessity: Annotated[Prose, Field(title="Necessity", description="Why it is strictly necessary.")]
    proportionality: Annotated[Prose, Field(title="Proportionality", description="Why it is not excessive.")]
    alternatives: Annotated[
        Prose, Field(title="Alternatives", description="Less intrusive means considered.")
    ]
    place: Place
    start: Annotated[Instant, Field(title="Start", description="UTC.")]
    end: Annotated[Instant, Field(title="End", description="UTC; recognition stops by itself.")]
    cameras: Annotated[
        tuple[Identifier, ...],
        Field(max_length=100, title="Cameras", description="The cameras that may run, by id."),
    ]
    watchlist: ListTerms
    threshold: ThresholdTerms
    retention: RetentionTerms
    assessments: Assessments
    officer: Officer
    urgent: Annotated[
        Urgent | None, Field(title="Urgent oral authority", description="null where it was given in writing.")
    ]
    command: Command
    conditions: Annotated[
        tuple[Prose, ...],
        Field(max_length=50, title="Conditions", description="What else the officer demands."),
    ]

    @property
    def sha256(self) -> str:
        return digest_of(self)

    @property
    def start_ns(self) -> int:
        return instant_ns(self.start)

    @property
    def end_ns(self) -> int:
        return instant_ns(self.end)


@dataclass(frozen=True, slots=True)
class Cancellation:
    """The end of an authority before its time. It works at once and cannot be taken back."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    format: Literal["lfr-edge authority cancellation 1"]
    authority_sha256: Digest
    at: Instant
    by: Line
    why: Prose


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The writing that an urgent oral authority owes."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    format: Literal["lfr-edge authority confirmation 1"]
    authority_sha256: Digest
    at: Instant
    by: Line


Record = Authority | Cancellation | Confirmation


def to_json(record: Record) -> dict[str, Any]:
    """As it stands in a file; tuples are lists there."""
    return asdict(record)


def canonical(record: Record) -> bytes:
    """The bytes that are signed and hashed: RFC 8785."""
    encoded: bytes = rfc8785.dumps(to_json(record))
    return encoded


@lru_cache(maxsize=64)
def digest_of(record: Record) -> str:
    """Hex SHA-256 of :func:`canonical`."""
    return sha256(canonical(record)).hexdigest()
