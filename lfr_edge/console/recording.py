"""Acts of the console itself (sign-ins, accounts, views) into the audit log, before their effect."""

from __future__ import annotations

import asyncio

from aiohttp import web

from lfr_edge.alerts.record import Actor, Plain, Verb
from lfr_edge.console.keys import PORTS


async def record(
    request: web.Request,
    ev: Verb,
    actor: Actor | None,
    ref: str,
    data: dict[str, Plain] | None = None,
    why: str = "",
) -> None:
    """Raises AuditError when the entry is not durable; the caller then does not act."""
    recorder = request.app[PORTS].recorder
    await asyncio.to_thread(recorder.record, ev, actor=actor, ref=ref, data=data or {}, why=why)
