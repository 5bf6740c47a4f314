"""A changed configuration taken over while the service runs: what may, what may not, and that half is never taken."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
from datetime import UTC, datetime

import pytest
from aiohttp import web

from lfr_edge.cli.serve import _reload_on_hangup
from lfr_edge.console.door.certificates import Names, issue, new_authority, write_certificate, write_private
from lfr_edge.errors import CameraError, ConfigError
from lfr_edge.service import Service
from lfr_edge.service.reload import change_between, reload_and_tell
from lfr_edge.service.site import Listening, listen
from lfr_edge.settings import CameraSettings, ConsoleSettings, Settings, load_settings
from tests.service.conftest import START_S, until

LEFT = {"id": "left", "url": "rtsp://192.0.2.1/1"}
RIGHT = {"id": "right", "url": "rtsp://192.0.2.2/1"}
BASE = {"cameras": [LEFT, RIGHT], "notice": {"contact": "101"}}


def changed(**over) -> tuple[tuple[str, ...], tuple[str, ...]]:
    change = change_between(Settings.model_validate(BASE), Settings.model_validate(BASE | over))
    return change.fields, tuple(name for name, _ in change.waiting)


@pytest.mark.parametrize(
    ("over", "fields", "waiting"),
    [
        ({}, (), ()),
        ({"notice": {"contact": "999"}}, ("notice.contact",), ()),
        ({"cameras": [LEFT | {"url": "rtsp://192.0.2.9/1", "username": "lfr"}, RIGHT]},
         ("cameras.left.url", "cameras.left.username"), ()),
        ({"cameras": [LEFT, RIGHT | {"stall_s": 9.0}]}, ("cameras.right.stall_s",), ()),
        ({"cameras": [LEFT, RIGHT | {"detector_side": 640}]}, (), ("cameras.right.detector_side",)),
        ({"cameras": [LEFT]}, (), ("cameras",)),
        ({"cameras": [RIGHT, LEFT]}, (), ("cameras",)),
        ({"matching": {"threshold": 0.1}}, (), ("matching.threshold",)),
        ({"retention": {"alert_images_h": 1.0}, "notice": {"contact": "1"}},
         ("notice.contact",), ("retention.alert_images_h",)),
        ({"site": "Van 9", "models": {"pack": "other"}}, (), ("site", "models.pack")),
        ({"integrations": {"allowed_hosts": ["x.example"]}}, (), ("integrations.allowed_hosts",)),
    ],
)  # fmt: skip
def test_what_may_change_and_what_waits(over, fields, waiting):
    assert changed(**over) == (fields, waiting)


def test_every_field_of_a_camera_is_decided():
    """A new field is not taken over by accident: whoever adds one looks here."""
    assert set(CameraSettings.model_fields) == {
        "id", "detector_side", "max_frame_age_s",  # wait
        "url", "username", "password_file", "transport", "ca_file", "realtime", "loop", "open_timeout_s",
        "read_timeout_s", "stall_s", "grace_s", "decoder",
    }  # fmt: skip


@pytest.mark.network
async def test_a_running_service_takes_it_over_whole_or_not_at_all(van, start, clips):
    van.server.add("/other", clips / "walk.mp4")
    service: Service = await start()
    path = van.config()
    service.settings = service.run.settings = load_settings(path)
    run = service.run

    def status():
        return run.cameras.statuses[0]

    await until(lambda: status().state == "live", START_S)
    before, kept = status().epoch, service.settings
    moved = [van.cameras[0] | {"url": van.server.url("/other")}]
    refused = van.config(cameras=moved, matching={"threshold": 0.01})
    assert not await reload_and_tell(service, refused)
    with pytest.raises(ConfigError) as caught:
        await service.reload(refused)
    assert caught.value.code == "config_reload_refused"
    assert "matching.threshold" in caught.value.message
    assert "two persons" in caught.value.hint
    refused.write_text("site = [")
    assert not await reload_and_tell(service, refused)
    with pytest.raises(CameraError):
        await service.reload(van.config(cameras=[van.cameras[0] | {"url": "ftp://x"}]))
    assert service.settings is kept
    assert status().epoch == before
    assert "camera.changed" not in van.verbs()

    van.config(cameras=moved, notice={"contact": "999"})
    _reload_on_hangup(service, path)
    os.kill(os.getpid(), signal.SIGHUP)
    await until(lambda: service.settings is not kept, START_S)
    await until(lambda: status().state == "live" and status().epoch > before, START_S)
    asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
    assert service.settings.notice.contact == "999"
    assert run.settings is service.box.settings is service.settings
    (entry,) = [one for one in van.entries() if one.event.ev == "camera.changed"]
    assert entry.event.data == {"camera": "gate", "changed": ["url"]}
    frames = run.warden.totals["frames"]
    await until(lambda: run.warden.totals["frames"] > frames + 2, START_S)


async def test_a_renewed_certificate_is_shown_to_whoever_comes_next(tmp_path):
    authority = new_authority("test", ["van.example"], [], datetime.now(UTC))
    settings = ConsoleSettings(port=0, tls_certificate=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem")

    def renew() -> None:
        certificate, key = issue(authority, Names(("van.example",)), 30, datetime.now(UTC))
        write_private(tmp_path / "key.pem", key, None)
        write_certificate(tmp_path / "cert.pem", certificate)

    async def shown(port: int) -> str:
        return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))

    renew()
    async with contextlib.AsyncExitStack() as stack:
        listening = await listen(stack, settings, lambda _: web.Application())
        port = int(listening.address.rstrip("/").rpartition(":")[2])
        before = await shown(port)
        assert await shown(port) == before
        renew()
        listening.renew(settings)
        assert await shown(port) != before


def test_a_certificate_that_does_not_fit_leaves_the_one_before(tmp_path):
    (tmp_path / "cert.pem").write_text("no certificate")
    settings = ConsoleSettings(tls_certificate=tmp_path / "cert.pem", tls_key=tmp_path / "cert.pem")
    Listening("http://127.0.0.1:1/", None).renew(settings)  # without TLS there is nothing to renew

    class Untouched:
        def load_cert_chain(self, *_: object) -> None:
            raise AssertionError("it was loaded before it was checked")

    with pytest.raises(ConfigError) as caught:
        Listening("https://127.0.0.1:1/", Untouched()).renew(settings)
    assert caught.value.code == "config_tls"
