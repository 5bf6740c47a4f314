"""An erasure of several files that a kill may interrupt: written down before the first, until its entry is durable."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from lfr_edge.audit.disk import sync_folder, write_new
from lfr_edge.errors import DeploymentError
from lfr_edge.sentences import say
from lfr_edge.watchlist.destroy import destroy_file


@dataclass(frozen=True, slots=True)
class Job:
    what: str
    deployment: str
    origin: str
    items: int
    size: int


class Pending:
    """One job at a time in one small file. **Thread rule:** one caller at a time; blocks on the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self, what: str, deployment: str, origin: str, paths: list[Path]) -> None:
        """Write down what is to go, before anything goes."""
        files = [file for path in paths for file in _files(path)]
        job = {
            "what": what,
            "deployment": deployment,
            "origin": origin,
            "items": len(files),
            "size": sum(file.lstat().st_size for file in files),
            "paths": [str(path) for path in paths],
        }
        write_new(self._path, json.dumps(job).encode())

    def work(self) -> Job | None:
        """Erase what is written down and still there; the job, whose entry the caller now records, or None.

        Raises:
            DeploymentError: ``retention_pending_damaged``.
            WatchlistError, OSError: something could not be erased; the job stays.
        """
        try:
            raw = json.loads(self._path.read_bytes())
            job = Job(raw["what"], raw["deployment"], raw["origin"], raw["items"], raw["size"])
            paths = [Path(path) for path in raw["paths"]]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise DeploymentError(
                "retention_pending_damaged",
                say("{path} cannot be read", path=self._path),
                hint="see in the record what was being erased, then remove the file",
            ) from None
        for path in paths:
            for file in _files(path):
                file.unlink() if file.is_symlink() else destroy_file(file)
            if path.is_dir() and not path.is_symlink():
                _remove_folders(path)
            if os.path.lexists(path):
                raise DeploymentError(
                    "retention_not_erased",
                    say("{path} is still there", path=path),
                    hint="see who holds or protects it",
                )
        return job

    def end(self) -> None:
        """The entry is durable: the job is done."""
        self._path.unlink(missing_ok=True)
        sync_folder(self._path.parent)


def _files(path: Path) -> list[Path]:
    if path.is_dir() and not path.is_symlink():
        return sorted(one for one in path.rglob("*") if one.is_symlink() or not one.is_dir())
    return [path] if os.path.lexists(path) else []


def _remove_folders(path: Path) -> None:
    for folder in sorted((one for one in path.rglob("*") if one.is_dir()), key=lambda one: -len(one.parts)):
        folder.rmdir()
    path.rmdir()
    sync_folder(path.parent)
