"""Keys enter and leave by two persons; a file that somebody touched is believed in nothing."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lfr_edge.deployment.authority import read_authority
from lfr_edge.deployment.authority.document import Document, signed, write_document
from lfr_edge.deployment.authority.signing import key_id, public_bytes
from lfr_edge.deployment.control.approvals import ControlError
from lfr_edge.deployment.control.trust import TrustStore
from lfr_edge.errors import AccessError, AuditError, DeploymentError
from tests.deployment.two_persons import Scene
from tests.fakes.authority import KEY, example

PUBLIC = public_bytes(KEY)
ID = key_id(PUBLIC)
OTHER = public_bytes(Ed25519PrivateKey.from_private_bytes(bytes(32)))


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path / "approvals", "trust.enrol")


@pytest.fixture
def trust(tmp_path):
    return TrustStore(tmp_path / "data" / "trust.json")


def enrol(scene, trust, purpose="authority", name="Supt A. Example", public=PUBLIC):
    return carry_out(scene, trust, trust.enrolment(purpose, name, public))


def carry_out(scene, trust, change):
    approvals = scene.approvals
    proposal = approvals.propose("trust.enrol", change, scene.actor("okafor"), trust.summary(change))
    approvals.approve(proposal.id, proposal.sha256, scene.actor("lang"), scene.clock.mono)
    return trust.apply(change, approvals, scene.actor("lang"))


def test_an_enrolled_key_is_believed_for_its_purpose_only(scene, trust, tmp_path):
    path = tmp_path / "authority.json"
    write_document(path, signed(Document(example()), KEY))
    with pytest.raises(DeploymentError):
        read_authority(path, trust.keys("authority"))
    key = enrol(scene, trust, "watchlist")
    assert trust.keys("watchlist") == {ID: PUBLIC}
    assert trust.keys("authority") == {}
    assert (key.enrolled_by, key.approved_by, key.name) == ("okafor", "lang", "Supt A. Example")
    enrol(scene, trust, "authority")
    assert read_authority(path, trust.keys("authority")).key_id == ID
    assert [k.purpose for k in TrustStore(tmp_path / "data" / "trust.json").all()] == [
        "watchlist",
        "authority",
    ]


def test_the_record_names_the_key_and_its_two_persons(scene, trust):
    key = enrol(scene, trust)
    verb, account, ref, data, _ = scene.recorder.events[-1]
    assert (verb, account, ref) == ("trust.changed", "lang", ID)
    assert data["change"] == key.change
    assert data["action"] == "enrol"
    assert PUBLIC.hex() not in str(data)
    assert scene.recorder.verbs()[-3:] == ["control.proposed", "control.approved", "trust.changed"]


def test_no_key_without_two_persons(scene, trust):
    change = trust.enrolment("authority", "Supt A. Example", PUBLIC)
    with pytest.raises(ControlError) as caught:
        trust.apply(change, scene.approvals, scene.actor("lang"))
    assert caught.value.code == "control_missing"
    scene.approvals.propose("trust.enrol", change, scene.actor("okafor"), trust.summary(change))
    with pytest.raises(ControlError):
        trust.apply(change, scene.approvals, scene.actor("lang"))
    assert trust.all() == ()


def test_an_approval_of_one_key_is_none_of_another(scene, trust):
    change = trust.enrolment("authority", "Supt A. Example", PUBLIC)
    proposal = scene.approvals.propose("trust.enrol", change, scene.actor("okafor"), trust.summary(change))
    scene.approvals.approve(proposal.id, proposal.sha256, scene.actor("lang"), scene.clock.mono)
    for altered in (
        {**change, "public_key": base64.b64encode(OTHER).decode()},
        {**change, "purpose": "watchlist"},
        trust.enrolment("authority", "Supt A. Example", OTHER),
    ):
        with pytest.raises(ControlError):
            trust.apply(altered, scene.approvals, scene.actor("lang"))
    trust.apply(change, scene.approvals, scene.actor("lang"))
    with pytest.raises(ControlError):
        trust.apply(change, scene.approvals, scene.actor("lang"))


def test_an_approved_change_that_lies_about_its_key_is_refused(scene, trust):
    change = {**trust.enrolment("authority", "Supt A. Example", PUBLIC), "key_id": key_id(OTHER)}
    with pytest.raises(AccessError) as caught:
        carry_out(scene, trust, change)
    assert caught.value.code == "trust_key_unsound"
    assert trust.all() == ()


def test_a_key_can_be_taken_away(scene, trust):
    enrol(scene, trust)
    change = trust.removal("authority", ID)
    assert "No longer" in trust.summary(change)[0]
    carry_out(scene, trust, change)
    assert trust.keys("authority") == {}
    with pytest.raises(AccessError):
        trust.removal("authority", ID)


def test_what_is_not_on_the_record_is_not_enrolled(scene, trust):
    scene.recorder.fail_on["trust.changed"] = AuditError("audit_write_failed", "the disk is full")
    with pytest.raises(AuditError):
        enrol(scene, trust)
    assert trust.all() == ()


def test_names_and_doubles(scene, trust):
    for name in ("", "x" * 101, "a\u202eb"):
        with pytest.raises(AccessError) as caught:
            trust.enrolment("authority", name, PUBLIC)
        assert caught.value.code == "trust_name_invalid"
    with pytest.raises(ValueError):
        trust.enrolment("everything", "x", PUBLIC)
    enrol(scene, trust)
    with pytest.raises(AccessError) as caught:
        trust.enrolment("authority", "again", PUBLIC)
    assert caught.value.code == "trust_key_known"


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.update(format="x"),
        lambda raw: raw["keys"][0].update(public_key=base64.b64encode(OTHER).decode()),
        lambda raw: raw["keys"][0].update(key_id="0" * 16),
        lambda raw: raw["keys"][0].update(purpose="everything"),
        lambda raw: raw["keys"][0].update(public_key="!"),
        lambda raw: raw["keys"][0].pop("at"),
    ],
)
def test_a_file_that_was_touched_is_believed_in_nothing(scene, trust, tmp_path, change):
    enrol(scene, trust)
    path = tmp_path / "data" / "trust.json"
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))
    with pytest.raises(AccessError) as caught:
        trust.keys("authority")
    assert caught.value.code == "trust_store_damaged"
