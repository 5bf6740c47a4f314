"""Detectors: canvases → faces. :func:`build_detector` picks the decoder that the manifest names."""

from __future__ import annotations

from collections.abc import Callable

from lfr_edge.errors import VisionError
from lfr_edge.models.manifest import NetworkManifest
from lfr_edge.sentences import say
from lfr_edge.vision.detectors.centerface import CenterFace
from lfr_edge.vision.detectors.detector import Detector
from lfr_edge.vision.detectors.scrfd import Scrfd
from lfr_edge.vision.detectors.yunet import YuNet
from lfr_edge.vision.sessions import Session

__all__ = ["CenterFace", "Detector", "Scrfd", "YuNet", "build_detector"]


def build_detector(manifest: NetworkManifest, session: Session, *, min_score: float) -> Detector:
    """The detector that `manifest` describes, on an open session.

    Faces below `min_score` (0..1) are dropped before their boxes are computed.
    """
    families: dict[str, Callable[..., Detector]] = {
        "yunet": YuNet,
        "scrfd": Scrfd,
        "centerface": CenterFace,
    }
    family = families.get(manifest.family)
    if manifest.task != "detector" or family is None:
        raise VisionError(
            "vision_not_a_detector",
            say("{id}: {family} is no detector", id=manifest.id, family=manifest.family),
            hint="lfr-edge models show lists what a pack contains",
        )
    return family(session, manifest, min_score=min_score)
