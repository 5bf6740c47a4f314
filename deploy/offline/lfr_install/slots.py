"""Two places, A and B. One link says which is in use; moving it is the only moment at which the release changes.

::

    root/current -> slots/a        what runs
    root/slots/a, root/slots/b     complete releases; one of them may be half-written, and is then not `current`
    root/committed                 the last release that passed its health check
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lfr_install.disk import sync_folder, sync_tree, write_whole
from lfr_install.faults import InstallError
from lfr_install.manifest import Manifest, decode

NAMES: Final = ("a", "b")
_COMPLETE: Final = "complete"
_MANIFEST: Final = "manifest.json"


@dataclass(frozen=True, slots=True)
class Committed:
    slot: str
    serial: int


class Slots:
    """**Thread rule:** one process at a time; the program holds a lock on the root."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._link = root / "current"

    def folder(self, slot: str) -> Path:
        return self._root / "slots" / slot

    def current(self) -> str | None:
        """The slot in use. Raises InstallError ``install_link_broken``."""
        if not self._link.is_symlink():
            return None
        name = self._link.readlink().name
        if name not in NAMES or not (self.folder(name) / _COMPLETE).is_file():
            raise InstallError(
                "install_link_broken",
                f"{self._link} does not lead to a complete release",
                hint="point it at slots/a or slots/b, whichever has a file called complete",
            )
        return name

    def spare(self) -> str:
        return next(name for name in NAMES if name != self.current())

    def clear(self, slot: str) -> Path:
        """An empty folder. The mark goes first: a cut in the middle must not leave a complete-looking rest."""
        folder = self.folder(slot)
        (folder / _COMPLETE).unlink(missing_ok=True)
        if folder.exists():
            sync_folder(folder)
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        return folder

    def complete(self, slot: str, manifest: Manifest) -> None:
        """Everything of the slot is durable before it is marked."""
        folder = self.folder(slot)
        (folder / _MANIFEST).write_bytes(manifest.encode())
        sync_tree(folder)
        write_whole(folder / _COMPLETE, b"")

    def manifest(self, slot: str) -> Manifest:
        return decode((self.folder(slot) / _MANIFEST).read_bytes())

    def switch(self, slot: str | None) -> None:
        """Atomic and durable. None: nothing is in use (the first release failed its health check)."""
        if slot is None:
            self._link.unlink(missing_ok=True)
        else:
            fresh = self._root / "current.new"
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(Path("slots", slot))
            os.replace(fresh, self._link)  # noqa: PTH105 - Path.replace would follow nothing either; said plainly
        sync_folder(self._root)

    def committed(self) -> Committed | None:
        path = self._root / "committed"
        if not path.exists():
            return None
        record = json.loads(path.read_bytes())
        return Committed(record["slot"], record["serial"])

    def commit(self, slot: str) -> None:
        """This release is good: an older one is refused from now on."""
        record = {"slot": slot, "serial": self.manifest(slot).serial}
        write_whole(self._root / "committed", json.dumps(record).encode())
