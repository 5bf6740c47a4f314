"""The console's listening socket: plain on the loopback, TLS everywhere else."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from aiohttp import web

from lfr_edge.errors import ConfigError
from lfr_edge.sentences import say
from lfr_edge.settings import ConsoleSettings

_FAREWELL_S = 2.0  # for requests in flight at the end; sockets are closed by the console itself


@dataclass(frozen=True, slots=True)
class Listening:
    address: str
    tls: ssl.SSLContext | None

    def renew(self, settings: ConsoleSettings) -> None:
        """Show the certificate that now lies there to whoever connects from now on.

        Raises:
            ConfigError: ``config_tls``; the certificate before stays.
        """
        if self.tls is not None:
            _context(settings)  # a pair that does not fit would leave this context with half of it
            _load(self.tls, settings)


async def listen(
    stack: AsyncExitStack, settings: ConsoleSettings, build: Callable[[bool], web.Application]
) -> Listening:
    """Serve `build(tls)`'s application until `stack` unwinds.

    Raises:
        ConfigError: ``config_tls``, ``config_console_address``.
    """
    tls = _context(settings)
    runner = web.AppRunner(build(tls is not None), access_log=None, shutdown_timeout=_FAREWELL_S)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, settings.host, settings.port, ssl_context=tls)
    try:
        await site.start()
    except OSError as error:
        raise ConfigError(
            "config_console_address",
            say(
                "the console cannot listen on {host}:{port}: {strerror}",
                host=settings.host,
                port=settings.port,
                strerror=error.strerror,
            ),
            hint="choose another console.port, or 0 for a free one",
        ) from None
    port = runner.addresses[0][1]
    return Listening(f"{'https' if tls else 'http'}://{settings.host}:{port}/", tls)


def _context(settings: ConsoleSettings) -> ssl.SSLContext | None:
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None or key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, settings)
    return context


def _load(context: ssl.SSLContext, settings: ConsoleSettings) -> None:
    assert settings.tls_certificate is not None
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
        if settings.tls_client_ca is not None:
            context.load_verify_locations(settings.tls_client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            "config_tls",
            say("the certificate cannot be used: {error}", error=error),
            hint="PEM certificate and key that belong together",
        ) from None
