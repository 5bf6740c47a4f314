"""Pictures made to harm, in a bundle that is properly signed: refused by their structure, before any decoder."""

from __future__ import annotations

import io
import random
import struct
import sys
import time
import zipfile
import zlib
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from bundles import KEY, LABEL, NOW, TRUSTED
from pictures_for_tests import png

from lfr_edge.errors import LfrError
from lfr_edge.vision.pixels import decode_image
from lfr_edge.watchlist.bundle import read_bundle, write_bundle
from lfr_edge.watchlist.bundle import write as write_module
from lfr_edge.watchlist.entry import CandidateImage, Entry, Response
from lfr_edge.watchlist.findings import Survey
from lfr_edge.watchlist.whole import check_whole

NOISE = np.random.default_rng(5).integers(0, 256, (48, 64, 3), np.uint8)


def jpeg(*options: int, pixels: np.ndarray = NOISE) -> bytes:
    return cv2.imencode(".jpg", pixels, list(options))[1].tobytes()


def with_segment(marker: int, body: bytes, base: bytes | None = None) -> bytes:
    data = jpeg() if base is None else base
    return data[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + data[2:]


def exif(tiff: bytes) -> bytes:
    return with_segment(0xE1, b"Exif\0\0" + tiff)


def orientation(value: int) -> bytes:
    return exif(struct.pack("<2sHLHHHLHHL", b"II", 42, 8, 1, 0x0112, 3, 1, value, 0, 0))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def header(width: int = 4, height: int = 4, *rest: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, *(rest or (8, 0, 0, 0, 0))))


PIXELS = chunk(b"IDAT", zlib.compress(b"\0\0\0\0\0" * 4))
END = chunk(b"IEND", b"")


def _archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("evil.html", "<script>")
    return out.getvalue()


def _frames(data: bytes) -> int:
    return next(at for at in range(len(data)) if data[at] == 0xFF and data[at + 1] in {0xC0, 0xC2})


def _claiming(width: int, height: int) -> bytes:
    data = bytearray(jpeg())
    struct.pack_into(">HH", data, _frames(bytes(data)) + 5, height, width)
    return bytes(data)


def _two_frames() -> bytes:
    data = jpeg()
    at = _frames(data)
    length = struct.unpack_from(">H", data, at + 2)[0]
    return data[:at] + data[at : at + 2 + length] + data[at:]


def _another_frame(marker: int, precision: int = 8) -> bytes:
    data = bytearray(jpeg())
    at = _frames(bytes(data))
    data[at + 1], data[at + 4] = marker, precision
    return bytes(data)


def _many_scans() -> bytes:
    data = jpeg(cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    scan = data.index(b"\xff\xda")
    return data[:-2] + data[scan : scan + 200].rstrip(b"\xff")[:199] * 3 + (data[scan:-2]) * 400 + b"\xff\xd9"


HOSTILE: dict[str, bytes] = {
    "png: 60,000 x 60,000": png(claimed=(60_000, 60_000)),
    "png: 2^31 wide": png(claimed=(2**31 - 1, 1)),
    "png: 40 megapixels and one": png(claimed=(40_000_001, 1)),
    "png: no width": png(claimed=(0, 4)),
    "png: cut": png()[:-5],
    "png: no end": png()[:-12],
    "png: no pixels": png_of(header(), END),
    "png: wrong CRC": png()[:-1] + b"\0",
    "png: wrong CRC of the header": png_of(header()[:-1] + b"\0", PIXELS, END),
    "png: pixels in two places": png_of(header(), PIXELS, chunk(b"tEXt", b"a"), PIXELS, END),
    "png: two headers": png_of(header(), header(9, 9), PIXELS, END),
    "png: header second": png_of(chunk(b"tEXt", b"a\0b"), header(), PIXELS, END),
    "png: animated": png_of(header(), chunk(b"acTL", struct.pack(">II", 9, 0)), PIXELS, END),
    "png: colours that do not exist": png_of(header(4, 4, 8, 5, 0, 0, 0), PIXELS, END),
    "png: three bits": png_of(header(4, 4, 3, 0, 0, 0, 0), PIXELS, END),
    "png: unknown packing": png_of(header(4, 4, 8, 0, 1, 0, 0), PIXELS, END),
    "png: text of 2 MiB": png_of(header(), chunk(b"zTXt", b"k\0\0" + bytes(2 << 20)), PIXELS, END),
    "png: 5,000 texts": png_of(header(), chunk(b"tEXt", b"a\0b") * 5000, PIXELS, END),
    "png: 100,000 empty pixels": png_of(header(), chunk(b"IDAT", b"") * 100_000, PIXELS, END),
    "png: an archive behind": png() + _archive(),
    "png: a page behind": png() + b"<html><script>alert(1)</script>",
    "png: one byte behind": png() + b"\0",
    "png: length beyond": png_of(header(), struct.pack(">I", 0x7FFFFFFF) + b"IDAT", END),
    "jpeg: 65,000 x 65,000": _claiming(65_000, 65_000),
    "jpeg: no height": _claiming(64, 0),
    "jpeg: cut in the head": jpeg()[:100],
    "jpeg: cut in the pixels": jpeg()[:-200],
    "jpeg: no end": jpeg()[:-2],
    "jpeg: only a head": jpeg()[: jpeg().index(b"\xff\xda")] + b"\xff\xd9",
    "jpeg: no size": b"\xff\xd8\xff\xd9",
    "jpeg: two sizes": _two_frames(),
    "jpeg: lossless": _another_frame(0xC3),
    "jpeg: arithmetic coding": _another_frame(0xC9),
    "jpeg: hierarchical": _another_frame(0xC5),
    "jpeg: 12 bits": _another_frame(0xC0, 12),
    "jpeg: 400 passes": _many_scans(),
    "jpeg: an archive behind": jpeg() + _archive(),
    "jpeg: another picture behind": jpeg() + jpeg(),
    "jpeg: a script behind": jpeg() + b"<?php system($_GET[0]); ?>",
    "jpeg: 2 million comments": b"\xff\xd8" + b"\xff\xfe\x00\x02" * 2_000_000 + jpeg()[2:],
    "jpeg: padding without end": b"\xff\xd8" + b"\xff" * (9 << 20),
    "jpeg: pixels that are all marks": jpeg()[:-2] + b"\xff" * (9 << 20),
    "jpeg: a segment beyond": with_segment(0xE0, b"x")[:4] + b"\xff\xff" + jpeg()[2:],
    "jpeg: no marker": b"\xff\xd8" + b"hello" + jpeg()[2:],
    "gif": b"GIF89a\x01\0\x01\0\0\0\0;",
    "gif with a JPEG inside": b"GIF89a" + jpeg(),
    "bmp": cv2.imencode(".bmp", NOISE)[1].tobytes(),
    "webp": cv2.imencode(".webp", NOISE)[1].tobytes(),
    "tiff": cv2.imencode(".tiff", NOISE)[1].tobytes(),
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "pdf": b"%PDF-1.7\n" + jpeg(),
    "archive": _archive(),
    "program": b"\x7fELF" + bytes(100),
    "text": b"hello",
    "one byte": b"\xff",
}
KIND = {name: "png" if name.startswith("png") else "jpg" for name in HOSTILE}
GOOD: dict[str, bytes] = {
    "png": png(),
    "png, colour": cv2.imencode(".png", NOISE)[1].tobytes(),
    "jpeg": jpeg(),
    "jpeg, grey": jpeg(pixels=NOISE[:, :, 0]),
    "jpeg, progressive": jpeg(cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "jpeg, restarts": jpeg(cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
    "jpeg, comment": with_segment(0xFE, b"hello"),
    "jpeg, padding": jpeg()[:2] + b"\xff\xff" + jpeg()[2:],
}


@pytest.mark.parametrize("name", [*HOSTILE])
def test_a_hostile_picture_is_refused_at_once(name):
    start = time.monotonic()
    with pytest.raises(ValueError, match=r"^a\."):
        check_whole(f"a.{KIND[name]}", HOSTILE[name])
    assert time.monotonic() - start < 5.0


@pytest.mark.parametrize("name", [*GOOD])
def test_a_good_picture_passes(name):
    check_whole(f"a.{name[:3].replace('jpe', 'jpg')}", GOOD[name])


def test_a_picture_is_what_its_name_says():
    with pytest.raises(ValueError, match="not the kind"):
        check_whole("a.jpg", png())
    with pytest.raises(ValueError, match="not the kind"):
        check_whole("a.png", jpeg())
    check_whole("a.JPEG", jpeg())


def signed_with(tmp_path: Path, pictures: dict[str, bytes], monkeypatch) -> Path:
    """A bundle whose issuer did not look at the pictures: only the reader's own look is left."""

    class Given:
        def read(self, name: str) -> bytes:
            return pictures[name]

    monkeypatch.setattr(write_module, "check_whole", lambda name, data: None)
    entries = tuple(
        Entry(
            f"W-{number}",
            "wanted_by_court",
            Response.AMBER,
            (CandidateImage(name, "custody", date(2025, 1, 1)),),
            date(1990, 1, 1),
            "basis",
            "held",
            "reason",
            "DC 1",
            date(2027, 1, 1),
        )
        for number, name in enumerate(pictures)
    )
    write_bundle(tmp_path / "b.zip", Survey(tmp_path, entries, pictures=Given()), LABEL, KEY)
    return tmp_path / "b.zip"


def test_each_hostile_picture_of_a_signed_bundle_is_named(tmp_path, monkeypatch):
    path = signed_with(tmp_path, HOSTILE | GOOD, monkeypatch)
    start = time.monotonic()
    found = read_bundle(path, TRUSTED, now=NOW)
    assert time.monotonic() - start < 5.0
    named = {problem.field.partition(",")[0] for problem in found.problems}
    assert named == {f"W-{number}" for number in range(len(HOSTILE))}  # and no good one


EXIF: dict[str, bytes] = {
    **{f"orientation {value}": orientation(value) for value in (0, 1, 6, 8, 9, 65535)},
    "a directory that leads to itself": exif(struct.pack("<2sHLHHHLLL", b"II", 42, 8, 1, 0x8769, 4, 1, 8, 8)),
    "a million entries": exif(struct.pack("<2sHLH", b"II", 42, 8, 0xFFFF)),
    "an offset beyond": exif(struct.pack("<2sHL", b"II", 42, 0xFFFFFFF0)),
    "a value beyond": exif(struct.pack("<2sHLHHHLLL", b"II", 42, 8, 1, 0x0112, 3, 0xFFFFFFFF, 0xFFFFFFF0, 0)),
    "no byte order": exif(b"XX" + bytes(20)),
    "empty": exif(b""),
    "another picture as preview": exif(struct.pack("<2sHLHL", b"II", 42, 8, 0, 14) + jpeg()[:4000]),
    "many": with_segment(0xE1, b"Exif\0\0" + bytes(60_000), orientation(6)),
}


@pytest.mark.parametrize("name", [*EXIF])
def test_what_a_camera_says_beside_the_pixels_does_no_harm(name):
    """It may be nonsense: it is walked over here, and the decoder takes the turn from it or nothing."""
    check_whole("a.jpg", EXIF[name])
    pixels = decode_image(EXIF[name])
    assert sorted(pixels.shape) == sorted(NOISE.shape)


def test_mutated_pictures_are_refused_or_decoded_and_nothing_else():
    """The decoder behind the structure check: 2,000 mutations, no crash (24 h at release: reliability.md 4)."""
    dice = random.Random(11)
    seeds = [*GOOD.values(), orientation(6)]
    decoded = 0
    for _ in range(2000):
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.randint(1, 4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        kind = "png" if data.startswith(b"\x89PNG") else "jpg"
        try:
            check_whole(f"a.{kind}", bytes(data))
            decode_image(bytes(data))
            decoded += 1
        except (ValueError, LfrError):
            continue
    assert decoded > 100  # the check does not simply refuse everything
