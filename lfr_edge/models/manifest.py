"""``pack.json``: what a model pack says about itself, and how its networks want to be fed.

Nothing here loads a network. :class:`NetworkManifest` is the whole contract between the models room and the
vision room: a detector or an embedder is built from it and from verified bytes, and from nothing else.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Point = tuple[float, float]
Precision = Literal["fp32", "fp16", "int8"]
WHOLE: Final[Precision] = "fp32"


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Licence(Part):
    """Under which terms a network came, and whether a force may use it on the street."""

    name: str = Field(description="SPDX identifier where there is one, else the licence's own name.")
    operational_use: Literal["yes", "no", "with_reference"] = Field(
        description="'with_reference': allowed once models.licence_reference names the licence that was bought."
    )
    note: str = Field("", description="What a reader should know: who published it, what is not documented.")


class InputContract(Part):
    """How pixels become the network's input: ``(x - mean) / scale`` on 0..255, NCHW float32."""

    height: int | None = Field(
        description="Fixed height in pixels; null where any multiple of `stride` is taken."
    )
    width: int | None = None
    stride: int = Field(1, ge=1, description="Height and width must be multiples of this many pixels.")
    colour: Literal["rgb", "bgr"]
    mean: float = Field(ge=0, le=255)
    scale: float = Field(gt=0, le=255)
    batch: bool = Field(description="Whether the first dimension is symbolic.")


class NetworkManifest(Part):
    """One ONNX file."""

    id: Name
    task: Literal["detector", "embedder"]
    family: Literal["yunet", "scrfd", "centerface", "arcface", "dlib"] = Field(
        description="Which decoder reads the outputs; embedders differ only by input and template."
    )
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.onnx$")]
    sha256: Sha256
    size: int = Field(gt=0, le=2_000_000_000, description="Bytes.")
    licence: Licence
    source: str = Field(
        description="Where it came from: package, version and member, or the importer's file."
    )
    source_sha256: Sha256 | None = Field(None, description="Of the file before conversion.")
    training_data: str = Field(description="What the publisher says it was trained on.")
    input: InputContract
    dimension: int | None = Field(None, gt=0, description="Embedder: length of the embedding.")
    template: tuple[Point, Point, Point, Point, Point] | None = Field(
        None, description="Embedder: the five points in the aligned crop, pixels of the input."
    )
    precision: Precision = Field("fp32", description="Of weights and activations.")
    weight: float = Field(
        1, gt=0, le=100, description="Embedder: share of its cosine in the fused score, beside the others'."
    )

    @model_serializer(mode="wrap")
    def _as_ever(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What was always so is left out: packs keep the fingerprint they had before there was anything else."""
        fields: dict[str, Any] = write(self)
        for name, usual in (("precision", "fp32"), ("weight", 1)):
            if fields.get(name) == usual:
                del fields[name]
        return fields

    @model_validator(mode="after")
    def _complete(self) -> NetworkManifest:
        if self.task == "embedder" and not (self.dimension and self.template and self.input.height):
            raise ValueError("an embedder needs dimension, template and a fixed input size")
        return self


class PackManifest(Part):
    """One detector and one embedder, or several whose L2-normalised embeddings are concatenated."""

    format: Literal[1] = 1
    name: Name
    version: str
    description: str
    networks: tuple[NetworkManifest, ...]

    @model_validator(mode="after")
    def _roles(self) -> PackManifest:
        if sum(network.task == "detector" for network in self.networks) != 1:
            raise ValueError("a pack has exactly one detector")
        if not self.embedders:
            raise ValueError("a pack has at least one embedder")
        if len({network.file for network in self.networks}) != len(self.networks):
            raise ValueError("two networks share a file name")
        return self

    @property
    def detector(self) -> NetworkManifest:
        return next(network for network in self.networks if network.task == "detector")

    @property
    def embedders(self) -> tuple[NetworkManifest, ...]:
        """In fusion order."""
        return tuple(network for network in self.networks if network.task == "embedder")

    @property
    def precision(self) -> Precision:
        """Of the embedders, the coarsest: what a calibration is bound to."""
        found = {network.precision for network in self.embedders}
        return "int8" if "int8" in found else "fp16" if "fp16" in found else WHOLE

    @property
    def dimension(self) -> int:
        """Length of the fused embedding."""
        return sum(network.dimension or 0 for network in self.embedders)
