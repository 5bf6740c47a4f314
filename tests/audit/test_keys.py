from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lfr_edge.audit.disk import make_folder, write_new
from lfr_edge.audit.keys import (
    FileKeyStore,
    certificate_text,
    deployment_keys,
    device_keys,
    open_certificate,
)
from lfr_edge.audit.note import MemorySigner, sign_note
from lfr_edge.errors import AuditError

from .conftest import Box


def fails(call: object, *arguments: object) -> str:
    with pytest.raises(AuditError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.code


def test_secrets_are_private_files(tmp_path: Path) -> None:
    store = FileKeyStore(tmp_path / "deep" / "keys")
    assert store.read("device") is None
    store.write("device", b"x" * 32)
    path = tmp_path / "deep" / "keys" / "device.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert store.read("device") == b"x" * 32
    path.chmod(0o640)
    assert fails(store.read, "device") == "audit_key_exposed"


def test_destroying_overwrites(tmp_path: Path) -> None:
    store = FileKeyStore(tmp_path)
    store.write("log-1", b"x" * 32)
    with (tmp_path / "log-1.key").open("rb") as witness:
        store.destroy("log-1")
        assert witness.read() != b"x" * 32
    assert store.read("log-1") is None
    store.destroy("log-1")


@pytest.mark.parametrize("name", ["", "../device", "A", "a/b", ".hidden", "x" * 129])
def test_names_of_secrets(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a key name"):
        FileKeyStore(tmp_path).read(name)


def test_keys_are_stable_and_certified(box: Box) -> None:
    one, again, other = box.keys("d1"), box.keys("d1"), box.keys("d2")
    assert one.signer.verifier == again.signer.verifier != other.signer.verifier
    assert one.reference("x") == again.reference("x") != other.reference("x")
    certificate = open_certificate(one.certificate, box.device.device)
    assert (certificate.origin, certificate.key) == (box.origin(), one.signer.verifier)
    assert certificate.issued_us == box.clock.wall // 1000
    assert repr(one).count("key") < 20
    assert "_reference_key" not in repr(one)


def test_keys_follow_from_the_secret_for_ever(box: Box) -> None:
    """A box that is updated while a deployment runs has to find its keys again, and the references made with them."""

    class Known:
        def read(self, name: str) -> bytes:
            return bytes(range(32))

        def write(self, name: str, secret: bytes) -> None:
            raise NotImplementedError

        def destroy(self, name: str) -> None:
            raise NotImplementedError

    device = device_keys(Known(), "van.example/3/device", box.clock)
    keys = deployment_keys(Known(), device, "van.example/3/d1", box.clock)
    public = "AcUeAW6rRuCYHmUtC9aIt4Q9Gn0XU8eyQ1FUr4l6Qaxf"
    assert device.signer.verifier.text == f"van.example/3/device+43b003eb+{public}"
    assert keys.signer.verifier.text == f"van.example/3/d1+c2ac9485+{public}"
    assert device.reference("entry-1") == keys.reference("entry-1") == "3cbc468fdf825e8b9378"


def test_similar_origins_have_different_keys(box: Box) -> None:
    """File names are cleaned, so two origins may look alike there; their keys must not."""
    one = deployment_keys(box.store, box.device, "van/A_1", box.clock)
    two = deployment_keys(box.store, box.device, "van/a-1", box.clock)
    assert one.reference("x") != two.reference("x")


def test_destroying_a_deployment_leaves_the_device(box: Box) -> None:
    keys, device = box.keys(), box.device
    keys.destroy()
    keys.destroy()
    assert fails(keys.signer.sign, b"x") == "audit_key_destroyed"
    assert fails(keys.reference, "x") == "audit_key_destroyed"
    assert box.keys().signer.verifier != keys.signer.verifier
    assert box.device.signer.verifier == device.signer.verifier
    device.destroy()
    assert box.device.signer.verifier == device.signer.verifier


def test_a_damaged_store(box: Box) -> None:
    box.store.write("device", b"short")
    assert fails(device_keys, box.store, "van/device", box.clock) == "audit_key_damaged"
    assert (
        fails(device_keys, FileKeyStore(box.root / "other"), "van device", box.clock)
        == "audit_origin_invalid"
    )
    box.store.destroy("device")
    assert fails(deployment_keys, box.store, box.device, "a+b", box.clock) == "audit_origin_invalid"


def test_certificates_that_do_not_hold(box: Box) -> None:
    device = MemorySigner("van/device", b"d" * 32)
    key = MemorySigner("van/d1", b"k" * 32).verifier
    good = certificate_text("van/d1", key, 5)
    assert open_certificate(sign_note(good, device), device.verifier).issued_us == 5
    for text in (
        good.replace("v1", "v2"),
        good + "more\n",
        good.replace("\n5\n", "\nx\n"),
        good.replace("van/d1\n", "van/d2\n", 1),
    ):
        assert fails(open_certificate, sign_note(text, device), device.verifier) == "audit_certificate_wrong"
    assert fails(open_certificate, sign_note(good, device), key) == "audit_certificate_wrong"
    assert (
        fails(open_certificate, sign_note(good.replace(key.text, "x"), device), device.verifier)
        == "audit_key_invalid"
    )


def test_writing_replaces_and_folders_are_private(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    write_new(tmp_path / "a" / "f", b"long old content")
    write_new(tmp_path / "a" / "f", b"new")
    assert (tmp_path / "a" / "f").read_bytes() == b"new"
    assert [path.name for path in (tmp_path / "a").iterdir() if path.is_file()] == ["f"]


def test_openssl_verifies_our_signatures(tmp_path: Path) -> None:
    """A4's second independent opinion: the signature of a checkpoint, by a program that is not ours."""
    import os
    import shutil

    if shutil.which("openssl") is None:
        if os.environ.get("CI"):
            pytest.fail("openssl has to be there in CI")
        pytest.skip("NOT TESTED: openssl is absent")
    signer = MemorySigner("van.example/d1", b"s" * 32)
    note = sign_note("van.example/d1\n5\nroot\n", signer)
    # RFC 8410: the SubjectPublicKeyInfo of Ed25519 is this prefix and the 32 bytes
    (tmp_path / "key.der").write_bytes(bytes.fromhex("302a300506032b6570032100") + signer.verifier.public)
    (tmp_path / "signature").write_bytes(note.signatures[0].blob)

    def check(text: bytes) -> int:
        (tmp_path / "text").write_bytes(text)
        command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER"]
        files = ["-inkey", "key.der", "-sigfile", "signature", "-in", "text"]
        return subprocess.run([*command, *files], cwd=tmp_path, capture_output=True, check=False).returncode

    assert check(note.text.encode()) == 0
    assert check(note.text.encode().replace(b"5", b"6")) != 0


def test_the_box_s_own_log_names_things_too(box: Box) -> None:
    """References in the device log survive a restart, and are not those of a deployment."""
    first = box.device.reference("deployment-1")
    assert len(first) == 20
    assert first == box.device.reference("deployment-1")
    assert first != box.keys().reference("deployment-1")


def test_the_first_entry_says_whose_log_it_is(box: Box) -> None:
    log = box.create()
    ((_, entry),) = log.entries()
    assert entry.event.data == {"key": box.keys().signer.verifier.text}


def test_who_else_may_read_a_secret_exposes_it(tmp_path: Path) -> None:
    store = FileKeyStore(tmp_path)
    store.write("device", b"x" * 32)
    path = tmp_path / "device.key"
    for mode in (0o610, 0o620, 0o640, 0o601, 0o602, 0o604):
        path.chmod(mode)
        assert fails(store.read, "device") == "audit_key_exposed"
    path.chmod(0o700)
    assert store.read("device") == b"x" * 32


def test_all_of_a_secret_is_overwritten(tmp_path: Path) -> None:
    store = FileKeyStore(tmp_path)
    store.write("long", b"x" * 100)
    with (tmp_path / "long.key").open("rb") as held:
        store.destroy("long")
        left = held.read()
    assert len(left) == 100
    assert b"xxxx" not in left
    assert list(tmp_path.iterdir()) == []


def test_the_device_certifies_itself(box: Box) -> None:
    certificate = open_certificate(box.device.certificate, box.device.device)
    assert certificate.origin == "van.example/3/device"
    assert certificate.key == box.device.device
    assert certificate.issued_us == box.clock.wall // 1000


def test_a_deployment_s_secret_has_a_name_of_its_own_for_ever(box: Box) -> None:
    """After an update in the middle of a deployment its keys are found by this name."""
    box.keys()
    deployment_keys(box.store, box.device, "van.example/" + "D" * 100, box.clock)
    names = sorted(path.name for path in (box.root / "keys").iterdir())
    assert names[0] == "device.key"
    assert names[1] == "log-van.example-3-d1-4aa71cda3bff94174395.key"
    assert names[2].startswith("log-van.example-" + "d" * 64 + "-")
    assert [len(name.removesuffix(".key").rpartition("-")[2]) for name in names[1:]] == [20, 20]
