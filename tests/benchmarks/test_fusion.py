"""What the pages on accuracy rest on: a fused template taken apart and weighed anew is what the product would fuse."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import _stills, fusion
from lfr_edge.evaluation.faces import Templates
from lfr_edge.evaluation.protocol import Protocol, Role, Sample

DIMENSIONS = {"a": 6, "b": 10, "c": 4}
COUNTS: dict[Role, int] = {"gallery": 7, "mated": 7, "nonmated": 9}


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def fused(parts: dict[str, np.ndarray], weights: dict[str, float]) -> np.ndarray:
    """As lfr_edge/vision/embedder.py says: √(weight ⁄ sum of weights), side by side."""
    total = sum(weights.values())
    return np.concatenate([np.sqrt(weights[name] / total) * part for name, part in parts.items()], axis=1)


@pytest.fixture
def drawn() -> tuple[dict[Role, dict[str, np.ndarray]], dict[Role, Templates]]:
    """By role: each network's own templates, and the pack's, fused with weights 1, 1 and 2; two gave none."""
    generator = np.random.default_rng(5)
    rows = {
        role: {name: unit(generator.standard_normal((n, d))) for name, d in DIMENSIONS.items()}
        for role, n in COUNTS.items()
    }
    packed = {}
    for role, parts in rows.items():
        matrix = fused(parts, {"a": 1, "b": 1, "c": 2})
        usable = np.ones(len(matrix), bool)
        if role != "mated":
            usable[2], matrix[2] = False, 0
        packed[role] = Templates(matrix[None].astype(np.float32), usable, ("",) * len(matrix))
    return rows, packed


@pytest.mark.parametrize("weights", [{"c": 1.0}, {"a": 1.0, "b": 1.0}, {"a": 1.0, "b": 1.0, "c": 2.5}])
def test_a_mixture_of_cosines_is_the_cosine_of_the_fused_template(weights, drawn):
    rows, packed = drawn
    mixed = fusion._mixed(fusion._parts(packed, DIMENSIONS), weights)
    chosen = {role: fused({name: parts[name] for name in weights}, weights) for role, parts in rows.items()}
    for role, found in zip(("mated", "nonmated"), mixed, strict=True):
        told = packed[role].usable[:, None] & packed["gallery"].usable
        assert np.allclose(found[told], (chosen[role] @ chosen["gallery"].T)[told], atol=1e-6)
        assert np.allclose(found[~told], -1), "whoever gave no template is found at no threshold"


def test_first_candidates_by_hand():
    samples = [Sample("gallery", f"{name}/0", name) for name in "XYZ"]
    samples += [Sample("mated", "X/1", "X"), Sample("mated", "Z/1", "Z"), Sample("mated", "X/2", "X")]
    samples += [
        Sample("nonmated", "Q/0", "Q"),
        Sample("nonmated", "P/0", "P"),
        Sample("nonmated", "Q/1", "Q"),
    ]
    mated = np.array([[0.9, 0.1, 0.2], [0.3, 0.6, 0.5], [-np.inf] * 3])
    nonmated = np.array([[0.1, 0.3, 0.2], [0.4, 0.1, 0.0], [0.2, 0.2, 0.2]])
    found = _stills.searches(mated, nonmated, Protocol(tuple(samples)))
    assert found.mated.tolist() == [0.9, 0.6, -np.inf]
    assert found.hits.tolist() == [0.9, -np.inf, -np.inf]
    assert found.nonmated.tolist() == [0.3, 0.4, 0.2]
    assert found.mated_people[0] == found.mated_people[2] != found.mated_people[1]
    assert found.nonmated_people[0] == found.nonmated_people[2] != found.nonmated_people[1]


@pytest.mark.parametrize("share", ["0", "-1", "1.5", "nan"])
def test_a_share_that_cannot_be_meant(share, capsys):
    with pytest.raises(SystemExit):
        fusion.main(["--share", share])
    assert "at most 1" in capsys.readouterr().err


def test_a_part_of_the_people_keeps_all_their_pictures(shared):
    whole, part = _stills.drawn(1.0, 1), _stills.drawn(0.1, 1)
    assert whole is not None
    assert part is not None
    people = {sample.identity for sample in part.samples}
    assert part.samples == tuple(sample for sample in whole.samples if sample.identity in people)
    everybody = {sample.identity for sample in whole.samples}
    assert 0.09 < len(people) / len(everybody) < 0.11
    assert part == _stills.drawn(0.1, 1) != _stills.drawn(0.1, 2)
