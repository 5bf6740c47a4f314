"""What is fuzzed: every parser that reads what somebody else wrote. Each refuses in its own words or accepts.

Import this under ``atheris.instrument_imports``. Seeds are made here, by the product's own writers or by hand: no
face, nobody's file.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lfr_edge.errors import LfrError

REPOSITORY = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(REPOSITORY / "deploy" / "offline"))
SAMPLE = REPOSITORY / "audit_logs" / "samples" / "v1" / "box" / "2026-11-22-1"
_SCRATCH = Path(tempfile.gettempdir())


class Refused(Exception):  # noqa: N818 - it is no error
    """In the words of a library that is imported late."""


@dataclass(frozen=True)
class Target:
    """`call` raises one of `refusals` or returns; anything else is a find."""

    call: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]
    refusals: tuple[type[BaseException], ...] = (LfrError,)
    most_bytes: int = 4096
    blind: bool = False  # the parser is not Python: coverage guides nothing, so seeds are mutated by chance


def _archive(data: bytes) -> None:
    from lfr_edge.watchlist.bundle.archive import Archive

    path = _SCRATCH / f"fuzz-{os.getpid()}.zip"
    path.write_bytes(data)
    try:
        with Archive(path) as archive:
            for name in archive.members:
                archive.read(name)
    finally:
        path.unlink()


def _archives() -> list[bytes]:
    import zipfile

    made = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            for name, body in (
                ("manifest.json", b"{}"),
                ("signature.json", b"x" * 40),
                ("images/1.png", b"\x89PNG"),
            ):
                item = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
                item.compress_type = method
                item.external_attr = 0o100644 << 16
                archive.writestr(item, body)
        made.append(out.getvalue())
    return made


def _image(data: bytes) -> None:
    from lfr_edge.vision.pixels import decode_image
    from lfr_edge.watchlist.pictures import check_size
    from lfr_edge.watchlist.whole import check_whole

    name = "p.png" if data.startswith(b"\x89PNG") else "p.jpg"
    check_size(name, data)
    check_whole(name, data)
    decode_image(data)


def _images() -> list[bytes]:
    import cv2
    import numpy as np

    picture = np.arange(16 * 24 * 3, dtype=np.uint8).reshape(16, 24, 3)
    kinds = (
        (".png", []),
        (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 40]),
        (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
    )
    return [cv2.imencode(kind, picture, options)[1].tobytes() for kind, options in kinds]


def _bundle_manifest(data: bytes) -> None:
    from lfr_edge.watchlist.bundle import manifest

    found = manifest.parse(data)
    manifest.read_head(found)
    for item in manifest.read_entries(found):
        if isinstance(item, manifest.BundleEntry):
            item.entry()


def _bundle_manifests() -> list[bytes]:
    import zipfile

    example = REPOSITORY / "watchlists" / "example-bundle"
    if example.is_dir():
        return [(example / "manifest.json").read_bytes()]
    with zipfile.ZipFile(example.with_suffix(".zip")) as archive:
        return [archive.read("manifest.json")]


def _model_manifest(data: bytes) -> None:
    from lfr_edge.models.manifest import PackManifest

    PackManifest.model_validate_json(data)


def _model_manifests() -> list[bytes]:
    from lfr_edge.models.recipes import RECIPES

    return [b'{"name":"default","networks":[]}', repr(RECIPES["default"]).encode()[:2000]]


def _release_manifest(data: bytes) -> None:
    from lfr_install.faults import InstallError
    from lfr_install.manifest import decode

    try:
        decode(data)
    except InstallError as error:
        raise Refused from error


def _release_manifests() -> list[bytes]:
    from lfr_install.manifest import Manifest, Member

    members = (Member("a/b", 1, "0" * 64), Member("c", 2, "1" * 64, True))
    return [Manifest("1.0", 1, "2026-11-22", "cpu", "3.11", "x86_64", members).encode()]


def _authority(data: bytes) -> None:
    from lfr_edge.deployment.authority.document import parse_document

    parse_document(data)


def _authorities() -> list[bytes]:
    return [(REPOSITORY / "deploy" / "authority" / "example.json").read_bytes()]


def _frames(data: bytes) -> None:
    from lfr_edge.audit.entry import parse_entry
    from lfr_edge.audit.segment import BadFrame, judge_tail, read_frames

    for frame in read_frames(data):
        if isinstance(frame, BadFrame):
            judge_tail(data, frame)
        else:
            parse_entry(frame.body)
    parse_entry(data)


def _some_frames() -> list[bytes]:
    from lfr_edge.audit.segment import Frame, read_frames

    raw = (SAMPLE / "entries.lfr").read_bytes()
    frames = [frame for frame in read_frames(raw) if isinstance(frame, Frame)]
    return [
        raw[: frames[2].end],
        raw[frames[5].offset : frames[6].end],
        *(frame.body for frame in frames[:6]),
    ]


def _checkpoint(data: bytes) -> None:
    from lfr_edge.audit.checkpoint import is_torn_checkpoint, parse_checkpoint, parse_checkpoints
    from lfr_edge.audit.folder import is_torn_head, parse_heads
    from lfr_edge.audit.note import VerifierKey
    from lfr_edge.audit.witness_server import parse_request

    rest = parse_checkpoints(data).rest
    heads = parse_heads(data)
    is_torn_checkpoint(rest, "van.example/3/d1", heads.whole[-1] if heads.whole else None)
    is_torn_head(heads.rest)
    text = data.decode("utf-8", "replace")
    for parse in (parse_request, VerifierKey.parse):
        try:
            parse(text)
        except LfrError:
            continue
    parse_checkpoint(text)


def _checkpoints() -> list[bytes]:
    raw = (SAMPLE / "checkpoints").read_bytes()
    request = b"old 3\n" + b"A" * 43 + b"=\n\n" + raw[: raw.find(b"\n", raw.find(b"\n\n") + 2) + 1]
    return [raw[:600], (SAMPLE / "heads").read_bytes()[:300], (SAMPLE / "device.vkey").read_bytes(), request]


def _sdp(data: bytes) -> None:
    """The camera's answer to DESCRIBE, as FFmpeg reads it; no stream may be opened."""
    import av

    try:
        options = {"protocol_whitelist": "data"}
        with av.open(io.BytesIO(data), format="sdp", options=options, timeout=1.0, metadata_errors="replace"):
            pass
    except av.FFmpegError as error:
        raise Refused from error


def _sdps() -> list[bytes]:
    return [
        b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=gate\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
        b"a=control:*\r\nm=video 0 RTP/AVP 96\r\n"
        b"a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;profile-level-id=42C01F;"
        b"sprop-parameter-sets=Z0LAH9oBQBbsBEAAAAMAQAAADIPGDKg=,aM48gA==\r\na=control:track1\r\n",
        b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns= \r\nt=0 0\r\nm=video 0 RTP/AVP 97\r\na=rtpmap:97 H265/90000\r\n"
        b"a=fmtp:97 sprop-vps=QAEMAf//AWAAAAMAkAAAAwAAAwBdlZgJ;sprop-sps=QgEB;sprop-pps=RAHB\r\n",
    ]


TARGETS = {
    "archive": Target(_archive, _archives),
    "image": Target(_image, _images, (LfrError, ValueError)),
    "bundle-manifest": Target(_bundle_manifest, _bundle_manifests, most_bytes=16_384),
    "model-manifest": Target(_model_manifest, _model_manifests, (LfrError, ValueError), blind=True),
    "release-manifest": Target(_release_manifest, _release_manifests, (Refused,)),
    "authority": Target(_authority, _authorities, most_bytes=16_384),
    "audit-frame": Target(_frames, _some_frames),
    "checkpoint": Target(_checkpoint, _checkpoints),
    "sdp": Target(_sdp, _sdps, (Refused,), blind=True),
}
