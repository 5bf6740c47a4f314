from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lfr_edge.audit.checkpoint import Checkpoint, Head, sign_head
from lfr_edge.audit.commitment import commit, new_salt, opens, reference
from lfr_edge.audit.erasure import prove_erasure, views_of
from lfr_edge.audit.event import Event
from lfr_edge.audit.merkle import Tree, leaf_hash
from lfr_edge.audit.note import MemorySigner
from lfr_edge.audit.proof import EntryProof, parse_proof, prove_entry
from lfr_edge.audit.view import LogView
from lfr_edge.errors import AuditError

from .conftest import OPERATOR, Box

SIGNER = MemorySigner("van.example/d1", b"s" * 32)


class Source:
    """A tree of `size` numbered entries with a head over `signed` of them."""

    def __init__(self, size: int, signed: int | None) -> None:
        self.tree = Tree()
        for number in range(size):
            self.tree.append(leaf_hash(b"%d" % number))
        head = Head(signed, self.tree.root(signed)) if signed is not None else None
        self.latest: Checkpoint | None = sign_head("van.example/d1", head, SIGNER) if head else None

    def inclusion(self, seq: int, size: int) -> tuple[bytes, ...]:
        return self.tree.inclusion(seq, size)

    def consistency(self, old: int, size: int) -> tuple[bytes, ...]:
        return self.tree.consistency(old, size)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 300), st.data())
def test_proofs_read_back_and_hold(size: int, draw: st.DataObject) -> None:
    seq = draw.draw(st.integers(0, size - 1))
    proof = prove_entry(Source(size, size), seq, b"%d" % seq)
    again = parse_proof(str(proof))
    assert again == proof
    assert again.holds(SIGNER.verifier)
    assert not again.holds(MemorySigner("van.example/d1", b"t" * 32).verifier)
    other = EntryProof(seq, b"another", proof.path, proof.checkpoint)
    assert not other.holds(SIGNER.verifier)


def test_the_exact_text() -> None:
    lines = str(prove_entry(Source(3, 3), 2, b"2")).split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", "extra Mg==", "index 2"]
    assert len(lines[3]) == 44
    assert lines[4:7] == ["", "van.example/d1", "3"]


def test_an_entry_beyond_the_last_head() -> None:
    for source in (Source(5, 4), Source(5, None)):
        with pytest.raises(AuditError) as caught:
            prove_entry(source, 4, b"4")
        assert caught.value.code == "audit_entry_unsigned"
    assert prove_entry(Source(5, 4), 3, b"3").holds(SIGNER.verifier)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2"),
        ("extra ", "other "),
        ("index 2", "index 02"),
        ("index 2", "index x"),
        ("index 2", "2"),
        ("index 2\n", "index 2\nAAAA\n"),
        ("index 2\n", "index 2\n" + ("A" * 43 + "=\n") * 63),
        ("\n\n", "\n"),
        ("extra Mg==\nindex 2", "extra Mg=="),
    ],
)
def test_what_is_not_a_proof(old: str, new: str) -> None:
    raw = str(prove_entry(Source(3, 3), 2, b"2"))
    assert old in raw
    with pytest.raises(AuditError) as caught:
        parse_proof(raw.replace(old, new, 1) if old != "\n\n" else raw.replace(old, new))
    assert caught.value.code == "audit_proof_malformed"


def test_commitments_are_salted_and_open() -> None:
    salt = new_salt()
    assert len(salt) == 32
    assert salt != new_salt()
    made = commit(b"image", salt)
    assert opens(made, b"image", salt)
    assert not opens(made, b"imagf", salt)
    assert not opens(made, b"image", new_salt())
    assert len(made) == 64
    with pytest.raises(ValueError, match="32 bytes"):
        commit(b"image", b"short" * 6)
    # fixed for ever: material of old logs has to open their commitments
    assert commit(b"image", bytes(32)) == "421b68b872f7349ca9aef3f676a1689c0fdced0d03f728c98d3ef0cfcfcdbe7e"
    assert reference(b"k" * 32, "entry-1") == "55089b1762054a484e76"


def test_references_hide_what_they_name() -> None:
    names = {reference(b"k" * 32, f"entry-{number}") for number in range(1000)}
    assert len(names) == 1000
    # A9: with the key destroyed, guessing identifiers under any other key links nothing
    guesses = {reference(b"j" * 32, f"entry-{number}") for number in range(1000)}
    assert not names & guesses
    # control: with the key every one of them is linked again
    assert names == {reference(b"k" * 32, f"entry-{number}") for number in range(1000)}


def test_erasure_is_proved_with_entries_and_an_empty_store(box: Box) -> None:
    log = box.create()
    ref, other = log.reference("alert-1"), log.reference("alert-2")
    log.append(Event("alert.raised", ref=ref, data={"commitment": commit(b"image", new_salt())}))
    log.append(Event("alert.raised", ref=other))
    log.append(Event("alert.decided", OPERATOR, ref))
    log.append(Event("alert.erased", ref=ref, data={"key_destroyed": True}))
    log.checkpoint()
    store = box.root / "material"
    store.mkdir()
    left = store / f"{ref}.sealed"
    left.write_bytes(b"ciphertext")
    (store / f"{other}.sealed").write_bytes(b"ciphertext")
    proof = prove_erasure(views_of(box.folder()), ref, [store])
    assert not proof.gone
    assert proof.left == (str(left),)
    left.unlink()
    proof = prove_erasure(views_of(box.folder()), ref, [store])
    assert proof.gone
    key = log.keys.signer.verifier
    assert proof.first.index == 1
    assert [item.index for item in proof.erased] == [4]
    assert all(parse_proof(str(item)).holds(key) for item in (proof.first, *proof.erased))
    assert proof.to_json()["gone"] is True
    assert not prove_erasure(views_of(box.folder()), other).gone
    for unknown in ("", "nobody"):
        with pytest.raises(AuditError) as caught:
            prove_erasure(views_of(box.folder()), unknown)
        assert caught.value.code == "audit_reference_unknown"
        assert caught.value.message == f"no entry of {box.origin()} has the reference {unknown!r}"


def test_erasure_after_the_end_is_found_in_the_device_log(box: Box) -> None:
    """The pictures outlive the log of their deployment; the box's own log says when they went."""
    log, device = box.create(), box.create("device")
    ref = log.reference("alert-1")
    log.append(Event("alert.raised", ref=ref))
    log.close()
    assert not prove_erasure(views_of(box.root / "audit"), ref).gone
    device.append(Event("alert.erased", ref=ref, data={"origin": log.origin}))
    device.checkpoint()
    proof = prove_erasure(views_of(box.root / "audit"), ref)
    assert proof.gone
    assert (proof.origin, proof.first.index) == (log.origin, 1)
    assert proof.first.holds(log.keys.signer.verifier)
    assert [one.checkpoint.origin for one in proof.erased] == [device.origin]
    assert proof.erased[0].holds(device.keys.signer.verifier)
    with pytest.raises(AuditError) as caught:
        views_of(box.root / "keys")
    assert caught.value.code == "audit_log_unreadable"
    assert caught.value.message.endswith("/keys cannot be read as a log: no log lies there")


def test_views(box: Box) -> None:
    folder = box.closed()
    view = LogView.load(folder)
    assert view.signed is not None
    assert view.signed.size == view.size == 20
    assert [entry.seq for _, entry in view.entries(17)] == [17, 18, 19]
    assert view.inclusion(3, 20) == view.tree.inclusion(3, 20)
    assert view.consistency(3, 20) == view.tree.consistency(3, 20)
    for seq in (-1, 20):
        with pytest.raises(AuditError) as caught:
            view.body(seq)
        assert caught.value.code == "audit_entry_missing"
    (folder / "entries.lfr").write_bytes((folder / "entries.lfr").read_bytes() + b"torn")
    assert LogView.load(folder).size == 20
    (folder / "checkpoints").unlink()
    assert LogView.load(folder).latest is None
    assert LogView.load(folder).signed is None
    (folder / "key.cert").write_bytes(b"\xff")
    with pytest.raises(AuditError) as caught:
        LogView.load(folder)
    assert caught.value.code == "audit_log_unreadable"


def test_a_path_may_have_sixty_three_hashes() -> None:
    """More than a log of 2⁶³ entries has would only cost time."""
    proof = prove_entry(Source(1, 1), 0, b"0")
    for nodes, fits in ((63, True), (64, False)):
        long = str(EntryProof(proof.index, proof.body, (bytes(32),) * nodes, proof.checkpoint))
        if fits:
            assert len(parse_proof(long).path) == nodes
        else:
            with pytest.raises(AuditError) as caught:
                parse_proof(long)
            assert caught.value.code == "audit_proof_malformed"
