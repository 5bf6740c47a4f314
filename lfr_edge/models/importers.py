"""Networks that a person brings: identified by their graph, converted, described, installed.

What comes in is a folder, a zip or single files. Where a hand-written ``pack.json`` lies among them it is taken at
its word (and every hash in it is checked). Otherwise each ONNX file is recognised by its inputs and outputs, never
by its name; files of other tasks (landmarks, age, attributes) are left out, and said so.
"""

from __future__ import annotations

import hashlib
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import onnx

from lfr_edge.errors import ModelError
from lfr_edge.models import families
from lfr_edge.models.archive import DAMAGE, read_capped
from lfr_edge.models.convert import rewrite
from lfr_edge.models.convert.dlib import convert_dlib
from lfr_edge.models.convert.slopes import leaky_embedder
from lfr_edge.models.families import Kind
from lfr_edge.models.graph_check import parse_graph
from lfr_edge.models.manifest import Licence, NetworkManifest, PackManifest
from lfr_edge.models.recipes import RECIPES
from lfr_edge.models.store import MANIFEST, ModelStore, Pack, check_name, parse_manifest

_SUFFIXES: Final = (".onnx", ".dat", ".tflite")
_FILE_LIMIT: Final = 1 << 30  # bytes; the largest InsightFace embedder (antelopev2) has 261 million
_TOTAL_LIMIT: Final = 2 << 30  # bytes of all files of one pack, which are held in memory
_FILES: Final = 64  # a pack has ten files at most

_INSIGHTFACE: Final = Licence(
    name="InsightFace non-commercial",
    operational_use="with_reference",
    note="The published weights are for non-commercial research; other use needs a licence from InsightFace.",
)


@dataclass(frozen=True, slots=True)
class Recognised:
    """A network that was recognised: how it is converted and what is known about it."""

    kind: Kind
    id: str
    convert: Callable[[bytes], bytes]
    licence: Licence
    training_data: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What the person says about the networks, in place of what is known of the published ones."""

    licence: Licence | None = None
    training_data: str | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    pack: Pack
    left_out: tuple[str, ...]  # file names that are no detector and no embedder


_YUNET: Final = Recognised(
    families.YUNET,
    "yunet",
    rewrite.yunet_any_size,
    Licence(name="MIT", operational_use="with_reference", note="libfacedetection / OpenCV Zoo."),
    "WIDER FACE, according to libfacedetection.train.",
)
_CENTERFACE: Final = Recognised(
    families.CENTERFACE,
    "centerface",
    rewrite.centerface_any_size,
    Licence(name="MIT", operational_use="with_reference", note="Star-Clouds/CenterFace."),
    "WIDER FACE, according to the paper.",
)
_SCRFD: Final = Recognised(
    families.SCRFD, "scrfd", rewrite.scrfd_batched, _INSIGHTFACE, "WIDER FACE, according to InsightFace."
)
_ARCFACE: Final = Recognised(
    families.ARCFACE_512,
    "arcface",
    rewrite.embedder_batched,
    _INSIGHTFACE,
    "MS1M, Glint360K or WebFace, by pack, according to InsightFace: collected from the web without consent.",
)
_SFACE: Final = Recognised(
    families.SFACE_128,
    "sface",
    rewrite.embedder_batched,
    Licence(name="Apache-2.0", operational_use="with_reference", note="OpenCV Zoo."),
    "CASIA-WebFace, VGGFace2 and MS1MV2 are named in the paper; which one this file saw is not stated.",
)
_INTEL: Final = Recognised(
    families.INTEL_256,
    "face-reidentification-retail-0095",
    leaky_embedder,
    Licence(name="Apache-2.0", operational_use="with_reference", note="Open Model Zoo (Intel)."),
    "Not stated by Open Model Zoo.",
)
_DLIB: Final = Recognised(
    families.DLIB_128,
    "dlib-resnet",
    convert_dlib,
    Licence(name="CC0-1.0", operational_use="with_reference", note="Davis King, dlib-models."),
    "About 3 million faces: FaceScrub, VGG and images collected from the web, according to dlib-models.",
)
# Files that a recipe knows by hash come in as the recipe has them: 'pull' without a network.
_PUBLISHED: Final = {source.sha256: source for recipe in RECIPES.values() for source in recipe.sources}


def import_pack(
    store: ModelStore,
    name: str,
    paths: Sequence[Path],
    *,
    terms: Terms | None = None,
    detector_from: Pack | None = None,
) -> Imported:
    """Install a pack made of the networks in ``paths``.

    Args:
        paths: Folders, zip files, ``.onnx`` or ``.dat`` files. Several embedders are fused in this order.
        terms: Licence and training data where they are not the published networks' own.
        detector_from: Take the detector of this installed pack.

    Raises:
        ModelError: ``model_name_invalid``, ``model_import_unreadable``, ``model_import_incomplete``,
            ``model_import_ambiguous``, ``model_archive_*``, ``model_conversion_failed``, and what
            :meth:`ModelStore.install` raises.
    """
    check_name(name)
    files = dict(_collect(paths))
    if MANIFEST in files:
        return _import_described(store, name, files)
    networks, contents, left_out = _describe_all(files, terms or Terms())
    if detector_from is not None:
        detector = detector_from.manifest.detector
        networks.append(detector)
        contents[detector.file] = detector_from.read(detector)
    _complete(networks, left_out)
    networks.sort(key=lambda network: network.task != "detector")
    manifest = PackManifest(
        name=name,
        version="1",
        description=f"Imported from {', '.join(path.name for path in paths)}.",
        networks=tuple(networks),
    )
    return Imported(store.install(manifest, contents), tuple(left_out))


def _describe_all(
    files: Mapping[str, bytes], terms: Terms
) -> tuple[list[NetworkManifest], dict[str, bytes], list[str]]:
    """Manifest entries and converted contents of what is recognised, and the names of what is not."""
    networks: list[NetworkManifest] = []
    contents: dict[str, bytes] = {}
    left_out: list[str] = []
    for file, data in files.items():
        known = recognise(file, data)
        if known is None:
            left_out.append(file)
            continue
        network, content = _describe(known, file, data, terms, taken={n.id for n in networks})
        networks.append(network)
        contents[network.file] = content
    return networks, contents, left_out


def recognise(file: str, data: bytes) -> Recognised | None:
    """What this network is, judged by its graph; None where it is neither detector nor embedder.

    Raises:
        ModelError: ``model_unreadable``, ``model_external_data`` or ``model_custom_operator``.
    """
    published = _PUBLISHED.get(hashlib.sha256(data).hexdigest())
    if published is not None:
        return Recognised(
            published.kind, published.id, published.convert, published.licence, published.training_data
        )
    if file.endswith(".tflite"):
        return None
    if file.endswith(".dat"):
        return _DLIB
    graph = parse_graph(data, file).graph
    weights = {weight.name for weight in graph.initializer}
    inputs = [_dimensions(entry) for entry in graph.input if entry.name not in weights]
    outputs = [_dimensions(entry) for entry in graph.output]
    if {output.name for output in graph.output} == set(rewrite.YUNET_OUTPUTS):
        return _YUNET
    if [shape[1:2] for shape in outputs] == [[1], [2], [2], [10]]:
        return _CENTERFACE
    if [shape[-1] for shape in outputs if shape] == [1, 1, 1, 4, 4, 4, 10, 10, 10]:
        return _SCRFD
    if len(outputs) == 1 and len(outputs[0]) == 2 and inputs:
        if inputs[0][1:] == [3, 112, 112]:
            return _embedder(graph, outputs[0][1])
        if inputs[0][1:] == [3, 128, 128] and outputs[0][1] == families.INTEL_256.dimension:
            return _INTEL
    return None


def _embedder(graph: onnx.GraphProto, dimension: int) -> Recognised | None:
    """An ArcFace-like network; whether it normalises pixels itself is read off its first nodes."""
    if dimension < 64:  # an age, gender or liveness head
        return None
    # InsightFace looks at the same thing: exports from MXNet begin with (x - 127.5) · 0.0078125.
    normalises = {"Sub", "Mul"} <= {node.op_type for node in graph.node[:8]} or (
        {"Sub", "Div"} <= {node.op_type for node in graph.node[:8]}
    )
    known = _SFACE if normalises and dimension == families.SFACE_128.dimension else _ARCFACE
    fed = families.SFACE_128.input if normalises else families.ARCFACE_512.input
    return replace(known, kind=replace(known.kind, input=fed, dimension=dimension))


def _describe(
    known: Recognised, file: str, data: bytes, terms: Terms, taken: set[str]
) -> tuple[NetworkManifest, bytes]:
    content = known.convert(data)
    number = 2
    identifier = known.id
    while identifier in taken:
        identifier, number = f"{known.id}-{number}", number + 1
    network = known.kind.describe(
        content,
        id=identifier,
        licence=terms.licence or known.licence,
        source=f"import:{file}",
        source_sha256=hashlib.sha256(data).hexdigest(),
        training_data=terms.training_data or known.training_data,
    )
    return network, content


def _complete(networks: Sequence[NetworkManifest], left_out: Sequence[str]) -> None:
    detectors = [network.id for network in networks if network.task == "detector"]
    if len(detectors) > 1:
        raise ModelError(
            "model_import_ambiguous",
            f"more than one detector: {', '.join(detectors)}",
            hint="give only the files that the pack shall consist of",
        )
    if not detectors or len(detectors) == len(networks):
        missing = "embedder" if detectors else "detector with five points"
        seen = f"; not recognised: {', '.join(left_out)}" if left_out else ""
        raise ModelError(
            "model_import_incomplete",
            f"no {missing} among the files{seen}",
            hint="a pack has one detector and at least one embedder; --detector-from default takes YuNet from the "
            "default pack; other networks need a hand-written pack.json beside them",
        )


def _import_described(store: ModelStore, name: str, files: dict[str, bytes]) -> Imported:
    manifest = parse_manifest(files[MANIFEST], MANIFEST).model_copy(update={"name": name})
    wanted = {network.file for network in manifest.networks}
    absent = sorted(wanted - set(files))
    if absent:
        raise ModelError(
            "model_import_incomplete",
            f"{MANIFEST} names {', '.join(absent)}, which is not there",
            hint="put every file that the manifest names beside it",
        )
    pack = store.install(manifest, {file: files[file] for file in wanted})
    return Imported(pack, tuple(sorted(set(files) - wanted - {MANIFEST})))


def _collect(paths: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """File name (without folders) and content of everything that may be a network or a manifest.

    Raises:
        ModelError: ``model_import_unreadable``, ``model_import_ambiguous``, ``model_import_too_large`` or
            ``model_archive_*``.
    """
    seen: set[str] = set()
    total = 0
    for path in paths:
        for file, data in _read(path):
            if file in seen:
                raise ModelError(
                    "model_import_ambiguous",
                    f"two files are named {file}",
                    hint="give only the files that the pack shall consist of",
                )
            seen.add(file)
            total += len(data)
            if len(seen) > _FILES or total > _TOTAL_LIMIT:
                raise ModelError(
                    "model_import_too_large",
                    f"more than {_FILES} files or {_TOTAL_LIMIT} bytes",
                    hint="give only the files that the pack shall consist of",
                )
            yield file, data


def _read(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        if path.is_dir():
            for entry in sorted(path.rglob("*")):
                if _wanted(entry.name) and entry.is_file() and not entry.is_symlink():
                    with entry.open("rb") as file:
                        yield entry.name, read_capped(file, _FILE_LIMIT, str(entry))
        elif path.suffix == ".zip":
            yield from _read_zip(path)
        elif _wanted(path.name):
            with path.open("rb") as file:
                yield path.name, read_capped(file, _FILE_LIMIT, str(path))
        else:
            raise ModelError(
                "model_import_unreadable",
                f"{path} is no folder, .zip, .onnx or .dat file",
                hint="see 'lfr-edge models import --help'",
            )
    except OSError as error:
        raise ModelError(
            "model_import_unreadable",
            f"{path}: {error.strerror or error}",
            hint="check the path and its rights",
        ) from error


def _read_zip(path: Path) -> Iterator[tuple[str, bytes]]:
    """Members are read by content and kept under their last name part; nothing is ever unpacked to disk."""
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                name = info.filename.replace("\\", "/").rpartition("/")[2]
                kind = stat.S_IFMT(info.external_attr >> 16)
                if _wanted(name) and kind in (0, stat.S_IFREG):
                    with archive.open(info) as file:
                        yield name, read_capped(file, _FILE_LIMIT, f"{path.name}:{info.filename}")
    except (FileNotFoundError, PermissionError):
        raise
    except DAMAGE as error:
        raise ModelError(
            "model_archive_invalid",
            f"{path.name} cannot be read: {error}",
            hint="the zip is damaged, encrypted or packed in an unusual way; unpack it and give the folder",
        ) from error


def _wanted(name: str) -> bool:
    return name == MANIFEST or (name.endswith(_SUFFIXES) and not name.startswith("."))


def _dimensions(entry: onnx.ValueInfoProto) -> list[int]:
    """Sizes of the dimensions; 0 where symbolic."""
    return [dimension.dim_value for dimension in entry.type.tensor_type.shape.dim]
