from __future__ import annotations

import argparse
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.audit.commands import add_commands
from lfr_edge.audit.event import Actor, Event
from lfr_edge.audit.keys import FileKeyStore, deployment_keys, device_keys
from lfr_edge.audit.log import AuditLog
from lfr_edge.audit.receipt import _ALPHABET, code_digest, new_code, read_code
from lfr_edge.clock import SystemClock
from lfr_edge.errors import AuditError

CODES = st.builds(lambda _: new_code(), st.integers())


def test_codes_differ_and_are_grouped():
    codes = {new_code() for _ in range(500)}
    assert len(codes) == 500
    assert all(len(code) == 14 and code.count("-") == 2 for code in codes)
    assert len({code_digest(code) for code in codes}) == 500


@given(CODES, st.sampled_from(["-", " ", "", " – "]), st.booleans())
def test_what_a_person_types_is_read(code, between, low):
    typed = code.replace("-", between)
    assert read_code(typed.lower() if low else typed) == code
    assert read_code(typed.replace("0", "O").replace("1", "l")) == code


@given(CODES, st.integers(0, 11), st.sampled_from(_ALPHABET))
def test_every_wrong_character_is_found(code, at, other):
    plain = code.replace("-", "")
    wrong = plain[:at] + other + plain[at + 1 :]
    if wrong == plain:
        assert read_code(wrong) == code
    else:
        with pytest.raises(AuditError) as caught:
            read_code(wrong)
        assert caught.value.code == "audit_receipt_mistyped"


@pytest.mark.parametrize("typed", ["", "K7QM", "K7QM-2XRD-9FTAA", "K7QM-2XRD-9FT*", "ж" * 12])
def test_what_is_no_code_is_refused(typed):
    with pytest.raises(AuditError):
        read_code(typed)


@pytest.fixture
def box(tmp_path):
    """Two deployments; the receipt was issued in the second."""
    code, clock, store = new_code(), SystemClock(), FileKeyStore(tmp_path / "keys")
    device = device_keys(store, "van-3.force.example/device", clock)
    for number in (1, 2):
        origin = f"van-3.force.example/2026-11-22-{number}"
        keys = deployment_keys(store, device, origin, clock)
        log = AuditLog.create(tmp_path / "logs" / f"2026-11-22-{number}", origin, keys, clock)
        for ref in ("aa" * 16, "bb" * 16):
            log.append(Event("alert.raised", ref=ref, data={"number": 1, "camera": "north"}))
            log.append(
                Event("alert.decided", Actor("miller", "operator"), ref, {"number": 1, "result": "referred"})
            )
        if number == 2:
            data = {"number": 1, "code_sha256": code_digest(code)}
            log.append(Event("receipt.issued", Actor("baker", "engagement_officer"), "bb" * 16, data))
            log.append(Event("alert.outcome", Actor("baker", "engagement_officer"), "bb" * 16, {"number": 1}))
        log.close()
    return tmp_path / "logs", code


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["receipt", *words])
    return int(arguments.run(arguments))


def test_the_code_leads_to_the_whole_record_and_to_nothing_else(box, capsys):
    logs, code = box
    assert run(code.lower().replace("-", " "), str(logs)) == 2, "intact, but no anchor outside the box"
    told = capsys.readouterr().out
    assert [line.split()[2] for line in told.splitlines()[1:]] == [
        "alert.raised", "alert.decided", "receipt.issued", "alert.outcome",
    ]  # fmt: skip
    assert "baker" in told
    assert "“" not in told, "nobody gave a reason"
    assert run(code, str(logs / "2026-11-22-2"), "--json") == 2
    entries = json.loads(capsys.readouterr().out)["entries"]
    assert {entry["ref"] for entry in entries} == {"bb" * 16}
    assert code not in json.dumps(entries), "the record holds the digest only"


def test_a_receipt_that_was_not_issued_here_is_not_found(box, tmp_path):
    logs, code = box
    for words, wrong in (
        ((new_code(), str(logs)), "audit_receipt_unknown"),
        ((code, str(logs / "2026-11-22-1")), "audit_receipt_unknown"),
        (("K7QM", str(logs)), "audit_receipt_mistyped"),
        ((code, str(tmp_path / "nothing")), "audit_log_missing"),
    ):
        with pytest.raises(AuditError) as caught:
            run(*words)
        assert caught.value.code == wrong
        assert caught.value.exit_code == 3


def test_in_an_altered_log_it_is_found_and_said_so(box):
    logs, code = box
    file = logs / "2026-11-22-2" / "entries.lfr"
    raw = bytearray(file.read_bytes())
    at = raw.index(b"miller")
    raw[at] ^= 1
    file.write_bytes(raw)
    assert run(code, str(logs / "2026-11-22-2")) == 1


def test_reasons_are_shown_as_they_were_written(tmp_path, capsys):
    code = new_code()
    store, clock = FileKeyStore(tmp_path / "keys"), SystemClock()
    device = device_keys(store, "van.example/3/device", clock)
    keys = deployment_keys(store, device, "van.example/3/d1", clock)
    log = AuditLog.create(tmp_path / "d1", "van.example/3/d1", keys, clock)
    data = {"number": 1, "code_sha256": code_digest(code)}
    log.append(Event("receipt.issued", Actor("baker", "engagement_officer"), "bb" * 16, data, "asked – Süd"))
    log.close()
    assert run(code, str(tmp_path / "d1")) == 2
    assert "“asked – Süd”" in capsys.readouterr().out
    assert run(code, str(tmp_path / "d1"), "--json") == 2
    said = capsys.readouterr().out
    assert "asked – Süd" in said
    told = json.loads(said)
    assert (told["code"], told["log"], told["verdict"]) == (code, str(tmp_path / "d1"), "qualified")
    assert [entry["why"] for entry in told["entries"]] == ["asked – Süd"]
