from __future__ import annotations

import secrets
import stat

import pytest

from lfr_edge.alerts.material import AlertMaterial, AlertPictures
from lfr_edge.errors import AlertError
from tests.fakes.box import KEY

PICTURES = AlertPictures(b"probe" * 300, b"candidate" * 200)


def token() -> str:
    return secrets.token_hex(16)


@pytest.fixture
def material(tmp_path):
    material = AlertMaterial(tmp_path / "material", KEY)
    yield material
    material.close()


def test_pictures_come_back_and_only_ciphertext_lies_on_disk(material, tmp_path):
    name = token()
    commitment = material.keep(name, PICTURES)
    assert material.read(name) == PICTURES
    assert material.commitment(name) == commitment
    for path in (tmp_path / "material").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert b"probe" not in path.read_bytes()


def test_the_same_pictures_never_give_the_same_commitment(material):
    assert material.keep(token(), PICTURES) != material.keep(token(), PICTURES)


def test_erased_alerts_do_not_decrypt_while_all_others_do(material, tmp_path):
    """B3: 0 of the erased decrypt with all remaining keys; control: every other one does."""
    names = [token() for _ in range(40)]
    for name in names:
        material.keep(name, PICTURES)
    saved = {n: (tmp_path / "material" / f"{n}.sealed").read_bytes() for n in names}
    for name in names[::2]:
        material.erase(name)
        material.erase(name)
    for name in names[::2]:
        (tmp_path / "material" / f"{name}.sealed").write_bytes(saved[name])  # a thief kept the ciphertext
        for other in names[1::2]:
            key = (tmp_path / "material" / f"{other}.key").read_bytes()
            (tmp_path / "material" / f"{name}.key").write_bytes(key)
            with pytest.raises(AlertError) as caught:
                material.read(name)
            assert caught.value.code == "alert_pictures_damaged"
    assert all(material.read(name) == PICTURES for name in names[1::2])


def test_erased_pictures_say_so(material):
    name = token()
    material.keep(name, PICTURES)
    material.erase(name)
    with pytest.raises(AlertError) as caught:
        material.read(name)
    assert caught.value.code == "alert_pictures_erased"
    assert material.tokens() == frozenset()


@pytest.mark.parametrize("suffix", ["key", "sealed"])
def test_any_changed_byte_is_noticed(material, tmp_path, suffix):
    name = token()
    material.keep(name, PICTURES)
    path = tmp_path / "material" / f"{name}.{suffix}"
    good = path.read_bytes()
    for position in range(0, len(good), max(1, len(good) // 40)):
        path.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        with pytest.raises(AlertError):
            material.read(name)
    path.write_bytes(good[:5])
    with pytest.raises(AlertError):
        material.read(name)
    path.write_bytes(good)
    assert material.read(name) == PICTURES


def test_without_the_deployment_key_nothing_opens(material, tmp_path):
    name = token()
    material.keep(name, PICTURES)
    thief = AlertMaterial(tmp_path / "material", bytes(32))
    with pytest.raises(AlertError):
        thief.read(name)
    material.close()
    with pytest.raises(AlertError):
        material.read(name)


def test_a_token_never_becomes_a_path(material):
    for name in ("../../etc/passwd", "", "A" * 32, "0" * 31, "0" * 33):
        with pytest.raises(AlertError) as caught:
            material.read(name)
        assert caught.value.code == "alert_unknown"


def test_a_full_disk_is_an_error_with_a_hint(material, monkeypatch):
    import lfr_edge.alerts.material as room

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(room.os, "fsync", full)
    with pytest.raises(AlertError) as caught:
        material.keep(token(), PICTURES)
    assert caught.value.code == "alert_material_failed"
    assert caught.value.hint


def test_a_key_of_the_wrong_length_is_refused(tmp_path):
    with pytest.raises(ValueError, match="32"):
        AlertMaterial(tmp_path, b"short")


def test_reference_codes_need_the_key(material, tmp_path):
    other = AlertMaterial(tmp_path / "other", bytes(32))
    assert material.reference_code("W-1") == material.reference_code("W-1")
    assert material.reference_code("W-1") != material.reference_code("W-2")
    assert material.reference_code("W-1") != other.reference_code("W-1")


def test_pictures_outlive_the_deployments_key_when_their_own_is_wrapped_anew(material, tmp_path):
    name, other, evidence = token(), token(), secrets.token_bytes(32)
    commitment = material.keep(name, PICTURES)
    material.keep(other, PICTURES)
    material.rewrap(name, evidence)
    material.rewrap(name, evidence)
    later = AlertMaterial(tmp_path / "material", evidence)
    assert later.read(name) == PICTURES
    assert later.commitment(name) == commitment, "the record still names exactly these pictures"
    for wrong, gone in ((material, name), (later, other)):
        with pytest.raises(AlertError) as caught:
            wrong.read(gone)
        assert caught.value.code == "alert_pictures_damaged"
    material.erase(name)
    with pytest.raises(AlertError) as caught:
        material.rewrap(name, evidence)
    assert caught.value.code == "alert_pictures_erased"
