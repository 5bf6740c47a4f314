"""The unsealed list of a deployment, and what people have taken off it since."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

from lfr_edge.alerts.alert import RaisedAlert
from lfr_edge.recogniser.channel import Message
from lfr_edge.watchlist.container import SealedWatchlist
from lfr_edge.watchlist.entry import Entry
from lfr_edge.watchlist.list_facts import ListFacts, list_facts


class LiveList:
    """**Thread rule:** the event loop, except where a method says otherwise. **Lifetime:** holds the list's key
    until :meth:`close`; nothing opens the list or the deployment's alert pictures after that.

    Attributes:
        sealed: the list that was activated.
        digest: SHA-256 of the sealed file, hex: what two persons approve.
        facts: the activated list in figures, as on the day it was unsealed.
        added: lists that came while it was live, each approved by itself.
        added_facts: each of them in figures, as on the day it joined.
        waiting: such lists that await their second person, by digest.
        sources: where those came from.
        files: of all that was proposed as an addition, to be destroyed with the list.
        withdrawn: references of entries that somebody took off the list.
    """

    def __init__(self, sealed: SealedWatchlist, digest: str, facts: ListFacts) -> None:
        self.sealed = sealed
        self.digest = digest
        self.facts = facts
        self.added: list[SealedWatchlist] = []
        self.added_facts: list[ListFacts] = []
        self.waiting: dict[str, SealedWatchlist] = {}
        self.sources: dict[str, Path] = {}
        self.files: list[Path] = []
        self.withdrawn: set[str] = set()
        self._at_close: tuple[int, int] | None = None  # entries and templates; their parts can tell no more

    @classmethod
    def open(cls, path: Path, credential: bytes | str, fingerprint: str, today: date) -> LiveList:
        """With the key, or with the passphrase (a str: a quarter of a second of work). Blocks.

        Raises:
            WatchlistError: as :meth:`SealedWatchlist.open`.
        """
        sealed = SealedWatchlist.open(path, credential, fingerprint=fingerprint)
        try:
            return cls(sealed, sealed.digest, list_facts(sealed, today))
        except BaseException:
            sealed.close()
            raise

    def join(self, sealed: SealedWatchlist, facts: ListFacts) -> None:
        """From here on `sealed` is a part of the list, and its entries count towards the authorised size."""
        self.added_facts.append(facts)
        self.added.append(sealed)

    def close(self) -> None:
        """Forget the keys and who was looked for; how many they were stays told. Repeating it is harmless."""
        if self._at_close is None:
            self._at_close = len(self), self.templates
        for part in (*self._parts(), *self.waiting.values()):
            part.close()
        self.withdrawn.clear()

    def __len__(self) -> int:
        """Entries that are looked for; after the end, that were looked for when it came."""
        if self._at_close is not None:
            return self._at_close[0]
        return sum(map(len, self._parts())) - len(self.withdrawn)

    @property
    def templates(self) -> int:
        """Templates of the entries that are looked for; after the end, that were when it came."""
        if self._at_close is not None:
            return self._at_close[1]
        rows = sum(part.header.rows for part in self._parts())
        return rows - sum(self.templates_of(entry) for entry in self.withdrawn)

    def entries(self) -> tuple[Entry, ...]:
        """Everybody, withdrawn entries too."""
        return tuple(entry for part in self._parts() for entry in part.entries())

    def entry(self, reference: str) -> Entry:
        """Raises WatchlistError ``watchlist_unknown_reference``."""
        return self._of(reference).entry(reference)

    def templates_of(self, reference: str) -> int:
        """Raises WatchlistError ``watchlist_unknown_reference``."""
        return self._of(reference).templates_of(reference)

    def joined_with(self, reference: str) -> str:
        """Digest of the list that the entry was added with; nothing for one of the list that was activated."""
        part = self._of(reference)
        return "" if part is self.sealed else part.digest

    def look_alikes(self, reference: str) -> tuple[tuple[str, float], ...]:
        """Other entries of the same file whose images come near this one's: (reference, cosine)."""
        return self._of(reference).look_alikes(reference)

    def parts(self) -> tuple[bytes, ...]:
        """For the recogniser: the templates, still sealed, and the key that opens them and nothing else."""
        return self.sealed.template_part(), self.sealed.template_key()

    def material_key(self, deployment: str) -> bytes:
        """32 bytes that open this deployment's alert pictures; they die with the list."""
        return self.sealed.secret(f"alert material {deployment}")

    def recall(self, withdrawn: Iterable[str]) -> None:
        """After a restart: these references stay off the list."""
        self.withdrawn = {entry.reference for entry in self.entries()} & set(withdrawn)

    async def alert_of(self, message: Message) -> RaisedAlert:
        """Hit and list entry together."""
        return await asyncio.to_thread(self._alert_of, message)

    def _parts(self) -> Iterator[SealedWatchlist]:
        yield self.sealed
        yield from self.added

    def _of(self, reference: str) -> SealedWatchlist:
        known = (part for part in self.added if any(e.reference == reference for e in part.entries()))
        return next(known, self.sealed)

    def _alert_of(self, message: Message) -> RaisedAlert:
        hit = message.body
        reference = str(hit["reference"])
        part = self._of(reference)
        entry = part.entry(reference)
        return RaisedAlert(
            camera=hit["camera"],
            captured_ns=hit["captured_ns"],
            captured_wall_ns=hit["captured_wall_ns"],
            reference=reference,
            category=entry.category,
            requested_response=entry.requested_response.value,
            score=hit["score"],
            threshold=hit["threshold"],
            runner_up_score=hit["runner_up_score"],
            runner_up_reference=hit["runner_up_reference"],
            track=hit["track"],
            quality=hit["quality"],
            probe_jpeg=message.parts[0],
            candidate_jpeg=part.portrait(reference),
            candidate_taken=entry.image_taken,
            candidate_source=entry.image_source,
            look_alikes=part.look_alikes(reference),
            candidate_quality=part.quality(reference),
        )
