"""Manifests of the networks in ../shared/models, written by hand: what these tests build from.

The models room makes the same manifests when a pack is pulled; here nothing but the files is needed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from lfr_edge.capture.frame import Frame
from lfr_edge.models.manifest import InputContract, Licence, NetworkManifest, PackManifest
from lfr_edge.vision.detectors import Detector, build_detector
from lfr_edge.vision.embedder import FusedEmbedder
from lfr_edge.vision.sessions import Runtime

ARCFACE = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
DLIB = ((47.549, 46.599), (100.476, 46.599), (74.013, 76.563), (50.415, 103.023), (97.610, 103.023))
RETAIL = tuple(
    (128 * x, 128 * y)
    for x, y in ((0.3156, 0.4616), (0.6827, 0.4616), (0.5003, 0.6405), (0.3495, 0.8247), (0.6534, 0.8247))
)


def _input(colour: str, *, size: int | None = None, mean: float = 0, scale: float = 1, batch: bool = True):
    return InputContract(
        height=size, width=size, stride=1 if size else 32, colour=colour, mean=mean, scale=scale, batch=batch
    )


def _embedder(dimension: int, template, **contract):
    return {
        "task": "embedder",
        "family": "arcface",
        "dimension": dimension,
        "template": template,
        "input": _input(**contract),
    }


def _detector(family: str, **contract):
    return {"task": "detector", "family": family, "input": _input(**contract)}


NETWORKS = {
    "yunet640": (
        "permissive/face_detection_yunet_2023mar.onnx",
        _detector("yunet", colour="bgr", size=640, batch=False),
    ),
    "yunet-s": ("permissive/yunet_s_dynamic.onnx", _detector("yunet", colour="bgr")),
    "centerface": ("from_registries/centerface_dyn.onnx", _detector("centerface", colour="rgb")),
    "scrfd": (
        "noncommercial_test_only/scrfd_2.5g_bnkps.onnx",
        _detector("scrfd", colour="rgb", mean=127.5, scale=128, batch=False),
    ),
    "mobilefacenet": (
        "from_registries/mobilefacenet_192_fast.onnx",
        _embedder(192, ARCFACE, colour="rgb", size=112, mean=127.5, scale=128),
    ),
    "fr-feature": (
        "from_registries/fr_feature_fast.onnx",
        _embedder(512, ARCFACE, colour="rgb", size=112, mean=127, scale=128),
    ),
    "dlib": (
        "from_registries/dlib_resnet.onnx",
        {**_embedder(128, DLIB, colour="rgb", size=150), "family": "dlib"},
    ),
    "retail": (
        "permissive/intel_face-reidentification-retail-0095.onnx",
        _embedder(256, RETAIL, colour="bgr", size=128),
    ),
}


@dataclass(frozen=True)
class Networks:
    """The shared networks: manifests and the bytes they describe."""

    folder: Path

    def path(self, name: str) -> Path:
        return self.folder / NETWORKS[name][0]

    def get(self, name: str) -> tuple[NetworkManifest, bytes]:
        path, fields = NETWORKS[name]
        model = self.path(name).read_bytes()
        manifest = NetworkManifest(
            id=name,
            file=Path(path).name,
            sha256=hashlib.sha256(model).hexdigest(),
            size=len(model),
            licence=Licence(name="see ../shared/models/README.md", operational_use="no"),
            source=path,
            training_data="see ../shared/models/README.md",
            **fields,
        )
        return manifest, model

    def pack(self, *names: str) -> tuple[PackManifest, dict[str, bytes]]:
        """A pack of the named networks, and their bytes by file name."""
        found = [self.get(name) for name in names]
        manifest = PackManifest(
            name="test", version="1", description="tests", networks=tuple(manifest for manifest, _ in found)
        )
        return manifest, {manifest.file: model for manifest, model in found}

    def detector(self, name: str, min_score: float = 0.5) -> Detector:
        manifest, model = self.get(name)
        return build_detector(manifest, Runtime(threads=1).open(model, name), min_score=min_score)

    def embedder(self, *names: str, flip: bool = False) -> FusedEmbedder:
        runtime = Runtime(threads=1)
        found = [self.get(name) for name in names]
        return FusedEmbedder([(m, runtime.open(model, m.id)) for m, model in found], flip=flip)


@pytest.fixture(scope="session")
def networks(shared: Path) -> Networks:
    return Networks(shared / "models")


@pytest.fixture(scope="session")
def group() -> np.ndarray:
    """The group photograph that ships inside the insightface package: six faces, (886, 1280, 3) BGR."""
    insightface = pytest.importorskip("insightface", reason="NOT TESTED: the peers extra is not installed")
    path = Path(insightface.__file__).parent / "data/images/t1.jpg"
    image = cv2.imread(str(path))
    assert image is not None
    return image


@pytest.fixture(scope="session")
def frame_of():
    """A camera's frame from a BGR array (its odd last row or column is cut)."""

    def make(image: np.ndarray, camera: str = "gate", sequence: int = 1) -> Frame:
        height, width = (side & ~1 for side in image.shape[:2])
        pixels = cv2.cvtColor(np.ascontiguousarray(image[:height, :width]), cv2.COLOR_BGR2YUV_I420)
        return Frame(camera, 1, sequence, 0, 0, width, height, pixels)

    return make
