"""One process, one connection, one epoch: ``python -m lfr_edge.capture.child FD``.

The keeper starts it with a few descriptors and nothing else. It reads its order (with the credentials) from a
pipe, so that nothing secret stands in ``/proc``, confines itself, opens the source and publishes pictures until
the source ends; then it says why, once, and exits. It is never repaired, only replaced.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - looked up by the resolver, which may load nothing once confined
import json
import os
import resource
import signal
import sys
import threading
import time
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from typing import Final

from lfr_edge.capture.hardware import nvdec_fault
from lfr_edge.capture.order import Order
from lfr_edge.capture.picture import Picture, Reader
from lfr_edge.capture.reader import open_reader
from lfr_edge.capture.slot import FrameWriter
from lfr_edge.capture.source import SourceSpec
from lfr_edge.clock import Clock, SystemClock
from lfr_edge.confinement import be_taken_first, confine
from lfr_edge.errors import CameraError, LfrError
from lfr_edge.sentences import packed

HEARTBEAT_S: Final = 0.5
FROZEN_S: Final = (
    5.0  # identical pictures for so long: sensors have noise, so a live one never repeats itself
)
_ACK_SLICE_S: Final = 0.2
_MAX_MEMORY: Final = 4 << 30  # address space; an 8K decoder needs well under 1 GiB
# What the resolver and TLS read. Nothing here is secret.
_SYSTEM_FILES: Final = (
    "/dev/urandom",
    "/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf",
    "/run/systemd/resolve/stub-resolv.conf", "/etc/ssl/certs", "/usr/share/ca-certificates",
)  # fmt: skip


class StatusPipe:
    """Newline-delimited JSON to the keeper. **Thread rule:** any thread."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        os.set_blocking(fd, False)

    def send(self, kind: str, **fields: object) -> None:
        line = json.dumps({"kind": kind, **fields}).encode() + b"\n"
        with self._lock:
            try:
                os.write(self._fd, line)  # below PIPE_BUF: whole or not at all
            except BlockingIOError:
                pass  # the desk is busy; the next heartbeat says the same
            except BrokenPipeError:
                os._exit(0)  # the desk is gone, and nobody may see these pictures any more


class Pulse:
    """The child's counters, and the thread that reports them. **Thread rule:** the main thread writes plain
    attributes, the heartbeat thread reads them."""

    def __init__(self, status: StatusPipe, clock: Clock) -> None:
        self._status = status
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._digest = -1
        self._digest_since_ns = 0
        self.frames = 0
        self.reader: Reader | None = None
        self.size = (0, 0)
        self.last_captured_ns = 0
        self.waiting = False  # lossless: for the reader of the slot
        self.frozen = False

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.report()

    def saw(self, picture: Picture) -> None:
        """Count a published picture and compare it with the one before."""
        now_ns = self._clock.monotonic_ns()
        digest = zlib.crc32(picture.y[::8, ::2].tobytes())
        if digest != self._digest:
            self._digest, self._digest_since_ns = digest, now_ns
        self.frozen = now_ns - self._digest_since_ns > FROZEN_S * 1e9
        self.frames += 1
        self.size = (picture.y.shape[1], picture.y.shape[0])
        self.last_captured_ns = picture.captured_ns

    def report(self) -> None:
        self._status.send(
            "heartbeat",
            frames=self.frames,
            decode_errors=self.reader.decode_errors if self.reader else 0,
            width=self.size[0],
            height=self.size[1],
            last_captured_ns=self.last_captured_ns,
            waiting=self.waiting,
            frozen=self.frozen,
        )

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            self.report()


def run(order: Order, status: StatusPipe, clock: Clock) -> None:
    """Publish until the source ends; report the end. Never raises a CameraError."""
    writer = FrameWriter(order.slot_fd)
    os.set_blocking(order.bell_fd, False)
    try:
        with Pulse(status, clock) as pulse, open_reader(order.spec, clock) as reader:
            pulse.reader = reader
            status.send("opened", **asdict(reader.info))
            for sequence, picture in enumerate(reader.pictures(), start=1):
                _publish(writer, picture, order, sequence)
                pulse.saw(picture)
                if order.spec.lossless:
                    _wait_taken(writer, pulse)
        status.send("ended", code="camera_ended", message="the recording has ended", hint="", complete=True)
    except LfrError as error:
        status.send("ended", code=error.code, message=packed(error.message), hint=error.hint, complete=False)
    finally:
        writer.close()


def _publish(writer: FrameWriter, picture: Picture, order: Order, sequence: int) -> None:
    writer.publish(
        picture.y,
        picture.u,
        picture.v,
        epoch=order.epoch,
        sequence=sequence,
        captured_ns=picture.captured_ns,
        captured_wall_ns=picture.captured_wall_ns,
        recorded=order.spec.lossless,
    )
    try:
        os.write(order.bell_fd, b"\1")
    except BlockingIOError:
        pass  # the reader has bells enough to wake up
    except BrokenPipeError:
        raise CameraError("camera_unwatched", "nobody takes this camera's pictures any more") from None


def _wait_taken(writer: FrameWriter, pulse: Pulse) -> None:
    pulse.waiting = True
    while not writer.wait_taken(_ACK_SLICE_S):
        pass  # for as long as it takes; the keeper kills this process when the deployment ends
    pulse.waiting = False


def _load_all() -> None:
    """Import what PyAV would import on first use, when nothing can be loaded any more."""
    for module in ("av.subtitles", "av.subtitles.codeccontext", "av.subtitles.stream"):
        import_module(module)


def _confine(spec: SourceSpec) -> tuple[str, ...]:
    """Give up everything but this one source (and the card, opened here, that decodes it); what stayed."""
    # A CUDA device reserves far more addresses than any machine has memory: then what is written to is limited.
    limit = resource.RLIMIT_DATA if spec.decoder == "nvdec" and not nvdec_fault() else resource.RLIMIT_AS
    resource.setrlimit(limit, (_MAX_MEMORY, _MAX_MEMORY))
    paths = [*_SYSTEM_FILES, spec.ca_file] if spec.live else [spec.url, "/dev/urandom"]
    ports = (spec.endpoint[1], 53) if spec.live else ()  # 53: long answers of name servers come over TCP
    return confine("capture", read_paths=[path for path in paths if path], tcp_ports=ports).missing


def main(argv: Sequence[str]) -> int:
    be_taken_first("capture")
    with os.fdopen(int(argv[0]), "rb") as pipe:
        order = Order.from_json(pipe.read())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the desk, which ends this process itself
    status = StatusPipe(order.status_fd)
    time.tzset()  # reads its file now
    _load_all()
    status.send("confined", missing=_confine(order.spec))
    run(order, status, SystemClock())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
