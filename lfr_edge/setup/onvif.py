"""Cameras on the box's own networks that speak ONVIF: who is there, and which streams they have.

``onveef`` speaks the protocol (Apache-2.0, no WSDL at run time, XML through defusedxml). A password goes out as a
digest only, never as Basic, and only to an address that somebody confirmed.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import ssl
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from onveef import AsyncOnvifClient, exceptions
from onveef.wsdiscovery import DiscoveredDevice, discover_async

from lfr_edge.errors import CameraError
from lfr_edge.sentences import say

LISTEN_S: Final = 3.0  # a camera may take up to 0.5 s to answer a probe (WS-Discovery 1.1, APP_MAX_DELAY)
_HOPS: Final = 1  # the van's own network and no further
_MOST_FOUND: Final = 64  # a network that answers with more is not a van's
_SIOCGIFADDR: Final = 0x8915
_TIMEOUT_S: Final = 5.0
_LONGEST: Final = 120  # characters of a name that a device gives itself


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """A device that answered. Everything but `host` is what it says of itself."""

    host: str  # as seen in its service address
    service: str  # http(s)://… of its device service
    name: str
    model: str


@dataclass(frozen=True, slots=True)
class Stream:
    """One media profile."""

    name: str
    url: str  # rtsp(s)://…, without credentials
    encoding: str
    width: int  # 0 where the camera does not say
    height: int

    @property
    def pixels(self) -> int:
        return self.width * self.height


def own_addresses() -> tuple[str, ...]:
    """The IPv4 address of each interface that is not the loopback."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
            except OSError:
                continue  # no IPv4 address there
            address = socket.inet_ntoa(answer[20:24])
            if not address.startswith("127."):
                found.append(address)
    return tuple(found)


async def find_cameras(
    interfaces: Sequence[str] | None = None, *, listen_s: float = LISTEN_S
) -> tuple[FoundCamera, ...]:
    """Ask each interface's network (WS-Discovery) and listen for `listen_s` seconds.

    The answers are anybody's: they are shown to a person, and nothing is sent to them before that person chose.
    """
    addresses = own_addresses() if interfaces is None else tuple(interfaces)
    if not addresses:
        return ()
    devices = await discover_async(timeout_s=listen_s, interface_ip=list(addresses), ttl=_HOPS)
    found = (_found(device) for device in devices[:_MOST_FOUND])
    return tuple(sorted(filter(None, found), key=lambda camera: camera.host))


def _found(device: DiscoveredDevice) -> FoundCamera | None:
    for address in device.xaddrs:
        try:
            parts = urlsplit(address)
            host = parts.hostname
        except ValueError:
            continue
        if host and parts.scheme in {"http", "https"} and parts.username is None:
            return FoundCamera(host, address, _plain(device.name), _plain(device.hardware))
    return None


async def streams_of(
    service: str, username: str = "", password: str = "", *, ca_file: Path | None = None
) -> tuple[Stream, ...]:
    """The video streams that a camera offers, largest picture first.

    Raises:
        CameraError: ``camera_auth_refused``, ``camera_unreachable``, ``camera_onvif_failed``.
    """
    verify: ssl.SSLContext | bool = True if ca_file is None else ssl.create_default_context(cafile=ca_file)
    # No proxy of the environment, no redirect: what is asked is the camera and nobody else.
    web = httpx.AsyncClient(verify=verify, trust_env=False, follow_redirects=False, timeout=_TIMEOUT_S)
    try:
        async with (
            web,
            AsyncOnvifClient(service, username=username, password=password, http_auth="digest", retries=0,
                             http_client=web) as camera,
        ):  # fmt: skip
            streams = [await _stream(camera, profile) for profile in await camera.get_profiles()]
    except exceptions.OnvifAuthError:
        raise CameraError(
            "camera_auth_refused", "the camera refused user name and password", hint="check the account on it"
        ) from None
    except exceptions.OnvifTransportError:
        raise CameraError(
            "camera_unreachable", say("{host} does not answer", host=urlsplit(service).hostname),
            hint="power, cable, address; or type the stream's address by hand",
        ) from None  # fmt: skip
    except exceptions.OnvifError as error:
        raise CameraError(
            "camera_onvif_failed", say("the camera did not name its streams ({code})", code=error.code),
            hint="type the stream's address by hand, as the camera's handbook gives it",
        ) from None  # fmt: skip
    usable = {stream.url: stream for stream in streams if stream is not None}
    return tuple(sorted(usable.values(), key=lambda stream: -stream.pixels))


async def _stream(camera: AsyncOnvifClient, profile: dict[str, Any]) -> Stream | None:
    encoder = profile.get("video_encoder")
    if not profile.get("token") or encoder is None:
        return None  # sound only
    url = await camera.get_stream_uri(profile_token=profile["token"])
    parts = urlsplit(url)
    if parts.scheme not in {"rtsp", "rtsps"} or not parts.hostname:
        return None
    clean = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    width, height = _number(encoder.get("width")), _number(encoder.get("height"))
    return Stream(_plain(profile.get("name", "")), clean, _plain(encoder.get("encoding", "")), width, height)


def _number(value: object) -> int:
    try:
        number = int(str(value))
    except ValueError:
        return 0
    return number if 0 <= number <= 1 << 16 else 0


def _plain(text: str) -> str:
    """What a device says of itself goes to a terminal: nothing that moves its cursor."""
    return "".join(character for character in text if character.isprintable())[:_LONGEST]


def find(interfaces: Sequence[str] | None = None, *, listen_s: float = LISTEN_S) -> tuple[FoundCamera, ...]:
    """:func:`find_cameras` for a caller without an event loop."""
    return asyncio.run(find_cameras(interfaces, listen_s=listen_s))
