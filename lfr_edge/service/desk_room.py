"""The desk of one deployment with what it stands on: the table of alerts and their sealed pictures."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from lfr_edge.alerts.desk import AlertDesk
from lfr_edge.alerts.material import AlertMaterial
from lfr_edge.alerts.policy import desk_policy
from lfr_edge.alerts.store import AlertStore
from lfr_edge.clock import Clock
from lfr_edge.deployment.session import DeploymentSession
from lfr_edge.service.live_list import LiveList
from lfr_edge.settings import Settings


@dataclass(frozen=True, slots=True)
class DeskRoom:
    """**Lifetime:** store and material close with the stack they were opened on; the desk is stopped before."""

    desk: AlertDesk
    material: AlertMaterial

    @classmethod
    async def open(
        cls,
        stack: AsyncExitStack,
        settings: Settings,
        session: DeploymentSession,
        listing: LiveList,
        clock: Clock,
        alert_images_h: float,
    ) -> DeskRoom:
        """Take up what the deployment's record knows. Raises AlertError, AuditError."""
        store = AlertStore(session.folder / "alerts.sqlite")
        stack.callback(store.close)
        material = AlertMaterial(session.folder / "material", listing.material_key(session.deployment.id))
        stack.callback(material.close)
        desk = AlertDesk(store, material, session, clock, desk_policy(settings.desk, alert_images_h))
        entries = (entry for _, entry in session.log.entries())
        references = {
            material.reference_code(entry.reference): entry.reference for entry in listing.entries()
        }
        await desk.start(entries, references)
        return cls(desk, material)
