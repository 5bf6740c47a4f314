"""What the keeper tells a capture child to do: the one value that crosses from the desk into it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from lfr_edge.capture.source import SourceSpec


@dataclass(frozen=True, slots=True)
class Order:
    """What the keeper asks for."""

    spec: SourceSpec
    epoch: int
    slot_fd: int
    bell_fd: int
    status_fd: int

    def to_json(self) -> bytes:
        """With the credentials: for the pipe only."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Order:
        fields: dict[str, Any] = json.loads(text)
        return cls(**{**fields, "spec": SourceSpec(**fields["spec"])})
