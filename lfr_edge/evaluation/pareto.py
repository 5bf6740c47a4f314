"""The generalised Pareto distribution: estimate, profile likelihood of a level, goodness of fit."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# A cosine has an upper end, so that the true shape is below 0; a sample of it may look heavier than it is.
_SHAPES: Final = np.setdiff1d(np.round(np.arange(-0.60, 0.51, 0.02), 2), [0.0])
_STEPS: Final = np.linspace(-2.4, 2.4, 13)  # standard errors of the share above the start
_DRAWN: Final = 999  # samples of the fitted distribution that the fit is compared with


def estimate(excesses: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shape and scale of each row of excesses, (rows, k) above 0 (Zhang and Stephens 2009)."""
    ordered = np.sort(excesses, axis=1)
    k = ordered.shape[1]
    m = 20 + int(k**0.5)
    points = 1 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))
    quartile = ordered[:, max(0, int(k / 4 + 0.5) - 1)]
    theta = 1 / ordered[:, -1:] + points / (3 * quartile[:, None])  # (rows, m)
    shape = np.stack([np.log1p(-theta[:, i, None] * ordered).mean(axis=1) for i in range(m)], axis=1)
    height = k * (np.log(-theta / shape) - shape - 1)
    weight = np.exp(height - height.max(axis=1, keepdims=True))
    mean = (theta * weight).sum(axis=1) / weight.sum(axis=1)
    shapes = np.log1p(-mean[:, None] * ordered).mean(axis=1)
    return shapes, -shapes / mean


def profile(
    excesses: FloatArray, weights: FloatArray, searches: float, above: float, rate: float, effect: float
) -> float:
    """The highest log likelihood under which a share `rate` of searches exceeds `above` the start.

    Over the tail's shape and the share of searches above the start; `effect` says how uncertain that share is.
    """
    count = float(weights.sum())
    spread = np.sqrt(effect / count)
    share = np.minimum(count / searches * np.exp(_STEPS * spread), 0.999)  # (s,)
    shape = _SHAPES[:, None]
    scale = above * shape / ((share / rate) ** shape - 1)  # (shapes, s)
    stretched = 1 + (shape / scale)[:, :, None] * excesses
    possible = (scale > 0) & (stretched > 0).all(axis=2)
    if not possible.any():
        return float("-inf")
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = (np.log(np.where(stretched > 0, stretched, 1.0)) * weights).sum(axis=2)
        height = -count * np.log(np.where(possible, scale, 1.0)) - (1 + 1 / shape) * logs
    height = height + count * np.log(share) + (searches - count) * np.log1p(-share)
    return float(np.where(possible, height, -np.inf).max())


def goodness(excesses: FloatArray, *, seed: int = 0) -> float:
    """The probability that a sample of the fitted distribution lies as far from its own fit (Anderson–Darling)."""
    if len(excesses) < 10:
        return 1.0
    shape, scale = estimate(excesses[None])
    found = _distance(excesses[None], shape, scale)[0]
    uniform = np.random.default_rng(seed).random((_DRAWN, len(excesses)))
    drawn = scale * np.expm1(-shape * np.log(uniform)) / shape
    distances = _distance(drawn, *estimate(drawn))
    return float((1 + (distances >= found).sum()) / (1 + _DRAWN))


def _distance(excesses: FloatArray, shape: FloatArray, scale: FloatArray) -> FloatArray:
    ordered = np.sort(excesses, axis=1)
    k = ordered.shape[1]
    beyond = np.maximum(1 + shape[:, None] * ordered / scale[:, None], 1e-300) ** (-1 / shape[:, None])
    beyond = np.clip(beyond, 1e-12, 1 - 1e-12)
    i = np.arange(1, k + 1)
    return np.asarray(-k - ((2 * i - 1) * (np.log1p(-beyond) + np.log(beyond[:, ::-1]))).mean(axis=1))
