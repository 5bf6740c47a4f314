"""A signed bundle, folder or ZIP → a survey, or a refusal that changed nothing.

The order is the defence: the shape of the archive, then the signature, then the manifest, then the pictures. Nothing
that an unknown person wrote is parsed beyond the ZIP's own directory. Nothing is unpacked: pictures are read in
place, and each read is checked against the SHA-256 that was signed.
"""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

from lfr_edge.errors import WatchlistError
from lfr_edge.models.licence import Purpose
from lfr_edge.sentences import say
from lfr_edge.watchlist.bundle import manifest, signature
from lfr_edge.watchlist.bundle.archive import Archive, Limits, refused
from lfr_edge.watchlist.findings import Findings, Issuer, Progress, Survey
from lfr_edge.watchlist.folder import check_pictures
from lfr_edge.watchlist.pictures import read_inside
from lfr_edge.watchlist.whole import check_whole

MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
IMAGES: Final = "images"
_MOST_PROBLEMS: Final = 1000  # a list that is wrong throughout is not described to the end
_AHEAD: Final = timedelta(minutes=10)  # of the clock that compiled the list
_LARGEST: Final = 500_000  # files of a folder, which has no directory of its own


class Members(Protocol):
    """The files of a bundle. **Thread rule:** any thread."""

    def names(self) -> Set[str]: ...

    def read(self, name: str) -> bytes:
        """Raises ValueError with a sentence for a person."""
        ...


@dataclass(frozen=True, slots=True)
class FolderMembers:
    folder: Path
    limits: Limits

    def names(self) -> Set[str]:
        found: set[str] = set()
        for below in ("", IMAGES):
            try:
                with os.scandir(self.folder / below) as items:
                    for item in items:
                        if not (item.name == IMAGES and not below and item.is_dir(follow_symlinks=False)):
                            found.add(f"{below}/{item.name}" if below else item.name)
                        if len(found) > _LARGEST:
                            raise refused(say("more than {largest} files", largest=_LARGEST))
            except OSError as error:
                if not below:
                    raise _no_bundle(self.folder, error.strerror or "unreadable") from None
        return found

    def read(self, name: str) -> bytes:
        return read_inside(self.folder, name, self.limits.of(name))


@dataclass(frozen=True, slots=True)
class ZipMembers:
    archive: Archive

    def names(self) -> Set[str]:
        return self.archive.members.keys()

    def read(self, name: str) -> bytes:
        try:
            return self.archive.read(name)
        except WatchlistError as error:
            raise ValueError(error.message) from None


@dataclass(frozen=True, slots=True)
class SignedPictures:
    """**Thread rule:** any thread. **Lifetime:** an archive's descriptor stays open as long as this."""

    members: Members
    digests: Mapping[str, str]  # file → sha256, as signed

    def read(self, name: str) -> bytes:
        try:
            wanted = self.digests[name]
        except KeyError:
            raise ValueError(f"{name} is not on the manifest") from None
        data = self.members.read(name)
        if not hmac.compare_digest(sha256(data).hexdigest(), wanted):
            raise ValueError(f"{name} is not the picture that was signed")
        check_whole(name, data)
        return data


def is_bundle(path: Path) -> bool:
    """Whether to read it as a bundle: a ZIP file by its name or first bytes, or a folder with a manifest."""
    if path.is_dir():
        return os.path.lexists(path / MANIFEST) or os.path.lexists(path / SIGNATURE)
    if path.suffix.lower() == ".zip":
        return True
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as file:
            return file.read(2) == b"PK"
    except OSError:
        return False


def read_bundle(
    path: Path,
    trusted: Mapping[str, bytes],
    *,
    purpose: Purpose = "operational",
    names: Mapping[str, str] | None = None,
    now: datetime | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Survey:
    """Everything on the bundle, checked; every picture was read once.

    Args:
        trusted: key id → 32 bytes of each enrolled issuing authority's public key.
        names: key id → the name under which it was enrolled, for reports.
        now: UTC; the day on which entries are judged.

    Raises:
        WatchlistError: ``watchlist_archive_unreadable``, ``watchlist_archive_refused``,
            ``watchlist_bundle_unreadable``, ``watchlist_signature_refused``, ``watchlist_issuer_unknown`` or
            ``watchlist_manifest_refused``. Faults of single entries are the survey's problems.
    """
    at = now or datetime.now(UTC)
    bounds = limits or Limits()
    members = _members(path, bounds)
    raw = _needed(members, MANIFEST)
    issuer = signature.verify(raw, _needed(members, SIGNATURE), trusted)
    found = manifest.parse(raw)
    head = manifest.read_head(found)
    findings = Findings(at.date(), purpose)
    compiled = manifest.moment(head.compiled_at)
    if compiled > at + _AHEAD:
        findings.problem(
            None,
            "compiled_at",
            say("{compiled_at} lies in the future", compiled_at=head.compiled_at),
            "check both clocks",
        )
    if purpose == "operational" and head.purpose != "operational":
        findings.problem(None, "purpose", "the list was made for evaluation only", "ask for another list")
    digests = _take_entries(found, findings, at.date())
    del found
    _check_names(members.names(), digests.keys(), findings)
    pictures = SignedPictures(members, digests)
    if not findings.problems:
        check_pictures(pictures, findings, progress)
    return findings.survey(
        path,
        pictures,
        issuer=Issuer(issuer, (names or {}).get(issuer, head.issued_by)),
        bundle_sha256=sha256(raw).hexdigest(),
        compiled_at=compiled,
        operation=head.operation,
    )


def _members(path: Path, limits: Limits) -> Members:
    if path.is_dir():
        return FolderMembers(path, limits)
    return ZipMembers(Archive(path, limits))


def _needed(members: Members, name: str) -> bytes:
    if name not in members.names():
        raise _no_bundle(Path(name), "is missing: an unsigned list is not a bundle")
    try:
        return members.read(name)
    except ValueError as error:
        raise _no_bundle(Path(name), str(error)) from None


def _take_entries(found: Mapping[str, object], findings: Findings, day: date) -> dict[str, str]:
    """Into `findings`; returns each image's signed digest."""
    digests: dict[str, str] = {}
    taken: set[str] = set()  # names without regard to case: two systems may store them as one file
    for item in manifest.read_entries(found):
        if isinstance(item, manifest.Fault):
            findings.problem(None, item.where, item.message)
        else:
            _take_entry(item, findings, taken, day)
            digests.update((image.file, image.sha256) for image in item.images)
        if len(findings.problems) > _MOST_PROBLEMS:
            findings.problem(
                None,
                "list",
                say(
                    "more than {most_problems} problems; the rest was not read", most_problems=_MOST_PROBLEMS
                ),
            )
            break
    return digests


def _take_entry(item: manifest.BundleEntry, findings: Findings, taken: set[str], day: date) -> None:
    where = f"{item.reference}, "
    try:
        entry = item.entry()
    except ValueError as error:
        name, _, message = str(error).partition(": ")
        findings.problem(None, where + name, message)
        return
    if entry.date_of_birth and entry.date_of_birth > day:
        findings.problem(None, where + "date_of_birth", "lies in the future")
    for image in item.images:
        if date.fromisoformat(image.taken) > day:
            findings.problem(None, where + "images.taken", "lies in the future")
        if image.file.lower() in taken:
            findings.problem(None, where + "images.file", say("{file} is an image already", file=image.file))
        taken.add(image.file.lower())
    findings.add(None, entry, where)


def _check_names(there: Set[str], listed: Set[str], findings: Findings) -> None:
    """What lies in the bundle and what the manifest names are the same, to the file."""
    extra = sorted(there - listed - {MANIFEST, SIGNATURE})
    missing = sorted(listed - there)
    for name in extra[:_MOST_PROBLEMS]:
        findings.problem(
            None, "bundle", say("{name!a} is not on the manifest", name=name[:100]), "leave it out"
        )
    for name in missing[:_MOST_PROBLEMS]:
        findings.problem(None, "bundle", say("{name} is on the manifest and missing", name=name))


def _no_bundle(path: Path, why: str) -> WatchlistError:
    return WatchlistError(
        "watchlist_bundle_unreadable",
        say("{path}: {why}", path=path, why=why),
        hint="a bundle holds manifest.json, manifest.sig and images/; see watchlists/README.md",
    )
