"""What to open, and the secrets that must never be seen while opening it."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote, quote_plus, unquote, urlsplit, urlunsplit

from lfr_edge.errors import CameraError
from lfr_edge.sentences import say

if TYPE_CHECKING:  # the capture child does without pydantic
    from lfr_edge.settings import CameraSettings

SourceKind = Literal["rtsp", "file", "images"]
IMAGE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png"})
DEFAULT_PORTS: Final = {"rtsp": 554, "rtsps": 322}  # RFC 7826 §4.2
HIDDEN: Final = "***"
_SHORTEST_NAME: Final = 3  # a user "a" is no secret, and without its letter no message can be read
_USERINFO: Final = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@]*(?:@[^\s/@]*)*@")
_DIGEST_FIELD: Final = re.compile(r'(?i)\b(username|response|nonce|cnonce)="[^"]*"')


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One source, ready to be opened. ``url`` never holds credentials; the credentials are not printable."""

    kind: SourceKind
    url: str  # rtsp(s)://host[:port]/path without userinfo, or the absolute path of a file or folder
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    transport: Literal["tcp", "udp"] = "tcp"
    ca_file: str | None = None
    realtime: bool = True
    loop: bool = False
    open_timeout_s: float = 5.0
    read_timeout_s: float = 3.0
    decoder: Literal["software", "nvdec"] = "software"

    @classmethod
    def from_settings(cls, settings: CameraSettings) -> SourceSpec:
        """Read the address and the password file.

        Raises:
            CameraError: ``camera_address_invalid``, ``camera_not_found``, ``camera_password_unreadable``.
        """
        kind, url, username, password = parse_address(settings.url)
        if settings.password_file is not None:
            password = read_password(settings.password_file)
        return cls(
            kind=kind,
            url=url,
            username=settings.username or username,
            password=password,
            transport=settings.transport,
            ca_file=None if settings.ca_file is None else str(settings.ca_file),
            realtime=settings.realtime,
            loop=settings.loop,
            open_timeout_s=settings.open_timeout_s,
            read_timeout_s=settings.read_timeout_s,
            decoder=settings.decoder,
        )

    @property
    def live(self) -> bool:
        """Whether the end of the stream is a fault rather than the end of the recording."""
        return self.kind == "rtsp"

    @property
    def lossless(self) -> bool:
        """Whether each frame waits until it has been taken (recordings at full speed)."""
        return not self.live and not self.realtime

    @property
    def endpoint(self) -> tuple[str, int]:
        """Host and port of an rtsp source."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]

    def secret_url(self) -> str:
        """The address with credentials, for FFmpeg only. Never log it."""
        if self.username is None:
            return self.url
        parts = urlsplit(self.url)
        userinfo = f"{quote(self.username, safe='')}:{quote(self.password or '', safe='')}"
        return urlunsplit(parts._replace(netloc=f"{userinfo}@{parts.netloc}"))


def parse_address(address: str) -> tuple[SourceKind, str, str | None, str | None]:
    """Kind, address without credentials, user name, password.

    Raises:
        CameraError: ``camera_address_invalid``, ``camera_not_found``.
    """
    scheme, separator, _ = address.partition("://")
    if not separator:
        path = Path(address).absolute()
        if path.is_dir():
            return "images", str(path), None, None
        if path.is_file():
            return "file", str(path), None, None
        raise CameraError(
            "camera_not_found",
            say("no such file or folder: {redact}", redact=redact(address)),
            hint="check the camera's url",
        )
    if scheme.lower() not in DEFAULT_PORTS:
        raise CameraError(
            "camera_address_invalid",
            say("an address of kind {scheme}:// is not supported", scheme=scheme[:16]),
            hint="use rtsp://, rtsps://, a video file or a folder of images",
        )
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host:
        raise CameraError(
            "camera_address_invalid", "the address has no valid host or port", hint="rtsp://host:554/path"
        )
    bracketed = f"[{host}]" if ":" in host else host
    netloc = bracketed if port is None else f"{bracketed}:{port}"
    clean = urlunsplit((scheme.lower(), netloc, parts.path, parts.query, ""))
    username = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    return "rtsp", clean, username, password


def require_address(address: str) -> None:
    """Refuse what can never become a camera; a file or folder may still appear.

    Raises:
        CameraError: ``camera_address_invalid``.
    """
    if "://" in address:
        parse_address(address)


def read_password(path: Path) -> str:
    """First line of the file.

    Raises:
        CameraError: ``camera_password_unreadable``.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise CameraError(
            "camera_password_unreadable",
            say("the camera's password file {path} cannot be read: {reason}", path=path, reason=reason),
            hint="check password_file and its permissions",
        ) from None
    if not lines or not lines[0]:
        raise CameraError(
            "camera_password_unreadable",
            say("the camera's password file {path} is empty", path=path),
            hint="write the password on its first line",
        )
    return lines[0]


def redact(text: str, spec: SourceSpec | None = None) -> str:
    """`text` without user name, password, URL userinfo, their URL-encoded and Base64 forms, or Digest fields."""
    clean = text
    if spec is not None:
        # Longest first: a user name that is part of the password must not leave the rest of it standing.
        for secret in sorted(_variants(spec), key=len, reverse=True):
            clean = clean.replace(secret, HIDDEN)
    clean = _USERINFO.sub(rf"\1{HIDDEN}@", clean)
    return _DIGEST_FIELD.sub(rf'\1="{HIDDEN}"', clean)


def _variants(spec: SourceSpec) -> set[str]:
    secrets = [spec.password] if spec.password else []
    if spec.username and len(spec.username) >= _SHORTEST_NAME:
        secrets.append(spec.username)
    pair = f"{spec.username or ''}:{spec.password or ''}"
    if spec.password:
        secrets.append(pair)
    found: set[str] = set()
    for secret in secrets:
        encoded = quote(secret, safe="")
        found |= {secret, encoded, encoded.lower(), quote(secret), quote_plus(secret), repr(secret)[1:-1]}
    if spec.password:
        found.add(base64.b64encode(pair.encode()).decode())
    return {text for text in found if text}
