"""Run by test_memory.py as a process of its own: unseal a list, search it, wipe it, as the recogniser does.

Arguments: file with the sealed part, file with its key. Prints a word after each act and waits for a line.
"""

import sys
from pathlib import Path

import numpy as np

from lfr_edge.watchlist.unseal import unseal_templates


def told(word: str) -> None:
    print(word, flush=True)
    sys.stdin.readline()


index = unseal_templates(Path(sys.argv[1]).read_bytes(), Path(sys.argv[2]).read_bytes())
probes = np.random.default_rng(0).standard_normal((8, index.dimension)).astype(np.float32)
index.search(probes)
index.search(probes[:1])
told("unsealed")
index.withdraw("W-0003")
index.scrub()
told("withdrawn")
if "sabotage" not in sys.argv:
    index.wipe()
told("wiped")
