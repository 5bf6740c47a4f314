"""Twins and plain path of the same network, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from lfr_edge.models.convert import rewrite
from lfr_edge.models.fuse import twin_of
from lfr_edge.models.manifest import NetworkManifest, PackManifest
from lfr_edge.vision.detectors import build_detector
from lfr_edge.vision.detectors.detector import NetworkDetector
from lfr_edge.vision.sessions import Runtime
from lfr_edge.vision.twins.detector import TwinDetector


@dataclass(frozen=True)
class HandPack:
    """An OpenPack of the shared networks."""

    manifest: PackManifest
    files: dict[str, bytes]
    fingerprint: str = "0" * 64

    def read(self, network: NetworkManifest) -> bytes:
        return self.files[network.file]


class Pairs:
    def __init__(self, networks) -> None:
        self._networks = networks
        self.runtime = Runtime(threads=1)

    def network(self, name: str) -> tuple[NetworkManifest, bytes]:
        manifest, data = self._networks.get(name)
        if name == "scrfd":  # as the importer makes it: its batch is then symbolic
            data = rewrite.scrfd_batched(data)
        contract = manifest.input.model_copy(update={"batch": True})
        return manifest.model_copy(update={"input": contract}), data

    def plain(self, name: str, min_score: float = 0.3) -> NetworkDetector:
        manifest, data = self.network(name)
        made = build_detector(manifest, self.runtime.open(data, name), min_score=min_score)
        assert isinstance(made, NetworkDetector)
        return made

    def twin(self, name: str, entry: str, plain: NetworkDetector, most: int = 1) -> TwinDetector:
        manifest, data = self.network(name)
        return TwinDetector(plain, self.runtime.open_program(twin_of(manifest, data, entry), name), most=most)

    def pack(self, *names: str) -> HandPack:
        found = [self.network(name) for name in names]
        manifest = PackManifest(
            name="test", version="1", description="tests", networks=tuple(m for m, _ in found)
        )
        return HandPack(manifest, {m.file: data for m, data in found})


@pytest.fixture(scope="session")
def pairs(networks) -> Pairs:
    return Pairs(networks)


@pytest.fixture(scope="session")
def engines(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("engines")
