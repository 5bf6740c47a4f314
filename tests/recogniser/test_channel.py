"""Both ends of the channel, over a real socket pair."""

from __future__ import annotations

import asyncio
import json
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.errors import RecogniserError
from lfr_edge.recogniser.channel import AsyncChannel, BlockingChannel, Message

bodies = st.dictionaries(
    st.text(max_size=8), st.integers() | st.text(max_size=20) | st.booleans(), max_size=4
)


@given(
    kind=st.text(min_size=1, max_size=12), body=bodies, parts=st.lists(st.binary(max_size=300), max_size=4)
)
def test_what_is_sent_is_what_arrives(kind: str, body: dict[str, object], parts: list[bytes]) -> None:
    left, right = socket.socketpair()
    with left, right:
        sent = Message(kind, body, tuple(parts))
        BlockingChannel(left).send(sent)
        assert BlockingChannel(right).receive() == sent


async def test_async_end_speaks_to_blocking_end() -> None:
    left, right = socket.socketpair()
    channel = await AsyncChannel.over(left)
    other = BlockingChannel(right)
    await channel.send(Message("tile", {"request": 1}, (b"x" * 200_000,)))
    received = await asyncio.to_thread(other.receive)
    assert received == Message("tile", {"request": 1}, (b"x" * 200_000,))
    other.send(Message("answer", {"request": 1}))
    assert await channel.receive() == Message("answer", {"request": 1})
    right.close()
    assert await channel.receive() is None
    await channel.close()


def test_end_of_the_desk_is_an_end_not_an_error() -> None:
    left, right = socket.socketpair()
    left.close()
    with right:
        assert BlockingChannel(right).receive() is None


@pytest.mark.parametrize(
    "raw",
    [
        b"XXXX" + bytes(6),  # another magic
        struct.pack("<4sIH", b"LFR1", 1 << 30, 0),  # a head of a gibibyte
        struct.pack("<4sIH", b"LFR1", 3, 0) + b"{}}",  # no JSON
        struct.pack("<4sIH", b"LFR1", 2, 0) + b"{}",  # no kind
        struct.pack("<4sIH", b"LFR1", 4, 0) + b"nu",  # cut short
    ],
)
def test_garbage_is_refused(raw: bytes) -> None:
    left, right = socket.socketpair()
    with right:
        left.sendall(raw)
        left.close()
        with pytest.raises(RecogniserError) as caught:
            BlockingChannel(right).receive()
        assert caught.value.code == "recogniser_protocol"


@pytest.mark.parametrize("sizes", [[1 << 40], [-1], ["1"], [True]])
def test_impossible_part_sizes_are_refused(sizes: list[object]) -> None:
    head = json.dumps({"kind": "k", "body": {}, "parts": sizes}).encode()
    left, right = socket.socketpair()
    with left, right:
        left.sendall(struct.pack("<4sIH", b"LFR1", len(head), len(sizes)) + head)
        with pytest.raises(RecogniserError):
            BlockingChannel(right).receive()
