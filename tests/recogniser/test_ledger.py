"""processed = erased + retained, and the proof that a missing template is noticed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.errors import RecogniserError
from lfr_edge.recogniser.ledger import Ledger


@given(passages=st.lists(st.tuples(st.integers(1, 9), st.booleans(), st.booleans())))
def test_every_reading_balances(passages: list[tuple[int, bool, bool]]) -> None:
    ledger, held = Ledger(), 0
    for looks, alerted, over in passages:
        ledger.looked(faces=looks)
        ledger.embedded(looks)
        held += looks
        assert ledger.read(held).processed == ledger.read(held).erased + ledger.read(held).retained
        if over:
            ledger.retained(int(alerted))
            ledger.erased(looks - int(alerted))
            held -= looks
        reading = ledger.read(held)
        assert reading.processed == reading.erased + reading.retained
        assert reading.probes == reading.processed + held


@pytest.mark.parametrize("fault", ["never erased", "erased twice", "slot forgotten"])
def test_a_template_unaccounted_for_stops_everything(fault: str) -> None:
    ledger = Ledger()
    ledger.embedded(3)
    if fault == "erased twice":
        ledger.erased(4)
    elif fault == "slot forgotten":
        ledger.erased(1)
    held = {"never erased": 0, "erased twice": 0, "slot forgotten": 1}[fault]
    with pytest.raises(RecogniserError) as caught:
        ledger.read(held)
    assert caught.value.code == "recogniser_ledger"


def test_a_reading_is_plain_numbers() -> None:
    assert set(Ledger().read(0).to_json()) == {
        "frames", "faces", "probes", "held", "processed", "erased", "retained", "explained",
    }  # fmt: skip
