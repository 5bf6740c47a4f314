"""One path of the RTSP server: a clip, its clock and everybody who watches it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import struct
import time
from collections.abc import Sequence
from typing import Final

from lfr_edge.demo.rtp import CLOCK_HZ, AccessUnit, Clip, rtp_header, sender_report

_REPORT_EVERY: Final = CLOCK_HZ  # one sender report a second
_BACKLOG_BYTES: Final = 4 << 20  # a client this far behind loses pictures until the next keyframe


def damaged(packet: bytes) -> bytes:
    """One to eight bytes of `packet` replaced, or its end cut off."""
    wrong = bytearray(packet)
    for _ in range(random.randint(1, 8)):  # noqa: S311
        wrong[random.randrange(len(wrong))] = random.randrange(256)  # noqa: S311
    return bytes(wrong[: random.randint(1, len(wrong))] if random.random() < 0.1 else wrong)  # noqa: S311


class Player:
    """One client's set-up track. **Thread rule:** event loop only."""

    def __init__(self, writer: asyncio.StreamWriter, channel: int | None, udp: UdpPair | None) -> None:
        self._writer = writer
        self._channel = channel
        self._udp = udp
        self.waiting = True  # for a keyframe

    def send(self, packets: Sequence[bytes], *, report: bool = False) -> None:
        if self._udp is not None:
            for packet in packets:
                self._udp.send(packet, report=report)
        elif self._channel is not None and not self._writer.is_closing():
            channel = self._channel + report
            self._writer.write(b"".join(struct.pack(">BBH", 36, channel, len(p)) + p for p in packets))

    @property
    def behind(self) -> bool:
        return self._writer.transport.get_write_buffer_size() > _BACKLOG_BYTES

    async def drain(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    def close(self) -> None:
        if self._udp is not None:
            self._udp.close()

    def hang_up(self) -> None:
        self.close()
        self._writer.close()


class UdpPair:
    """A pair of ports for RTP and RTCP."""

    def __init__(self, pair: Sequence[asyncio.DatagramTransport]) -> None:
        self._pair = pair
        self.ports = tuple(transport.get_extra_info("sockname")[1] for transport in pair)

    @classmethod
    async def connect(cls, peer: str, ports: tuple[int, int]) -> UdpPair:
        loop = asyncio.get_running_loop()
        ends = [
            await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(peer, port))
            for port in ports
        ]
        return cls([transport for transport, _ in ends])

    def send(self, packet: bytes, *, report: bool) -> None:
        self._pair[int(report)].sendto(packet)

    def close(self) -> None:
        for transport in self._pair:
            transport.close()


class Mount:
    """One path: a clip, its clock and its players. **Thread rule:** event loop only."""

    def __init__(self, clip: Clip, *, loop: bool, realtime: bool) -> None:
        self.clip = clip
        self.players: set[Player] = set()
        self.frozen = False
        self.damage = 0.0  # share of packets of which a few bytes are wrong
        self._loop = loop
        self._realtime = realtime
        self._ssrc = secrets.randbits(32)
        self._offset = secrets.randbits(
            30
        )  # of RTP timestamps; grows by each round, so that they never go back
        self._sequence = secrets.randbits(16)
        self._packets = 0
        self._octets = 0
        self._task: asyncio.Task[None] | None = None

    def join(self, player: Player) -> None:
        self.players.add(player)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._play())

    def swap(self, clip: Clip) -> None:
        self.clip = clip
        for player in self.players:
            player.waiting = True

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        for player in tuple(self.players):
            player.hang_up()
        self.players.clear()

    async def _play(self) -> None:
        while True:
            await self._play_once(self.clip)
            if not self._loop:
                break
        for player in tuple(self.players):  # the recording is over: a camera that is switched off
            await player.drain()
            player.hang_up()
        self.players.clear()

    async def _play_once(self, clip: Clip) -> None:
        began, report_at = time.monotonic(), 0
        for picture in clip.pictures:
            if self._realtime:
                await asyncio.sleep(max(0.0, began + picture.send_at / CLOCK_HZ - time.monotonic()))
            else:
                await asyncio.sleep(0)
            if self.clip is not clip:  # swapped
                self._offset += picture.send_at
                return
            if not self.frozen and self.players:
                report = picture.send_at >= report_at
                report_at = picture.send_at + _REPORT_EVERY if report else report_at
                await self._send(clip, picture, report=report)
        self._offset += clip.duration
        if self._realtime:
            await asyncio.sleep(max(0.0, began + clip.duration / CLOCK_HZ - time.monotonic()))

    async def _send(self, clip: Clip, picture: AccessUnit, *, report: bool) -> None:
        timestamp = self._offset + picture.shown_at
        payloads = tuple(clip.payloads(picture))
        packets = [
            rtp_header(self._sequence + n, timestamp, self._ssrc, last=n == len(payloads) - 1) + payload
            for n, payload in enumerate(payloads)
        ]
        if self.damage:
            packets = [damaged(packet) if random.random() < self.damage else packet for packet in packets]  # noqa: S311
        self._sequence += len(packets)
        self._packets += len(packets)
        self._octets += sum(map(len, payloads))
        for player in tuple(self.players):
            starting = player.waiting and picture.keyframe
            if report or starting:
                now = (time.time_ns(), self._offset + picture.send_at)
                player.send([sender_report(self._ssrc, *now, self._packets, self._octets)], report=True)
            player.waiting = player.behind or (player.waiting and not starting)
            if not player.waiting:
                player.send(packets)
            if not self._realtime:
                await player.drain()
