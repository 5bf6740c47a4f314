"""The server's half of Digest (RFC 2617, MD5 as cameras do) and Basic sign-in."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final, Literal

Credentials = tuple[str, str]  # user name, password
_REALM: Final = "lfr-edge"
_FIELD: Final = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')


@dataclass(frozen=True, slots=True)
class Auth:
    """Who may watch. Without credentials everybody may."""

    scheme: Literal["digest", "basic"]
    credentials: Credentials | None = field(repr=False)

    def challenge(self, nonce: str) -> str:
        """Value of WWW-Authenticate."""
        if self.scheme == "basic":
            return f'Basic realm="{_REALM}"'
        return f'Digest realm="{_REALM}", nonce="{nonce}"'

    def accepts(self, method: str, header: str, nonce: str) -> bool:
        """Whether the Authorization `header` answers the challenge."""
        if self.credentials is None:
            return True
        scheme, _, rest = header.partition(" ")
        if scheme.lower() != self.scheme:
            return False
        return self._basic(rest) if self.scheme == "basic" else self._digest(method, rest, nonce)

    def _basic(self, text: str) -> bool:
        assert self.credentials is not None
        try:
            given = base64.b64decode(text.strip(), validate=True)
        except binascii.Error:
            return False
        return hmac.compare_digest(given, ":".join(self.credentials).encode())

    def _digest(self, method: str, text: str, nonce: str) -> bool:
        assert self.credentials is not None
        fields = {name: quoted or plain for name, quoted, plain in _FIELD.findall(text)}
        user, password = self.credentials
        if fields.get("nonce") != nonce:
            return False
        whole = _md5(f"{user}:{_REALM}:{password}")
        request = _md5(f"{method}:{fields.get('uri', '')}")
        middle = f"{nonce}:"
        if "qop" in fields:
            middle += f"{fields.get('nc', '')}:{fields.get('cnonce', '')}:{fields['qop']}:"
        expected = _md5(f"{whole}:{middle}{request}")
        given = fields.get("username", "").encode(), fields.get("response", "").encode()
        return hmac.compare_digest(given[0], user.encode()) and hmac.compare_digest(
            given[1], expected.encode()
        )


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
