"""The pictures of an alert while the desk has them: who saw them, what keeps them, and how they go."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from lfr_edge.alerts.alert import Alert, Hold
from lfr_edge.alerts.book import SECOND_NS
from lfr_edge.alerts.changes import Changes
from lfr_edge.alerts.material import AlertPictures
from lfr_edge.alerts.record import Actor, Plain
from lfr_edge.alerts.refusals import refuse_unlooked
from lfr_edge.errors import AlertError


class KeptPictures(Changes):
    """**Thread rule:** of the event loop; the pictures themselves are read and erased in threads."""

    async def hold(
        self, token: str, actor: Actor, hold: Hold, approval: Mapping[str, str] | None = None
    ) -> Alert:
        """Keep the pictures beyond their retention, for a reason, until a date."""
        return await self._whole(self._hold(token, actor, hold, approval or {}))

    async def release(self, token: str, actor: Actor, why: str) -> Alert:
        """End a hold before its date; the pictures go when their retention is over, which may be now.

        Raises:
            AlertError: ``alert_not_held``.
        """
        return await self._whole(self._release(token, actor, why))

    async def picture(self, token: str, actor: Actor, which: Literal["probe", "candidate"]) -> bytes:
        """One JPEG; who viewed it is on the record before the first byte leaves.

        Raises:
            AlertError: ``alert_unknown``, ``alert_pictures_erased``, ``alert_pictures_damaged``.
        """
        alert = self.get(token)
        pictures: AlertPictures = await asyncio.to_thread(self._material.read, token)
        await self._record(
            "evidence.viewed", actor, token, {"number": alert.id.number, "which": which}, "desk"
        )
        return pictures.probe_jpeg if which == "probe" else pictures.candidate_jpeg

    async def pictures_to_explain(self, token: str, actor: Actor) -> AlertPictures:
        """Both pictures, for the recogniser to show which regions carried the similarity; on the record first.

        Raises:
            AlertError: ``alert_look_first`` while anybody still has to look, ``alert_is_drill``,
                ``alert_unknown``, ``alert_pictures_erased``, ``alert_pictures_damaged``.
        """
        alert = self.get(token)
        refuse_unlooked(alert)
        pictures: AlertPictures = await asyncio.to_thread(self._material.read, token)
        data: dict[str, Plain] = {"number": alert.id.number, "which": "explanation"}
        await self._record("evidence.viewed", actor, token, data, "desk")
        return pictures

    async def _hold(self, token: str, actor: Actor, hold: Hold, approval: Mapping[str, str]) -> Alert:
        async with self._lock(token):
            alert = self.get(token)
            if alert.pictures_erased:
                raise AlertError(
                    "alert_pictures_erased",
                    "the pictures of this alert are erased",
                    hint="nothing is left to hold",
                )
            after = replace(alert, hold=hold)
            data: dict[str, Plain] = {
                "number": after.id.number,
                "expires_s": hold.expires_wall_ns // SECOND_NS,
                "authoriser": hold.authoriser,
                **approval,
            }
            await self._record("alert.held", actor, token, data, hold.reason)
            return await self._change(after, "held")

    async def _release(self, token: str, actor: Actor, why: str) -> Alert:
        async with self._lock(token):
            alert = self.get(token)
            if alert.hold is None:
                raise AlertError("alert_not_held", "this alert is not on hold", hint="reload the page")
            await self._record("alert.released", actor, token, {"number": alert.id.number}, why)
            return await self._change(replace(alert, hold=None), "released")

    async def _erase(self, token: str) -> None:
        async with self._lock(token):
            alert = self.book.get(token)
            await asyncio.to_thread(self._material.erase, token)
            data: dict[str, Plain] = {"number": alert.id.number, "key_destroyed": True}
            await self._record("alert.erased", None, token, data, "retention ended")
            await self._change(replace(alert, pictures_erased=True, hold=None), "erased")
