"""Whether the console could show its certificate."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lfr_edge.settings import ConsoleSettings
from lfr_edge.setup.finding import Finding

_CREDENTIALS: Final = Path("/run/credentials")  # of systemd: there while the service runs, and only then


def certificate_trouble(certificate: Path, key: Path) -> str:
    """Why this pair cannot be used; empty where it can."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror if isinstance(error, FileNotFoundError | PermissionError) else str(error)
        return f"the certificate cannot be used: {reason}"
    return ""


def examine_certificate(console: ConsoleSettings) -> Iterator[Finding]:
    """Nothing where none is configured."""
    certificate, key = console.tls_certificate, console.tls_key
    if certificate is None or key is None:
        return
    trouble = certificate_trouble(certificate, key)
    sealed = key.is_relative_to(_CREDENTIALS) and not key.exists()
    yield Finding(
        "certificate",
        "ok" if not trouble else "warn" if sealed else "fail",
        f"{key} is there while the service runs" if sealed else trouble or str(certificate),
        "serve does not start without it: a PEM certificate and the key that belongs to it (lfr-edge tls issue)",
    )
