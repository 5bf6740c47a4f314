"""What the console orders from the compile's process: plain values, so that the desk loads no network library."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lfr_edge.models.licence import Purpose


@dataclass(frozen=True, slots=True)
class Order:
    """What to compile, with what, and where to."""

    bundle: Path
    out: Path
    store: Path
    pack: str
    purpose: Purpose
    trusted: Mapping[str, bytes]  # key id → public key of an issuing authority
    names: Mapping[str, str]
    key_file: Path | None
    passphrase: str | None
    most_files: int
    calibration: Path | None
    target_fpir: float
    threshold: float | None

    def to_line(self) -> bytes:
        raw = {name: getattr(self, name) for name in self.__dataclass_fields__}
        raw["trusted"] = {key_id: key.hex() for key_id, key in self.trusted.items()}
        return json.dumps(raw, default=str).encode() + b"\n"

    @staticmethod
    def from_line(line: bytes) -> Order:
        raw = json.loads(line)
        for name in ("bundle", "out", "store", "key_file", "calibration"):
            raw[name] = None if raw[name] is None else Path(raw[name])
        raw["trusted"] = {key_id: bytes.fromhex(key) for key_id, key in raw["trusted"].items()}
        return Order(**raw)
