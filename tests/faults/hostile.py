"""What a hostile camera sends: an honest one's answers, descriptions and packets, each changed on its way."""

from __future__ import annotations

import base64
import random
import struct
from collections import Counter
from collections.abc import Callable
from typing import Final

from tests.faults.door import Message, Treatment

Bytes = Callable[[bytes, random.Random], bytes]

_NUMBERS: Final = (b"0", b"-1", b"1", b"255", b"65535", b"65536", b"2147483647", b"4294967296", b"9" * 40)
_LINES: Final = (
    b"a=control:file:///etc/passwd",
    b"a=control:rtsp://127.0.0.1:9/other",
    b"a=control:http://127.0.0.1:9/",
    b"a=rtpmap:96 MP4V-ES/90000",
    b"a=rtpmap:96 H265/90000",
    b"a=rtpmap:96 H264/1",
    b"a=rtpmap:96 X-QT/90000",
    b"a=rtpmap:96 VP8/90000",
    b"a=rtpmap:96 theora/90000",
    b"a=fmtp:96 configuration=" + b"A" * 3000,
    b"a=fmtp:96 sprop-parameter-sets=AAAA,,,====",
    b"a=framesize:96 65535-65535",
    b"a=range:npt=-1-99999999999999999999",
    b"a=key-mgmt:mikey " + base64.b64encode(bytes(range(256))),
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA",
    b"m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/1/1",
    b"m=application 0 RTP/AVP 98",
    b"m=video 0 RTP/AVP 33",
    b"c=IN IP4 224.2.1.1/255/9999",
    b"a=" + b"x" * 9000,
    b"\0\0\0\0",
    b"s=" + bytes(range(128, 256)),
)
_STATUS: Final = (
    b"RTSP/1.0 200", b"RTSP/1.0 100", b"RTSP/1.0 302", b"RTSP/1.0 401", b"RTSP/1.0 454", b"RTSP/1.0 551",
    b"RTSP/9.9 200", b"HTTP/1.1 200", b"RTSP/1.0 -1", b"ANNOUNCE rtsp://x RTSP/1.0", b"",
)  # fmt: skip
_HEADERS: Final = (
    b"Location: rtsp://127.0.0.1:9/elsewhere",
    b"Location: file:///etc/shadow",
    b"Content-Base: http://127.0.0.1:9/",
    b'WWW-Authenticate: Digest realm="' + b"r" * 4000 + b'", nonce="n"',
    b'WWW-Authenticate: Basic realm=""',
    b"Transport: RTP/AVP/TCP;unicast;interleaved=254-255;ssrc=ZZZZZZZZ",
    b"Transport: RTP/AVP/UDP;unicast;client_port=0-0;server_port=9-9;source=127.0.0.1",
    b"Transport: RAW/RAW/UDP;destination=224.0.0.1;port=1-2;ttl=999",
    b"Session: " + b"s" * 5000 + b";timeout=-1",
    b"RTP-Info: url=x;seq=65536;rtptime=99999999999",
    b"Range: npt=99999999999-0",
    b"Content-Length: 2147483647",
    b"Content-Length: -5",
    b"Server: RealServer",
    b"X-Real-Challenge1: " + b"0" * 600,
)


def blind(data: bytes, chance: random.Random) -> bytes:
    """One to eight edits anywhere."""
    found = bytearray(data)
    for _ in range(chance.randrange(1, 9)):
        at = chance.randrange(len(found) + 1)
        match chance.randrange(6):
            case 0 if at < len(found):
                found[at] ^= 1 << chance.randrange(8)
            case 1:
                found[at : at + chance.choice((1, 2, 4))] = chance.randbytes(chance.choice((1, 2, 4)))
            case 2:
                del found[at : at + chance.randrange(1, 32)]
            case 3:
                found[at:at] = found[at : at + chance.randrange(1, 64)] * chance.choice((1, 2, 9))
            case 4:
                found[at:at] = chance.randbytes(chance.choice((1, 8, 300)))
            case _:
                found[at : at + 4] = chance.choice(
                    (b"\0\0\0\1", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0" * 4)
                )
    return bytes(found)


# ── answers and descriptions ──────────────────────────────────────────────────────────────────────────────────────


def hostile_answer(data: bytes, chance: random.Random) -> bytes:
    """An RTSP answer, and the SDP in it; the length is made to fit again more often than not."""
    head, _, body = data.partition(b"\r\n\r\n")
    if body and chance.random() < 0.8:
        body = _lines(body, chance, _LINES)
    else:
        head = _lines(head, chance, _HEADERS)
    if chance.random() < 0.15:
        status, _, rest = head.partition(b" ")
        head = chance.choice(_STATUS) + rest[3:] if rest else status
    if body and chance.random() < 0.7:
        kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
        head = b"\r\n".join([*kept, b"Content-Length: %d" % len(body)])
    whole = head + b"\r\n\r\n" + body
    return blind(whole, chance) if chance.random() < 0.2 else whole


def _lines(text: bytes, chance: random.Random, others: tuple[bytes, ...]) -> bytes:
    lines = text.split(b"\r\n")
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(lines))
        match chance.randrange(7):
            case 0:
                lines.insert(at, chance.choice(others))
            case 1:
                lines[at] = chance.choice(others)
            case 2 if len(lines) > 1:
                del lines[at]
            case 3:
                lines[at:at] = [lines[at]] * chance.choice((1, 2, 50))
            case 4:
                lines[at] = _numbers(lines[at], chance)
            case 5:
                lines[at] = blind(lines[at], chance)
            case _:
                chance.shuffle(lines)
    return b"\r\n".join(lines)


def _numbers(line: bytes, chance: random.Random) -> bytes:
    """One of the line's numbers becomes one that is at an edge."""
    digits = [at for at in range(len(line)) if line[at : at + 1].isdigit()]
    if not digits:
        return line
    start = stop = chance.choice(digits)
    while start and line[start - 1 : start].isdigit():
        start -= 1
    while line[stop : stop + 1].isdigit():
        stop += 1
    return line[:start] + chance.choice(_NUMBERS) + line[stop:]


# ── packets ───────────────────────────────────────────────────────────────────────────────────────────────────────


def hostile_packet(data: bytes, chance: random.Random) -> bytes:
    """An interleaved packet: its frame, its RTP header, its H.264 or H.265 payload, or an RTCP report."""
    channel, packet = data[1], data[4:]
    change: Bytes = chance.choice((blind, _header, _payload, _payload, _report, _cut))
    packet = change(packet, chance)[:65_535]
    if chance.random() < 0.05:
        channel = chance.randrange(256)
    length = len(packet)
    if chance.random() < 0.02:  # the frame lies: everything after it is read in the wrong place
        length = chance.choice((0, 1, max(0, length - 1), min(65_535, length + 5), 65_535))
    out = struct.pack(">BBH", 36, channel, length) + packet
    return out * chance.choice((1, 1, 1, 1, 2))


def _header(packet: bytes, chance: random.Random) -> bytes:
    """Version, padding, extension, sources, marker, kind, number, time."""
    head = bytearray(packet[:12].ljust(12, b"\0"))
    body = packet[12:]
    match chance.randrange(6):
        case 0:
            head[0] = chance.randrange(256)  # an extension or padding that is not there
        case 1:
            head[0] |= 0x10
            words = chance.choice((0, 1, 2, 4000, 65_535))
            body = struct.pack(">HH", chance.choice((0xBEDE, 0, 0x1000)), words) + body
        case 2:
            head[0] |= 0x20
            body += bytes((chance.choice((0, 1, 255, len(body) & 255)),))
        case 3:
            head[1] = chance.randrange(256)
        case 4:
            head[2:4] = struct.pack(">H", chance.choice((0, 1, 32_768, 65_535, chance.randrange(65_536))))
        case _:
            head[4:8] = struct.pack(">I", chance.choice((0, 1, 2**31, 2**32 - 1, chance.randrange(2**32))))
    return bytes(head) + body


def _payload(packet: bytes, chance: random.Random) -> bytes:
    """Fragments that begin or end in the wrong place, aggregates with wrong lengths, units of every type."""
    head, unit = packet[:12], bytearray(packet[12:] or b"\x65")
    match chance.randrange(8):
        case 0:
            unit[0] = chance.randrange(256)
        case 1:
            unit = bytearray((unit[0] & 0xE0 | chance.choice((28, 29)), chance.randrange(256))) + unit[1:]
        case 2:  # STAP-A, STAP-B, MTAP16, MTAP24
            parts = b"".join(
                struct.pack(">H", chance.choice((0, 1, 5, 1400, 65_535)))
                + chance.randbytes(chance.randrange(9))
                for _ in range(chance.randrange(1, 9))
            )
            unit = bytearray((unit[0] & 0xE0 | chance.choice((24, 25, 26, 27)),)) + parts
        case 3:  # H.265: aggregation, fragment, PACI
            unit = bytearray((chance.choice((48, 49, 50)) << 1, 1, chance.randrange(256))) + unit
        case 4:  # parameter sets of chance
            unit = bytearray((chance.choice((0x67, 0x68, 0x6D, 0x6F, 0x40, 0x42, 0x44)),))
            unit += chance.randbytes(chance.choice((1, 4, 20, 200)))
        case 5:
            at = chance.randrange(len(unit))
            unit[at : at + 16] = chance.randbytes(16)
        case 6:
            for _ in range(chance.randrange(1, 20)):
                unit[chance.randrange(len(unit))] ^= 1 << chance.randrange(8)
        case _:
            unit += chance.randbytes(chance.choice((1, 1400, 20_000, 60_000)))
    return head + bytes(unit)


def _report(packet: bytes, chance: random.Random) -> bytes:
    """RTCP: reports, goodbyes and descriptions whose counts and lengths do not fit."""
    count, kind = chance.randrange(32), chance.choice((200, 201, 202, 203, 204, 205, 206, 255))
    words = chance.choice((0, 1, 6, 7, 65_535))
    return struct.pack(">BBH", 0x80 | count, kind, words) + chance.randbytes(
        chance.choice((0, 4, 24, 28, 400))
    )


def _cut(packet: bytes, chance: random.Random) -> bytes:
    return packet[: chance.randrange(len(packet) + 1)]


# ── the camera ────────────────────────────────────────────────────────────────────────────────────────────────────


class Hostile:
    """Decides for each new connection how hostile it is, and counts what was delivered."""

    def __init__(self, chance: random.Random, *, answers: float = 0.3, packets: bool = True) -> None:
        """`answers`: the share of connections whose conversation is changed; `packets`: whether the stream is."""
        self._chance = chance
        self._packets = packets
        self._answers = answers
        self.sent: Counter[str] = Counter()
        self.honest = False

    def connection(self) -> Treatment:
        chance = self._chance
        talk = chance.random() < self._answers
        which = chance.randrange(4)  # OPTIONS, DESCRIBE, SETUP, PLAY
        share = chance.choice((0.02, 0.1, 0.5, 1.0))

        def treat(message: Message) -> bytes:
            if self.honest:
                return message.data
            if message.kind == "answer":
                if not talk or (message.number != which and chance.random() < 0.9):
                    return message.data
                self.sent["answers"] += 1
                return hostile_answer(message.data, chance)
            if not self._packets or chance.random() >= share:
                return message.data
            self.sent["packets"] += 1
            return hostile_packet(message.data, chance)

        return treat

    @property
    def total(self) -> int:
        return sum(self.sent.values())
