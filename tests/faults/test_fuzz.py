"""What is fuzzed for hours, for a moment: every kept input again, and inputs that nobody has tried yet."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.fuzz.targets import TARGETS, Target
from tests.trials.fuzzing import CORPUS, MOST_KEPT, TRIALS
from tests.trials.running import carry_out, missing

NEW = 150


def tried(target: Target, inputs: list[bytes]) -> int:
    """How many were refused; an exception that is no refusal is the find."""
    refused = 0
    for data in inputs:
        try:
            target.call(data)
        except target.refusals:
            refused += 1
    return refused


@pytest.mark.parametrize("name", TARGETS)
def test_every_kept_input_and_some_new_ones(name: str) -> None:
    target, chance = TARGETS[name], random.Random(name)
    seeds = target.seeds()
    kept = [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
    new = []
    for _ in range(NEW):
        data = bytearray(chance.choice([*seeds, *kept]))
        for _ in range(chance.randrange(1, 4)):
            start = chance.randrange(len(data) + 1)
            data[start : start + chance.choice((0, 1, 4))] = chance.randbytes(chance.choice((0, 1, 4)))
        new.append(bytes(data))
    tried(target, [*seeds, *kept, *new])


def test_the_fuzzer_itself_runs_and_sees_a_break(tmp_path: Path) -> None:
    trial = next(trial for trial in TRIALS if trial.name == "fuzz-checkpoint")
    if missing(trial):
        pytest.skip("NOT TESTED: atheris is not installed")
    result = carry_out(trial, 2000, 7)
    assert result["verdict"] == "held", result
    assert result["tried"] >= 2000
    assert "AuditError" in result["control"]["failed"][0]


def test_the_kept_corpus_is_small_and_holds_no_picture_of_anybody() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 512 * 1024
    assert all(path.stat().st_size <= MOST_KEPT for path in files)
    assert {path.parent.name for path in files} <= set(TARGETS)
