import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.audit.checkpoint import Head, parse_checkpoint, parse_checkpoints, sign_head
from lfr_edge.audit.note import (
    LOG_KEY,
    WITNESS_KEY,
    MemorySigner,
    Note,
    Signature,
    VerifierKey,
    decode64,
    encode64,
    is_key_name,
    parse_note,
    parse_signature,
    read_key_file,
    sign_note,
)
from lfr_edge.errors import AuditError

SIGNER = MemorySigner("van.example/d1", b"s" * 32)


def fails(call: object, *arguments: object) -> str:
    with pytest.raises(AuditError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.code


def test_the_published_example_verifies() -> None:
    """The note in the documentation of Go's sumdb/note."""
    key = VerifierKey.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    note = parse_note(
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
        "\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
        "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
    )
    assert note.signed_by(key)
    assert [signature.name for signature in note.signatures] == ["PeterNeumann", "EnochRoot"]
    assert key.text == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


@given(st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs", "Cc"]), min_size=1))
def test_notes_read_back(text: str) -> None:
    note = sign_note(text + "\n", SIGNER)
    assert parse_note(str(note)) == note
    assert note.signed_by(SIGNER.verifier)
    assert not note.signed_by(MemorySigner("van.example/d1", b"t" * 32).verifier)
    assert not note.signed_by(MemorySigner("van.example/d2", b"s" * 32).verifier)


def test_a_signature_that_lies_about_its_key() -> None:
    note = sign_note("text\n", SIGNER)
    (signature,) = note.signatures
    false = Note("other text\n", (signature,))
    assert fails(false.signed_by, SIGNER.verifier) == "audit_signature_wrong"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "text\n",
        "\n\n— a AAAAAAAA\n",
        "text\n\n— a AAAAAAAA",
        "text\n\n- a AAAAAAAA\n",
        "text\n\n— a\n",
        "text\n\n— a AAAA\n",
        "text\n\n— a AAAAAAA\n",
        "text\n\n— a+b AAAAAAAA\n",
        "text\n\n—  AAAAAAAA\n",
        "te\txt\n\n— a AAAAAAAA\n",
        "text\r\n\n— a AAAAAAAA\n",
        "text\n\n" + "— a AAAAAAAA\n" * 65,
        "t" * 65_536 + "\n\n— a AAAAAAAA\n",
    ],
)
def test_what_is_not_a_note(raw: str) -> None:
    assert fails(parse_note, raw) == "audit_note_malformed"


def test_limits_of_notes_themselves() -> None:
    assert len(parse_note("text\n\n" + "— a AAAAAAAA\n" * 64).signatures) == 64
    front = "\n\n— a AAAAAAAA\n"
    whole = "t" * (65_536 - len(front)) + front
    assert parse_note(whole).text.startswith("ttt")
    assert fails(parse_note, "t" + whole) == "audit_note_malformed"
    assert parse_signature("— a AAAAAAA=") == Signature("a", bytes(4), b"\x00")


def test_base64_is_strict() -> None:
    assert decode64("AAE=") == b"\x00\x01"
    for text in ("AAF=", "AAE", "AAE=\n", "AAE==", "AA E=", "é", "-_8="):
        assert decode64(text) == b"", text
    assert encode64(b"\xfb\xff") == "+/8="


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000",
        "name+00000000+",
        "name+00000000+AAAA",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TX",
        "a+00000000+" + base64.b64encode(b"\x02" + bytes(32)).decode(),
        "a+00000000+" + base64.b64encode(b"\x01" + bytes(31)).decode(),
    ],
)
def test_what_is_not_a_key(text: str) -> None:
    assert fails(VerifierKey.parse, text) == "audit_key_invalid"


def test_names_of_keys() -> None:
    assert is_key_name("van.example/3/d1")
    for name in ("", "a b", "a+b", "a\u00a0b", "a\nb", "a\x00"):
        assert not is_key_name(name)
        assert fails(VerifierKey, name, LOG_KEY, bytes(32)) == "audit_key_invalid"
    assert (
        MemorySigner("w", bytes(32), WITNESS_KEY).verifier.key_id
        != MemorySigner("w", bytes(32)).verifier.key_id
    )


def test_a_forgotten_key_signs_nothing() -> None:
    signer = MemorySigner("van.example/d1", b"s" * 32)
    signer.forget()
    assert fails(signer.sign, b"text") == "audit_key_destroyed"


def test_key_files(tmp_path: Path) -> None:
    folder = tmp_path
    (folder / "key").write_text(SIGNER.verifier.text + "\n")
    assert read_key_file(folder / "key", LOG_KEY) == SIGNER.verifier
    (folder / "binary").write_bytes(b"\xff")
    assert fails(read_key_file, folder / "binary", LOG_KEY) == "audit_file_unreadable"
    assert fails(read_key_file, folder / "absent", LOG_KEY) == "audit_file_unreadable"


def test_checkpoints_read_back() -> None:
    checkpoint = sign_head("van.example/d1", Head(7, b"r" * 32), SIGNER)
    assert parse_checkpoint(str(checkpoint)) == checkpoint
    assert checkpoint.note.text == "van.example/d1\n7\n" + encode64(b"r" * 32) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        "o\n7\n",
        "o\n7\nAAAA\n",
        "o\n07\n{root}\n",
        "o\n-1\n{root}\n",
        "\n7\n{root}\n",
        "o\n7\n{root}\nmore\n",
        "o\nx\n{root}\n",
        "o\n99999999999999999\n{root}\n",
    ],
)
def test_what_is_not_a_checkpoint(text: str) -> None:
    raw = str(sign_note(text.replace("{root}", encode64(b"r" * 32)), SIGNER))
    assert fails(parse_checkpoint, raw) in {"audit_checkpoint_malformed", "audit_note_malformed"}


def test_files_of_checkpoints() -> None:
    notes = [f"{sign_head('van.example/d1', Head(size, b'r' * 32), SIGNER)}\n".encode() for size in (0, 3)]
    whole = b"".join(notes)
    read = parse_checkpoints(whole)
    assert [item.head.size for item in read.whole] == [0, 3]
    assert (read.end, read.rest, read.reason) == (len(whole), b"", "")
    cut = parse_checkpoints(whole[:-1])
    assert (len(cut.whole), cut.end, cut.rest) == (1, len(notes[0]), notes[1][:-1])
    assert cut.reason == "the last checkpoint is cut short"
    assert parse_checkpoints(b"no blank line").reason == "the last checkpoint is cut short"
    bad = parse_checkpoints(notes[0] + b"\xff\n\n\xff\n\n" + notes[1])
    assert (len(bad.whole), bad.end) == (1, len(notes[0]))
    assert "utf-8" in bad.reason


def test_a_text_may_have_blank_lines() -> None:
    """The signatures follow the last one (C2SP signed-note)."""
    note = sign_note("a\n\nb\n", SIGNER)
    assert parse_note(str(note)) == note
