"""A recorded clip as RTP: access units in memory, cut into packets (RFC 6184 for H.264, RFC 7798 for H.265)."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import av
from av.bitstream import BitStreamFilterContext

from lfr_edge.errors import CameraError

CLOCK_HZ: Final = 90_000  # both RFCs
MAX_PAYLOAD: Final = 1400  # below an Ethernet frame with RTP, UDP and IP headers
PAYLOAD_TYPE: Final = 96
_NTP_1900: Final = 2_208_988_800  # seconds from 1900 to 1970
_PARAMETERS: Final = {"h264": frozenset({7, 8}), "hevc": frozenset({32, 33, 34})}
_NOT_SENT: Final = {"h264": frozenset({9, 12}), "hevc": frozenset({35, 38})}  # delimiters, filler

Codec = Literal["h264", "hevc"]


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One coded picture."""

    units: tuple[bytes, ...]  # NAL units without start codes
    send_at: int  # ticks of 1/90000 s from the start of the clip, in decoding order
    shown_at: int  # the same clock, the RTP timestamp
    keyframe: bool


@dataclass(frozen=True, slots=True)
class Clip:
    """A whole recording, ready to be packed. **Lifetime:** as long as its path is served."""

    codec: Codec
    width: int
    height: int
    parameters: tuple[bytes, ...]  # SPS and PPS (and VPS)
    pictures: tuple[AccessUnit, ...]
    duration: int  # ticks until the first picture may be sent again

    def description(self) -> str:
        """The media part of the SDP."""
        encoded = [base64.b64encode(unit).decode() for unit in self.parameters]
        if self.codec == "h264":
            profile = next(unit for unit in self.parameters if unit[0] & 31 == 7)[1:4].hex()
            name, fields = "H264", f"packetization-mode=1;profile-level-id={profile}"
            fields += f";sprop-parameter-sets={','.join(encoded)}"
        else:
            names = {32: "sprop-vps", 33: "sprop-sps", 34: "sprop-pps"}
            pairs = zip(self.parameters, encoded, strict=True)
            name, fields = "H265", ";".join(f"{names[unit[0] >> 1 & 63]}={text}" for unit, text in pairs)
        return (
            f"m=video 0 RTP/AVP {PAYLOAD_TYPE}\r\na=rtpmap:{PAYLOAD_TYPE} {name}/{CLOCK_HZ}\r\n"
            f"a=fmtp:{PAYLOAD_TYPE} {fields}\r\n"
        )

    def payloads(self, picture: AccessUnit) -> Iterator[bytes]:
        """RTP payloads of one picture. Keyframes carry the parameter sets, so that anybody may join there."""
        units = picture.units
        if picture.keyframe and not any(unit in units for unit in self.parameters):
            units = (*self.parameters, *units)
        pack = _pack_h264 if self.codec == "h264" else _pack_h265
        for unit in units:
            if len(unit) <= MAX_PAYLOAD:
                yield unit
            else:
                yield from pack(unit)


def load_clip(path: Path) -> Clip:
    """Read a file with H.264 or H.265 video.

    Raises:
        CameraError: ``camera_codec_unsupported``, ``camera_unreadable``.
    """
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            codec = stream.codec_context.name
            if codec not in _NOT_SENT:
                raise CameraError("camera_codec_unsupported", f"{path.name} is {codec}, not H.264 or H.265")
            annexb = BitStreamFilterContext(f"{codec}_mp4toannexb", stream)
            packets = [packet for source in container.demux(stream) for packet in annexb.filter(source)]
            packets += annexb.filter(None)
            width, height = stream.codec_context.width, stream.codec_context.height
            base, rate = stream.time_base, float(stream.average_rate or 25)
    except (av.error.FFmpegError, IndexError) as error:
        raise CameraError("camera_unreadable", f"{path.name} is no video: {type(error).__name__}") from None
    assert base is not None
    scale = float(base) * CLOCK_HZ
    coded: Codec = "h264" if codec == "h264" else "hevc"
    pictures: list[AccessUnit] = []
    parameters: dict[bytes, int] = {}
    first = next((packet.dts for packet in packets if packet.dts is not None), 0)
    for packet in packets:
        kinds = [(_kind(coded, unit), unit) for unit in _split(bytes(packet))]
        for kind, unit in kinds:
            if kind in _PARAMETERS[coded]:
                parameters.setdefault(unit, kind)
        kept = tuple(unit for kind, unit in kinds if kind not in _NOT_SENT[coded])
        if kept and packet.dts is not None and packet.pts is not None:
            send_at, shown_at = round((packet.dts - first) * scale), round((packet.pts - first) * scale)
            pictures.append(AccessUnit(kept, send_at, shown_at, packet.is_keyframe))
    if not pictures or not parameters:
        raise CameraError("camera_unreadable", f"{path.name} has no pictures that can be served")
    ordered = tuple(sorted(parameters, key=lambda unit: parameters[unit]))
    return Clip(coded, width, height, ordered, tuple(pictures), pictures[-1].send_at + round(CLOCK_HZ / rate))


def sender_report(ssrc: int, wall_ns: int, timestamp: int, packets: int, octets: int) -> bytes:
    """An RTCP SR (RFC 3550 §6.4.1): ties the RTP timestamp to the time of day."""
    seconds, rest = divmod(wall_ns, 1_000_000_000)
    fraction = (rest << 32) // 1_000_000_000
    fields = (0x80, 200, 6, ssrc, seconds + _NTP_1900 & 0xFFFFFFFF, fraction, timestamp & 0xFFFFFFFF)
    return struct.pack(">BBHIIIIII", *fields, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)


def rtp_header(sequence: int, timestamp: int, ssrc: int, *, last: bool) -> bytes:
    marker = 0x80 if last else 0
    return struct.pack(">BBHII", 0x80, marker | PAYLOAD_TYPE, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)


def _kind(codec: Codec, unit: bytes) -> int:
    """The NAL unit's type."""
    return unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63


def _split(annexb: bytes) -> Iterator[bytes]:
    """NAL units between start codes; trailing zeros belong to the next start code."""
    for part in annexb.split(b"\0\0\1"):
        unit = part.rstrip(b"\0")
        if unit:
            yield unit


def _pack_h264(unit: bytes) -> Iterator[bytes]:
    """FU-A, RFC 6184 §5.8."""
    indicator, kind = unit[0] & 0xE0 | 28, unit[0] & 31
    for piece, first, last in _pieces(unit[1:], MAX_PAYLOAD - 2):
        yield bytes((indicator, first << 7 | last << 6 | kind)) + piece


def _pack_h265(unit: bytes) -> Iterator[bytes]:
    """FU, RFC 7798 §4.4.3."""
    kind = unit[0] >> 1 & 63
    header = bytes((unit[0] & 0x81 | 49 << 1, unit[1]))
    for piece, first, last in _pieces(unit[2:], MAX_PAYLOAD - 3):
        yield header + bytes((first << 7 | last << 6 | kind,)) + piece


def _pieces(data: bytes, size: int) -> Iterator[tuple[bytes, bool, bool]]:
    for start in range(0, len(data), size):
        yield data[start : start + size], start == 0, start + size >= len(data)
