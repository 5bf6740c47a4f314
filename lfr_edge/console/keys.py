"""Typed names under which the application and its requests hold what the handlers share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from lfr_edge.console.compiling import Compiler
from lfr_edge.console.door.access import Rule
from lfr_edge.console.door.sessions import Session, Tries
from lfr_edge.console.ports import ConsolePorts

if TYPE_CHECKING:
    from lfr_edge.console.accuracy import Measured
    from lfr_edge.console.door.passkeys import Challenges
    from lfr_edge.console.door.refusals import Refusals
    from lfr_edge.console.door.systems import Systems
    from lfr_edge.console.language import Spoken
    from lfr_edge.console.outside.stream import Post
    from lfr_edge.console.shelf import Shelf
    from lfr_edge.console.verification import Verification
    from lfr_edge.settings import SystemSettings

PORTS: Final = web.AppKey("PORTS", ConsolePorts)
RULES: Final = web.AppKey("RULES", dict[str, Rule])
TRIES: Final = web.AppKey("TRIES", Tries)
SPOKEN: Final[web.AppKey[dict[str, Spoken]]] = web.AppKey("SPOKEN")
REFUSALS: Final[web.AppKey[Refusals]] = web.AppKey("REFUSALS")
CHALLENGES: Final[web.AppKey[Challenges]] = web.AppKey("CHALLENGES")
SHELF: Final[web.AppKey[Shelf | None]] = web.AppKey("SHELF")
VERIFICATIONS: Final[web.AppKey[dict[str, Verification]]] = web.AppKey("VERIFICATIONS")
MEASURED: Final[web.AppKey[Measured | None]] = web.AppKey("MEASURED")
HASHING: Final = web.AppKey("HASHING", asyncio.Semaphore)
OPENAPI: Final[web.AppKey[Callable[[], dict[str, Any]]]] = web.AppKey("OPENAPI")
OUTBOX: Final[web.AppKey[Post | None]] = web.AppKey("OUTBOX")
SYSTEMS: Final[web.AppKey[Systems]] = web.AppKey("SYSTEMS")
SYSTEM: Final[web.RequestKey[SystemSettings]] = web.RequestKey("SYSTEM")
SESSION: Final = web.RequestKey("SESSION", Session)
COMPILER: Final = web.AppKey("COMPILER", Compiler)
