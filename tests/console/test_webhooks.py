"""Webhooks and the event stream, with a real receiver: signed, in order, once on record, and never in the way."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import ipaddress
import json
import socket
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lfr_edge.alerts.factors import Answer, Factors
from lfr_edge.alerts.record import Actor
from lfr_edge.console.app import build_app
from lfr_edge.console.outside import stream as stream_room
from lfr_edge.console.outside import webhooks as room
from lfr_edge.console.outside.outbox import KEPT_S, Outbox
from lfr_edge.console.outside.webhooks import signature
from lfr_edge.console.ports import ConsolePorts
from lfr_edge.errors import AuditError, ConfigError
from lfr_edge.settings import IntegrationSettings, Settings, SystemSettings, WebhookSettings
from tests.fakes.box import ListRecorder, house, raised
from tests.waiting import until

SECRET = "a secret of at least thirty-two characters"
TOKEN = "0123456789abcdef0123456789abcdef"
ALL = ("alert.offered", "alert.decided", "alert.expired", "alert.outcome")
MILLER = Actor("miller", "operator", "s")


class Counterpart:
    """Somebody else's HTTP server. `status`: what it answers; None: it hangs."""

    def __init__(self) -> None:
        self.got: list[tuple[dict, bytes]] = []
        self.status: int | None = 204
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        if self.status is None:
            await asyncio.sleep(60)
        headers = {"Location": "http://127.0.0.1:1/elsewhere"} if self.status == 302 else {}
        return web.Response(status=self.status, headers=headers)

    @property
    def types(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.got]

    async def until(self, count: int) -> None:
        await until(lambda: len(self.got) >= count, what=f"{count} notices")


def a_place() -> socket.socket:
    """A port that is ours and refuses everybody until somebody listens at it."""
    place = socket.socket()
    place.bind(("127.0.0.1", 0))
    return place


@contextlib.asynccontextmanager
async def counterpart(place: socket.socket | None = None, tls=None):
    other = Counterpart()
    app = web.Application()
    app.router.add_post("/hook", other.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.SockSite(runner, place or a_place(), ssl_context=tls)
    await site.start()
    scheme = "https" if tls else "http"
    other.url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield other
    finally:
        await runner.cleanup()


def settings_of(folder, url: str | None = None, systems: bool = False, **changes) -> Settings:
    (folder / "secret").write_text(SECRET)
    (folder / "token").write_text(TOKEN)
    hooks = ()
    if url is not None:
        values = {"id": "c2", "url": url, "secret_file": folder / "secret", "events": ALL} | changes
        hooks = (WebhookSettings(**values),)
    readers = (
        (SystemSettings(id="map", token_file=folder / "token", events=(*ALL, "status")),) if systems else ()
    )
    integrations = IntegrationSettings(webhooks=hooks, systems=readers)
    return Settings(data=folder / "data", audit=folder / "audit", integrations=integrations)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(room, "BACKOFF_S", (0.05, 0.1))
    monkeypatch.setattr(stream_room, "_IDLE_S", 0.05)


@pytest.fixture
async def other():
    async with counterpart() as one:
        yield one


def documented_check():
    """The receiver's code as the how-to prints it."""
    page = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "connect-a-control-room.md"
    code = page.read_text().partition("```python\n")[2].partition("```")[0]
    names: dict = {}
    exec(code, names)
    return names["genuine"]


async def decide(box, number: int = 1, answer: Answer = Answer.SAME_PERSON):
    alert = await box.desk.raise_alert(raised(number))
    factors = Factors.of(["features_agree"], [], [])
    return await box.desk.decide(alert.id.token, MILLER, answer, factors, "", alert.version)


def sent(box) -> list[tuple[str, dict]]:
    return [(event[2], event[3]) for event in box.recorder.events if event[0] == "disclosure.sent"]


def kept_as_recorded(settings: Settings) -> bool:
    """Whether the outbox knows that its first notice is on record."""
    with contextlib.closing(sqlite3.connect(settings.data / "outbox.sqlite")) as db:
        return any(recorded for (recorded,) in db.execute("SELECT recorded FROM readers"))


async def test_a_notice_is_signed_in_order_and_tells_no_face(tmp_path, other):
    async with house(tmp_path, recorder=ListRecorder(), settings=settings_of(tmp_path, other.url)) as box:
        alert = await decide(box)
        await other.until(2)
    assert other.types == ["alert.offered", "alert.decided"]
    for headers, body in other.got:
        timestamp = int(headers["webhook-timestamp"])
        assert abs(timestamp - time.time()) < 60
        expected = signature(SECRET.encode(), headers["webhook-id"], timestamp, body)
        assert documented_check()(SECRET.encode(), headers, body), "the example in docs/how-to"
        assert not documented_check()(SECRET.encode(), headers, body + b" ")
        assert headers["webhook-signature"] == f"v1,{expected}"
    first, second = (json.loads(body) for _, body in other.got)
    assert "reference" not in first["alert"]
    assert "result" not in first["alert"]
    assert second["alert"]["result"] == "referred"
    assert second["alert"]["reference"] == "W-0001"
    assert not {"score", "threshold", "pictures", "quality"} & (set(second) | set(second["alert"]))
    assert [ref for ref, _ in sent(box)] == [alert.id.token] * 2
    assert sent(box)[0][1]["to"] == "c2"
    assert sent(box)[0][1]["pictures"] is False


async def test_not_referred_names_nobody(tmp_path, other):
    settings = settings_of(tmp_path, other.url, events=("alert.decided",))
    async with house(tmp_path, recorder=ListRecorder(), settings=settings) as box:
        await decide(box, answer=Answer.DIFFERENT_PERSON)
        await other.until(1)
    told = json.loads(other.got[0][1])["alert"]
    assert told["result"] == "not_referred"
    assert "reference" not in told


async def test_pictures_leave_only_where_configured_and_are_on_record(tmp_path, other):
    settings = settings_of(tmp_path, other.url, biometrics=True)
    async with house(tmp_path, recorder=ListRecorder(), settings=settings) as box:
        await decide(box)
        await other.until(2)
    offered, decided = (json.loads(body) for _, body in other.got)
    assert "pictures" not in offered
    assert base64.b64decode(decided["pictures"]["probe_jpeg"]).startswith(b"\xff\xd8")
    assert [data["pictures"] for _, data in sent(box)] == [False, True]
    viewed = [event for event in box.recorder.events if event[0] == "evidence.viewed"]
    assert {event[1] for event in viewed} == {"webhook c2"}


async def test_what_fails_is_tried_again_with_the_same_id_and_recorded_once(tmp_path, other):
    other.status = 503
    async with house(tmp_path, recorder=ListRecorder(), settings=settings_of(tmp_path, other.url)) as box:
        await decide(box)
        await other.until(3)
        assert set(other.types) == {"alert.offered"}, "the second waits for the first"
        other.status = 200
        await until(lambda: "alert.decided" in other.types)
    assert len({headers["webhook-id"] for headers, _ in other.got}) == 2
    assert len(sent(box)) == 2


async def test_a_redirect_is_not_followed_and_a_lasting_refusal_is_left(tmp_path, other, monkeypatch):
    monkeypatch.setattr(room, "_REFUSED_TRIES", 2)
    other.status = 302
    async with house(tmp_path, recorder=ListRecorder(), settings=settings_of(tmp_path, other.url)) as box:
        await decide(box)
        await other.until(2)
        other.status = 400
        await until(lambda: "alert.decided" in other.types)


async def test_a_dead_receiver_never_delays_the_desk(tmp_path, other):
    other.status = None
    async with house(tmp_path, recorder=ListRecorder(), settings=settings_of(tmp_path, other.url)) as box:
        await decide(box, 1)
        await other.until(1)
        began = time.monotonic()
        for number in range(2, 22):
            await decide(box, number)
        assert time.monotonic() - began < 5
        assert len(other.got) == 1


async def test_a_restart_forgets_and_repeats_nothing(tmp_path):
    place = a_place()
    settings = settings_of(tmp_path, f"http://127.0.0.1:{place.getsockname()[1]}/hook")
    async with house(tmp_path, recorder=ListRecorder(), settings=settings) as box:
        await decide(box)
        # A moment after the entry: a kill between the two records it again.
        await until(lambda: kept_as_recorded(settings))
    async with counterpart(place) as back:
        async with house(tmp_path, recorder=ListRecorder(), settings=settings) as box:
            await back.until(2)
            await asyncio.sleep(0.2)
            assert back.types == ["alert.offered", "alert.decided"]
            assert [data["event"] for _, data in sent(box)] == ["alert.decided"], (
                "the first is on record already"
            )
        async with house(tmp_path, recorder=ListRecorder(), settings=settings):
            await asyncio.sleep(0.3)
        assert len(back.got) == 2


async def test_nothing_leaves_that_cannot_be_recorded(tmp_path, other):
    async with house(tmp_path, recorder=ListRecorder(), settings=settings_of(tmp_path, other.url)) as box:
        box.recorder.fail_on["disclosure.sent"] = AuditError("audit_log_failed", "the disk is gone")
        await decide(box)
        await asyncio.sleep(0.5)
        assert other.got == []
        del box.recorder.fail_on["disclosure.sent"]
        await other.until(2)


def certificate(folder, name: str = "127.0.0.1"):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = folder / "cert.pem"
    pem.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private = folder / "key.pem"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return pem, private


async def test_tls_is_verified(tmp_path):
    import ssl

    pem, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    async with counterpart(tls=context) as other:
        for trusted in (None, pem):
            folder = tmp_path / str(trusted is None)
            folder.mkdir()
            settings = settings_of(folder, other.url, ca_file=trusted)
            async with house(folder, recorder=ListRecorder(), settings=settings) as box:
                await decide(box)
                if trusted is None:
                    await asyncio.sleep(0.4)
                    assert other.got == [], "an unknown certificate gets nothing"
                else:
                    await other.until(2)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://c2.force.example/hook", "webhook_host_refused"),
        ("https://c2.elsewhere.example/hook", "webhook_host_refused"),
        ("https://169.254.169.254/latest", "webhook_host_refused"),
        ("http://127.0.0.1.evil.example/", "webhook_host_refused"),
        ("http://0x7f000001/", "webhook_host_refused"),
    ],
)
def test_it_goes_nowhere_that_is_not_named(tmp_path, url, code):
    (tmp_path / "secret").write_text(SECRET)
    with pytest.raises(ConfigError) as caught:
        room.Receiver.of(
            WebhookSettings(id="c2", url=url, secret_file=tmp_path / "secret"), ("c2.force.example",)
        )
    assert caught.value.code == code


async def test_unfit_secrets_and_tokens_stop_the_start(tmp_path):
    (tmp_path / "short").write_text("short")
    for name in ("short", "absent"):
        hook = WebhookSettings(id="c2", url="http://127.0.0.1:1/", secret_file=tmp_path / name)
        with pytest.raises(ConfigError) as caught:
            room.Receiver.of(hook, ())
        assert caught.value.code == "webhook_secret_unfit"
        systems = (SystemSettings(id="map", token_file=tmp_path / name),)
        settings = Settings(integrations=IntegrationSettings(systems=systems))
        ports = ConsolePorts(None, None, None, None, None, None, "Van", tls=True, settings=settings)
        with pytest.raises(ConfigError) as caught:
            build_app(ports)
        assert caught.value.code == "system_token_unfit"
    (tmp_path / "standard").write_text("whsec_" + base64.b64encode(b"k" * 32).decode())
    hook = WebhookSettings(id="c2", url="http://127.0.0.1:1/", secret_file=tmp_path / "standard")
    assert room.Receiver.of(hook, ()).secret == b"k" * 32
    for events in (("alert.unknown",), ("status",)):
        with pytest.raises(ValueError, match="no event"):
            IntegrationSettings(webhooks=(hook.model_copy(update={"events": events}),))


async def test_the_outbox_keeps_a_day_and_each_event_once(tmp_path):
    outbox = Outbox(tmp_path / "outbox.sqlite")
    body = {"type": "alert.decided", "deployment": "d"}
    assert await outbox.reader("c2") == (0, 0)
    for _ in range(2):
        await outbox.put("d", 1, body, 1000)
    await outbox.put("d", 2, None, 1001)
    assert await outbox.source("d") == 2
    assert (await outbox.next(0, ("alert.decided",))).id == "d-1"
    assert await outbox.next(0, ("alert.offered",)) is None
    assert await outbox.next(1, ("alert.decided",)) is None
    begins, _ = await outbox.reader("late")
    assert await outbox.next(begins, ("alert.decided",)) is None, (
        "a new receiver is not told what happened before"
    )
    await outbox.put("d", 3, body, 1001 + KEPT_S)
    assert (await outbox.next(0, ("alert.decided",))).seq > 1
    outbox.close()


# ── the event stream ──────────────────────────────────────────────────────────────────────────────────────────────

BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def streaming(tmp_path):
    async with house(tmp_path, recorder=ListRecorder(), settings=settings_of(tmp_path, systems=True)) as box:
        yield box


def kept(box) -> list[int]:
    """What the outbox holds."""
    with contextlib.closing(sqlite3.connect(box.folder / "data" / "outbox.sqlite")) as db:
        return [seq for (seq,) in db.execute("SELECT seq FROM notices WHERE body IS NOT NULL")]


async def lines(box, query: str = "", count: int = 2, began=lambda: None, **headers) -> list[dict]:
    """The first `count` events that are no status. `began()` is called once the stream tells something."""
    found = []
    async with (
        asyncio.timeout(30),
        aiohttp.ClientSession() as client,
        client.get(f"{box.url}/api/events{query}", headers=BEARER | headers) as answer,
    ):
        assert answer.status == 200, await answer.text()
        async for raw in answer.content:
            began()
            text = raw.decode().removeprefix("data: ")
            if text.startswith("{") and json.loads(text)["type"] != "status":
                found.append(json.loads(text))
                if len(found) == count:
                    break
    return found


async def test_a_system_follows_and_comes_back_with_its_cursor(streaming):
    follows = asyncio.Event()
    following = asyncio.create_task(lines(streaming, began=follows.set))
    await until(follows.is_set)
    await decide(streaming)
    first, second = await following
    assert [first["type"], second["type"]] == ["alert.offered", "alert.decided"]
    again = await lines(streaming, f"?after={first['cursor']}", 1)
    assert again[0]["cursor"] == second["cursor"]
    resumed = await lines(
        streaming, "", 1, **{"Last-Event-ID": str(first["cursor"]), "Accept": "application/x-ndjson"}
    )
    assert resumed == again
    assert [data["to"] for _, data in sent(streaming)] == ["map"] * len(sent(streaming))
    assert len(sent(streaming)) >= 4, "each disclosure is on record"


async def test_a_third_stream_is_refused_and_a_reader_that_left_holds_no_place(streaming):
    await decide(streaming)
    for _ in range(3):  # each leaves two streams behind
        async with aiohttp.ClientSession(streaming.url, headers=BEARER) as client:
            answers = [await client.get("/api/events?after=0") for _ in range(3)]
            assert [answer.status for answer in answers] == [200, 200, 429]
            assert (await answers[2].json())["error"] == "stream_taken"
            for answer in answers:
                answer.close()


async def test_the_kept_events_can_be_read_without_waiting(streaming):
    await decide(streaming)
    await until(lambda: len(kept(streaming)) == 2)
    headers = BEARER | {"Accept": "application/x-ndjson"}
    async with (
        aiohttp.ClientSession(streaming.url) as client,
        client.get("/api/events?after=0&wait=0", headers=headers) as answer,
    ):
        found = [json.loads(line) for line in (await answer.text()).splitlines()]
    assert [one["type"] for one in found] == ["alert.offered", "alert.decided", "status"]
    assert found[-1]["cameras_live"] == 2


async def test_a_token_opens_the_stream_and_nothing_else(streaming):
    async with aiohttp.ClientSession(streaming.url) as client:
        for headers in ({}, {"Authorization": "Bearer " + "x" * 32}, {"Authorization": "Basic eA=="}):
            async with client.get("/api/events", headers=headers) as answer:
                assert answer.status == 401
        for path in ("/api/alerts", "/api/status", "/desk", "/reports", "/audit"):
            async with client.get(path, headers=BEARER) as answer:
                assert answer.status == 401, path
        refused = [event[3]["code"] for event in streaming.recorder.events if event[0] == "access.refused"]
        assert refused == ["access_system_refused"] * 2
        for _ in range(12):
            async with client.get("/api/events", headers={"Authorization": "Bearer wrong"}) as answer:
                last = answer.status
        assert last == 429
        async with client.get("/api/events?wait=0", headers=BEARER) as answer:
            assert answer.status == 200, "guessing shuts out the guesser, not the system"


async def test_two_streams_of_a_system_and_no_third(streaming):
    async with aiohttp.ClientSession(streaming.url) as client, contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            answer = await stack.enter_async_context(client.get("/api/events", headers=BEARER))
            assert answer.status == 200
        async with client.get("/api/events", headers=BEARER) as third:
            assert third.status == 429


async def test_without_a_record_the_stream_ends(streaming):
    await decide(streaming)
    await until(lambda: len(kept(streaming)) == 2)
    streaming.recorder.fail_on["disclosure.sent"] = AuditError("audit_log_failed", "the disk is gone")
    async with aiohttp.ClientSession(streaming.url) as client:
        with pytest.raises(aiohttp.ClientError):
            async with client.get("/api/events?after=0", headers=BEARER) as answer:
                assert "alert." not in await answer.text()


async def test_no_drill_is_told(tmp_path):
    from lfr_edge.console.outside.notices import notice_of

    async with house(tmp_path, recorder=ListRecorder()) as box:
        alert = await box.desk.raise_alert(raised())
    assert notice_of(alert, "offered", 0, "Van", "d")
    assert notice_of(alert, "looked", 0, "Van", "d") is None
    drill = replace(alert, drill=object())
    assert notice_of(drill, "offered", 0, "Van", "d") is None
