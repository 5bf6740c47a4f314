"""A ZIP file from outside, read in place: members by their number, nothing unpacked, nothing guessed.

ZIP says most things twice (in front of each member and in the directory at the end), and most attacks live where
the two differ or where a reader skips bytes. Here both must agree, and the members, the directory and its end record
must cover the file without a gap: what is not accounted for is refused. No part of the format that a bundle does not
need is understood: no ZIP64, data descriptor, encryption, comment, volume or link.

The names come from an archive and are compared, never used as a path.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import weakref
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lfr_edge.errors import WatchlistError
from lfr_edge.sentences import say

_ASIDE: Final = 3  # manifest, signature and the folder of the pictures
MOST_MEMBERS: Final = 65_534 - _ASIDE  # 65,535 means ZIP64
_END: Final = struct.Struct("<4s4H2LH")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_STORED: Final = 0
_DEFLATED: Final = 8
_NAME: Final = re.compile(rb"(?:[a-z]{1,20}/)?[A-Za-z0-9][A-Za-z0-9_-]{0,79}\.[a-z]{3,4}")
_FOLDER: Final = re.compile(rb"[a-z]{1,20}/")
_FLAGS: Final = (
    0b110 | 1 << 11
)  # how hard was deflated, and names in UTF-8: none of them changes what is read
_EXTRAS: Final = frozenset({0x5455, 0x7875, 0x000A})  # times and owners, which are not read
_EXTRA_BYTES: Final = 64  # of one member
_DOS_FOLDER: Final = 0x10
_UNIX: Final = 3
_STEP: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may hold (reliability.md 4). Raise `members` for lists with several images a person."""

    members: int = 20_000  # pictures; manifest and signature are not counted
    member_bytes: int = 10 << 20
    manifest_bytes: int = 32 << 20
    signature_bytes: int = 1 << 10
    total_bytes: int = 2 << 30
    ratio: int = 100  # bytes out of one byte in

    def __post_init__(self) -> None:
        if not 1 <= self.members <= MOST_MEMBERS:
            raise ValueError(f"members: 1 to {MOST_MEMBERS}")

    def of(self, name: str) -> int:
        """The largest size of that member."""
        special = {"manifest.json": self.manifest_bytes, "manifest.sig": self.signature_bytes}
        return special.get(name, self.member_bytes)


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    offset: int  # of its local header
    packed: int
    size: int
    crc: int
    method: int
    head: bytes  # what the local header must repeat, from the version to the name's length
    folder: bool = False


class Archive:
    """An opened ZIP file. **Thread rule:** any thread; reads use their own file positions.

    **Lifetime:** holds a file descriptor until :meth:`close`, or until nobody holds the object.
    """

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        """Read the directory and every local header, and no member.

        Raises:
            WatchlistError: ``watchlist_archive_unreadable`` or ``watchlist_archive_refused``.
        """
        self.path, self.limits = path, limits or Limits()
        self._descriptor = _open(path)
        self.close = weakref.finalize(self, os.close, self._descriptor)
        try:
            self.members: Mapping[str, Member] = self._directory()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, name: str) -> bytes:
        """All of one member. Raises WatchlistError ``watchlist_archive_refused``; KeyError where there is none."""
        member = self.members[name]
        start = member.offset + _LOCAL.size + len(name)
        extra = struct.unpack("<H", self._at(member.offset + 28, 2))[0]
        packed = self._at(start + extra, member.packed)
        data = packed if member.method == _STORED else _inflate(packed, member)
        if len(data) != member.size or zlib.crc32(data) != member.crc:
            raise refused(say("{name} is damaged", name=name))
        return data

    def _directory(self) -> dict[str, Member]:
        length = os.fstat(self._descriptor).st_size
        most = self.limits.total_bytes + self.limits.members * 512
        if not _END.size <= length <= most:
            raise refused(
                say("it has {length} bytes; at most {most} MiB are taken", length=length, most=most >> 20)
            )
        end = self._at(length - _END.size, _END.size)
        signature, disk, start_disk, here, count, size, offset, comment = _END.unpack(end)
        if signature != b"PK\x05\x06" or comment:
            raise refused("it does not end as a ZIP file does; nothing may follow, not even a comment")
        if disk or start_disk or here != count:
            raise refused("it is one of several volumes")
        if count > self.limits.members + _ASIDE:
            raise refused(say("more than {members} pictures", members=self.limits.members))
        if offset + size + _END.size != length:
            raise refused("bytes before, in or after it belong to no file")
        if size > count * (_CENTRAL.size + 102 + _EXTRA_BYTES):
            raise refused("its directory is larger than its files need")
        members = list(_central(self._at(offset, size), count))
        self._check(members, offset)
        return {member.name: member for member in members if not member.folder}

    def _check(self, members: list[Member], end: int) -> None:
        """Caps, then one header after the other from the first byte to the directory, without gap or overlap."""
        seen: set[str] = set()
        for member in members:
            if member.name.lower() in seen:
                raise refused(say("{name} is there twice", name=member.name))
            seen.add(member.name.lower())
            if member.size > self.limits.of(member.name):
                most = self.limits.of(member.name)
                raise refused(
                    say(
                        "{name} has {size} bytes; at most {most} are taken",
                        name=member.name,
                        size=member.size,
                        most=most,
                    )
                )
            if member.size > member.packed * self.limits.ratio:
                raise refused(
                    say("{name} grows more than {ratio} times", name=member.name, ratio=self.limits.ratio)
                )
        if sum(member.size for member in members) > self.limits.total_bytes:
            raise refused(
                say(
                    "its files have more than {total_bytes} MiB together",
                    total_bytes=self.limits.total_bytes >> 20,
                )
            )
        at = 0
        for member in sorted(members, key=lambda member: member.offset):
            if member.offset != at:
                raise refused("bytes lie between its files, or two files share some")
            at = self._after(member)
        if at != end:
            raise refused("bytes lie between its files and its directory, or they overlap")

    def _after(self, member: Member) -> int:
        """Where the member ends, once its local header says what the directory says."""
        length = _LOCAL.size + len(member.name) + _EXTRA_BYTES
        local = self._at(member.offset, length, short=True)
        name_end = _LOCAL.size + len(member.name)
        if not local.startswith(b"PK\x03\x04") or len(local) < name_end or local[4:28] != member.head:
            raise refused(say("{name} is described twice, and differently", name=member.name))
        if local[_LOCAL.size : name_end] != member.name.encode():
            raise refused(say("{name} has another name inside", name=member.name))
        extra = struct.unpack_from("<H", local, 28)[0]
        _check_extra(local[name_end : name_end + extra], extra, member.name)
        return member.offset + name_end + int(extra) + member.packed

    def _at(self, offset: int, length: int, *, short: bool = False) -> bytes:
        pieces: list[bytes] = []
        while length > 0 and (piece := os.pread(self._descriptor, min(length, 1 << 28), offset)):
            pieces.append(piece)
            offset, length = offset + len(piece), length - len(piece)
        if length and not short:
            raise refused("it ends too early")
        return b"".join(pieces)


def refused(why: str) -> WatchlistError:
    return WatchlistError(
        "watchlist_archive_refused",
        say("the archive is refused: {why}", why=why),
        hint="make it again with: lfr-edge watchlist bundle make",
    )


def _open(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(path, error.strerror or "cannot be opened") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _unreadable(path, "not a file")
    return descriptor


def _unreadable(path: Path, why: str) -> WatchlistError:
    return WatchlistError(
        "watchlist_archive_unreadable",
        say("{path}: {why}", path=path, why=why),
        hint="name a ZIP file that is no link",
    )


def _central(block: bytes, count: int) -> Iterator[Member]:
    at = 0
    for _ in range(count):
        if len(block) < at + _CENTRAL.size:
            raise refused("its directory ends too early")
        fields = _CENTRAL.unpack_from(block, at)
        signature, made, _version, flags, method, _time, _day, crc, packed, size = fields[:10]
        name_length, extra_length, comment, disk, _internal, attributes, offset = fields[10:]
        name_at = at + _CENTRAL.size
        raw = block[name_at : name_at + name_length]
        extra = block[name_at + name_length : name_at + name_length + extra_length]
        if signature != b"PK\x01\x02" or len(raw) != name_length or comment or disk:
            raise refused("its directory is damaged, or holds comments or volumes")
        folder = _FOLDER.fullmatch(raw) is not None and not size and method == _STORED and not packed
        if not folder and not _NAME.fullmatch(raw):
            raise refused(say("{raw!a} is not a name that a bundle uses", raw=raw[:100].decode("latin-1")))
        name = raw.decode("ascii")
        _check_kind(name, flags, method, made >> 8, attributes, folder)
        _check_extra(extra, extra_length, name)
        if method == _STORED and packed != size:
            raise refused(say("{name} is stored with two sizes", name=name))
        head = block[at + 6 : at + 30]
        yield Member(name, offset, packed, size, crc, method, head, folder)
        at = name_at + name_length + extra_length
    if at != len(block):
        raise refused("its directory holds more than it counts")


def _check_kind(name: str, flags: int, method: int, system: int, attributes: int, folder: bool) -> None:
    if flags & ~_FLAGS:
        raise refused(say("{name} is encrypted, or its size is told only after it", name=name))
    if method not in {_STORED, _DEFLATED}:
        raise refused(say("{name} is packed in a way that is not taken; deflate is", name=name))
    kind = stat.S_IFMT(attributes >> 16) if system == _UNIX else 0
    if kind not in {0, stat.S_IFDIR if folder else stat.S_IFREG}:
        raise refused(say("{name} is a link or a device", name=name))
    if bool(attributes & _DOS_FOLDER) and not folder:
        raise refused(say("{name} is a folder by its attributes", name=name))


def _check_extra(extra: bytes, length: int, name: str) -> None:
    at = 0
    if length > _EXTRA_BYTES or len(extra) != length:
        raise refused(say("{name} has extra fields that are too long", name=name))
    while at < length:
        if length - at < 4:
            raise refused(say("{name} has a damaged extra field", name=name))
        kind, size = struct.unpack_from("<HH", extra, at)
        at += 4 + size
        if kind not in _EXTRAS or at > length:
            raise refused(
                say("{name} has an extra field that is not taken (ZIP64 is none, and not needed)", name=name)
            )


def _inflate(packed: bytes, member: Member) -> bytes:
    machine = zlib.decompressobj(-15)
    pieces: list[bytes] = []
    room = member.size + 1  # one more than it may give, to see that it wants to
    try:
        while room > 0 and not machine.eof:
            piece = machine.decompress(packed, min(room, _STEP))
            packed = machine.unconsumed_tail
            if not piece and not packed:
                break
            pieces.append(piece)
            room -= len(piece)
    except zlib.error:
        raise refused(say("{name} is damaged", name=member.name)) from None
    if not machine.eof or machine.unused_data:
        raise refused(say("{name} does not end where it says", name=member.name))
    return b"".join(pieces)
