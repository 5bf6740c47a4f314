"""Starts capture children that do not do what they should, as the keeper starts the ones that do."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lfr_edge.capture.order import Order
from lfr_edge.capture.slot import FrameSlot
from lfr_edge.capture.source import SourceSpec
from tests.conftest import REPOSITORY


def child(
    module: str, url: str, *, epoch: int = 1, told: Callable[[dict[str, Any]], None], **environment: str
) -> int:
    """Run ``python -m module`` with an order for `url`; its exit status. `told` hears each of its messages."""
    slot = FrameSlot.create(704, 576)
    order_read, order_write = os.pipe()
    status_read, status_write = os.pipe()
    bell = os.pipe()
    spec = SourceSpec("rtsp", url, open_timeout_s=1.0, read_timeout_s=0.5)
    os.write(order_write, Order(spec, epoch, slot.fd, bell[1], status_write).to_json())
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(order_read)],
            pass_fds=(order_read, slot.fd, bell[1], status_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=REPOSITORY,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", **environment},
        )
    finally:
        for fd in (order_read, order_write, status_write):
            os.close(fd)
    try:
        with os.fdopen(status_read) as lines:
            for line in lines:
                told(json.loads(line))
        return process.wait(30)
    finally:
        process.kill()
        process.wait()
        slot.close()
        for fd in bell:
            os.close(fd)


@contextmanager
def something_to_reach(folder: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """A watchlist, a record, a key, a desk, its console and a local service; the camera's port, and the rest."""
    for name in ("watchlist", "record", "key"):
        (folder / name).write_bytes(b"secret" * 9)
    abstract = f"lfr-trial-{secrets.token_hex(8)}"
    desk = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    camera, console = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    service = socket.socket(socket.AF_UNIX)
    try:
        service.bind("\0" + abstract)
        service.listen()
        aims = {name: str(folder / name) for name in ("watchlist", "record", "key")}
        ports = [one.getsockname()[1] for one in (camera, console)]
        yield ports[0], aims | {"console": ports[1], "desk": desk.pid, "abstract": abstract}
    finally:
        desk.communicate()
        for one in (camera, console, service):
            one.close()


def probes(folder: Path, *, confined: bool) -> dict[str, str]:
    """What became of each attempt of a child that was taken over: "done", or the refusal's name."""
    ended: dict[str, str] = {}

    def told(message: dict[str, Any]) -> None:
        if message["kind"] == "probe":
            ended[message["name"]] = message["ended"]

    with something_to_reach(folder) as (port, aims):
        url = f"rtsp://127.0.0.1:{port}/gate"
        child("tests.faults.probing", url, told=told, PROBING=json.dumps(aims | {"confined": confined}))
    return ended
