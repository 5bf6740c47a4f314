"""The file of an authority: its form, its signatures, its words, and the schema that documents it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_edge.deployment.authority import SignedAuthority, draft, read_authority, read_document, schema
from lfr_edge.deployment.authority.document import (
    Document,
    SignedCancellation,
    believe,
    cancelled,
    confirmed,
    encode_document,
    parse_document,
    signed,
    write_document,
)
from lfr_edge.deployment.authority.signing import (
    key_id,
    make_key,
    public_bytes,
    public_path,
    read_private_key,
    read_public_key,
    sign,
)
from lfr_edge.deployment.authority.terms import Authority, Cancellation, canonical
from lfr_edge.deployment.authority.words import Rank, use_cases
from lfr_edge.errors import DeploymentError
from tests.conftest import REPOSITORY
from tests.fakes.authority import EXAMPLE, KEY, TRUSTED, authority, authority_now, example, signed_authority

FOLDER = REPOSITORY / "deploy" / "authority"
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(reversed(range(32))))


def code_of(call, *arguments, **named) -> str:
    with pytest.raises(DeploymentError) as caught:
        call(*arguments, **named)
    return caught.value.code


def test_the_example_is_signed_by_the_key_beside_it():
    public = read_public_key(FOLDER / "example.pub")
    found = read_authority(EXAMPLE, {key_id(public): public})
    assert found.authority.operation == "Op EXAMPLE 26/117"
    assert found.sha256 == found.authority.sha256
    assert found.key_id == key_id(public)
    assert code_of(read_authority, EXAMPLE, TRUSTED) == "authority_signer_unknown"


def test_the_schema_in_the_repository_is_the_models():
    assert json.loads((FOLDER / "authority.schema.json").read_text(encoding="utf-8")) == schema()
    everything = json.dumps(schema())
    for case in use_cases():
        assert f'"{case}"' in everything
    assert '"other"' not in everything
    assert "additionalProperties" in everything


def test_every_field_of_a_written_authority_is_in_the_schema():
    """domain.md 4, word by word."""
    fields = set(json.dumps(schema()["$defs"]).replace('"', " ").replace(":", " ").split())
    words = (
        "operation use_case policy_paragraph legal_basis objective necessity proportionality alternatives place zone"
        " sensitive_places start end cameras categories criteria maximum_size threshold floor changed_by retention"
        " dpia eia cia apd version image_sources under_18 under_18_reason officer rank granted urgent command gold"
        " silver bronze conditions cancellation at by why"
    )
    for field in words.split():  # read as the sentence of domain.md
        assert field in fields | set(schema()["properties"]), field


def test_a_draft_authorises_nothing(tmp_path):
    path = tmp_path / "draft.json"
    write_document(path, Document(example()))
    assert code_of(read_authority, path, TRUSTED) == "authority_unsigned"
    assert draft(read_document(path)) == SignedAuthority(example())


@pytest.mark.parametrize("name", [n for n in Authority.__slots__ if n != "format"])
def test_no_word_can_change_under_a_signature(name):
    document = signed(Document(example()), KEY)
    raw = json.loads(encode_document(document))
    other = json.loads(encode_document(Document(elsewhere(name))))
    assert raw["authority"][name] != other["authority"][name]
    raw["authority"][name] = other["authority"][name]
    assert code_of(believe, parse_document(json.dumps(raw).encode()), TRUSTED) == "authority_altered"


def elsewhere(name: str) -> Authority:
    """The example with one field changed to something that is allowed."""
    old = example()
    changes = {
        "purpose": "evaluation",
        "use_case": "protective_security",
        "place": replace(old.place, radius_m=151),
        "start": "2026-11-22T09:00:00Z",
        "end": "2026-11-22T17:00:00Z",
        "cameras": ("north",),
        "watchlist": replace(old.watchlist, maximum_size=16_001),
        "threshold": replace(old.threshold, floor=0.44),
        "retention": replace(old.retention, alert_images_h=25),
        "assessments": replace(old.assessments, dpia=replace(old.assessments.dpia, version="9")),
        "officer": replace(old.officer, rank=Rank.COMMANDER),
        "urgent": authority_now(0).urgent or example_urgent(),
        "command": replace(old.command, gold="E. Example"),
        "conditions": (),
    }
    return replace(old, **{name: changes.get(name, str(getattr(old, name)) + " and more")})


def example_urgent():
    from lfr_edge.deployment.authority.terms import Urgent

    return Urgent("No time.", "2026-11-22T09:00:00Z", "Insp. F. Example", "2026-11-22T15:00:00Z")


@settings(deadline=None)
@given(position=st.integers(0, 10**6), value=st.integers(0, 255))
def test_no_byte_of_the_file_can_change_its_meaning(position, value):
    """Any byte of the signed file set to any value: refused, or the very same authority (layout)."""
    document = signed(Document(example()), KEY)
    data = bytearray(encode_document(document))
    data[position % len(data)] = value
    try:
        found = believe(parse_document(bytes(data)), TRUSTED)
    except DeploymentError:
        return
    assert found == signed_authority()


@settings(deadline=None)
@given(
    operation=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 ._/-]{0,63}", fullmatch=True),
    latitude=st.floats(-90, 90),
    floor=st.floats(-1, 1),
    size=st.integers(1, 500_000),
    conditions=st.lists(st.text(st.characters(categories=("L", "N", "P", "Zs")), max_size=40), max_size=5),
)
def test_what_is_written_is_read_again(operation, latitude, floor, size, conditions):
    from unicodedata import normalize

    granted = authority(
        operation=operation,
        place={"latitude": latitude},
        threshold={"floor": floor},
        watchlist={"maximum_size": size},
        conditions=tuple(normalize("NFC", text) for text in conditions),
    )
    document = signed(Document(granted), KEY)
    again = parse_document(encode_document(document))
    assert again == document
    assert again.authority.sha256 == granted.sha256
    assert canonical(again.authority) == canonical(granted)
    assert believe(again, TRUSTED).authority == granted


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda raw: raw["authority"].update(use_case="other"), "authority_invalid"),
        (lambda raw: raw["authority"]["watchlist"].update(categories=["other"]), "authority_invalid"),
        (
            lambda raw: raw["authority"]["watchlist"].update(image_sources=["social media"]),
            "authority_invalid",
        ),
        (lambda raw: raw["authority"]["officer"].update(rank="king"), "authority_invalid"),
        (lambda raw: raw["authority"].update(start="2026-02-30T10:00:00Z"), "authority_invalid"),
        (lambda raw: raw["authority"].update(start="2026-11-22 10:00"), "authority_invalid"),
        (lambda raw: raw["authority"].update(necessity="hid\u202eden"), "authority_invalid"),
        (lambda raw: raw["authority"].update(necessity="\ud800"), "authority_invalid"),
        (lambda raw: raw["authority"]["place"].update(latitude=90.01), "authority_invalid"),
        (lambda raw: raw["authority"]["place"].update(longitude=-181), "authority_invalid"),
        (lambda raw: raw["authority"]["place"].update(latitude="54.0"), "authority_invalid"),
        (lambda raw: raw["authority"]["retention"].update(alert_images_h=745), "authority_invalid"),
        (lambda raw: raw["authority"]["retention"].update(watchlist_h=25), "authority_invalid"),
        (lambda raw: raw["authority"].pop("necessity"), "authority_invalid"),
        (lambda raw: raw["authority"].update(note="x"), "authority_invalid"),
        (lambda raw: raw["signature"].update(algorithm="none"), "authority_invalid"),
        (lambda raw: raw["signature"].update(value="A" * 88), "authority_invalid"),
        (lambda raw: raw["signature"].update(value="A" * 86 + "=="), "authority_altered"),
        (lambda raw: raw["signature"].update(key_id="0" * 16), "authority_signer_unknown"),
        (lambda raw: raw.pop("signature"), "authority_unsigned"),
    ],
)
def test_what_is_refused(change, code):
    raw = json.loads(encode_document(signed(Document(example()), KEY)))
    change(raw)
    assert code_of(lambda: believe(parse_document(json.dumps(raw).encode()), TRUSTED)) == code


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"\xff", b"{", b'{"authority": 1, "authority": 2}', b"[" * 100_000, b" " * (1024 * 1024 + 1),
     encode_document(Document(example())).replace(b"54.00012", b"NaN"),
     encode_document(Document(example())).replace(b"54.00012", b"1e999")],
    ids=["empty", "list", "bytes", "torn", "twice", "deep", "long", "nan", "infinite"],
)  # fmt: skip
def test_what_is_no_document(data):
    assert code_of(parse_document, data) in {"authority_unreadable", "authority_invalid"}


def test_a_missing_file(tmp_path):
    assert code_of(read_document, tmp_path / "none.json") == "authority_missing"


def test_the_strangers_signature_and_the_wrong_key_under_the_right_name():
    document = signed(Document(example()), STRANGER)
    assert code_of(believe, document, TRUSTED) == "authority_signer_unknown"
    theirs = key_id(public_bytes(STRANGER))
    assert code_of(believe, document, {theirs: public_bytes(KEY)}) == "authority_signer_unknown"


def test_cancellation_and_confirmation_are_signed_too():
    document = signed(Document(example()), KEY)
    ended = cancelled(
        document, KEY, by="Supt A. Example", why="The list was wrong.", at_ns=1_795_000_000 * 10**9
    )
    found = believe(ended, TRUSTED)
    assert found.cancellation is not None
    assert found.cancellation.why == "The list was wrong."
    said = confirmed(document, KEY, by="Supt A. Example", at_ns=1_795_000_000 * 10**9)
    assert believe(parse_document(encode_document(said)), TRUSTED).confirmation is not None

    forged = replace(
        ended, cancellation=replace(ended.cancellation, record=replace(found.cancellation, why="x"))
    )
    assert code_of(believe, forged, TRUSTED) == "authority_altered"
    other = Document(authority(operation="Op OTHER"))
    moved = replace(signed(other, KEY), cancellation=ended.cancellation)
    assert code_of(believe, moved, TRUSTED) == "authority_mixed"
    theirs = cancelled(document, STRANGER, by="nobody", why="mischief", at_ns=0)
    assert code_of(believe, theirs, TRUSTED) == "authority_signer_unknown"


def test_a_signature_of_one_kind_of_record_is_none_of_another():
    record = Cancellation(
        "lfr-edge authority cancellation 1", example().sha256, "2026-11-22T12:00:00Z", "a", "b"
    )
    document = Document(example(), sign(record, KEY), None, SignedCancellation(record, sign(example(), KEY)))
    assert code_of(believe, document, TRUSTED) == "authority_altered"


def test_signing_again_forgets_what_was_said_of_the_old_words():
    ended = cancelled(signed(Document(example()), KEY), KEY, by="a", why="b", at_ns=0)
    assert signed(ended, KEY).cancellation is None


def test_words_that_nobody_could_read_back_are_not_written(tmp_path):
    path = tmp_path / "authority.json"
    write_document(path, signed(Document(example()), KEY))
    before = path.read_bytes()
    long = cancelled(read_document(path), KEY, by="x" * 201, why="y", at_ns=0)
    assert code_of(write_document, path, long) == "authority_invalid"
    assert path.read_bytes() == before


@pytest.mark.parametrize("passphrase", [None, b"three plain words"])
def test_keys_are_files_that_openssl_reads(tmp_path, passphrase):
    import subprocess

    path = tmp_path / "ao.key"
    made = make_key(path, passphrase)
    assert path.stat().st_mode & 0o777 == 0o600
    assert public_bytes(read_private_key(path, passphrase)) == public_bytes(made)
    assert read_public_key(public_path(path)) == public_bytes(made)
    assert code_of(make_key, path, None) == "authority_key_exists"
    message, signature = tmp_path / "message", tmp_path / "signature"
    message.write_bytes(canonical(example()))
    import base64

    signature.write_bytes(base64.b64decode(sign(example(), made).value))
    done = subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public_path(path), "-rawin", "-in", message,
         "-sigfile", signature], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Verified Successfully" in done.stdout, done.stderr


def test_keys_that_are_refused(tmp_path):
    locked, rsa, public = tmp_path / "locked.key", tmp_path / "rsa.key", tmp_path / "public.pem"
    make_key(locked, b"three plain words")
    assert code_of(read_private_key, locked) == "authority_key_locked"
    assert code_of(read_private_key, locked, b"wrong") == "authority_key_locked"
    assert code_of(read_private_key, tmp_path / "none") == "authority_key_unreadable"
    locked.chmod(0o644)
    assert code_of(read_private_key, locked, b"three plain words") == "authority_key_exposed"
    public.write_text("no key")
    assert code_of(read_public_key, public) == "authority_key_unreadable"
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    other = generate_private_key(SECP256R1())
    rsa.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    rsa.chmod(0o600)
    assert code_of(read_private_key, rsa) == "authority_key_unreadable"
    public.write_bytes(other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert code_of(read_public_key, public) == "authority_key_unreadable"


def test_the_digest_is_of_the_canonical_bytes():
    import hashlib

    import rfc8785

    raw = json.loads(json.dumps(asdict(example())))
    assert example().sha256 == hashlib.sha256(rfc8785.dumps(raw)).hexdigest()
