"""What was proved, and built, for this box: one folder for each pack, way of running and device.

The folder's name is a digest of all three, so that another driver, another runtime or one changed bit of a network
finds nothing and is refused, instead of finding the wrong thing. Inside lie ``engine.json``, with the comparison's
figures, and what TensorRT compiled, with every file's SHA-256: a file that changed is never loaded.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import rfc8785

from lfr_edge.errors import VisionError
from lfr_edge.sentences import say
from lfr_edge.vision.twins.device import Device
from lfr_edge.vision.twins.options import Acceleration
from lfr_edge.vision.twins.proof import Proof

FORMAT: Final = 1
RECORD: Final = "engine.json"
_LIMIT: Final = 1 << 20  # bytes of a record


@dataclass(frozen=True, slots=True)
class EngineKey:
    """What an engine is for."""

    twins: Mapping[
        str, str
    ]  # network → SHA-256 of its twin's graph, which follows from the network's own bytes
    acceleration: Acceleration
    device: Device

    @property
    def digest(self) -> str:
        return hashlib.sha256(rfc8785.dumps(self.to_json())).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "twins": dict(self.twins),
            "acceleration": self.acceleration.to_json(),
            "device": self.device.to_json(),
        }


class EngineCache:
    """The folder of all engines. **Thread rule:** any thread; building excludes nothing, the last one stays."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, key: EngineKey) -> Path:
        return self.root / key.digest[:32]

    def require(self, key: EngineKey) -> Path:
        """The folder, every file in it as it was built.

        Raises:
            VisionError: ``vision_engine_missing`` or ``vision_engine_altered``.
        """
        folder = self.folder(key)
        record = self._record(folder)
        if record is None or record.get("key") != key.to_json():
            raise VisionError(
                "vision_engine_missing",
                say(
                    "nothing was built for models.graph = '{graph}' on {provider} {device}",
                    graph=key.acceleration.graph,
                    provider=key.device.provider,
                    device=key.device.name or "(no device)",
                ),
                hint="run lfr-edge models build-engines on this box, with this configuration",
            )
        if _digests(folder) != record.get("files"):
            raise VisionError(
                "vision_engine_altered",
                say("{folder}: a file is not the one that was built", folder=folder),
                hint="remove the folder and run lfr-edge models build-engines again",
            )
        return folder

    def begin(self) -> Path:
        """A folder for what is being built; :meth:`finish` gives it its name."""
        folder = self.root / f".building-{secrets.token_hex(4)}"
        folder.mkdir(parents=True)
        return folder

    def finish(self, building: Path, key: EngineKey, proof: Proof, took_s: float) -> Path:
        record = {
            "format": FORMAT,
            "key": key.to_json(),
            "proof": proof.to_json(),
            "built": datetime.now(UTC).isoformat(timespec="seconds"),
            "took_s": round(took_s, 1),
            "files": _digests(building),
        }
        (building / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        folder = self.folder(key)
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)
        return folder

    @staticmethod
    def _record(folder: Path) -> dict[str, Any] | None:
        try:
            with (folder / RECORD).open("rb") as file:
                record = json.loads(file.read(_LIMIT))
        except (OSError, ValueError, RecursionError):
            return None
        return record if isinstance(record, dict) and record.get("format") == FORMAT else None


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file but the record, by path in the folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != RECORD:
            with path.open("rb") as file:
                found[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
