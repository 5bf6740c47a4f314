"""RFC 3161 time-stamp tokens: somebody else's clock and key over the newest head, where there is a network.

Optional, beside the witness. A witness remembers the last head and refuses a contradicting one; a time-stamp
authority (TSA) remembers nothing, but its certificate is one that a court knows. What leaves the van is a SHA-256.
Store and forward needs no queue, as with a witness: the newest head covers all before it. The request is fifty bytes
of DER; tokens are checked by ``openssl ts``, so that no parser of CMS lives in this room.
"""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

from lfr_edge.audit.checkpoint import Checkpoint, Head, head_text
from lfr_edge.audit.disk import make_folder, write_new
from lfr_edge.audit.folder import LogFolder
from lfr_edge.audit.proof import ProofSource
from lfr_edge.errors import AuditError
from lfr_edge.sentences import say

TOKEN_MAX_BYTES: Final = 64 * 1024
_SHA256: Final = bytes.fromhex("300d06096086480165030402010500")  # AlgorithmIdentifier: sha256, NULL
_NAME: Final = re.compile(r"stamp-([0-9]{12})\.tsr")
_TIME: Final = re.compile(rb"^Time stamp: (\w{3} +\d+ \d\d:\d\d:\d\d(?:\.\d+)? \d{4}) GMT$", re.MULTILINE)
_HEX: Final = re.compile(
    rb"^    00[01]0 - ([0-9a-f -]{47})", re.MULTILINE
)  # the digest, as openssl prints it
_CHECK_S: Final = 30.0


class Stamper(Protocol):
    """A time-stamp authority. **Thread rule:** one call at a time; blocks."""

    def stamp(self, query: bytes) -> bytes:
        """The DER answer to the DER question.

        Raises:
            AuditError: ``audit_stamp_unreachable``.
        """


@dataclass(frozen=True, slots=True)
class HttpStamper:
    """A TSA over HTTP (RFC 3161, 3.4)."""

    url: str
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise AuditError(
                "audit_stamp_address",
                "a time-stamp authority's address begins with http:// or https://",
                hint="correct it",
            )

    def stamp(self, query: bytes) -> bytes:
        request = urllib.request.Request(  # noqa: S310  the scheme is checked above
            self.url, data=query, headers={"Content-Type": "application/timestamp-query"}
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:  # noqa: S310
                token: bytes = answer.read(TOKEN_MAX_BYTES)
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            reason = getattr(error, "reason", None) or error
            raise AuditError(
                "audit_stamp_unreachable",
                say("the time-stamp authority cannot be reached: {reason}", reason=reason),
                hint="nothing is lost: the next stamp covers everything",
            ) from None
        return token


def query_of(digest: bytes, nonce: int) -> bytes:
    """TimeStampReq: version 1, SHA-256 `digest`, `nonce`, and the TSA's certificate wanted in the answer."""
    number = nonce.to_bytes(nonce.bit_length() // 8 + 1, "big")  # a leading zero bit: positive
    body = b"\x02\x01\x01" + _der(0x30, _SHA256 + _der(0x04, digest)) + _der(0x02, number) + b"\x01\x01\xff"
    return _der(0x30, body)


def stamp(folder: Path, source: ProofSource, stamper: Stamper) -> Path | None:
    """Have the newest signed head of the log in `folder` stamped; None if it already is.

    Raises:
        AuditError: ``audit_stamp_unreachable`` (try later), ``audit_stamp_refused``.
    """
    files, latest = LogFolder(folder), source.latest
    if latest is None or stamp_path(files, latest.head.size).exists():
        return None
    digest, nonce = digest_of(latest), secrets.randbits(63)
    token = stamper.stamp(query_of(digest, nonce))
    # Granted (0) or granted with changes (1), and about this head; whose key it is, openssl says later.
    granted = re.match(rb"\x30(?:\x82..|\x81.|.)\x30.\x02\x01[\x00\x01]", token, re.DOTALL)
    if not granted or digest not in token:
        raise AuditError(
            "audit_stamp_refused",
            "the time-stamp authority did not stamp this head",
            hint="ask it whether it takes SHA-256 and requests without a policy",
        )
    path = stamp_path(files, latest.head.size)
    make_folder(files.anchors)
    write_new(path, token)
    return path


def stamp_path(files: LogFolder, size: int) -> Path:
    return files.anchors / f"stamp-{size:012}.tsr"


def stamped_sizes(files: LogFolder) -> dict[int, Path]:
    """The sizes whose heads carry a token, as far as the files' names tell."""
    named = ((_NAME.fullmatch(path.name), path) for path in sorted(files.anchors.glob("stamp-*.tsr")))
    return {int(match[1]): path for match, path in named if match}


def digest_of(checkpoint: Checkpoint) -> bytes:
    """What is stamped: the SHA-256 of the checkpoint's three lines, as in the printed code."""
    return sha256(checkpoint.note.text.encode()).digest()


def stamped_at(token: Path, origin: str, head: Head, authority: Path) -> int:
    """When `token` says that this head existed, in seconds since 1970. `authority`: PEM certificates that are trusted.

    Raises:
        AuditError: ``audit_stamp_wrong``; ``audit_stamp_contradicts`` where the authority stamped another head;
            ``audit_stamp_unchecked`` where openssl is absent.
    """
    if shutil.which("openssl") is None:
        raise AuditError(
            "audit_stamp_unchecked", "openssl, which checks time stamps, is absent", hint="install it"
        )
    said = _openssl("-reply", "-in", str(token), "-text") or b""
    when, digest = _TIME.search(said), b"".join(_HEX.findall(said)).translate(None, b" -\n").decode()
    checked = _openssl("-verify", "-digest", digest, "-in", str(token), "-CAfile", str(authority))
    if checked is None or when is None:
        raise AuditError(
            "audit_stamp_wrong", say("{name} is no time stamp by that authority", name=token.name)
        )
    if digest != sha256(head_text(origin, head).encode()).hexdigest():
        raise AuditError(
            "audit_stamp_contradicts",
            say("{name} stamps another head of {size} entries", name=token.name, size=head.size),
        )
    text = re.sub(r"\.\d+", "", when[1].decode())
    return int(datetime.strptime(text, "%b %d %H:%M:%S %Y").replace(tzinfo=UTC).timestamp())


def _openssl(*arguments: str) -> bytes | None:
    """What ``openssl ts`` prints, None if it fails or hangs. It would read a configuration where it runs."""
    with tempfile.TemporaryDirectory() as empty:
        absolute = [str(Path(word).resolve()) if "/" in word else word for word in arguments]
        try:
            done = subprocess.run(
                ["openssl", "ts", *absolute], capture_output=True, check=False, cwd=empty, timeout=_CHECK_S
            )
        except subprocess.TimeoutExpired:
            return None
    return done.stdout if done.returncode == 0 else None


def _der(tag: int, content: bytes) -> bytes:
    assert len(content) < 128, "a request is shorter than that"
    return bytes([tag, len(content)]) + content
