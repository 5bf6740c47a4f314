"""ZIP files that were made to harm whoever opens them, each by one trick on a good archive.

A builder of its own: a library would refuse to write most of these.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

STORED, DEFLATED = 0, 8


@dataclass
class Item:
    """One member as its two headers tell it; `None` means what is true."""

    name: bytes
    data: bytes = b""
    method: int = STORED
    packed: bytes | None = None
    size: int | None = None
    crc: int | None = None
    flags: int = 0
    attributes: int = 0
    made: int = 3 << 8 | 20
    extra: bytes = b""
    local_extra: bytes | None = None
    local_name: bytes | None = None
    local_size: int | None = None
    local_crc: int | None = None
    local_method: int | None = None
    local_flags: int | None = None
    after: bytes = b""  # behind the data: a data descriptor, or hidden bytes
    before: bytes = b""
    comment: bytes = b""
    disk: int = 0
    offset: int | None = None
    packed_size: int | None = None

    def body(self) -> bytes:
        if self.packed is not None:
            return self.packed
        if self.method == DEFLATED:
            machine = zlib.compressobj(9, zlib.DEFLATED, -15)
            return machine.compress(self.data) + machine.flush()
        return self.data


@dataclass
class Shape:
    """The end of the file."""

    prefix: bytes = b""
    gap: bytes = b""  # between the members and the directory
    suffix: bytes = b""
    count: int | None = None
    count_here: int | None = None
    size: int | None = None
    offset: int | None = None
    disk: int = 0
    comment: bytes = b""
    before_end: bytes = b""  # between the directory and its end record
    signature: bytes = b"PK\x05\x06"
    cut: int = 0
    shift: bool = True  # offsets count the prefix


def archive(items: list[Item], shape: Shape | None = None) -> bytes:
    form = shape or Shape()
    out = bytearray(form.prefix)
    directory = bytearray()
    for item in items:
        out += item.before
        body = item.body()
        size = len(item.data) if item.size is None else item.size
        crc = zlib.crc32(item.data) if item.crc is None else item.crc
        packed = len(body) if item.packed_size is None else item.packed_size
        offset = len(out) if item.offset is None else item.offset
        if not form.shift:
            offset -= len(form.prefix)
        local_name = item.name if item.local_name is None else item.local_name
        local_extra = item.extra if item.local_extra is None else item.local_extra
        out += struct.pack(
            "<4s5H3L2H",
            b"PK\x03\x04",
            20,
            item.flags if item.local_flags is None else item.local_flags,
            item.method if item.local_method is None else item.local_method,
            0,
            33,
            crc if item.local_crc is None else item.local_crc,
            packed,
            size if item.local_size is None else item.local_size,
            len(local_name),
            len(local_extra),
        )
        out += local_name + local_extra + body + item.after
        directory += struct.pack(
            "<4s6H3L5H2L",
            b"PK\x01\x02",
            item.made,
            20,
            item.flags,
            item.method,
            0,
            33,
            crc,
            packed,
            size,
            len(item.name),
            len(item.extra),
            len(item.comment),
            item.disk,
            0,
            item.attributes,
            offset,
        )
        directory += item.name + item.extra + item.comment
    out += form.gap
    start = len(out) - (0 if form.shift else len(form.prefix))
    out += directory + form.before_end
    count = len(items) if form.count is None else form.count
    out += struct.pack(
        "<4s4H2LH",
        form.signature,
        form.disk,
        form.disk,
        count if form.count_here is None else form.count_here,
        count,
        len(directory) if form.size is None else form.size,
        start if form.offset is None else form.offset,
        len(form.comment),
    )
    out += form.comment + form.suffix
    return bytes(out[: len(out) - form.cut] if form.cut else out)


def extra(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


def deflated_zeros(size: int) -> bytes:
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    pieces = [machine.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join(pieces) + machine.flush()


@dataclass
class Good:
    """The members of an archive that is accepted: each trick changes one thing of it."""

    members: Mapping[str, bytes]
    items: list[Item] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.items = [Item(name.encode(), data) for name, data in self.members.items()]

    def with_item(self, number: int, **changes: object) -> bytes:
        items = list(self.items)
        items[number] = replace(items[number], **changes)  # type: ignore[arg-type]
        return archive(items)

    def plus(self, *items: Item, first: bool = False) -> bytes:
        return archive([*items, *self.items] if first else [*self.items, *items])

    def shaped(self, **changes: object) -> bytes:
        return archive(self.items, Shape(**changes))  # type: ignore[arg-type]


def names() -> dict[str, bytes]:
    """Names that lead somewhere else, or that two systems read differently."""
    return {
        "parent folder": b"../evil.png",
        "parent inside": b"images/../../evil.png",
        "many parents": b"../" * 20 + b"tmp/evil.png",
        "absolute": b"/tmp/evil.png",
        "absolute with a drive": b"C:/evil.png",
        "a drive alone": b"C:evil.png",
        "network path": b"//host/share/evil.png",
        "backslash": b"images\\evil.png",
        "backslash parent": b"..\\evil.png",
        "NUL inside": b"images/evil.png\0.jpg",
        "newline inside": b"images/evil\n.png",
        "escape sequence": b"images/\x1b[2Jevil.png",
        "dot": b".",
        "two dots": b"..",
        "empty name": b"",
        "hidden file": b"images/.evil.png",
        "a folder below images": b"images/sub/evil.png",
        "right to left": "images/\u202egnp.live.png".encode(),
        "composed letter": "images/\u00e9vil.png".encode(),
        "decomposed letter": "images/e\u0301vil.png".encode(),
        "full-width letters": "images/\uff45vil.png".encode(),
        "broken UTF-8": b"images/\xff\xfe.png",
        "overlong slash": b"images/..\xc0\xaf..\xc0\xafevil.png",
        "two points": b"images/evil.png.exe.png",
        "trailing space": b"images/evil.png ",
        "trailing point": b"images/evil.png.",
        "device name": b"NUL:.png",
        "very long": b"images/" + b"a" * 5000 + b".png",
        "longest": b"images/" + b"a" * 65000 + b".png",
        "no suffix": b"images/evil",
        "tilde": b"~/evil.png",
    }


def tricks(good: Good) -> dict[str, Callable[[], bytes]]:
    """Every hostile archive by what it does; made when called, some are large."""
    image = next(name for name in good.members if name.startswith("images/")).encode()
    at = [item.name for item in good.items].index(image)
    data = good.items[at].data
    bomb = Item(b"images/bomb.png", b"", DEFLATED, deflated_zeros(8 << 20), 8 << 20, 0)
    made: dict[str, Callable[[], bytes]] = {
        f"name: {what}": lambda name=name: good.plus(Item(name, data))  # type: ignore[misc]
        for what, name in names().items()
    }
    made |= _content(good, image, at, data, bomb) | _structure(good, image, at, data) | _volume(good, bomb)
    return made


def _content(good: Good, image: bytes, at: int, data: bytes, bomb: Item) -> dict[str, Callable[[], bytes]]:
    inner = archive(good.items)
    return {
        "same name twice": lambda: good.plus(Item(image, data)),
        "same name twice, first": lambda: good.plus(Item(image, b"other"), first=True),
        "two manifests": lambda: good.plus(Item(b"manifest.json", b"{}")),
        "names that differ in case": lambda: good.plus(
            Item(b"images/Twin.png", data), Item(b"images/twin.png", data)
        ),
        "manifest in capitals": lambda: good.plus(Item(b"MANIFEST.json", b"{}")),
        "an archive inside": lambda: good.plus(Item(b"images/inner.zip", inner)),
        "an archive as a picture": lambda: good.plus(Item(b"images/inner.png", inner)),
        "a picture that nobody signed": lambda: good.plus(Item(b"images/more.png", data)),
        "a signed picture left out": lambda: archive(good.items[:at] + good.items[at + 1 :]),
        "another picture under its name": lambda: good.with_item(at, data=data[:-20] + b"\0" * 20),
        "symbolic link": lambda: good.plus(
            Item(b"images/link.png", b"/etc/passwd", attributes=0o120777 << 16)
        ),
        "symbolic link over a picture": lambda: good.with_item(at, attributes=0o120777 << 16),
        "device": lambda: good.plus(Item(b"images/null.png", b"", attributes=0o020666 << 16)),
        "pipe": lambda: good.plus(Item(b"images/pipe.png", b"", attributes=0o010666 << 16)),
        "socket": lambda: good.plus(Item(b"images/sock.png", b"", attributes=0o140666 << 16)),
        "folder by its attributes": lambda: good.with_item(at, attributes=0x10),
        "folder with content": lambda: good.plus(Item(b"images/", b"x")),
        "bomb": lambda: good.plus(bomb),
        "bomb that lies about its size": lambda: good.with_item(at, method=DEFLATED, packed=bomb.packed),
        "bomb in the manifest's place": lambda: archive(
            [replace(bomb, name=b"manifest.json"), *[i for i in good.items if i.name != b"manifest.json"]]
        ),
        "manifest that lies about its size": lambda: archive(
            [
                replace(bomb, name=b"manifest.json", packed=deflated_zeros(64 << 20), size=4 << 20, crc=0),
                *[i for i in good.items if i.name != b"manifest.json"],
            ]
        ),
        "wrong CRC": lambda: good.with_item(at, crc=1),
        "wrong CRC of the manifest": lambda: good.with_item(0, crc=1),
        "deflate stream cut short": lambda: good.with_item(
            at, method=DEFLATED, packed=Item(b"", data, DEFLATED).body()[:-4]
        ),
        "deflate stream with a tail": lambda: good.with_item(
            at, method=DEFLATED, packed=Item(b"", data, DEFLATED).body() + b"hidden"
        ),
        "deflate stream of noise": lambda: good.with_item(at, method=DEFLATED, packed=b"\xff" * len(data)),
        "deflate that never ends": lambda: good.with_item(
            at, method=DEFLATED, packed=b"\0\0\0\xff\xff" * 1000
        ),
        "no manifest": lambda: archive([i for i in good.items if i.name != b"manifest.json"]),
        "no signature": lambda: archive([i for i in good.items if i.name != b"manifest.sig"]),
        "manifest altered": lambda: good.with_item(0, data=good.items[0].data.replace(b"amber", b"green", 1)),
        "manifest with a space": lambda: good.with_item(0, data=good.items[0].data + b" "),
        "signature altered": lambda: good.with_item(
            1, data=good.items[1].data.replace(b'"value":"', b'"value":"A', 1)
        ),
        "nested brackets as manifest": lambda: good.with_item(0, data=b"[" * 1_000_000),
        "nested brackets as signature": lambda: good.with_item(1, data=b"[" * 1_000_000),
        "huge signature": lambda: good.with_item(1, data=b"9" * (9 << 20)),
    }


def _structure(good: Good, image: bytes, at: int, data: bytes) -> dict[str, Callable[[], bytes]]:
    descriptor = struct.pack("<4s3L", b"PK\x07\x08", zlib.crc32(data), len(data), len(data))
    zip64 = extra(1, struct.pack("<QQ", len(data), len(data)))
    whole = archive(good.items)
    length = len(whole)
    return {
        "data descriptor": lambda: good.with_item(at, flags=8, local_crc=0, after=descriptor),
        "data descriptor flag alone": lambda: good.with_item(at, flags=8),
        "data descriptor only inside": lambda: good.with_item(at, local_flags=8),
        "encrypted": lambda: good.with_item(at, flags=1),
        "strongly encrypted": lambda: good.with_item(at, flags=0x41),
        "masked headers": lambda: good.with_item(at, flags=0x2000),
        "AES by its extra field": lambda: good.with_item(at, extra=extra(0x9901, b"\x02\0AE\x03\0\0")),
        "patched data": lambda: good.with_item(at, flags=0x20),
        "ZIP64 sizes": lambda: good.with_item(at, extra=zip64, size=0xFFFFFFFF, packed_size=0xFFFFFFFF),
        "ZIP64 field without need": lambda: good.with_item(at, extra=zip64),
        "ZIP64 field inside only": lambda: good.with_item(at, local_extra=zip64),
        "ZIP64 end record": lambda: good.shaped(
            before_end=struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 9, 9, 9, 9)
            + struct.pack("<4sLQL", b"PK\x06\x07", 0, length, 1)
        ),
        "ZIP64 count": lambda: good.shaped(count=0xFFFF),
        "ZIP64 offset": lambda: good.shaped(offset=0xFFFFFFFF),
        "another name by an extra field": lambda: good.with_item(
            at, extra=extra(0x7075, b"\x01" + struct.pack("<L", zlib.crc32(image)) + b"../evil.png")
        ),
        "extra field longer than its room": lambda: good.with_item(at, extra=struct.pack("<HH", 0x5455, 99)),
        "extra field cut": lambda: good.with_item(at, extra=b"\x55\x54\x00"),
        "very long extra field": lambda: good.with_item(at, extra=extra(0x5455, bytes(60_000))),
        "another name inside": lambda: good.with_item(at, local_name=b"images/" + b"z" * (len(image) - 7)),
        "another length of name inside": lambda: good.with_item(at, local_name=b"../" + image),
        "another size inside": lambda: good.with_item(at, local_size=len(data) + 1),
        "another CRC inside": lambda: good.with_item(at, local_crc=7),
        "another method inside": lambda: good.with_item(at, local_method=DEFLATED),
        "stored with two sizes": lambda: good.with_item(at, size=len(data) + 5),
        "unknown method": lambda: good.with_item(at, method=14),
        "comment on a file": lambda: good.with_item(at, comment=b"hello"),
        "comment at the end": lambda: good.shaped(comment=b"hello"),
        "comment that is an archive": lambda: good.shaped(comment=whole[:60_000]),
        "bytes before": lambda: good.shaped(prefix=b"#!/bin/sh\n"),
        "bytes before, not counted": lambda: good.shaped(prefix=b"#!/bin/sh\n", shift=False),
        "an archive before": lambda: whole + whole,
        "bytes after": lambda: good.shaped(suffix=b"\0" * 10),
        "bytes between the files": lambda: good.with_item(at, before=b"hidden"),
        "bytes behind a file": lambda: good.with_item(at, after=b"hidden"),
        "bytes before the directory": lambda: good.shaped(gap=b"hidden"),
        "bytes after the directory": lambda: good.shaped(before_end=b"hidden"),
        "a file that no directory names": lambda: good.with_item(
            at, after=archive([Item(b"x.png", b"x")])[:36]
        ),
        "two entries for the same bytes": lambda: good.plus(
            Item(b"images/again.png", b"", packed=b"", offset=0)
        ),
        "an entry that covers others": lambda: good.with_item(0, packed_size=length - 300, size=length - 300),
        "an entry inside another": lambda: good.with_item(at, offset=40),
        "offset behind the end": lambda: good.with_item(at, offset=0x7FFFFFFF),
        "directory behind the end": lambda: good.shaped(offset=0x7FFFFFFF),
        "directory larger than the file": lambda: good.shaped(size=0x7FFFFFFF),
        "directory of size 0": lambda: good.shaped(size=0),
        "more files than the directory holds": lambda: good.shaped(count=len(good.items) + 1),
        "fewer files than the directory holds": lambda: good.shaped(count=len(good.items) - 1),
        "no files": lambda: archive([]),
        "counts that differ": lambda: good.shaped(count_here=1),
        "several volumes": lambda: good.shaped(disk=1),
        "a file on another volume": lambda: good.with_item(at, disk=1),
        "cut at the end": lambda: good.shaped(cut=7),
        "cut in the middle": lambda: whole[: length // 2],
        "no end record": lambda: good.shaped(signature=b"PK\x05\x07"),
        "empty file": lambda: b"",
        "text": lambda: b"PK is not enough" * 10,
        "only an end record": lambda: struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 9, 9, 9, 9, 0),
    }


def _volume(good: Good, bomb: Item) -> dict[str, Callable[[], bytes]]:
    def many(count: int) -> list[Item]:
        return [Item(b"images/%05d.png" % number, b"") for number in range(count)]

    def quine() -> bytes:
        """Every entry points at the same bomb: some 100 KB that would unpack to gigabytes (D. Fifield's kind)."""
        start = sum(30 + len(item.name) + len(item.body()) for item in good.items)
        padded = replace(bomb, packed=(bomb.packed or b"") + bytes(80_000))  # below the ratio by itself
        shared = [replace(padded, name=b"images/bomb-%04d.png" % n, offset=start) for n in range(200)]
        slim = [replace(item, packed=b"", packed_size=len(padded.body())) for item in shared[1:]]
        return good.plus(shared[0], *slim)

    return {
        "too many files": lambda: good.plus(*many(20_001)),
        "as many files as fit": lambda: good.plus(*many(65_000)),
        "one file of 11 MiB": lambda: good.plus(Item(b"images/large.png", bytes(11 << 20))),
        "bombs that share their bytes": quine,
        "gigabytes by many small bombs": lambda: good.plus(
            *[
                replace(
                    bomb, name=b"images/b%05d.png" % n, packed=bomb.packed and bomb.packed + bytes(80_000)
                )
                for n in range(300)
            ]
        ),
    }


def write_all(good: Good, folder: Path) -> dict[str, Path]:
    paths = {}
    for number, (what, make) in enumerate(tricks(good).items()):
        paths[what] = folder / f"{number:03}.zip"
        paths[what].write_bytes(make())
    return paths
