"""``python -m tests.faults.fuzz.run TARGET CORPUS [--sabotage] [libFuzzer's options]``: fuzz until told otherwise."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["lfr_edge", "lfr_install"]):
    from tests.faults.fuzz.targets import TARGETS

    target = TARGETS[sys.argv[1]]
    for seed in target.seeds():  # imports what the target imports lazily, so that it is instrumented
        try:
            target.call(seed)
        except target.refusals:
            continue


def mutated(seeds: list[bytes], data: bytes) -> bytes:
    """One of the seeds with one to eight edits that `data` decides."""
    chance = random.Random(data)
    found = bytearray(chance.choice(seeds))
    for _ in range(chance.randrange(1, 9)):
        start = chance.randrange(len(found) + 1)
        stop = min(len(found), start + chance.choice((0, 1, 1, 2, 8, 64)))
        part = bytes(found[start:stop])
        found[start:stop] = chance.choice(
            (b"", chance.randbytes(stop - start or 1), part * 3, part[::-1], data[:40])
        )
    return bytes(found)


def main() -> None:
    corpus = Path(sys.argv[2])
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = sys.argv[3:]
    sabotage = "--sabotage" in options

    seeds = target.seeds()

    def one(data: bytes) -> None:
        try:
            target.call(mutated(seeds, data) if target.blind else data)
        except target.refusals:
            if sabotage:  # the control: a refusal counts as a find
                raise

    arguments = [option for option in options if option != "--sabotage"]
    atheris.Setup(
        [sys.argv[0], str(corpus), f"-max_len={target.most_bytes}", "-len_control=0", *arguments], one
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
