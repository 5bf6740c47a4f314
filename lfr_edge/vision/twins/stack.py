"""A pack's twins, opened beside the plain path and only where they were proved on this device."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lfr_edge.models.fuse import twin_of
from lfr_edge.models.manifest import NetworkManifest, PackManifest
from lfr_edge.vision.detectors import Detector, build_detector
from lfr_edge.vision.detectors.detector import NetworkDetector
from lfr_edge.vision.embedder import FusedEmbedder
from lfr_edge.vision.letterbox import canvas_size
from lfr_edge.vision.sessions import Provider, Runtime
from lfr_edge.vision.twins.aligner import TwinAligner
from lfr_edge.vision.twins.detector import TwinDetector
from lfr_edge.vision.twins.device import device_of
from lfr_edge.vision.twins.embedder import TwinEmbedder
from lfr_edge.vision.twins.engines import EngineCache, EngineKey
from lfr_edge.vision.twins.options import Acceleration
from lfr_edge.vision.twins.proof import SIDES, Proof, compare, require_same

Progress = Callable[[str], None]


class Networks(Protocol):
    """What a twin is derived from; :class:`~lfr_edge.vision.pipeline.OpenPack`."""

    @property
    def manifest(self) -> PackManifest: ...

    def read(self, network: NetworkManifest) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Twins:
    """Derived graphs by network id; nothing is read from a cache."""

    graphs: dict[str, bytes]

    @staticmethod
    def derive(pack: Networks, acceleration: Acceleration, provider: Provider) -> Twins:
        """Raises ModelError ``model_twin_unsupported``, and what reading the pack raises."""
        assert acceleration.graph != "plain"
        entry = acceleration.graph
        for_gpu = provider != "cpu"
        graphs = {n.id: twin_of(n, pack.read(n), entry, for_gpu=for_gpu) for n in pack.manifest.networks}
        return Twins(graphs)

    @property
    def digests(self) -> dict[str, str]:
        return {name: hashlib.sha256(graph).hexdigest() for name, graph in self.graphs.items()}


@dataclass(frozen=True, slots=True)
class OpenTwins:
    detector: TwinDetector
    embedder: TwinEmbedder
    providers: tuple[str, ...]  # that really run them, ONNX Runtime's names


def fallen_back(providers: Sequence[Provider], *, allow_cpu: bool) -> bool:
    """Whether the wanted card is missing and the configuration lets the CPU do it: then by the plain path, which
    is the quickest there."""
    return allow_cpu and providers[0] != "cpu" and not device_of(providers[0]).name


def open_twins(
    pack: Networks,
    plain: tuple[NetworkDetector, FusedEmbedder],
    acceleration: Acceleration,
    *,
    providers: Sequence[Provider],
    threads: int,
) -> OpenTwins:
    """The twins of `pack`, as they were built on this device.

    Raises:
        VisionError: ``vision_engine_missing``, ``vision_engine_altered``, and as
            :meth:`~lfr_edge.vision.sessions.Runtime.open_program`.
    """
    twins = Twins.derive(pack, acceleration, providers[0])
    key = EngineKey(twins.digests, acceleration, device_of(providers[0]))
    folder = EngineCache(acceleration.engines or Path("no engines")).require(key)
    return load_twins(pack, twins, plain, acceleration, providers, threads, folder)


def build_twins(
    pack: Networks,
    acceleration: Acceleration,
    *,
    provider: Provider = "cpu",
    threads: int = 0,
    sides: Sequence[int] = SIDES,
    progress: Progress = lambda _message: None,
) -> tuple[Path, Proof]:
    """Derive, run at every rung, compare with the plain path on the CPU, and keep the outcome.

    Raises:
        VisionError: ``vision_provider_missing``, ``vision_twin_differs``. ModelError: ``model_twin_unsupported``.
    """
    assert acceleration.engines is not None
    began = time.monotonic()
    cache = EngineCache(acceleration.engines)
    progress("deriving the graphs")
    twins = Twins.derive(pack, acceleration, provider)
    progress("opening the plain path on the CPU")
    reference = plain_parts(pack, Runtime(threads=threads))
    building = cache.begin()
    try:
        progress(f"opening the graphs on {provider}")
        loaded = load_twins(pack, twins, reference, acceleration, (provider,), threads, building)
        fast = (loaded.detector, loaded.embedder)
        contract = pack.manifest.detector.input
        for side in sides:
            progress(f"detector at {side}: every batch, once for each shape")
            loaded.detector.warm([canvas_size(1920, 1080, side, contract)])
        progress("embedders: every batch")
        loaded.embedder.warm()
        progress("comparing with the plain path")
        proof = compare(reference, fast, sides)
        require_same(pack.manifest.name, proof)
        key = EngineKey(twins.digests, acceleration, device_of(provider))
        return cache.finish(building, key, proof, time.monotonic() - began), proof
    finally:
        shutil.rmtree(building, ignore_errors=True)


def plain_parts(
    pack: Networks, runtime: Runtime, *, min_score: float = 0.36
) -> tuple[NetworkDetector, FusedEmbedder]:
    """The plain path's detector and embedder, for comparing."""
    manifest = pack.manifest.detector
    session = runtime.open(pack.read(manifest), manifest.id)
    detector: Detector = build_detector(manifest, session, min_score=min_score)
    assert isinstance(detector, NetworkDetector)
    networks = [(n, runtime.open(pack.read(n), n.id)) for n in pack.manifest.embedders]
    return detector, FusedEmbedder(networks)


def load_twins(
    pack: Networks,
    twins: Twins,
    plain: tuple[NetworkDetector, FusedEmbedder],
    acceleration: Acceleration,
    providers: Sequence[Provider],
    threads: int,
    cache: Path,
) -> OpenTwins:
    """Open derived graphs without asking whether anybody compared them: for building, and for benchmarks.

    Raises:
        VisionError: as :meth:`~lfr_edge.vision.sessions.Runtime.open_program`.
    """
    manifest = pack.manifest
    # Detectors may keep single nodes on the CPU (shapes for resizing); embedders and their answers may not.
    loose: tuple[Provider, ...] = (*providers, "cpu") if "cpu" not in providers else tuple(providers)

    def runtime(names: Sequence[Provider], *, half: bool) -> Runtime:
        tuning = acceleration.tuning(cache if "tensorrt" in names else None, half=half)
        return Runtime(
            names, threads=threads, tuning={name: tuning[name] for name in names if name in tuning}
        )

    on_device = acceleration.device_buffers
    finder = runtime(loose, half=manifest.detector.precision == "fp16").open_program(
        twins.graphs[manifest.detector.id], manifest.detector.id, on_device=on_device
    )
    strict = runtime(providers, half=manifest.precision == "fp16")
    networks = [
        (network, strict.open_program(twins.graphs[network.id], network.id, on_device=on_device))
        for network in manifest.embedders
    ]
    cutter = None
    if acceleration.align_in_graph:
        loosely = runtime(loose, half=False)
        cutter = TwinAligner(lambda graph, name: loosely.open_program(graph, name, on_device=on_device))
    detector = TwinDetector(plain[0], finder, most=acceleration.detector_batch)
    programs = (finder, *(program for _, program in networks))
    ran = tuple(dict.fromkeys(name for program in programs for name in program.providers))
    return OpenTwins(detector, TwinEmbedder(plain[1], networks, cutter), ran)
