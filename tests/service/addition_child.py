"""A service in a process of its own that adds a list to its live one, says so, and waits to be killed.

Arguments: the settings as JSON, the list to add, its passphrase, and "propose" where nobody is to approve it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from lfr_edge.demo.officers import APPROVER, PROPOSER, approve, arrive
from lfr_edge.service import Service
from lfr_edge.service.changes import carry_out
from lfr_edge.service.control import Control
from lfr_edge.settings import Settings


async def _main() -> None:
    service = Service(Settings.model_validate(json.loads(sys.argv[1])))
    await service.start()
    await arrive(service)
    await Control(service).add_list(Path(sys.argv[2]), sys.argv[3], PROPOSER)
    if sys.argv[4:] == ["propose"]:
        print("proposed", flush=True)
    else:
        await carry_out(service.run, await approve(service, "watchlist.add"), APPROVER)
        print("added", flush=True)
    await asyncio.sleep(3600)


asyncio.run(_main())
