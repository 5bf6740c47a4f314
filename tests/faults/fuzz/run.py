"""``python -m tests.faults.fuzz.run TARGET [CORPUS …] [--sabotage] [options of libFuzzer]``: fuzz on and on."""

from __future__ import annotations

import hashlib
import os
import random
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["lfr_edge", "lfr_install"]):
    from tests.faults.fuzz.structure import mutate
    from tests.faults.fuzz.targets import REPOSITORY, TARGETS

    target = TARGETS[sys.argv[1]]
    for seed in target.seeds():  # imports what the target imports lazily, so that it is instrumented
        try:
            target.call(seed)
        except target.refusals:
            continue


def mutated(seeds: list[bytes], data: bytes) -> bytes:
    """One of the seeds with one to eight edits that `data` decides."""
    chance = random.Random(data)
    seed = chance.choice(seeds)
    if target.writes is not None and chance.random() < 0.7:
        found = mutate(seed, chance, target.writes)
        if found is not None:
            return found
    found = bytearray(seed)
    for _ in range(chance.randrange(1, 9)):
        start = chance.randrange(len(found) + 1)
        stop = min(len(found), start + chance.choice((0, 1, 1, 2, 8, 64)))
        part = bytes(found[start:stop])
        found[start:stop] = chance.choice(
            (b"", chance.randbytes(stop - start or 1), part * 3, part[::-1], data[:40])
        )
    return bytes(found)


def with_structure(data: bytes, most: int, seed: int) -> bytes:
    """libFuzzer's own mutation, or one that keeps the JSON whole."""
    chance = random.Random(seed)
    if target.writes is not None and chance.random() < 0.6:
        found = mutate(data, chance, target.writes)
        if found is not None and len(found) <= most:
            return found
    changed: bytes = atheris.Mutate(data, len(data) + 64 if len(data) + 64 <= most else most)
    return changed


class Outcomes:
    """Where coverage sees nothing: one input for each way in which the parser answered, the first met."""

    def __init__(self, corpus: Path | None) -> None:
        self._corpus = corpus
        self._seen: set[str] = set()

    def saw(self, data: bytes, how: object) -> None:
        if target.says is None or self._corpus is None:
            return
        told = target.says(how)
        if told not in self._seen and len(data) <= target.most_bytes:
            self._seen.add(told)
            (self._corpus / hashlib.sha256(data).hexdigest()[:40]).write_bytes(data)


def again() -> str:
    """A program that libFuzzer may start as itself, as it does to merge: it knows no ``python -m``."""
    path = Path(tempfile.mkdtemp(prefix="lfr-fuzz-")) / "again"
    path.write_text(
        f'#!/bin/sh\ncd "{REPOSITORY}" && exec "{sys.executable}" -m tests.faults.fuzz.run {sys.argv[1]} "$@"\n'
    )
    path.chmod(0o700)
    return str(path)


def main() -> None:
    arguments = [option for option in sys.argv[2:] if option != "--sabotage"]
    sabotage = "--sabotage" in sys.argv
    merging = any(option.startswith("-merge") for option in arguments)
    corpora = [Path(option) for option in arguments if not option.startswith("-")]
    seeds = target.seeds()
    if corpora and not merging:
        corpora[0].mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds):
            (corpora[0] / f"seed-{number}").write_bytes(seed)
        if target.says is not None:
            seeds += [path.read_bytes() for path in sorted(corpora[0].iterdir())]
    outcomes = Outcomes(corpora[0] if corpora and not merging else None)

    def one(data: bytes) -> None:
        tried = mutated(seeds, data) if target.blind else data
        try:
            outcomes.saw(tried, target.call(tried))
        except target.refusals as refusal:
            outcomes.saw(tried, refusal)
            if sabotage:  # the control: a refusal counts as a find
                raise

    program = again() if merging else sys.argv[0]
    own = {"custom_mutator": with_structure} if target.writes is not None and not target.blind else {}
    atheris.Setup([program, f"-max_len={target.most_bytes}", "-len_control=0", *arguments], one, **own)
    atheris.Fuzz()


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
