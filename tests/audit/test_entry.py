import json
import re
from typing import Any, get_args

import pytest
import rfc8785
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lfr_edge.audit.entry import Entry, _encoder, canonical, parse_entry
from lfr_edge.audit.event import (
    INTEGER_MAX,
    PROCESSING,
    REFUSED_WHEN_FULL,
    SIGNED_AT_ONCE,
    TWO_PERSONS,
    Actor,
    Event,
    Verb,
    _check_thoroughly,
    _is_plain,
    check_event,
)
from lfr_edge.errors import AuditError

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
key = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=12)
value = st.recursive(
    st.integers(-INTEGER_MAX, INTEGER_MAX) | text | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(key, inner, max_size=4),
    max_leaves=12,
)
entries = st.builds(
    Entry,
    text,
    st.integers(0, 10**9),
    text,
    st.integers(0, INTEGER_MAX),
    st.integers(0, INTEGER_MAX),
    text,
    st.builds(
        Event,
        st.sampled_from(get_args(Verb)),
        st.builds(Actor, text, text, text),
        text,
        st.dictionaries(key, value, max_size=5),
        text,
    ),
)


def entry(**changes: Any) -> Entry:
    event = Event(**{"ev": "camera.lost", **changes})
    return Entry("van/d1", 7, "boot", 1_795_000_000_000_000, 5, "ntp", event)


def body(**changes: object) -> bytes:
    """An entry's JSON with fields exchanged; None removes one."""
    raw = json.loads(entry().encode())
    for name, new in changes.items():
        raw[name] = new
        if new is None:
            del raw[name]
    return json.dumps(raw, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@settings(suppress_health_check=[HealthCheck.too_slow])  # of a shared machine, not of the strategy
@given(entries)
def test_writer_and_reader_agree(entry: Entry) -> None:
    try:
        encoded = entry.encode()
    except AuditError:
        assume(False)  # nested too deeply; what is refused has its own tests
    assert parse_entry(encoded) == entry
    assert encoded == rfc8785.dumps(entry.as_json())


@given(value)
def test_the_fast_canonical_form_is_rfc_8785(data: object) -> None:
    fast = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert fast == rfc8785.dumps(data)


def test_the_exact_bytes() -> None:
    event = Event(
        "alert.decided", Actor("op.1", "operator", "s1"), "ab12", {"z": True, "a": [1, {"k": "é"}]}, "w"
    )
    encoded = Entry("van/d1", 7, "b", 1_795_000_000_000_000, 5, "ntp", event).encode()
    assert encoded.decode() == (
        '{"actor":{"account":"op.1","role":"operator","session":"s1"},"boot_id":"b",'
        '"d":{"a":[1,{"k":"é"}],"z":true},"dep":"van/d1","ev":"alert.decided","ref":"ab12","seq":7,'
        '"t_mono_ns":5,"t_src":"ntp","t_wall":1795000000000000,"v":1,"why":"w"}'
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": {"score": 0.5}}, "d.score is a float"),
        ({"data": {"score": float("nan")}}, "is a float"),
        ({"data": {"image": b"\xff\xd8"}}, "d.image is a bytes"),
        ({"data": {"none": None}}, "d.none is a NoneType"),
        ({"data": {"template": [1] * 128}}, "more than 100 items"),
        ({"data": {"base64": "A" * 2732}}, "more than 1024 characters"),
        ({"data": {"big": 2**53}}, "does not fit in 53 bits"),
        ({"data": {"ké": 1}}, "visible ASCII"),
        ({"data": {1: 1}}, "visible ASCII"),
        ({"data": {"lone": "\ud800"}}, "not valid Unicode"),
        ({"data": {"deep": [[[[[[[1]]]]]]]}}, "nested deeper"),
        ({"data": [1]}, "not a dict"),
        ({"ev": "face.tracked"}, "not a verb"),
        ({"why": 5}, "why is a int, not a str"),
        ({"actor": Actor("a", None)}, "actor.role is a NoneType"),  # type: ignore[arg-type]
    ],
)
def test_what_may_not_enter(change: dict[str, Any], message: str) -> None:
    with pytest.raises(AuditError, match=message) as caught:
        entry(**change).encode()
    assert caught.value.code == "audit_event_invalid"
    # whatever was refused is not repeated in the error
    assert "AAAA" not in caught.value.diagnostics()


def test_limits_themselves_are_allowed() -> None:
    assert INTEGER_MAX == 9_007_199_254_740_991  # RFC 7493: the integers that every JSON reader agrees on
    check_event(
        Event("camera.lost", data={"n": -INTEGER_MAX, "m": INTEGER_MAX, "l": [1] * 100, "s": "x" * 1024})
    )
    check_event(Event("camera.lost", data={"deep": [[[[[1]]]]]}))


def test_an_entry_has_at_most_16_kib() -> None:
    data = {f"k{number}": "x" * 1000 for number in range(17)}
    with pytest.raises(AuditError) as caught:
        entry(data=data).encode()
    assert caught.value.code == "audit_entry_too_large"
    with pytest.raises(AuditError, match="16 KiB"):
        parse_entry(b" " * 16_385)
    room = 16 * 1024 - len(entry(data={"a": ["x" * 1024] * 15, "b": ""}).encode())
    exact = entry(data={"a": ["x" * 1024] * 15, "b": "y" * room}).encode()
    assert len(exact) == 16 * 1024
    assert parse_entry(exact).event.data["b"] == "y" * room


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "Expecting value"),
        (b"\xff", "invalid start byte"),
        (b"[" * 8000, "recursion"),
        (b"[]", "not an entry"),
        (body().replace(b",", b", ", 1), "not canonical"),
        (body() + b" ", "not canonical"),
        (body(v=2), "format 1"),
        (body(v=True), "format 1"),
        (body(extra=1), "format 1"),
        (body(why=None), "format 1"),
        (body(seq="7"), "wrong type"),
        (body(seq=-1), "wrong type"),
        (body(seq=True), "wrong type"),
        (body(ref=1), "wrong type"),
        (body(d=[]), "wrong type"),
        (body(actor=[]), "wrong type"),
        (body(actor={"account": "a"}), "wrong type"),
        (body(actor={"account": "a", "role": 1, "session": ""}), "wrong type"),
        (body(ev="face.tracked"), "unknown verb"),
        (body(d={"x": 0.5}), "not an integer"),
        (body(d={"x": 1e30}), "not an integer"),
        (body(d={"x": 2**53}), "53 bits"),
        (body(d={"x": -(2**53)}), "53 bits"),
        (body(d={"x": 10**4000}), "53 bits"),
        (body().replace(b'"d":{}', b'"d":{"x":' + b"9" * 9000 + b"}"), "integer string conversion"),
        (body().replace(b'"d":{}', b'"d":{"x":NaN}'), "not an integer"),
        (body().replace(b'"d":{}', b'"d":{"x":1,"x":1}'), "not canonical"),
        (body().replace(b'"d":{}', b'"d":{"x":"\\u0041"}'), "not canonical"),
    ],
)
def test_what_is_not_an_entry(raw: bytes, message: str) -> None:
    with pytest.raises(AuditError, match=message) as caught:
        parse_entry(raw)
    assert caught.value.code == "audit_entry_malformed"


def test_extreme_integers_are_read_back() -> None:
    raw = body(d={"x": INTEGER_MAX, "y": -INTEGER_MAX})
    assert parse_entry(raw).event.data == {"x": INTEGER_MAX, "y": -INTEGER_MAX}


def test_every_verb_has_a_class_of_processing() -> None:
    assert set(get_args(Verb)) == set(PROCESSING)
    assert set(PROCESSING) >= SIGNED_AT_ONCE | REFUSED_WHEN_FULL | TWO_PERSONS
    # DPA 2018 s62(1): each of the six kinds of processing can be recorded
    assert {"collection", "alteration", "consultation", "disclosure", "combination", "erasure"} <= set(
        PROCESSING.values()
    )


@pytest.mark.parametrize("field", ["actor.account", "actor.role", "actor.session", "ref", "why", "d.a"])
def test_what_is_refused_is_named(field: str) -> None:
    wrong: Any = 7
    event = {
        "actor.account": Event("camera.lost", Actor(wrong, "r", "s")),
        "actor.role": Event("camera.lost", Actor("a", wrong, "s")),
        "actor.session": Event("camera.lost", Actor("a", "r", wrong)),
        "ref": Event("camera.lost", ref=wrong),
        "why": Event("camera.lost", why=wrong),
        "d.a": Event("camera.lost", data={"a": 1.5}),
    }[field]
    with pytest.raises(AuditError, match=f"^{re.escape(field)} is a "):
        check_event(event)


def plainly(raw: bytes) -> Entry | None:
    """What :func:`parse_entry` says, step by step and without its short cuts; None where it refuses."""

    def integer(text: str) -> int:
        if abs(int(text)) > INTEGER_MAX:
            raise ValueError(text)
        return int(text)

    def no_float(text: str) -> float:
        raise ValueError(text)

    try:
        data = json.loads(raw.decode(), parse_int=integer, parse_float=no_float, parse_constant=no_float)
        again = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    texts, counts = ("dep", "boot_id", "t_src", "ev", "ref", "why"), ("seq", "t_wall", "t_mono_ns")
    if again != raw or len(raw) > 16_384 or type(data) is not dict:
        return None
    actor, members = data.get("actor"), {"v", "actor", "d", *texts, *counts}
    if (
        data.keys() != members
        or type(data["v"]) is not int
        or data["v"] != 1
        or any(type(data[name]) is not str for name in texts)
        or any(type(data[name]) is not int or data[name] < 0 for name in counts)
        or type(actor) is not dict
        or type(data["d"]) is not dict
        or actor.keys() != {"account", "role", "session"}
        or any(type(item) is not str for item in actor.values())
        or data["ev"] not in PROCESSING
        or levels(data["d"]) > 32
    ):
        return None
    actor = Actor(actor["account"], actor["role"], actor["session"])
    event = Event(data["ev"], actor, data["ref"], data["d"], data["why"])
    return Entry(
        data["dep"], data["seq"], data["boot_id"], data["t_wall"], data["t_mono_ns"], data["t_src"], event
    )


def levels(value: object) -> int:
    items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return 1 + max(map(levels, items), default=0)


def swiftly(raw: bytes) -> Entry | None:
    try:
        return parse_entry(raw)
    except AuditError:
        return None


PIECES = st.sampled_from(
    [
        b"",
        b"0",
        b"-",
        b'"',
        b"1.0",
        b"null",
        b"true",
        b" ",
        b"{}",
        b"[",
        b"]",
        b",",
        b"\\u0041",
        b"\xc3",
        b"9" * 16,
    ]
) | st.binary(max_size=3)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(entries, st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 4), PIECES), max_size=2))
def test_the_fast_reader_says_what_the_plain_one_says(
    entry: Entry, edits: list[tuple[int, int, bytes]]
) -> None:
    try:
        raw = entry.encode()
    except AuditError:
        assume(False)
    for start, length, new in edits:
        start %= len(raw) + 1
        raw = raw[:start] + new + raw[start + length :]
    assert swiftly(raw) == plainly(raw)
    if not edits:
        assert swiftly(raw) == entry


def anything(leaf: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.recursive(leaf, lambda inner: st.lists(inner) | st.dictionaries(key, inner), max_leaves=4)


ODD = st.sampled_from(
    [
        0,
        1,
        -1,
        True,
        None,
        1.0,
        2**53 - 1,
        2**53,
        -(2**53),
        10**30,
        "",
        "camera.lost",
        [],
        {},
        [2**53],
        {"a": [1]},
    ]
)


@given(st.dictionaries(st.sampled_from([*json.loads(entry().encode()), "z"]), anything(ODD), max_size=3))
def test_the_fast_reader_is_as_strict_about_members(changes: dict[str, object]) -> None:
    raw = json.loads(entry().encode()) | changes
    encoded = json.dumps(raw, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert swiftly(encoded) == plainly(encoded)


@pytest.mark.parametrize("levels", [31, 32, 33, 400, 900, 7_000])
def test_how_deep_an_entry_may_be(levels: int) -> None:
    """`d` is the first level; the same answer whatever the stack of the reader holds."""
    for inner in (b"", b"7"):
        deep = b"[" * (levels - 1 - len(inner)) + inner + b"]" * (levels - 1 - len(inner))
        raw = entry().encode().replace(b'"d":{}', b'"d":{"a":' + deep + b"}")
        assert (swiftly(raw) is None) is (levels > 32)


def test_another_pythons_encoder_writes_the_same() -> None:
    for one in (entry().as_json(), "é\u2028\x1f", -5, [True, {"b": 1, "a": []}]):
        assert "".join(_encoder(None)(one, 0)) == canonical(one)


NEARLY = st.sampled_from(
    [0, True, 2**53 - 1, 2**53, -(2**53), 1.5, None, "", "a" * 1024, "a" * 1025, "é", "\ud800", b""]
)


@given(
    st.tuples(*[NEARLY | text] * 5),
    st.sampled_from(["camera.lost", "alert.raised", "no.verb"]),
    st.dictionaries(
        st.sampled_from(["n", "a b", "", "k" * 64, "k" * 65, 7, "é"]), NEARLY | st.just([1]), max_size=3
    )
    | st.just([]),
)
def test_the_quick_look_at_an_event_lets_nothing_through(texts: Any, verb: Any, data: Any) -> None:
    event = Event(verb, Actor(*texts[:3]), texts[3], data, texts[4])
    assert not _is_plain(event) or _check_thoroughly(event) is None


def test_the_quick_look_at_an_event_is_enough_for_most() -> None:
    plain = Event(
        "alert.raised", ref="ab", data={"score_e4": 1, "camera": "gate", "drill": False}, why="w" * 1024
    )
    assert _is_plain(plain)
    assert not _is_plain(Event("alert.raised", why="é"))
    assert not _is_plain(Event("alert.raised", data={"list": []}))
