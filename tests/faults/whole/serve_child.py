"""``lfr-edge serve`` as it is, and two words more on standard input. ``add PATH`` proposes the entries of another list,
which the console can only do after a compilation; ``clock SECONDS`` sets the wall clock, as somebody with a hand on
it would. Everything else comes through the console's own port.

Argument: the configuration. Lines that begin with ``!`` answer standard input. Without an argument: a nursery, which
has imported everything and forks a service for each configuration that it is sent (with descriptors for standard
input and output); two seconds of a start are imports, and a trial of many starts need not repeat them.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
import traceback
from pathlib import Path

from lfr_edge.audit.event import Actor
from lfr_edge.cli.serve import _serve
from lfr_edge.clock import SystemClock
from lfr_edge.errors import LfrError
from lfr_edge.logs import install
from lfr_edge.service import Service
from lfr_edge.service.control import Control
from lfr_edge.settings import load_settings

OFFICER = Actor("hughes", "deployment_officer")


class SetByHand(SystemClock):
    """The kernel's monotonic clock, and a wall clock that somebody sets."""

    def __init__(self) -> None:
        self.off_ns = 0

    def wall_ns(self) -> int:
        return super().wall_ns() + self.off_ns


async def _listen(service: Service, clock: SetByHand) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := (await reader.readline()).decode().split():
        if line[0] == "clock":
            clock.off_ns = int(float(line[1]) * 1e9)
            print("! set", flush=True)
            continue
        try:
            proposal = await Control(service).add_list(Path(line[1]), None, OFFICER)
            print(f"! {proposal.id} {proposal.sha256}", flush=True)
        except LfrError as error:
            print(f"! refused {error.code}", flush=True)


async def _main(config: Path) -> int:
    clock = SetByHand()
    service = Service(load_settings(config), clock)
    install("text")
    listening = asyncio.create_task(_listen(service, clock))
    try:
        return await _serve(service, config)
    finally:
        listening.cancel()


def _nursery(orders: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    while True:
        order, descriptors, _, _ = socket.recv_fds(orders, 4096, 2)
        if not order:
            return
        pid = os.fork()
        if pid == 0:
            orders.close()
            _be_born(Path(order.decode()), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        orders.send(str(pid).encode())


def _be_born(config: Path, stdin: int, stdout: int) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.dup2(stdin, 0)
    for number in (1, 2):
        os.dup2(stdout, number)
    for descriptor in (stdin, stdout):
        os.close(descriptor)
    random.seed()
    status = 1
    try:
        status = asyncio.run(_main(config))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(asyncio.run(_main(Path(sys.argv[1]))))
    _nursery(socket.socket(fileno=0))
