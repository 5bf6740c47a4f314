"""The store: nothing comes out that was not verified, and an installation is whole or absent."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnx
import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lfr_edge.errors import ModelError
from lfr_edge.models.store import ModelStore, Pack, fingerprint, read_manifest


def code_of(call, *args):
    with pytest.raises(ModelError) as caught:
        call(*args)
    assert caught.value.hint, caught.value.code
    return caught.value.code


def test_an_installed_pack_loads_and_reads(store: ModelStore, make_pack):
    manifest, contents = make_pack()
    pack = store.install(manifest, contents)
    assert store.names() == ("tiny",)
    assert store.load("tiny") == pack
    assert [pack.read(n) for n in manifest.networks] == [contents[n.file] for n in manifest.networks]
    assert pack.fingerprint == hashlib.sha256(rfc8785.dumps(manifest.model_dump(mode="json"))).hexdigest()
    assert store.verify("tiny").ok


def test_a_pack_has_the_precision_of_its_files(store: ModelStore, make_pack):
    """Whatever its manifest says: a threshold of whole numbers must not be found for 8 bits."""
    manifest, contents = make_pack()
    model = onnx.load_from_string(contents["mind.onnx"])
    model.graph.node.add(op_type="DequantizeLinear", input=["input", "input"], output=["unused"])
    contents["mind.onnx"] = data = model.SerializeToString()
    eye, mind = manifest.networks
    mind = mind.model_copy(update={"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)})
    pack = store.install(manifest.model_copy(update={"networks": (eye, mind)}), contents)
    assert [network.precision for network in pack.manifest.networks] == ["fp32", "int8"]
    assert pack.precision == store.load("tiny").precision == "int8"


def test_files_may_be_given_as_paths(store: ModelStore, make_pack, tmp_path: Path):
    manifest, contents = make_pack()
    paths = {}
    for file, data in contents.items():
        paths[file] = tmp_path / file
        paths[file].write_bytes(data)
    assert store.install(manifest, paths).fingerprint == fingerprint(manifest)
    paths["eye.onnx"].write_bytes(b"x")
    assert code_of(store.install, manifest, paths) == "model_altered"


def test_the_manifest_survives_the_disk(store: ModelStore, tiny: Pack):
    assert read_manifest(tiny.path / "pack.json") == tiny.manifest


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_flipped_bit_is_refused(store: ModelStore, make_pack, data):
    if not store.names():
        store.install(*make_pack())
    pack = store.load("tiny")
    network = data.draw(st.sampled_from(pack.manifest.networks))
    path = pack.path / network.file
    original = path.read_bytes()
    position = data.draw(st.integers(0, len(original) - 1))
    altered = bytearray(original)
    altered[position] ^= 1 << data.draw(st.integers(0, 7))
    try:
        path.write_bytes(altered)
        # A file swapped after load is caught by read: nothing lies between check and use.
        assert code_of(pack.read, network) == "model_altered"
        assert code_of(store.load, "tiny") == "model_altered"
        report = store.verify("tiny")
        assert not report.ok
        assert {f.file for f in report.files if f.state == "altered"} == {network.file}
    finally:
        path.write_bytes(original)
    assert pack.read(network) == original


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"\0", lambda b: b""])
def test_another_length_is_refused(store: ModelStore, tiny: Pack, change):
    path = tiny.path / "eye.onnx"
    path.write_bytes(change(path.read_bytes()))
    assert code_of(store.load, "tiny") == "model_altered"


def test_a_missing_file_is_named(store: ModelStore, tiny: Pack):
    (tiny.path / "mind.onnx").unlink()
    assert code_of(store.load, "tiny") == "model_file_missing"
    assert {f.state for f in store.verify("tiny").files} == {"ok", "missing"}


def test_a_missing_pack_names_the_installed_ones(store: ModelStore, tiny: Pack):
    with pytest.raises(ModelError, match="installed: tiny") as caught:
        store.load("other")
    assert caught.value.code == "model_pack_missing"
    assert code_of(ModelStore(store.root / "nowhere").load, "tiny") == "model_pack_missing"


@pytest.mark.parametrize("name", ["../tiny", "", ".", "..", "a/b", "UPPER", "x" * 65, "tiny\n"])
def test_a_name_never_leaves_the_store(store: ModelStore, tiny: Pack, name: str):
    assert code_of(store.load, name) == "model_name_invalid"
    assert code_of(store.remove, name) == "model_name_invalid"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b" " * ((1 << 20) + 1),
        b'{"format": 0}',
    ],
)
def test_a_broken_manifest_is_refused(store: ModelStore, tiny: Pack, text: bytes):
    (tiny.path / "pack.json").write_bytes(text)
    assert code_of(store.load, "tiny") == "model_manifest_invalid"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("file", "../../etc/passwd.onnx"),
        ("file", "/etc/x.onnx"),
        ("file", "a/b.onnx"),
        ("sha256", "0" * 63),
        ("size", 0),
        ("family", "retina"),
        ("extra", 1),
    ],
)
def test_a_manifest_cannot_point_elsewhere(store: ModelStore, tiny: Pack, field: str, value):
    path = tiny.path / "pack.json"
    content = json.loads(path.read_text())
    content["networks"][0][field] = value
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=field) as caught:
        store.load("tiny")
    assert caught.value.code == "model_manifest_invalid"


def test_a_pack_under_another_name_is_refused(store: ModelStore, tiny: Pack):
    tiny.path.rename(store.root / "default")
    assert code_of(store.load, "default") == "model_manifest_invalid"


def test_content_that_is_not_the_manifests_is_not_installed(store: ModelStore, make_pack):
    manifest, contents = make_pack()
    assert (
        code_of(store.install, manifest, {**contents, "eye.onnx": contents["mind.onnx"]}) == "model_altered"
    )
    assert store.names() == ()
    assert [p.name for p in store.root.iterdir()] == [".lock"]
    with pytest.raises(ValueError, match="manifest names"):
        store.install(manifest, {"eye.onnx": b""})


def test_a_failed_replacement_leaves_the_old_pack(store: ModelStore, tiny: Pack, make_pack):
    manifest, contents = make_pack(seed=7)
    assert code_of(store.install, manifest, {**contents, "mind.onnx": b"x"}) == "model_altered"
    assert store.load("tiny").fingerprint == tiny.fingerprint


def test_a_replacement_is_complete(store: ModelStore, tiny: Pack, make_pack):
    (tiny.path / "left-over.bin").write_bytes(b"x")
    assert [f.state for f in store.verify("tiny").files] == ["ok", "ok", "unknown"]
    assert store.verify("tiny").ok  # never read, so no danger; but said
    pack = store.install(*make_pack(seed=7))
    assert pack.fingerprint != tiny.fingerprint
    assert len(store.verify("tiny").files) == 2
    assert sorted(p.name for p in store.root.iterdir()) == [".lock", "tiny"]


def test_a_power_cut_between_the_renames_is_healed(store: ModelStore, tiny: Pack, make_pack):
    tiny.path.rename(store.root / ".replaced-tiny")
    (store.root / ".incomplete-tiny-00").mkdir()
    store.install(*make_pack("other"))
    assert store.load("tiny").fingerprint == tiny.fingerprint
    assert sorted(p.name for p in store.root.iterdir()) == [".lock", "other", "tiny"]


def test_remove(store: ModelStore, tiny: Pack):
    store.remove("tiny")
    assert store.names() == ()
    assert code_of(store.remove, "tiny") == "model_pack_missing"
    assert [p.name for p in store.root.iterdir()] == [".lock"]


def test_two_installations_at_once(store: ModelStore, tiny: Pack, make_pack):
    packs = [make_pack(seed=2 * seed) for seed in range(12)]
    # The lock belongs to the open file, so threads exclude each other as processes do.
    with ThreadPoolExecutor(4) as pool:
        for result in [pool.submit(store.install, *pack) for pack in packs]:
            result.exception()
    assert store.verify("tiny").ok
    assert sorted(p.name for p in store.root.iterdir()) == [".lock", "tiny"]


def test_a_store_below_a_file(make_pack, tmp_path: Path):
    (tmp_path / "file").write_text("")
    assert code_of(ModelStore(tmp_path / "file" / "store").install, *make_pack()) == "model_store_unwritable"
