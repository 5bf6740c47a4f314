"""What may change while the service runs: how a camera is reached, what the public is told, the console's certificate.

Everything else waits for a start. What two persons approved for a deployment (its list, its threshold, its networks,
its retention, which cameras there are) is not changed by a file that one person can write, and half a reload is worse
than none: where one field must wait, nothing of the file is taken over and the old configuration stays.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lfr_edge.audit.event import SYSTEM
from lfr_edge.capture.source import require_address
from lfr_edge.errors import ConfigError, LfrError
from lfr_edge.sentences import say
from lfr_edge.service.phase import Phase
from lfr_edge.settings import CameraSettings, Section, Settings, load_settings

if TYPE_CHECKING:
    from lfr_edge.service.service import Service

log = logging.getLogger("lfr_edge.service")

# How a camera is reached. Its detector size and oldest frame are the recogniser's, which is started with them.
_OF_A_CAMERA: Final = frozenset(CameraSettings.model_fields) - {"id", "detector_side", "max_frame_age_s"}
_SAFE: Final = frozenset({"console.tls_certificate", "console.tls_key"})
_SAFE_TABLES: Final = frozenset({"notice"})
_WHY: Final = {
    "cameras": "an authority names the cameras, and the recogniser is started with them",
    "matching": "the threshold of a deployment is approved by two persons",
    "watchlist": "the list of a deployment is approved by two persons",
    "models": "the networks of a deployment are loaded at its start",
    "vision": "the recogniser is started with it",
    "retention": "retention is changed by two persons on the console",
    "deployment": "a deployment keeps the terms that it was prepared with",
}
_AT_START: Final = "it is read when the service starts"


@dataclass(frozen=True, slots=True)
class Change:
    """What a reload would do."""

    fields: tuple[str, ...]  # that differ and may: "cameras.left.url"
    waiting: tuple[tuple[str, str], ...]  # that differ and must wait, and why
    cameras: tuple[CameraSettings, ...]  # reached in another way from now on

    @property
    def names(self) -> str:
        return ", ".join(self.fields) or "nothing but files that it names"


def change_between(old: Settings, new: Settings) -> Change:
    """Compare two configurations field by field."""
    cameras = {camera.id: camera for camera in old.cameras}
    fields = [name for name in _differing(old, new) if name != "cameras"]
    if [camera.id for camera in new.cameras] != list(cameras):
        return _change([*fields, "cameras"], ())
    moved = [camera for camera in new.cameras if camera != cameras[camera.id]]
    for camera in moved:
        fields += [f"cameras.{camera.id}.{name}" for name in _differing(cameras[camera.id], camera)]
    return _change(fields, tuple(moved))


def _differing(old: Section, new: Section, path: str = "") -> Iterator[str]:
    for name in type(old).model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if isinstance(before, Section) and isinstance(after, Section):
            yield from _differing(before, after, f"{path}{name}.")
        elif before != after:
            yield f"{path}{name}"


def _change(fields: list[str], moved: tuple[CameraSettings, ...]) -> Change:
    waiting = tuple(
        (name, _WHY.get(name.partition(".")[0], _AT_START)) for name in fields if not _may_change(name)
    )
    return Change(tuple(name for name in fields if _may_change(name)), waiting, moved)


def _may_change(name: str) -> bool:
    table, _, rest = name.partition(".")
    if table == "cameras":
        return rest.partition(".")[2] in _OF_A_CAMERA
    return name in _SAFE or table in _SAFE_TABLES


async def reload(service: Service, path: Path) -> Change:
    """Take the file over, whole or not at all. The change of a camera is durable in the record before it happens.

    Raises:
        ConfigError: ``config_reload_refused`` and what must wait; or what is wrong with the file.
        CameraError: ``camera_address_invalid``. AuditError: it could not be recorded.
    """
    new = load_settings(path)
    change = change_between(service.settings, new)
    if change.waiting:
        raise ConfigError(
            "config_reload_refused",
            say(
                "these fields wait for a start: {fields}",
                fields=", ".join(name for name, _ in change.waiting),
            ),
            hint=say(
                "{reasons}; the configuration before stays",
                reasons="; ".join(dict.fromkeys(why for _, why in change.waiting)),
            ),
        )
    for camera in change.cameras:
        require_address(camera.url)
    service.renew_certificate(new.console)
    run = service.run
    live = run.phase is not Phase.ENDED
    for camera in change.cameras if live else ():
        changed = [
            name.rpartition(".")[2] for name in change.fields if name.startswith(f"cameras.{camera.id}.")
        ]
        await run.record("camera.changed", actor=SYSTEM, data={"camera": camera.id, "changed": changed})
    service.settings = run.settings = new
    service.box = run.box = replace(service.box, settings=new)
    for camera in change.cameras if live else ():
        await run.cameras.reach(camera)
    return change


async def reload_and_tell(service: Service, path: Path) -> bool:
    """For a signal: whether it was taken over; why not is in the service's log."""
    try:
        change = await service.reload(path)
    except LfrError as error:
        log.error("the configuration stays as it was: %s", error.diagnostics())
        return False
    log.info("configuration taken over: %s", change.names)
    return True
