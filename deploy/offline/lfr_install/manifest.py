"""What a bundle says about itself. It has exactly one spelling, so that one signature covers one meaning."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Final

from lfr_install.faults import InstallError

FORMAT: Final = "lfr-edge bundle 1"
MANIFEST_MAX: Final = 4 << 20
MEMBERS_MAX: Final = 5_000
TOTAL_MAX: Final = 8 << 30  # a GPU set of wheels is 3.5 GB
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(/[A-Za-z0-9][A-Za-z0-9._+-]*)*")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_VERSION: Final = re.compile(r"[0-9]+(\.[0-9]+)*([a-z0-9.+-]*)")


@dataclass(frozen=True, slots=True)
class Member:
    """One file. `name` is relative, without ``..``, at most 255 characters."""

    name: str
    size: int
    sha256: str
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """`serial` grows with every release: an older one is refused by a box that ran a newer one."""

    version: str
    serial: int
    created: str  # YYYY-MM-DD, UTC
    profile: str  # which locked set of packages: cpu or gpu
    python: str  # "3.11": wheels fit one Python
    machine: str  # "x86_64"
    members: tuple[Member, ...]

    def encode(self) -> bytes:
        record = {
            "format": FORMAT,
            "version": self.version,
            "serial": self.serial,
            "created": self.created,
            "profile": self.profile,
            "python": self.python,
            "machine": self.machine,
            "members": [
                {"name": m.name, "size": m.size, "sha256": m.sha256, "executable": m.executable}
                for m in self.members
            ],
        }
        return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()

    @property
    def sha256(self) -> str:
        """Of the encoded manifest: it names the release, and two persons approve it."""
        return hashlib.sha256(self.encode()).hexdigest()


def decode(raw: bytes) -> Manifest:
    """Raises InstallError ``bundle_manifest_invalid``. Call it on bytes whose signature was checked."""
    try:
        record = json.loads(raw)
        members = tuple(
            Member(item["name"], item["size"], item["sha256"], item["executable"])
            for item in record["members"]
        )
        named = {
            name: record[name] for name in ("version", "serial", "created", "profile", "python", "machine")
        }
        manifest = Manifest(**named, members=members)
        _check(manifest)
        if manifest.encode() != raw:
            raise ValueError("it is not written in the one allowed way")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InstallError(
            "bundle_manifest_invalid",
            f"the bundle's manifest cannot be used: {error}",
            hint="make the bundle again with deploy/make-bundle of the same release as this installer",
        ) from None
    return manifest


def _check(manifest: Manifest) -> None:
    _require(isinstance(manifest.serial, int) and 0 < manifest.serial < 1 << 53, "serial")
    _require(bool(_VERSION.fullmatch(manifest.version)), "version")
    _require(bool(re.fullmatch(r"\d{4}-\d\d-\d\d", manifest.created)), "created")
    _require(manifest.profile in {"cpu", "gpu"}, "profile")
    _require(bool(re.fullmatch(r"3\.\d+", manifest.python)), "python")
    _require(bool(re.fullmatch(r"[a-z0-9_]+", manifest.machine)), "machine")
    names = [member.name for member in manifest.members]
    _require(0 < len(names) <= MEMBERS_MAX and names == sorted(set(names)), "the order of the members")
    for member in manifest.members:
        _require(len(member.name) <= 255 and bool(_NAME.fullmatch(member.name)), "a member's name")
        _require(type(member.size) is int and member.size >= 0, f"the size of {member.name}")
        _require(bool(_SHA256.fullmatch(member.sha256)), f"the digest of {member.name}")
        _require(type(member.executable) is bool, f"the mode of {member.name}")
    _require(sum(member.size for member in manifest.members) <= TOTAL_MAX, "the total size")
    folders = {name.rsplit("/", depth)[0] for name in names for depth in range(1, name.count("/") + 1)}
    _require(not folders & set(names), "a member that is also a folder")


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"{what} is not as it must be")


def describe(manifest: Manifest) -> dict[str, Any]:
    """What the journal and ``status`` say of a release."""
    return {
        "version": manifest.version,
        "serial": manifest.serial,
        "created": manifest.created,
        "profile": manifest.profile,
        "manifest_sha256": manifest.sha256,
    }
