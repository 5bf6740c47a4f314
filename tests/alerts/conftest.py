from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lfr_edge.alerts.alert import DeskPolicy
from lfr_edge.alerts.desk import AlertDesk
from lfr_edge.alerts.material import AlertMaterial
from lfr_edge.alerts.store import AlertStore
from lfr_edge.audit.event import Actor
from tests.fakes.box import KEY, ListRecorder, ManualClock

MILLER = Actor("miller", "operator", "s1")
REED = Actor("reed", "operator", "s2")
OKAFOR = Actor("okafor", "operator", "s3")


class Bench:
    """A desk on a folder, with time and record in the test's hands; may be opened again after a 'crash'."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.recorder = ListRecorder()

    @asynccontextmanager
    async def open(self, policy: DeskPolicy | None = None) -> AsyncIterator[AlertDesk]:
        store = AlertStore(self.folder / "alerts.sqlite")
        material = AlertMaterial(self.folder / "material", KEY)
        desk = AlertDesk(store, material, self.recorder, self.clock, policy or DeskPolicy())
        await desk.start()
        try:
            yield desk
        finally:
            await desk.stop()
            store.close()
            material.close()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)
