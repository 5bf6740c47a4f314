"""One entry of the log: an event, its place and its time, as canonical JSON (RFC 8785).

CPython's own encoder gives the canonical bytes for this subset (ASCII keys, 53-bit integers, no floats), ten times
faster than the reference canonicaliser (``rfc8785``). Tests hold the two to each other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NoReturn, TypeAlias, cast

from lfr_edge.audit.event import INTEGER_MAX, PROCESSING, Actor, Event, Verb, check_event
from lfr_edge.errors import AuditError
from lfr_edge.sentences import say

FORMAT: Final = 1
ENTRY_MAX_BYTES: Final = 16 * 1024
NESTED_MAX: Final = 32  # levels, `d` the first: the same for every reader, whatever its stack holds
MONO_WRAP: Final = 2**53  # t_mono_ns is kept modulo this, or a box that is up for 104 days could not write
_FIELDS: Final = frozenset(
    {"v", "dep", "seq", "boot_id", "t_wall", "t_mono_ns", "t_src", "ev", "actor", "ref", "d", "why"}
)
_ACTOR_FIELDS: Final = frozenset({"account", "role", "session"})
_TEXTS: Final = itemgetter("dep", "boot_id", "t_src", "ev", "ref", "why")
_COUNTS: Final = itemgetter("seq", "t_wall", "t_mono_ns")
_ACTOR: Final = itemgetter("account", "role", "session")
Encode: TypeAlias = Callable[[object, int], Iterable[str]]  # of a value at a depth


@dataclass(frozen=True, slots=True)
class Entry:
    """One record. `dep` is the origin of the log; `seq` counts from 0 and is the leaf's index."""

    dep: str
    seq: int
    boot_id: str
    t_wall_us: int  # microseconds since 1970-01-01 UTC, as the box believed
    t_mono_ns: int  # nanoseconds of the monotonic clock, modulo 2⁵³
    t_src: str  # what set the wall clock: ntp, gps, rtc …
    event: Event

    def as_json(self) -> dict[str, object]:
        event = self.event
        return {
            "v": FORMAT,
            "dep": self.dep,
            "seq": self.seq,
            "boot_id": self.boot_id,
            "t_wall": self.t_wall_us,
            "t_mono_ns": self.t_mono_ns,
            "t_src": self.t_src,
            "ev": event.ev,
            "actor": {
                "account": event.actor.account,
                "role": event.actor.role,
                "session": event.actor.session,
            },
            "ref": event.ref,
            "d": event.data,
            "why": event.why,
        }

    def encode(self) -> bytes:
        """The canonical bytes that the leaf hash covers.

        Raises:
            AuditError: ``audit_event_invalid`` or ``audit_entry_too_large``.
        """
        draft = Draft.of(self.dep, self.boot_id, self.event)
        return draft.encode(self.seq, self.t_mono_ns, canonical(self.t_src), self.t_wall_us)


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry but for its number and its time: what can be checked and written out before its turn comes."""

    before: str  # canonical JSON up to seq
    after: str  # and from t_wall on

    @classmethod
    def of(cls, dep: str, boot_id: str, event: Event) -> Draft:
        """Raises: AuditError: ``audit_event_invalid``."""
        check_event(event)
        actor = event.actor
        front = {
            "actor": {"account": actor.account, "role": actor.role, "session": actor.session},
            "boot_id": boot_id,
            "d": event.data,
            "dep": dep,
            "ev": event.ev,
            "ref": event.ref,
        }
        return cls(
            f'{canonical(front)[:-1]},"seq":',
            f',"v":{FORMAT},"why":{canonical(event.why)}}}',
        )

    def encode(self, seq: int, t_mono_ns: int, t_src: str, t_wall_us: int) -> bytes:
        """`t_src` is canonical JSON. Raises: AuditError: ``audit_entry_too_large``."""
        times = f'{seq},"t_mono_ns":{t_mono_ns},"t_src":{t_src},"t_wall":{t_wall_us}'
        body = f"{self.before}{times}{self.after}".encode()
        if len(body) > ENTRY_MAX_BYTES:
            raise AuditError(
                "audit_entry_too_large",
                say(
                    "an entry of {body_count} bytes exceeds {entry_max_bytes}",
                    body_count=len(body),
                    entry_max_bytes=ENTRY_MAX_BYTES,
                ),
                hint="record a count or a commitment instead of the thing itself",
            )
        return body


def canonical(value: object) -> str:
    """RFC 8785 of what :func:`~lfr_edge.audit.event.check_event` lets through."""
    return "".join(_ENCODE(value, 0))


def parse_entry(body: bytes) -> Entry:
    """Read an entry and insist that its bytes are the canonical ones.

    Raises:
        AuditError: ``audit_entry_malformed``.
    """
    if len(body) > ENTRY_MAX_BYTES:
        raise _malformed("longer than 16 KiB")
    try:
        raw, _ = _DECODER.raw_decode(body.decode())
        if canonical(raw).encode() != body:  # which also says that nothing follows
            raise _malformed("the bytes are not canonical JSON")
    except (ValueError, RecursionError) as error:
        raise _malformed(str(error)) from None
    if type(raw) is not dict or raw.keys() != _FIELDS or raw["v"] != FORMAT or raw["v"] is True:
        raise _malformed("not an entry of format 1")
    actor, data = raw["actor"], raw["d"]
    dep, boot_id, t_src, ev, ref, why = _TEXTS(raw)
    seq, t_wall_us, t_mono_ns = _COUNTS(raw)
    if (
        not type(dep) is type(boot_id) is type(t_src) is type(ev) is type(ref) is type(why) is str
        or not type(seq) is type(t_wall_us) is type(t_mono_ns) is int
        or not (0 <= seq <= INTEGER_MAX and 0 <= t_wall_us <= INTEGER_MAX and 0 <= t_mono_ns <= INTEGER_MAX)
        or type(data) is not dict
        or type(actor) is not dict
        or actor.keys() != _ACTOR_FIELDS
    ):
        raise _malformed("a field has the wrong type")
    account, role, session = _ACTOR(actor)
    if not type(account) is type(role) is type(session) is str:
        raise _malformed("a field has the wrong type")
    if not _fits(data):
        raise _malformed("an integer that does not fit in 53 bits, or too many levels")
    if ev not in PROCESSING:
        raise _malformed("an unknown verb")
    event = Event(cast(Verb, ev), _actor(account, role, session), ref, cast(dict[str, Any], data), why)
    return Entry(dep, seq, boot_id, t_wall_us, t_mono_ns, t_src, event)


@lru_cache(256)
def _actor(account: str, role: str, session: str) -> Actor:
    """The same few people, and the system, in every entry."""
    return Actor(account, role, session)


def _fits(data: object) -> bool:
    """Whether it is no deeper than allowed and every integer in it is one that other readers do not round."""
    level = [data]
    for _ in range(NESTED_MAX):
        inner: list[object] = []
        for value in level:
            if type(value) is int:
                if not -INTEGER_MAX <= value <= INTEGER_MAX:
                    return False
            elif type(value) is dict:
                inner += value.values()
            elif type(value) is list:
                inner += value
        if not inner:
            return True
        level = inner
    return False


def _no_float(text: str) -> NoReturn:
    raise ValueError(f"a number that is not an integer: {text[:20]}")


def _encoder(make: Callable[..., Encode] | None) -> Encode:
    """`make` is what CPython's encoder makes anew for each value, which costs as much as a value does."""
    if make is None:  # another Python
        plain = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return lambda value, _: (plain.encode(value),)
    return make(None, None, json.encoder.encode_basestring, None, ":", ",", True, False, False)


_DECODER: Final = json.JSONDecoder(parse_float=_no_float, parse_constant=_no_float)
_ENCODE: Final = _encoder(getattr(json.encoder, "c_make_encoder", None))


def _malformed(reason: str) -> AuditError:
    return AuditError("audit_entry_malformed", say("an entry cannot be read: {reason}", reason=reason))
