"""Pictures of a protocol → templates, on exactly the product's way: detect, choose, align, embed.

**Lifetime:** templates of an evaluation are research material and stay in memory until the run ends; nothing of
them is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lfr_edge.errors import EvaluationError, VisionError
from lfr_edge.evaluation.protocol import Sample
from lfr_edge.settings import VisionSettings
from lfr_edge.vision.portraits import Degradation
from lfr_edge.watchlist.enrol import Portraitist, choose_face
from lfr_edge.watchlist.pictures import read_picture

Float32Array = NDArray[np.float32]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Templates:
    """Row i belongs to sample i of the sequence that was embedded."""

    matrix: Float32Array = field(
        repr=False
    )  # (1 + variants, n, dimension); zero rows where `usable` is False
    usable: NDArray[np.bool_]  # (n,)
    reasons: tuple[str, ...]  # why a sample gave no template; empty where it did

    @property
    def failures(self) -> int:
        return int((~self.usable).sum())


def embed_samples(
    portraitist: Portraitist,
    folder: Path,
    samples: Sequence[Sample],
    *,
    settings: VisionSettings | None = None,
    variants: Sequence[Degradation] = (),
    progress: Progress | None = None,
) -> Templates:
    """One template (and one for each variant) of every sample.

    `settings` are the limits of a probe: a face below them would never be searched for in the street either, so
    it is a failure to acquire. None for gallery images, which a person chose.

    Raises:
        EvaluationError: ``sample_unreadable`` for a file that is absent or no picture: a fault of the protocol.
    """
    matrix = np.zeros((1 + len(variants), len(samples), portraitist.dimension), np.float32)
    usable = np.zeros(len(samples), np.bool_)
    reasons = [""] * len(samples)
    for row, sample in enumerate(samples):
        try:
            rows, reasons[row] = _embed(portraitist, read_picture(folder, sample.path), settings, variants)
        except ValueError as error:
            raise EvaluationError(
                "sample_unreadable",
                f"{folder}: {error}",
                hint="the protocol's paths count from the folder that is evaluated",
            ) from None
        if rows is not None:
            matrix[:, row], usable[row] = rows, True
        if progress:
            progress(row + 1, len(samples))
    return Templates(matrix, usable, tuple(reasons))


def _embed(
    portraitist: Portraitist, data: bytes, settings: VisionSettings | None, variants: Sequence[Degradation]
) -> tuple[Float32Array | None, str]:
    try:
        portrait = portraitist.look(data)
    except VisionError as error:
        return None, error.message
    # Evaluation pictures show their person in the middle; a background face is not who the label names.
    chosen, _ = choose_face(portrait, "central")
    if chosen is None:
        return None, "no face was found"
    face = portrait.found[chosen]
    if settings is not None:
        if face.score < settings.min_score:
            return None, "the detector is not sure that this is a face"
        if face.eye_px < settings.min_eye_px or face.quality < settings.min_quality:
            return None, "below the quality of a probe"
    return portraitist.templates(portrait, chosen, variants), ""
