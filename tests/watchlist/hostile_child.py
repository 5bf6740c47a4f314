"""A process of its own, for honest figures: reads every archive it is told of and says what each cost.

Arguments: a JSON file {what: path}. Prints JSON lines: what, code, message, seconds, MiB above the base.
The seconds are the processor's: it waits for nobody, and a test machine is shared.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from bundles import NOW, TRUSTED

from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist.bundle import read_bundle


def peak_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    paths = json.loads(Path(sys.argv[1]).read_text())
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))  # a descriptor left open at a refusal would show
    for what, path in paths.items():
        forget_peak()
        before, start = peak_kib(), time.process_time()
        try:
            found = read_bundle(Path(path), TRUSTED, now=NOW)
            code = "problems" if found.problems else "accepted"
            message = "; ".join(map(str, found.problems))
        except WatchlistError as error:
            code, message = error.code, error.message
        spent = time.process_time() - start
        grown = (peak_kib() - before) / 1024
        print(json.dumps({"what": what, "code": code, "message": message, "s": spent, "mib": grown}))


main()
