"""The trial build: with this folder on PYTHONPATH, ``TRIAL_SABOTAGE=name`` breaks one guard of every process started.

The product has no such switch. Python imports a module of this name at its own start, before anything else; the
chosen guard is broken when the product's module that holds it has been imported.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import ModuleType


def _no_compare(module: ModuleType) -> None:
    """Two operators, or two clicks: nobody is refused because somebody was first."""
    module.refuse_late = lambda alert, actor, version: None
    steps = module.AlertDesk._step
    module.AlertDesk._step = lambda self, alert, step: (
        steps(self, alert, step) if alert.undecided else module.replace(alert, version=alert.version + 1)
    )


def _no_wipe(module: ModuleType) -> None:
    """A passage ends, its slots are given back, and their bytes stay."""
    module.ProbeSlots._overwrite = lambda self, rows: None


def _no_frozen(module: ModuleType) -> None:
    """Something in the box makes each picture look like a new one."""
    pictures = module.LiveReader.pictures

    def restless(self: object) -> object:
        for number, picture in enumerate(pictures(self)):
            y = picture.y.copy()
            y[0, 0] = number % 251
            yield module.Picture(y, picture.u, picture.v, picture.captured_ns, picture.captured_wall_ns)

    module.LiveReader.pictures = restless


def _no_patience(module: ModuleType) -> None:
    """What cannot be decoded ends the process."""

    def decode(self: object, packet: object) -> object:
        return packet.decode()  # type: ignore[attr-defined]

    module.LiveReader._decode = decode


def _leak(module: ModuleType) -> None:
    """Each look at the box's state keeps a megabyte and a descriptor."""
    status, kept = module.View.status, []

    def leaking(self: object) -> object:
        kept.append((bytearray(os.urandom(1 << 20)), os.dup(0)))
        return status(self)

    module.View.status = leaking


def _hungry(module: ModuleType) -> None:
    """Whichever process is sent SIGUSR2 takes all the memory that it can get, and keeps it."""

    def eat(*_: object) -> None:
        kept = []
        while True:
            kept.append(
                bytearray(os.urandom(1 << 20)) * 8
            )  # written, so that the kernel has to find the pages

    signal.signal(signal.SIGUSR2, eat)


_BREAKS: dict[str, tuple[str, Callable[[ModuleType], None]]] = {
    "hungry": ("lfr_edge.confinement", _hungry),
    "leak": ("lfr_edge.service.view", _leak),
    "no_compare": ("lfr_edge.alerts.desk", _no_compare),
    "no_frozen": ("lfr_edge.capture.reader", _no_frozen),
    "no_patience": ("lfr_edge.capture.reader", _no_patience),
    "no_wipe": ("lfr_edge.vision.slots", _no_wipe),
}


class _After(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Breaks `name` once it is loaded."""

    def __init__(self, name: str, breaks: Callable[[ModuleType], None]) -> None:
        self._name, self._breaks = name, breaks

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self._name:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        self._loader = spec.loader
        spec.loader = self
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._breaks(module)


if os.environ.get("TRIAL_SABOTAGE"):
    sys.meta_path.insert(0, _After(*_BREAKS[os.environ["TRIAL_SABOTAGE"]]))
