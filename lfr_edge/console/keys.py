"""Typed names under which the application and its requests hold what the handlers share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import jinja2
from aiohttp import web

from lfr_edge.console.access import Rule
from lfr_edge.console.ports import ConsolePorts
from lfr_edge.console.sessions import Session, Tries
from lfr_edge.console.texts import Texts

if TYPE_CHECKING:
    from lfr_edge.console.refusals import Refusals

PORTS: Final = web.AppKey("PORTS", ConsolePorts)
RULES: Final = web.AppKey("RULES", dict[str, Rule])
TRIES: Final = web.AppKey("TRIES", Tries)
TEXTS: Final = web.AppKey("TEXTS", Texts)
PAGES: Final = web.AppKey("PAGES", jinja2.Environment)
REFUSALS: Final[web.AppKey[Refusals]] = web.AppKey("REFUSALS")
HASHING: Final = web.AppKey("HASHING", asyncio.Semaphore)
SESSION: Final = web.RequestKey("SESSION", Session)
