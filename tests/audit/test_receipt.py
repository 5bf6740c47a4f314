from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.audit.receipt import _ALPHABET, code_digest, new_code, read_code
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
