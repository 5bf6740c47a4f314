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
from typing import Any

from lfr_edge.errors import LfrError
from tests.faults.fuzz.structure import canonical, compact, readable

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
    writes: Callable[[object], bytes] | None = None  # it is JSON: mutated as such, too, and written so
    says: Callable[[object], str] | None = (
        None  # blind: names the way in which a call ended; one input of each is kept
    )


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
            _entry(item.entry)


def _entry(build: Callable[[], object]) -> None:
    """It refuses by a ValueError that begins with the field."""
    try:
        build()
    except ValueError as error:
        if not str(error).partition(": ")[0].isidentifier():
            raise TypeError("a refusal that names no field") from error


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


def _said_of_the_model(how: object) -> str:
    """Which rule was broken first, and where."""
    from pydantic import ValidationError

    if not isinstance(how, ValidationError):
        return type(how).__name__
    first = how.errors(include_url=False)[0]
    return repr((first["type"], [part for part in first["loc"] if isinstance(part, str)][:3]))


def _model_manifests() -> list[bytes]:
    from lfr_edge.models.manifest import InputContract, Licence, NetworkManifest, PackManifest

    licence = Licence(name="Apache-2.0", operational_use="yes", note="")
    pixels = InputContract(height=None, width=None, stride=32, colour="bgr", mean=0, scale=1, batch=False)
    common = {"sha256": "0" * 64, "size": 9, "licence": licence, "source": "here", "training_data": "none"}
    detector = NetworkManifest(
        id="finder", task="detector", family="yunet", file="finder.onnx", input=pixels, **common
    )
    embedder = NetworkManifest(
        id="knower", task="embedder", family="arcface", file="knower.onnx", dimension=128,
        input=pixels.model_copy(update={"height": 112, "width": 112}),
        template=((38.0, 51.0), (73.0, 51.0), (56.0, 71.0), (41.0, 92.0), (70.0, 92.0)), **common,
    )  # fmt: skip
    pack = PackManifest(name="sample", version="1", description="", networks=(detector, embedder))
    return [pack.model_dump_json().encode()]


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
    from lfr_edge.deployment.authority.document import encode_document, parse_document

    found = parse_document(data)
    assert parse_document(encode_document(found)) == found, "it reads as another one once it was written"


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
    from lfr_edge.audit.checkpoint import parse_checkpoint, parse_checkpoints
    from lfr_edge.audit.folder import parse_heads
    from lfr_edge.audit.note import VerifierKey
    from lfr_edge.audit.torn import is_torn_checkpoint, is_torn_head
    from lfr_edge.audit.witness_server import parse_request

    rest = parse_checkpoints(data).rest
    heads = parse_heads(data)
    is_torn_checkpoint(rest, "van.example/3/d1", heads.whole[-1] if heads.whole else None)
    is_torn_head(heads.rest)
    text = data.decode("utf-8", "replace")
    for at in (0, 1, 300, 511):
        is_torn_head(data, at)
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


def _sdp(data: bytes) -> str:
    """The camera's answer to DESCRIBE, as FFmpeg reads it; no stream may be opened."""
    import av

    try:
        options = {"protocol_whitelist": "data"}
        with av.open(
            io.BytesIO(data), format="sdp", options=options, timeout=1.0, metadata_errors="replace"
        ) as found:
            return repr([_seen(one) for one in found.streams])
    except av.FFmpegError as error:
        raise Refused(type(error).__name__) from error


def _seen(stream: Any) -> tuple[object, ...]:
    codec = stream.codec_context
    return stream.type, codec and (codec.name, len(codec.extradata or b"") // 8, stream.time_base)


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
    "bundle-manifest": Target(_bundle_manifest, _bundle_manifests, most_bytes=16_384, writes=canonical),
    "model-manifest": Target(
        _model_manifest,
        _model_manifests,
        (LfrError, ValueError),
        blind=True,
        writes=readable,
        says=_said_of_the_model,
    ),
    "release-manifest": Target(_release_manifest, _release_manifests, (Refused,), writes=compact),
    "authority": Target(_authority, _authorities, most_bytes=16_384, writes=readable),
    "audit-frame": Target(_frames, _some_frames),
    "checkpoint": Target(_checkpoint, _checkpoints),
    "sdp": Target(_sdp, _sdps, (Refused,), blind=True, says=repr),
}
