"""An RTSP server in pure Python, for tests and demonstrations: cameras that can be made to fail on purpose.

Each path plays one H.264 or H.265 file to everybody who asks, as a camera would: all see the same moment, and
who joins late starts at the next keyframe. RTP over TCP (interleaved) or UDP, RTCP sender reports with the time
of day, Digest or Basic sign-in, ``rtsps`` when given a TLS context. It serves PyAV, OpenCV and GStreamer.

Faults on demand: :meth:`RtspServer.stop` and :meth:`RtspServer.start` (same port), :meth:`RtspServer.freeze`,
:meth:`RtspServer.swap`, :meth:`RtspServer.damage`. As a process of its own::

    python -m lfr_edge.demo.rtsp_server clip.mp4 --port 0      # prints {"urls": [...]} and serves until stopped
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import ssl
import struct
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from lfr_edge.demo.rtp import load_clip
from lfr_edge.demo.rtsp_auth import Auth, Credentials
from lfr_edge.demo.rtsp_mount import Mount, Player, UdpPair
from lfr_edge.errors import CameraError, LfrError

_REQUEST_BYTES: Final = 16_384
_REASONS: Final = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Not Allowed",
                   454: "Session Not Found", 455: "Not Valid In This State", 461: "Unsupported Transport"}  # fmt: skip


class RtspServer:
    """See the module. **Thread rule:** one event loop."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        credentials: Credentials | None = None,
        auth: Literal["digest", "basic"] = "digest",
        ssl: ssl.SSLContext | None = None,
    ) -> None:
        self._host = host
        self.port = port  # the real one after start(); kept over stop() and start()
        self._auth = Auth(auth, credentials)
        self._ssl = ssl
        self._mounts: dict[str, Mount] = {}
        self._server: asyncio.Server | None = None
        self._let_go: weakref.finalize[[int], RtspServer] | None = None  # of the port that is kept
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._connected, self._host, self.port, ssl=self._ssl, limit=_REQUEST_BYTES
        )
        self.port = self._server.sockets[0].getsockname()[1]
        if self._let_go is not None:
            self._let_go()

    def _keep_port(self) -> None:
        """Until :meth:`start`: whoever asks is refused, and no other process on the machine is given it meanwhile."""
        with socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET) as place:
            place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):  # a name instead of an address, or somebody was quicker
                place.bind((self._host, self.port))
                self._let_go = weakref.finalize(self, os.close, place.detach())

    async def stop(self) -> None:
        """Like pulling the plug: every connection ends at once. :meth:`start` brings the same port back."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._keep_port()
        for mount in self._mounts.values():
            await mount.stop()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def add(self, path: str, file: Path, *, loop: bool = True, realtime: bool = True) -> None:
        """Serve `file` at `path`.

        Raises:
            CameraError: the file is no H.264 or H.265 video.
        """
        self._mounts[path] = Mount(load_clip(file), loop=loop, realtime=realtime)

    def url(self, path: str) -> str:
        """Address without credentials."""
        return f"{'rtsps' if self._ssl else 'rtsp'}://{self._host}:{self.port}{path}"

    def freeze(self, path: str) -> None:
        """Stop sending but keep every connection open, as a hung camera does."""
        self._mounts[path].frozen = True

    def thaw(self, path: str) -> None:
        self._mounts[path].frozen = False
        for player in self._mounts[path].players:
            player.waiting = True

    def damage(self, path: str, share: float) -> None:
        """From now on that `share` of the packets has wrong bytes anywhere, header included: 0 heals."""
        self._mounts[path].damage = share

    def swap(self, path: str, file: Path) -> None:
        """Play another file from now on, to those connected too: a camera whose resolution somebody changed."""
        self._mounts[path].swap(load_clip(file))

    def players(self, path: str) -> int:
        return len(self._mounts[path].players)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        connection = _Connection(self._mounts, self._auth, writer)
        try:
            await connection.serve(reader)
        except (
            ConnectionError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
            ValueError,
            ssl.SSLError,
        ):
            pass  # the client went away or spoke something else; a camera would not care either
        except asyncio.CancelledError:
            pass  # stop(); the task ends here and nobody awaits its result but stop() itself
        finally:
            connection.close()
            self._connections.discard(task)
            writer.close()


class _Connection:
    """One client's requests."""

    def __init__(self, mounts: dict[str, Mount], auth: Auth, writer: asyncio.StreamWriter) -> None:
        self._mounts = mounts
        self._auth = auth
        self._writer = writer
        self._nonce = secrets.token_hex(16)
        self._session = secrets.token_hex(8)
        self._mount: Mount | None = None
        self._player: Player | None = None

    async def serve(self, reader: asyncio.StreamReader) -> None:
        while first := await reader.read(1):
            if first == b"$":  # the client's receiver reports
                _, length = struct.unpack(">BH", await reader.readexactly(3))
                await reader.readexactly(length)
                continue
            head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {
                name.strip().lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head[1:] if line)
            }
            await reader.readexactly(min(_REQUEST_BYTES, int(headers.get("content-length", "0"))))
            method, url, _ = head[0].split(" ", 2)
            await self._answer(method, url, headers)
            if method == "TEARDOWN":
                return

    def close(self) -> None:
        if self._player is not None:
            if self._mount is not None:
                self._mount.players.discard(self._player)
            self._player.close()
            self._player = None

    async def _answer(self, method: str, url: str, headers: dict[str, str]) -> None:
        status, extra, body = 200, {}, ""
        if method != "OPTIONS" and not self._auth.accepts(
            method, headers.get("authorization", ""), self._nonce
        ):
            status, extra = 401, {"WWW-Authenticate": self._auth.challenge(self._nonce)}
        elif method == "OPTIONS":
            extra = {"Public": "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, SET_PARAMETER, TEARDOWN"}
        elif method == "DESCRIBE":
            status, extra, body = self._describe(url)
        elif method == "SETUP":
            status, extra = await self._set_up(url, headers.get("transport", ""))
        elif method == "PLAY":
            status, extra = self._play()
        elif method not in {"GET_PARAMETER", "SET_PARAMETER", "TEARDOWN"}:
            status = 405
        lines = [f"RTSP/1.0 {status} {_REASONS[status]}", f"CSeq: {headers.get('cseq', '0')}"]
        lines += [f"{name}: {value}" for name, value in extra.items()]
        lines.append(f"Content-Length: {len(body)}")
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        await self._writer.drain()
        if method == "PLAY" and status == 200 and self._mount and self._player:
            self._mount.join(self._player)  # after the answer: no media may come before it

    def _find(self, url: str) -> Mount | None:
        path = urlsplit(url).path.rstrip("/").removesuffix("/track").rstrip("/")
        return self._mounts.get(path)

    def _describe(self, url: str) -> tuple[int, dict[str, str], str]:
        mount = self._find(url)
        if mount is None:
            return 404, {}, ""
        body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=lfr-edge\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\n"
        body += mount.clip.description() + "a=control:track\r\n"
        return 200, {"Content-Type": "application/sdp", "Content-Base": url.rstrip("/") + "/"}, body

    async def _set_up(self, url: str, transport: str) -> tuple[int, dict[str, str]]:
        self._mount = self._find(url)
        if self._mount is None:
            return 404, {}
        fields = dict(part.partition("=")[::2] for part in transport.split(",")[0].split(";"))
        self.close()
        if "RTP/AVP/TCP" in fields:
            channel = int(fields.get("interleaved", "0-1").split("-")[0]) & 0xFE
            self._player = Player(self._writer, channel, None)
            answer = f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}"
        elif "client_port" in fields and "multicast" not in fields:
            first, _, second = fields["client_port"].partition("-")
            peer = self._writer.get_extra_info("peername")[0]
            udp = await UdpPair.connect(peer, (int(first), int(second or int(first) + 1)))
            self._player = Player(self._writer, None, udp)
            ports = "-".join(map(str, udp.ports))
            answer = f"RTP/AVP;unicast;client_port={fields['client_port']};server_port={ports}"
        else:
            return 461, {}
        return 200, {"Transport": answer, "Session": f"{self._session};timeout=60"}

    def _play(self) -> tuple[int, dict[str, str]]:
        if self._player is None:
            return 455, {}
        return 200, {"Session": self._session, "Range": "npt=now-"}


async def _serve(arguments: argparse.Namespace) -> None:
    credentials = None
    if arguments.username:
        password = arguments.password_file.read_text(encoding="utf-8").splitlines()[0]
        credentials = (arguments.username, password)
    server = RtspServer(arguments.host, arguments.port, credentials, arguments.auth)
    paths = [f"/cam{number}" for number in range(1, len(arguments.files) + 1)]
    for path, file in zip(paths, arguments.files, strict=True):
        server.add(path, file, loop=not arguments.once)
    await server.start()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    if arguments.until_eof:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _stop_at_end_of_input, stopped)
    sys.stdout.write(json.dumps({"urls": [server.url(path) for path in paths]}) + "\n")
    sys.stdout.flush()
    await stopped.wait()
    await server.stop()


def _stop_at_end_of_input(stopped: asyncio.Event) -> None:
    """Whoever started this server has ended, in whatever way: nobody is left to watch its cameras."""
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stopped.set()


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m lfr_edge.demo.rtsp_server", description="Serve clips as cameras."
    )
    parser.add_argument("files", nargs="+", type=Path, help="H.264 or H.265 files; the first becomes /cam1")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--username", help="require sign-in")
    parser.add_argument("--password-file", type=Path, help="file whose first line is the password")
    parser.add_argument("--auth", choices=("digest", "basic"), default="digest")
    parser.add_argument(
        "--once", action="store_true", help="end each stream with its file instead of looping"
    )
    parser.add_argument("--until-eof", action="store_true", help="stop when standard input ends")
    arguments = parser.parse_args(argv)
    if bool(arguments.username) != bool(arguments.password_file):
        parser.error("--username and --password-file belong together")
    try:
        asyncio.run(_serve(arguments))
    except LfrError as error:
        sys.stderr.write(error.diagnostics() + "\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(CameraError("camera_unreadable", str(error)).diagnostics() + "\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
