"""What is written is what is read: the reader of the standard library is the reference."""

from __future__ import annotations

import datetime
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.setup.toml_text import toml_text

keys = st.text(min_size=1, max_size=8)
plain = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=20),
)
values = st.recursive(
    plain | st.lists(plain, max_size=3),
    lambda inner: (
        st.dictionaries(keys, inner, max_size=3)
        | st.lists(st.dictionaries(keys, inner, max_size=3), min_size=1, max_size=2)
    ),
    max_leaves=8,
)


@given(st.dictionaries(keys.filter(lambda k: k.isprintable()), values, max_size=4))
def test_what_is_written_is_read(table):
    assert tomllib.loads(toml_text(table)) == table


def test_it_reads_well():
    text = toml_text(
        {"site": 'Van "7"', "models": {"threads": 2, "none": None}, "cameras": [{"id": "a"}, {"id": "b"}]}
    )
    assert text == (
        'site = "Van \\"7\\""\n\n[models]\nthreads = 2\n\n[[cameras]]\nid = "a"\n\n[[cameras]]\nid = "b"\n'
    )


@pytest.mark.parametrize("value", [object(), datetime.date(2026, 1, 1), float("inf"), {"a": [{}, 1]}])
def test_what_a_configuration_cannot_hold_is_refused(value):
    with pytest.raises(TypeError):
        toml_text({"x": value} if not isinstance(value, dict) else value)
