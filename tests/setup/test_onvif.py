"""Found cameras: the probe, the password that goes out as a digest, the streams. All of it on the loopback."""

from __future__ import annotations

import pytest
from onveef import wsdiscovery

from lfr_edge.errors import CameraError
from lfr_edge.setup import onvif
from lfr_edge.setup.onvif import find_cameras, own_addresses, streams_of
from tests.fakes.onvif_camera import OnvifCamera, onvif_camera

STREAMS = [
    ("small", "rtsp://127.0.0.1:8554/small", 640, 360),
    ("large", "rtsp://somebody:secret@203.0.113.9:8554/large?x=1", 1920, 1080),
    ("web", "http://127.0.0.1/picture", 1920, 1080),
]


@pytest.fixture
async def camera():
    async with onvif_camera(OnvifCamera(list(STREAMS))) as running:
        yield running


async def test_a_camera_that_answers_is_found(camera, monkeypatch):
    monkeypatch.setattr(wsdiscovery, "WS_DISCOVERY_PORT", camera.discovery_port)
    found = await find_cameras(["127.0.0.1"], listen_s=1.0)
    assert [(one.host, one.service, one.name, one.model) for one in found] == [
        ("127.0.0.1", camera.service, "Gate", "X-200")
    ]
    assert camera.heard == [], "nothing is asked of a camera before a person chose it"


async def test_nobody_answers(camera, monkeypatch):
    """The control: the port beside it."""
    monkeypatch.setattr(wsdiscovery, "WS_DISCOVERY_PORT", camera.discovery_port - 1)
    assert await find_cameras(["127.0.0.1"], listen_s=0.3) == ()
    assert await find_cameras([], listen_s=0.3) == ()


@pytest.mark.parametrize(
    "service", ["ftp://127.0.0.1/x", "http://user:pw@127.0.0.1/x", "http://[::1/x", "nothing", ""]
)
async def test_an_answer_that_is_no_camera_is_dropped(camera, monkeypatch, service):
    monkeypatch.setattr(wsdiscovery, "WS_DISCOVERY_PORT", camera.discovery_port)
    camera.service = service
    assert await find_cameras(["127.0.0.1"], listen_s=0.4) == ()


async def test_what_a_device_says_of_itself_cannot_move_the_cursor(camera, monkeypatch):
    monkeypatch.setattr(wsdiscovery, "WS_DISCOVERY_PORT", camera.discovery_port)
    camera.name = "Gate\x9b2J" + "x" * 500
    (found,) = await find_cameras(["127.0.0.1"], listen_s=1.0)
    assert found.name.startswith("Gate2J")
    assert len(found.name) <= 120


async def test_the_streams_largest_first_without_credentials_and_of_this_host(camera):
    streams = await streams_of(camera.service, camera.username, camera.password)
    assert [(one.name, one.url, one.width, one.height, one.encoding) for one in streams] == [
        ("large", "rtsp://127.0.0.1:8554/large?x=1", 1920, 1080, "H264"),
        ("small", "rtsp://127.0.0.1:8554/small", 640, 360, "H264"),
    ]


async def test_the_password_is_never_sent_as_it_is(camera):
    await streams_of(camera.service, camera.username, camera.password)
    assert camera.bodies
    assert not any(camera.password in body for body in camera.bodies)


async def test_a_wrong_password_is_told(camera):
    with pytest.raises(CameraError) as caught:
        await streams_of(camera.service, camera.username, "wrong password")
    assert caught.value.code == "camera_auth_refused"
    assert "wrong password" not in caught.value.diagnostics()


async def test_a_camera_that_is_gone_is_told():
    async with onvif_camera(OnvifCamera([])) as gone:
        service = gone.service
    with pytest.raises(CameraError) as caught:
        await streams_of(service, "lfr", "x")
    assert caught.value.code in {"camera_unreachable", "camera_onvif_failed"}


async def test_a_proxy_of_the_environment_hears_nothing(camera, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert len(await streams_of(camera.service, camera.username, camera.password)) == 2


def test_the_loopback_is_nobodys_network():
    assert not any(address.startswith("127.") for address in own_addresses())
    assert onvif.LISTEN_S >= 1, "a camera may wait half a second before it answers"
