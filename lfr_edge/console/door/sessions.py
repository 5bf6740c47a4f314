"""Sessions live in the server's memory under the hash of their id; a restart signs everybody out."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Final

from lfr_edge.alerts.record import Actor
from lfr_edge.clock import Clock
from lfr_edge.console.door.accounts import Account, Accounts, Role

_SECOND_NS: Final = 1_000_000_000
TRIES_A_MINUTE: Final = 10
_WINDOW_NS: Final = 60 * _SECOND_NS
_TRACKED_KEYS: Final = 10_000  # a flood of made-up names must not grow memory without end


@dataclass(slots=True)
class Session:
    """One sign-in. `ended` is set once, and everything that serves this session stops on it."""

    account: str
    role: Role
    digest: str  # SHA-256 of the id; the id itself is only in the browser
    generation: int
    opened_ns: int
    used_ns: int
    authenticated_ns: int  # when this person last proved who they are: at the sign-in, or since
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def actor(self) -> Actor:
        return Actor(self.account, str(self.role), self.digest[:12])


class Sessions:
    """**Thread rule:** of the event loop."""

    def __init__(self, accounts: Accounts, clock: Clock, *, idle_s: float, longest_s: float) -> None:
        self._accounts = accounts
        self._clock = clock
        self._idle_ns = int(idle_s * _SECOND_NS)
        self._longest_ns = int(longest_s * _SECOND_NS)
        self._open: dict[str, Session] = {}
        self._fallen: list[tuple[Session, str]] = []  # ended without a sign-out, and why

    def open(self, account: Account) -> tuple[str, Session]:
        """A fresh 256-bit id for the cookie, and the session it opens."""
        raw = secrets.token_urlsafe(32)
        now = self._clock.monotonic_ns()
        session = Session(account.name, account.role, _digest(raw), account.generation, now, now, now)
        self._open[session.digest] = session
        return raw, session

    def find(self, raw: str | None) -> Session | None:
        """The live session of this id; None for anything else."""
        session = self._open.get(_digest(raw)) if raw else None
        return session if session is not None and self.alive(session) else None

    def touch(self, session: Session) -> None:
        """A person did something: the idle time begins anew. What a page asks by itself does not count."""
        session.used_ns = self._clock.monotonic_ns()

    def authenticated(self, session: Session) -> None:
        """The person proved again who they are (:mod:`lfr_edge.console.door.fresh`)."""
        session.authenticated_ns = session.used_ns = self._clock.monotonic_ns()

    def idle_left_s(self, session: Session) -> int:
        """Seconds until the session ends if nobody touches the page."""
        now = self._clock.monotonic_ns()
        left = min(session.used_ns + self._idle_ns, session.opened_ns + self._longest_ns) - now
        return max(0, left // _SECOND_NS)

    def alive(self, session: Session) -> bool:
        """Whether the session still stands. Ends it, sockets included, if not."""
        why = self._fallen_why(session)
        if why and session.digest in self._open:
            self._fallen.append((session, why))
            self.end(session)
        return not why and session.digest in self._open

    def _fallen_why(self, session: Session) -> str:
        """Why the session ends without a sign-out; empty while it stands."""
        now = self._clock.monotonic_ns()
        if now - session.used_ns >= self._idle_ns:
            return "idle"
        if now - session.opened_ns >= self._longest_ns:
            return "longest session"
        account = self._accounts.get(session.account)
        stands = account is not None and not account.disabled and account.generation == session.generation
        return "" if stands and account is not None and account.role is session.role else "account changed"

    def take_fallen(self) -> list[tuple[Session, str]]:
        """Sessions that ended without a sign-out since the last call, each with its reason, for the record."""
        fallen, self._fallen = self._fallen, []
        return fallen

    def end(self, session: Session) -> None:
        self._open.pop(session.digest, None)
        session.ended.set()

    def sweep(self) -> None:
        """End what has run out or was disabled by another process. Called every half second."""
        for session in tuple(self._open.values()):
            self.alive(session)

    def end_all(self) -> None:
        for session in tuple(self._open.values()):
            self.end(session)

    def count(self) -> int:
        return len(self._open)


class Tries:
    """At most ten tries a minute for each key (an account, an address), counted before the answer is known."""

    def __init__(self, clock: Clock, limit: int = TRIES_A_MINUTE) -> None:
        self._clock = clock
        self._limit = limit
        self._times: defaultdict[str, deque[int]] = defaultdict(deque)

    def allow(self, *keys: str) -> bool:
        """Count one try for every key; False when any key has had its ten within a minute."""
        now = self._clock.monotonic_ns()
        if len(self._times) > _TRACKED_KEYS:
            self._forget(now)
        allowed = True
        for key in keys:
            times = self._times[key]
            while times and now - times[0] >= _WINDOW_NS:
                times.popleft()
            if len(times) >= self._limit:
                allowed = False
            else:
                times.append(now)
        return allowed

    def give_back(self, *keys: str) -> None:
        """The try that was just counted turned out to be no guess: it does not stand in anybody's way."""
        for key in keys:
            if self._times.get(key):
                self._times[key].pop()

    def _forget(self, now: int) -> None:
        for key in [k for k, times in self._times.items() if not times or now - times[-1] >= _WINDOW_NS]:
            del self._times[key]


def fresh_authentication(session: Session) -> int:
    """CLOCK_MONOTONIC of this person's last proof of identity: what an approval compares with its 60 seconds."""
    return session.authenticated_ns


def _digest(raw: str) -> str:
    return hashlib.sha256(raw.encode()).hexdigest()
