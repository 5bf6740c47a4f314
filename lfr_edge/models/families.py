"""How each known network wants to be fed: the part of a manifest that follows from the network itself."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

from lfr_edge.models.manifest import InputContract, Licence, NetworkManifest, Point

Template = tuple[Point, Point, Point, Point, Point]

# InsightFace's reference points for 112×112 crops; dlib's for 150×150 (five-point chip, padding 0.25).
ARCFACE_112: Final[Template] = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
DLIB_150: Final[Template] = (
    (47.549, 46.599),
    (100.476, 46.599),
    (74.013, 76.563),
    (50.415, 103.023),
    (97.610, 103.023),
)
# Open Model Zoo states the points as fractions of the 128×128 crop.
INTEL_128: Final[Template] = (
    (40.397, 59.085),
    (87.386, 59.085),
    (64.038, 81.984),
    (44.736, 105.562),
    (83.635, 105.562),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A network as it is known to be fed, whatever file holds it."""

    task: Literal["detector", "embedder"]
    family: Literal["yunet", "scrfd", "centerface", "arcface", "dlib"]
    input: InputContract
    dimension: int | None = None
    template: Template | None = None

    def describe(
        self,
        data: bytes,
        *,
        id: str,  # noqa: A002 - the manifest's own word
        licence: Licence,
        source: str,
        training_data: str,
        source_sha256: str | None = None,
        weight: float = 1,
    ) -> NetworkManifest:
        """The manifest entry of ``data``, an ONNX file of this kind."""
        return NetworkManifest(
            id=id,
            task=self.task,
            family=self.family,
            file=f"{id}.onnx",
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
            licence=licence,
            source=source,
            source_sha256=source_sha256,
            training_data=training_data,
            input=self.input,
            dimension=self.dimension,
            template=self.template,
            weight=weight,
        )


def _square(side: int, colour: Literal["rgb", "bgr"], mean: float, scale: float) -> InputContract:
    return InputContract(height=side, width=side, colour=colour, mean=mean, scale=scale, batch=True)


def _any_size(colour: Literal["rgb", "bgr"], mean: float, scale: float) -> InputContract:
    return InputContract(
        height=None, width=None, stride=32, colour=colour, mean=mean, scale=scale, batch=True
    )


YUNET: Final = Kind("detector", "yunet", _any_size("bgr", 0.0, 1.0))
CENTERFACE: Final = Kind("detector", "centerface", _any_size("rgb", 0.0, 1.0))
SCRFD: Final = Kind("detector", "scrfd", _any_size("rgb", 127.5, 128.0))
MOBILEFACENET_192: Final = Kind("embedder", "arcface", _square(112, "rgb", 127.5, 128.0), 192, ARCFACE_112)
FR_FEATURE_512: Final = Kind("embedder", "arcface", _square(112, "rgb", 127.0, 128.0), 512, ARCFACE_112)
ARCFACE_512: Final = Kind("embedder", "arcface", _square(112, "rgb", 127.5, 127.5), 512, ARCFACE_112)
SFACE_128: Final = Kind("embedder", "arcface", _square(112, "rgb", 0.0, 1.0), 128, ARCFACE_112)
DLIB_128: Final = Kind("embedder", "dlib", _square(150, "rgb", 0.0, 1.0), 128, DLIB_150)
INTEL_256: Final = Kind("embedder", "arcface", _square(128, "bgr", 0.0, 1.0), 256, INTEL_128)
