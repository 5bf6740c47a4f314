"""Open-set 1:N over still pictures: the run, and what it reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lfr_edge.errors import EvaluationError
from lfr_edge.evaluation.faces import Float32Array, Templates, embed_samples
from lfr_edge.evaluation.intervals import Rate, binomial_rate, person_rate, share_rate
from lfr_edge.evaluation.labels import LabelError, mislabelled
from lfr_edge.evaluation.openset import (
    Operating,
    Searches,
    det_curve,
    operating_points,
    rank_one,
    threshold_at,
)
from lfr_edge.evaluation.protocol import Protocol, Sample
from lfr_edge.evaluation.series import rate_key, series
from lfr_edge.settings import VisionSettings
from lfr_edge.vision.portraits import Degradation
from lfr_edge.watchlist.enrol import Portraitist

LIST_SIZES: Final = (10, 30, 100, 300, 1_000, 3_000, 10_000)
_DRAWS: Final = 20  # random lists of each size
_BINS: Final = 50
_SHOWN: Final = 20  # highest-scoring strangers named in the result: label errors are found there
_BLOCK: Final = 512  # probes a block

Progress = Callable[[str, int, int], None]
"""Told (what is done, done, total)."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Everybody's best score against every listed person."""

    mated: Float32Array  # (m, people) -inf where the probe or the person gave no template
    nonmated: Float32Array  # (k, people)
    owners: NDArray[np.intp]  # (m,) column of the right person
    people: tuple[str, ...]  # identity of each column


@dataclass(frozen=True, slots=True)
class IdentitiesRun:
    """One finished run."""

    protocol: Protocol
    gallery: Templates
    mated: Templates
    nonmated: Templates
    variants: tuple[Degradation, ...]

    def scores(self, variant: int = 0) -> Scores:
        """Score matrices; `variant` 0 is the probes as they are, i the i-th degradation."""
        listed = self.protocol.of("gallery")
        people = tuple(dict.fromkeys(sample.identity for sample in listed))
        columns = {name: column for column, name in enumerate(people)}
        owners = np.array([columns[sample.identity] for sample in listed], np.intp)
        parts = [
            _person_scores(probes.matrix[variant], probes.usable, self.gallery, owners, len(people))
            for probes in (self.mated, self.nonmated)
        ]
        right = np.array([columns[sample.identity] for sample in self.protocol.of("mated")], np.intp)
        return Scores(parts[0], parts[1], right, people)

    def searches(self, scores: Scores, columns: NDArray[np.intp] | None = None) -> Searches:
        """Top-1 outcomes against all listed people, or against the `columns` of a shorter list."""
        mated, nonmated, owners = scores.mated, scores.nonmated, scores.owners
        chosen = np.ones(len(mated), np.bool_)
        if columns is not None:
            mated, nonmated = mated[:, columns], nonmated[:, columns]
            place = np.full(len(scores.people), -1, np.intp)
            place[columns] = np.arange(len(columns))
            owners = place[owners]
            chosen = owners >= 0
        return Searches(
            mated=mated[chosen].max(axis=1).astype(np.float64),
            correct=mated[chosen].argmax(axis=1) == owners[chosen],
            mated_people=_numbered(self.protocol.of("mated"))[chosen],
            nonmated=nonmated.max(axis=1).astype(np.float64),
            nonmated_people=_numbered(self.protocol.of("nonmated")),
        )


def run_identities(
    portraitist: Portraitist,
    folder: Path,
    protocol: Protocol,
    *,
    settings: VisionSettings | None = None,
    gallery_variants: Sequence[Degradation] = (),
    probe_variants: Sequence[Degradation] = (),
    progress: Progress | None = None,
) -> IdentitiesRun:
    """Embed every picture of the protocol. About 17 ms a picture on one core with the default pack."""
    limits = settings or VisionSettings()

    def told(what: str) -> Callable[[int, int], None] | None:
        return (lambda done, total: progress(what, done, total)) if progress else None

    gallery = embed_samples(
        portraitist, folder, protocol.of("gallery"), variants=gallery_variants, progress=told("gallery")
    )
    if not gallery.usable.any():
        raise EvaluationError(
            "gallery_empty", "no gallery picture gave a template", hint="look at the pictures and at the pack"
        )
    probes = {
        role: embed_samples(
            portraitist,
            folder,
            protocol.of(role),
            settings=limits,
            variants=probe_variants,
            progress=told(role),
        )
        for role in ("mated", "nonmated")
    }
    return IdentitiesRun(protocol, gallery, probes["mated"], probes["nonmated"], tuple(probe_variants))


def report(
    run: IdentitiesRun,
    model: Mapping[str, Any],
    *,
    seed: int = 0,
    label_errors: tuple[LabelError, ...] = (),
) -> dict[str, Any]:
    """Everything as one JSON object; rates are fractions, intervals 95 %.

    Known label errors change no figure: they add the same figures without them, and say which they are.
    """
    scores = run.scores()
    searches = run.searches(scores)
    points = operating_points(searches, seed=seed)
    probes = len(run.mated.usable) + len(run.nonmated.usable)
    failed = run.mated.failures + run.nonmated.failures
    return {
        "fte": run.gallery.failures / len(run.gallery.usable),
        "fta": failed / probes,
        "fte_interval": binomial_rate(run.gallery.failures, len(run.gallery.usable)).to_json(),
        "fta_interval": binomial_rate(failed, probes).to_json(),
        "tpir_at_fpir": {rate_key(point.target_fpir): point.tpir.to_json() for point in points},
        "threshold_at_fpir": {rate_key(point.target_fpir): _threshold(point) for point in points},
        "rank_1": rank_one(searches),
        "rank_1_interval": _first(searches).to_json(),
        "n": {
            "gallery_people": len(scores.people),
            "gallery_images": len(run.gallery.usable),
            "mated": len(run.mated.usable),
            "mated_people": len(np.unique(searches.mated_people)),
            "nonmated": len(run.nonmated.usable),
            "nonmated_people": len(np.unique(searches.nonmated_people)),
        },
        "model": dict(model),
        "seed": run.protocol.seed,
        "bootstrap_seed": seed,
        "by_list_size": by_list_size(run, scores, points, seed=seed),
        **series(run, points, seed=seed),
        "det": det_curve(searches),
        "histograms": _histograms(searches),
        "highest_nonmated": _highest(run, scores),
        "failures": _failures(run),
    } | _without_errors(run, searches, label_errors, seed)


def by_list_size(
    run: IdentitiesRun, scores: Scores, points: Sequence[Operating], *, seed: int
) -> list[dict[str, Any]]:
    """FPIR at the full list's 1 % threshold for shorter lists, measured and as ``1 − (1 − FMR)^N`` says."""
    at = next((p for p in points if p.target_fpir == 0.01 and p.threshold is not None), None)
    if at is None or at.threshold is None:
        return []
    full = len(scores.people)
    people = _numbered(run.protocol.of("nonmated"))
    fpir = float((scores.nonmated.max(axis=1) >= at.threshold).mean())
    fmr = 1 - (1 - fpir) ** (1 / full)
    rows = []
    for size in [n for n in LIST_SIZES if n < full] + [full]:
        tops = nonmated_tops(scores, size, seed=seed)
        measured = share_rate((tops >= at.threshold).mean(axis=0), people)
        rows.append(
            {
                "n": size,
                "fpir": measured.value,
                "fpir_interval": measured.to_json(),
                "fpir_model": 1 - (1 - fmr) ** size,
                "threshold_at_1_percent": threshold_at(tops.ravel(), 0.01),
            }
        )
    return rows


def nonmated_tops(scores: Scores, size: int, *, seed: int) -> NDArray[np.float64]:
    """(draws, k) first candidates' scores of all strangers against random lists of `size` people."""
    full = len(scores.people)
    generator = np.random.default_rng(seed)
    draws = 1 if size >= full else _DRAWS
    return np.stack(
        [
            scores.nonmated[:, generator.choice(full, min(size, full), replace=False)].max(axis=1)
            for _ in range(draws)
        ]
    ).astype(np.float64)


def _person_scores(
    probes: Float32Array, usable: NDArray[np.bool_], gallery: Templates, owners: NDArray[np.intp], people: int
) -> Float32Array:
    """(probes, people) best score over each person's images and their variants."""
    out = np.full((len(probes), people), -np.inf, np.float32)
    order = np.argsort(owners[gallery.usable], kind="stable")
    rows = np.flatnonzero(gallery.usable)[order]
    columns, starts = np.unique(owners[rows], return_index=True)
    for start in range(0, len(probes), _BLOCK):
        block = slice(start, min(start + _BLOCK, len(probes)))
        for layer in gallery.matrix:
            best = np.maximum.reduceat(probes[block] @ layer[rows].T, starts, axis=1)
            out[block, columns] = np.maximum(out[block, columns], best)
    out[~usable] = -np.inf
    return out


def _numbered(samples: Sequence[Sample]) -> NDArray[np.intp]:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(sample.identity, len(numbers)) for sample in samples], np.intp)


def _threshold(point: Operating) -> dict[str, Any]:
    body = {"value": point.threshold, "low": point.threshold_low, "high": point.threshold_high}
    return body | ({"note": point.tpir.note} if point.tpir.note else {})


def _first(searches: Searches) -> Rate:
    return person_rate(np.isfinite(searches.hits), searches.mated_people)


def _histograms(searches: Searches) -> dict[str, Any]:
    edges = np.linspace(-0.2, 1.0, _BINS + 1)
    hits, others = searches.hits[np.isfinite(searches.hits)], searches.nonmated
    return {
        "edges": [round(float(edge), 4) for edge in edges],
        "mated": [int(count) for count in np.histogram(np.clip(hits, -0.2, 1), edges)[0]],
        "nonmated": [
            int(count) for count in np.histogram(np.clip(others[np.isfinite(others)], -0.2, 1), edges)[0]
        ],
    }


def _highest(run: IdentitiesRun, scores: Scores) -> list[dict[str, Any]]:
    """The strangers who look most like somebody listed: read these before believing a small FPIR."""
    best = scores.nonmated.max(axis=1)
    samples = run.protocol.of("nonmated")
    return [
        {
            "path": samples[i].path,
            "identity": samples[i].identity,
            "resembles": scores.people[int(scores.nonmated[i].argmax())],
            "score": round(float(best[i]), 4),
        }
        for i in np.argsort(-best, kind="stable")[:_SHOWN]
        if np.isfinite(best[i])
    ]


def _without_errors(
    run: IdentitiesRun, searches: Searches, errors: tuple[LabelError, ...], seed: int
) -> dict[str, Any]:
    wrong = mislabelled(run.protocol, errors)
    if not wrong.any():
        return {}
    kept = replace(
        searches, nonmated=searches.nonmated[~wrong], nonmated_people=searches.nonmated_people[~wrong]
    )
    points = operating_points(kept, seed=seed)
    return {
        "without_label_errors": {
            "tpir_at_fpir": {rate_key(point.target_fpir): point.tpir.to_json() for point in points},
            "threshold_at_fpir": {rate_key(point.target_fpir): _threshold(point) for point in points},
            "searches_left_out": int(wrong.sum()),
            "errors": [asdict(error) for error in errors],
        }
    }


def _failures(run: IdentitiesRun) -> list[dict[str, str]]:
    parts = (("gallery", run.gallery), ("mated", run.mated), ("nonmated", run.nonmated))
    return [
        {"role": role, "path": sample.path, "reason": reason}
        for role, templates in parts
        for sample, reason in zip(run.protocol.of(role), templates.reasons, strict=True)  # type: ignore[arg-type]
        if reason
    ]
