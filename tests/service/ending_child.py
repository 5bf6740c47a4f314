"""A service in a process of its own that ends its deployment and dies while it destroys, as in a power cut.

Arguments: the settings as JSON, and the last thing that is destroyed and on the record.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

from lfr_edge.demo.officers import PROPOSER, arrive
from lfr_edge.deployment.ending import wipe
from lfr_edge.service import Service
from lfr_edge.settings import Settings
from tests.service.conftest import until


def _die_after(last: str) -> None:
    done = wipe._Wipe._do

    def do(self, what, act):
        done(self, what, act)
        if what == last:
            os.kill(os.getpid(), signal.SIGKILL)

    wipe._Wipe._do = do


async def _main() -> None:
    _die_after(sys.argv[2])
    service = Service(Settings.model_validate(json.loads(sys.argv[1])))
    await service.start()
    await arrive(service)
    await until(service.run.desk.open_alerts, what="an alert")
    await service.run.end(PROPOSER, "end of the shift")


asyncio.run(_main())
