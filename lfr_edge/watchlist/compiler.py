"""A surveyed list → its verdicts and, where nothing refuses it, one sealed file. All or nothing.

The order is that of the cost of a mistake: fields (the survey), pictures, everybody against everybody, the list as a
whole, and only then the file takes its name. What was finished is journalled beside the file, so that a killed
compile goes on where it was and gives the same list.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import rfc8785
from numpy.typing import NDArray

from lfr_edge.vision.threads import available_cpus
from lfr_edge.watchlist.about import About, Scale
from lfr_edge.watchlist.container import seal
from lfr_edge.watchlist.destroy import destroy_file
from lfr_edge.watchlist.enrol import Enrolment, Memory, Portraitist, Rules
from lfr_edge.watchlist.entry import Entry
from lfr_edge.watchlist.findings import Progress, Survey
from lfr_edge.watchlist.header import Header
from lfr_edge.watchlist.journal import Journal
from lfr_edge.watchlist.list_checks import Finding, Limits, check_list, require, shares
from lfr_edge.watchlist.list_facts import ListFacts, facts_of
from lfr_edge.watchlist.lookalikes import Resemblance, resemblances
from lfr_edge.watchlist.pages import Float32Array
from lfr_edge.watchlist.picture_verdicts import Verdict, not_measured
from lfr_edge.watchlist.reports import EntryReport


@dataclass(frozen=True, slots=True)
class Compiled:
    """How a compile went. `header` is None where nothing was sealed."""

    reports: tuple[EntryReport, ...]
    resemblance: Resemblance
    facts: ListFacts
    findings: tuple[Finding, ...]
    resumed: int  # entries that an earlier, interrupted run had finished
    header: Header | None = None

    @property
    def verdicts(self) -> Mapping[Verdict, int]:
        """People by the verdict on their pictures."""
        return Counter(report.verdict for report in self.reports)

    @property
    def usable(self) -> bool:
        """Whether this list can be sealed as it stands."""
        refused = any(finding.verdict is Verdict.REFUSE for finding in self.findings)
        return bool(self.facts.entries) and not refused and not self.verdicts[Verdict.REFUSE]

    def to_json(self) -> dict[str, Any]:
        return {
            "usable": self.usable,
            "verdicts": {verdict.value: count for verdict, count in self.verdicts.items()},
            "findings": [finding.to_json() for finding in self.findings],
            "facts": self.facts.to_json(),
            "shares": {
                "categories": [list(share) for share in shares(self.facts.categories)],
                "sources": [list(share) for share in shares(self.facts.sources)],
            },
            "resemblance": self.resemblance.to_json(),
            "look_alikes": {
                reference: [[other, score] for other, score in near]
                for reference, near in self.resemblance.near.items()
            },
            "not_measured": not_measured(),
            "resumed": self.resumed,
        }


@dataclass(slots=True)
class Compilation:
    """One compile of one surveyed list. **Thread rule:** one thread.

    Memory: the templates of the list (56 MB for 20,000 people with the default pack), a brief report of each
    person, and one entry's pictures. `on_report` is told every element of every picture as it is measured.
    """

    survey: Survey
    portraitist: Portraitist
    rules: Rules = field(default_factory=Rules)
    scale: Scale = field(default_factory=Scale)
    limits: Limits = field(default_factory=Limits)
    skip_refused: bool = False
    progress: Progress | None = None
    on_report: Callable[[EntryReport], None] | None = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    helpers: Sequence[Portraitist] = ()  # more of the same pack, each in a thread of its own
    _compiled: Compiled | None = None

    def check(self) -> Compiled:
        """Every verdict; nothing is written. Raises WatchlistError ``watchlist_refused`` for the survey only."""
        enrolment = self._enrolment(None)
        enrolment.skip_refused = True
        references: list[str] = []
        matrices: list[Float32Array] = []
        entries: list[Entry] = []
        for item in enrolment.run():
            references.append(item.entry.reference)
            matrices.append(item.templates)
            entries.append(item.entry)
        owners = np.repeat(np.arange(len(matrices)), [len(matrix) for matrix in matrices])
        compiled = self._judge(enrolment, entries, references, owners, matrices)
        for matrix in matrices:
            matrix[:] = 0
        return compiled

    def seal(self, path: Path, *, key: bytes | None, passphrase: str | None = None) -> Compiled:
        """Every verdict, and the sealed list at `path` where nothing refuses it.

        Interrupted, it leaves a journal beside `path`; the next call takes it up. A refusal leaves nothing.

        Raises:
            WatchlistError: ``watchlist_refused``, ``watchlist_empty``, ``watchlist_compile_running`` or
                ``watchlist_unwritable``; what was at `path` stays.
        """
        self.survey.required()
        journal = Journal.open(
            journal_path(path), made_with=self._made_with(), key_file=key, passphrase=passphrase
        )
        try:
            sweep_partials(path)
            header = self._seal(path, journal, key, passphrase)
        except (KeyboardInterrupt, SystemExit):
            journal.close()
            raise
        except BaseException:
            journal.destroy()
            raise
        journal.destroy()
        assert self._compiled is not None
        done = self._compiled
        return Compiled(done.reports, done.resemblance, done.facts, done.findings, done.resumed, header)

    def _seal(self, path: Path, journal: Journal, key: bytes | None, passphrase: str | None) -> Header:
        enrolment = self._enrolment(journal)
        entries: list[Entry] = []

        def describe(
            references: Sequence[str], owners: NDArray[np.intp], matrices: Sequence[Float32Array]
        ) -> About:
            self._compiled = self._judge(enrolment, entries, references, owners, matrices)
            require(self._compiled.findings)
            return self._about(self._compiled.resemblance)

        def noted() -> Any:
            for item in enrolment.run():
                entries.append(item.entry)
                yield item

        return seal(
            path,
            noted(),
            key=key,
            passphrase=passphrase,
            fingerprint=self.portraitist.fingerprint,
            dimension=self.portraitist.dimension,
            created=self.now,
            describe=describe,
        )

    def _enrolment(self, memory: Memory | None) -> Enrolment:
        return Enrolment(
            self.survey,
            self.portraitist,
            self.rules,
            self.skip_refused,
            self.progress,
            self.on_report,
            memory,
            self.helpers,
        )

    def _judge(
        self,
        enrolment: Enrolment,
        entries: Sequence[Entry],
        references: Sequence[str],
        owners: NDArray[np.intp],
        matrices: Sequence[Float32Array],
    ) -> Compiled:
        found = resemblances(references, owners, matrices, self.scale)
        facts = facts_of(entries, self._about(found), self.now.date(), created=self.now)
        findings = check_list(facts, found, twice=enrolment.twice, limits=self.limits, now=self.now)
        return Compiled(tuple(enrolment.reports), found, facts, findings, enrolment.resumed)

    def _about(self, found: Resemblance) -> About:
        survey = self.survey
        return About(
            purpose=survey.purpose,
            issuer=survey.issuer.name if survey.issuer else "",
            issuer_key=survey.issuer.key_id if survey.issuer else "",
            bundle_sha256=survey.bundle_sha256,
            compiled_at=survey.compiled_at,
            scale=found.scale,
            look_alikes=found.near,
        )

    def _made_with(self) -> str:
        """What a journal's records depend on besides their entry and pictures."""
        rules = asdict(self.rules) | {"variants": [asdict(variant) for variant in self.rules.variants]}
        raw = {"fingerprint": self.portraitist.fingerprint, "rules": rules}
        return hashlib.sha256(rfc8785.dumps(raw)).hexdigest()


MOST_WORKERS: Final = 4  # each has the networks once more, 110 MB with the default pack


def workers() -> int:
    """How many portraitists a compile uses here: one a core, each on one thread, so that a list that was compiled
    elsewhere comes out the same to the last bit."""
    return max(1, min(MOST_WORKERS, available_cpus()))


def journal_path(path: Path) -> Path:
    """Where the journal of a compile to `path` lies."""
    return path.with_name(f".{path.name}.journal")


def sweep_partials(path: Path) -> int:
    """Destroy the unfinished files that killed compiles to `path` left. Only under the journal's lock."""
    left = [item for item in path.parent.glob(f".{path.name}.*.partial") if not item.is_symlink()]
    for item in left:
        destroy_file(item)
    return len(left)
