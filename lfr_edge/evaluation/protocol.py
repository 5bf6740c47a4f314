"""Who is on the list, who is searched for, who is a stranger: read from a CSV, or drawn with a seed."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np

from lfr_edge.errors import EvaluationError

Role = Literal["gallery", "mated", "nonmated"]
_COLUMNS: Final = ("role", "path", "identity")
_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png"})
_MATED_SHARE: Final = 0.5  # of the people who have two images or more; the rest are strangers


@dataclass(frozen=True, slots=True)
class Sample:
    role: Role
    path: str  # relative to the data folder
    identity: str
    groups: Mapping[str, str] = field(default_factory=dict)  # as the protocol gives them; never inferred


@dataclass(frozen=True, slots=True)
class Protocol:
    samples: tuple[Sample, ...]
    seed: int | None = None  # of a generated protocol

    def of(self, role: Role) -> tuple[Sample, ...]:
        return tuple(sample for sample in self.samples if sample.role == role)


def read_protocol(path: Path) -> Protocol:
    """Columns role, path, identity; further columns are groups.

    Raises:
        EvaluationError: ``protocol_missing`` or ``protocol_invalid``, with the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = reader.fieldnames or []
            if tuple(columns[:3]) != _COLUMNS:
                raise _invalid(path, 1, f"the first line must begin with {','.join(_COLUMNS)}")
            if not all(name.strip() for name in columns) or len(set(columns)) != len(columns):
                raise _invalid(path, 1, "every column has a name, and no two the same")
            samples = [_sample(path, reader.line_num, row, columns[3:]) for row in reader]
    except OSError as error:
        raise EvaluationError(
            "protocol_missing", f"{path}: {error.strerror}", hint="name the CSV with --protocol"
        ) from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise _invalid(path, 0, str(error)) from None
    protocol = Protocol(tuple(samples))
    _check(path, protocol)
    return protocol


def draw_protocol(folder: Path, seed: int) -> Protocol:
    """From one folder per identity: half of the people with several images are listed with their first image and
    searched for with the others; everybody else is a stranger.

    Raises:
        EvaluationError: ``protocol_too_few`` where that gives no list, no search or no stranger; ``faces_unreadable``.
    """
    people = _people(folder)
    several = [name for name, images in people.items() if len(images) > 1]
    listed = set(_shuffled(several, seed)[: max(1, round(_MATED_SHARE * len(several)))] if several else [])
    samples: list[Sample] = []
    for name, images in people.items():
        if name in listed:
            samples.append(Sample("gallery", images[0], name))
            samples += [Sample("mated", image, name) for image in images[1:]]
        else:
            samples += [Sample("nonmated", image, name) for image in images]
    protocol = Protocol(tuple(samples), seed)
    if not all(protocol.of(role) for role in get_args(Role)):
        raise EvaluationError(
            "protocol_too_few",
            f"{folder} holds too few people for a list, searches and strangers",
            hint="one folder per person, several images for at least two of them; or give a --protocol",
        )
    return protocol


def read_people(folder: Path) -> tuple[Sample, ...]:
    """Every picture of one folder per person, without roles: everybody is searched for among everybody else.

    Raises:
        EvaluationError: ``protocol_too_few`` for fewer than two people; ``faces_unreadable``.
    """
    people = _people(folder)
    if sum(bool(images) for images in people.values()) < 2:
        raise EvaluationError(
            "protocol_too_few",
            f"{folder} holds pictures of fewer than two people",
            hint="one folder per person, each with a picture; or give a --protocol",
        )
    return tuple(Sample("nonmated", image, name) for name, images in people.items() for image in images)


def _people(folder: Path) -> dict[str, list[str]]:
    try:
        return {
            person.name: [f"{person.name}/{image.name}" for image in _images(person)]
            for person in sorted(item for item in folder.iterdir() if item.is_dir())
        }
    except OSError as error:
        raise EvaluationError(
            "faces_unreadable",
            f"{error.filename or folder}: {error.strerror}",
            hint="name a folder that holds one folder per person",
        ) from None


def _images(person: Path) -> list[Path]:
    return sorted(item for item in person.iterdir() if item.suffix.lower() in _SUFFIXES)


def _shuffled(names: Sequence[str], seed: int) -> list[str]:
    return [names[i] for i in np.random.default_rng(seed).permutation(len(names))]


def _sample(path: Path, line: int, row: dict[str, str | None], groups: Sequence[str]) -> Sample:
    if None in row:
        raise _invalid(path, line, "more cells than columns")
    role, image, identity = (str(row[name] or "").strip() for name in _COLUMNS)
    if role not in get_args(Role):
        raise _invalid(path, line, f"role {role!a} is none of {', '.join(get_args(Role))}")
    if not image or Path(image).is_absolute() or ".." in Path(image).parts:
        raise _invalid(path, line, f"path {image!a} does not lie in the data folder")
    if not identity:
        raise _invalid(path, line, "identity is empty")
    given = {name: str(row[name] or "").strip() for name in groups}
    return Sample(role, image, identity, given)  # type: ignore[arg-type]  # checked above


def _check(path: Path, protocol: Protocol) -> None:
    listed = {sample.identity for sample in protocol.of("gallery")}
    for role in get_args(Role):
        if not protocol.of(role):
            raise _invalid(path, 0, f"there is no {role} sample")
    seen: set[str] = set()
    for sample in protocol.samples:
        if sample.path in seen:  # a picture that is searched for with itself would always be found
            raise _invalid(path, 0, f"{sample.path} stands there twice")
        seen.add(sample.path)
        if sample.role == "mated" and sample.identity not in listed:
            raise _invalid(
                path, 0, f"{sample.path}: {sample.identity} is searched for but not in the gallery"
            )
        if sample.role == "nonmated" and sample.identity in listed:
            raise _invalid(path, 0, f"{sample.path}: {sample.identity} is a stranger but is in the gallery")


def _invalid(path: Path, line: int, what: str) -> EvaluationError:
    place = f"{path}, line {line}" if line else str(path)
    return EvaluationError(
        "protocol_invalid",
        f"{place}: {what}",
        hint="columns: role(gallery|mated|nonmated),path,identity[,group…]",
    )
