"""A camera that speaks as much ONVIF as a set-up asks: it answers a probe, knows its password, names its streams."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import re
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiohttp import web

GROUP = "239.255.255.250"
_SOAP = (
    '<?xml version="1.0"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:tds="http://www.onvif.org/ver10/device/wsdl" xmlns:trt="http://www.onvif.org/ver10/media/wsdl" '
    'xmlns:tt="http://www.onvif.org/ver10/schema" xmlns:ter="http://www.onvif.org/ver10/error"><s:Body>{}</s:Body>'
    "</s:Envelope>"
)
_REFUSED = (
    "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:NotAuthorized</s:Value></s:Subcode></s:Code>"
    '<s:Reason><s:Text xml:lang="en">Sender not Authorized</s:Text></s:Reason></s:Fault>'
)
_MATCH = (
    '<?xml version="1.0"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
    'xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><s:Header><a:RelatesTo>{relates}</a:RelatesTo>'
    "</s:Header><s:Body><d:ProbeMatches><d:ProbeMatch><a:EndpointReference><a:Address>urn:uuid:{uuid}</a:Address>"
    "</a:EndpointReference><d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>"
    "onvif://www.onvif.org/name/{name} onvif://www.onvif.org/hardware/{model}</d:Scopes>"
    "<d:XAddrs>{service}</d:XAddrs></d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>"
)


@dataclass
class OnvifCamera:
    """`streams`: name, address, width, height. `heard`: operations asked for, in order."""

    streams: list[tuple[str, str, int, int]]
    username: str = "lfr"
    password: str = "a camera's password"
    name: str = "Gate"
    model: str = "X-200"
    service: str = ""
    discovery_port: int = 0
    heard: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.bodies.append(body)
        inside = body.split("Body>", 1)[1]
        operation = re.search(r"<(?:\w+:)?(\w+)", inside)[1]
        self.heard.append(operation)
        if operation in {"GetProfiles", "GetStreamUri"} and not self._knows(body):
            return self._soap(_REFUSED, 400)
        return self._soap(getattr(self, f"_{operation}")(body), 200)

    def _GetSystemDateAndTime(self, _: str) -> str:  # noqa: N802 - ONVIF's name
        return "<tds:GetSystemDateAndTimeResponse/>"

    def _GetServices(self, _: str) -> str:  # noqa: N802
        rows = "".join(
            f"<tds:Service><tds:Namespace>http://www.onvif.org/ver10/{name}/wsdl</tds:Namespace>"
            f"<tds:XAddr>{self.service}</tds:XAddr></tds:Service>"
            for name in ("device", "media")
        )
        return f"<tds:GetServicesResponse>{rows}</tds:GetServicesResponse>"

    def _GetProfiles(self, _: str) -> str:  # noqa: N802
        rows = "".join(
            f'<trt:Profiles token="p{number}"><tt:Name>{name}</tt:Name><tt:VideoEncoderConfiguration token="e{number}">'
            f"<tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height>"
            "</tt:Resolution></tt:VideoEncoderConfiguration></trt:Profiles>"
            for number, (name, _, width, height) in enumerate(self.streams)
        )
        sound = '<trt:Profiles token="sound"><tt:Name>sound</tt:Name></trt:Profiles>'
        return f"<trt:GetProfilesResponse>{rows}{sound}</trt:GetProfilesResponse>"

    def _GetStreamUri(self, body: str) -> str:  # noqa: N802
        number = int(re.search(r"ProfileToken>p(\d+)<", body)[1])
        uri = self.streams[number][1]
        named = f"<trt:MediaUri><tt:Uri>{uri}</tt:Uri></trt:MediaUri>"
        return f"<trt:GetStreamUriResponse>{named}</trt:GetStreamUriResponse>"

    def _soap(self, inside: str, status: int) -> web.Response:
        return web.Response(text=_SOAP.format(inside), content_type="application/soap+xml", status=status)

    def _knows(self, body: str) -> bool:
        """WS-UsernameToken: SHA-1 of nonce, time and password."""
        parts = {
            name: found[1]
            for name in ("Username", "Password", "Nonce", "Created")
            if (found := re.search(rf"<(?:\w+:)?{name}(?: [^>]*)?>([^<]*)<", body))
        }
        if len(parts) < 4:
            return False
        said = base64.b64decode(parts["Nonce"]) + parts["Created"].encode() + self.password.encode()
        right = base64.b64encode(hashlib.sha1(said).digest()).decode()
        return parts["Username"] == self.username and parts["Password"] == right


class _Ears(asyncio.DatagramProtocol):
    def __init__(self, camera: OnvifCamera) -> None:
        self._camera = camera

    def connection_made(self, transport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, sender: tuple[str, int]) -> None:
        relates = re.search(rb"MessageID>([^<]*)<", data)
        camera = self._camera
        if b"Probe" in data and relates:
            match = _MATCH.format(relates=relates[1].decode(), uuid=id(camera), name=camera.name, model=camera.model,
                                  service=camera.service)  # fmt: skip
            self._transport.sendto(match.encode(), sender)


@contextlib.asynccontextmanager
async def onvif_camera(camera: OnvifCamera) -> AsyncIterator[OnvifCamera]:
    """`camera` on the loopback: its service, and its ears in the group on a port of its own."""
    app = web.Application()
    app.router.add_post("/onvif/device_service", camera.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    camera.service = f"http://127.0.0.1:{runner.addresses[0][1]}/onvif/device_service"
    ears = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ears.bind((GROUP, 0))
    membership = struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton("127.0.0.1"))
    ears.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    camera.discovery_port = ears.getsockname()[1]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Ears(camera), sock=ears)
    try:
        yield camera
    finally:
        transport.close()
        await runner.cleanup()
