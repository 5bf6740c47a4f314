"""``python -m tests.faults.opening FD``: the capture child, confined as ever, that opens its camera again and again.

A keeper starts a process for each connection, which costs a second. To send thousands of hostile descriptions this
one process opens hundreds of connections, by the same code, under the same confinement; it reads a few pictures of
each and says what came of it.
"""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from contextlib import suppress

from lfr_edge.capture import child
from lfr_edge.capture.order import Order
from lfr_edge.capture.reader import open_reader
from lfr_edge.clock import Clock
from lfr_edge.errors import CameraError

PICTURES = 3


def many(order: Order, status: child.StatusPipe, clock: Clock) -> None:
    """In the place of :func:`child.run`; `order.epoch` connections."""
    ends: Counter[str] = Counter()
    for number in range(order.epoch):
        try:
            with open_reader(order.spec, clock) as reader:
                with suppress(ValueError):  # a picture without pixels, say
                    ends["pictures"] += sum(1 for _ in itertools.islice(reader.pictures(), PICTURES))
                ends["opened"] += 1
        except CameraError as error:
            ends[error.code] += 1
        if number % 50 == 49 or number == order.epoch - 1:
            status.send("ends", done=number + 1, ends=dict(ends))


if __name__ == "__main__":
    child.run = many
    raise SystemExit(child.main(sys.argv[1:]))
