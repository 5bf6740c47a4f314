"""Webhooks: other systems are told, signed, in order, until they have it; who does not answer delays nobody.

Headers are those of Standard Webhooks: id, timestamp, and HMAC-SHA256 over ``id.timestamp.body``. A sending is on
record (``disclosure.sent``) before its first byte leaves.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import json
import logging
import random
import ssl
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from lfr_edge.audit.event import Actor
from lfr_edge.console.outside.outbox import Notice, Outbox
from lfr_edge.console.ports import LOOPBACK_NAMES, ConsolePorts
from lfr_edge.errors import ConfigError, LfrError
from lfr_edge.sentences import say
from lfr_edge.settings import IntegrationSettings, WebhookSettings

_LOG = logging.getLogger(__name__)
SECRET_MIN: Final = 32  # characters; Standard Webhooks asks for 24 to 64 bytes
TIMEOUT_S: Final = 10.0
BACKOFF_S: Final = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
_REFUSED_TRIES: Final = 5  # a receiver that says "this is wrong" five times means it: the next notice may fit
_WORTH_REPEATING: Final = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Receiver:
    """One webhook, checked: where it goes, with which secret."""

    settings: WebhookSettings
    secret: bytes
    tls: ssl.SSLContext | None

    @staticmethod
    def of(settings: WebhookSettings, allowed: tuple[str, ...]) -> Receiver:
        """Raises ConfigError ``webhook_host_refused``, ``webhook_secret_unfit``, ``webhook_ca_unfit``."""
        parts = urlsplit(settings.url)
        host = parts.hostname or ""
        loopback = host in LOOPBACK_NAMES or host in {"::1"}
        if not loopback and (host not in allowed or parts.scheme != "https"):
            raise ConfigError(
                "webhook_host_refused",
                say("webhook {id} may not go to {host}", id=settings.id, host=host or "nowhere"),
                hint="https only, and the host in integrations.allowed_hosts; http on the loopback",
            )
        try:
            tls = ssl.create_default_context(cafile=settings.ca_file) if parts.scheme == "https" else None
        except (OSError, ssl.SSLError):
            raise ConfigError(
                "webhook_ca_unfit",
                say("webhook {id}: ca_file cannot be used", id=settings.id),
                hint="give a PEM file",
            ) from None
        return Receiver(settings, _secret(settings), tls)

    def headers(self, notice_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "User-Agent": "lfr-edge",
            "webhook-id": notice_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": f"v1,{signature(self.secret, notice_id, timestamp, body)}",
        }


def signature(secret: bytes, notice_id: str, timestamp: int, body: bytes) -> str:
    """Base64 of HMAC-SHA256 over ``id.timestamp.body``, as a receiver computes it, too."""
    signed = f"{notice_id}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def receivers_of(settings: IntegrationSettings) -> tuple[Receiver, ...]:
    """Raises ConfigError for a webhook that must not or cannot be used; then the console does not start."""
    return tuple(Receiver.of(one, settings.allowed_hosts) for one in settings.webhooks)


class Sender:
    """Sends to one receiver, in order. **Thread rule:** of the event loop."""

    def __init__(self, receiver: Receiver, outbox: Outbox, ports: ConsolePorts) -> None:
        self._receiver = receiver
        self._outbox = outbox
        self._ports = ports
        self._refused = 0

    async def run(self, client: aiohttp.ClientSession) -> None:
        settings = self._receiver.settings
        tries = 0
        while True:
            try:
                seq, recorded = await self._outbox.reader(settings.id)
                notice = await self._outbox.next(seq, settings.events)
                if notice is None:
                    await self._outbox.wait(max(seq, self._outbox.newest))
                    continue
                if await self._deliver(client, notice, recorded):
                    await self._outbox.advance(settings.id, seq=notice.seq)
                    tries = self._refused = 0
                    continue
            except LfrError as error:
                _LOG.warning("webhook %s waits: %s", settings.id, error.code)
            tries += 1
            backoff = BACKOFF_S[min(tries, len(BACKOFF_S)) - 1]
            await asyncio.sleep(backoff * random.uniform(0.8, 1.2))  # noqa: S311 - spreads receivers out

    async def _deliver(self, client: aiohttp.ClientSession, notice: Notice, recorded: int) -> bool:
        """Whether this notice is done with. Raises LfrError while it cannot be recorded."""
        settings = self._receiver.settings
        pictures = await self._pictures(notice)
        if notice.seq > recorded:
            await self._record(notice, bool(pictures))
            await self._outbox.advance(settings.id, recorded=notice.seq)
        body = json.dumps(notice.body | pictures, separators=(",", ":")).encode()
        headers = self._receiver.headers(notice.id, self._ports.clock.wall_ns() // 1_000_000_000, body)
        tls = self._receiver.tls if self._receiver.tls is not None else True
        try:
            # No redirect is followed: it would lead to a host that nobody allowed.
            async with client.post(
                settings.url, data=body, headers=headers, ssl=tls, allow_redirects=False
            ) as answer:
                return self._judge(notice, answer.status)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            _LOG.warning("webhook %s does not answer: %s", settings.id, type(error).__name__)
            return False

    def _judge(self, notice: Notice, status: int) -> bool:
        if 200 <= status < 300:
            return True
        _LOG.warning("webhook %s answered %d", self._receiver.settings.id, status)
        if 400 <= status < 500 and status not in _WORTH_REPEATING:
            self._refused += 1
            if self._refused >= _REFUSED_TRIES:
                _LOG.error("webhook %s refuses notice %s for good", self._receiver.settings.id, notice.id)
                return True
        return False

    async def _pictures(self, notice: Notice) -> dict[str, Any]:
        """Both pictures of a referred alert, where the receiver is configured to get them and they still exist."""
        alert = notice.body["alert"]
        if (
            not self._receiver.settings.biometrics
            or notice.type != "alert.decided"
            or alert["result"] != "referred"
        ):
            return {}
        actor = Actor(f"webhook {self._receiver.settings.id}", "system")
        pictures: dict[str, str] = {}
        with contextlib.suppress(LfrError):  # erased, or the deployment is over: told without
            for side in ("probe", "candidate"):
                jpeg = await self._ports.desk.picture(alert["token"], actor, side)
                pictures[f"{side}_jpeg"] = base64.b64encode(jpeg).decode()
        return {"pictures": pictures} if pictures else {}

    async def _record(self, notice: Notice, pictures: bool) -> None:
        data: dict[str, Any] = {
            "to": self._receiver.settings.id,
            "event": notice.type,
            "id": notice.id,
            "pictures": pictures,
        }
        token = notice.body["alert"]["token"]
        why = "webhook of the configuration"
        record = self._ports.recorder.record
        await asyncio.to_thread(record, "disclosure.sent", actor=None, ref=token, data=data, why=why)


def _secret(settings: WebhookSettings) -> bytes:
    try:
        text = settings.secret_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        text = ""
    if len(text) < SECRET_MIN:
        raise ConfigError(
            "webhook_secret_unfit",
            say(
                "webhook {id}: {secret_file} holds no secret of {secret_min} characters",
                id=settings.id,
                secret_file=settings.secret_file,
                secret_min=SECRET_MIN,
            ),
            hint="openssl rand -base64 32 > FILE; give the same to the receiver",
        )
    if text.startswith("whsec_"):
        with contextlib.suppress(binascii.Error):
            return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    return text.encode()
