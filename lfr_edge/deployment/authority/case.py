"""An authority held against the facts, and what one clause of it says of them."""

from __future__ import annotations

from dataclasses import dataclass

from lfr_edge.deployment.authority.document import SignedAuthority
from lfr_edge.deployment.authority.facts import Facts
from lfr_edge.deployment.authority.terms import Authority
from lfr_edge.sentences import own_words


@dataclass(frozen=True, slots=True)
class Case:
    """An authority and, where a deployment is at hand, its facts; a draft is judged without."""

    signed: SignedAuthority
    facts: Facts | None

    @property
    def authority(self) -> Authority:
        return self.signed.authority


@dataclass(frozen=True, slots=True)
class Finding:
    says: str
    problem: str = ""


def short(text: str) -> str:
    """What the officer wrote, on one line."""
    line = " ".join(text.split())
    return own_words(line if len(line) <= 200 else line[:199] + "…")
