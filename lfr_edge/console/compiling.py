"""One compile at a time behind the Watchlist page: the upload, the process, what it said, and its traces' end.

Everything lies in one private folder. Whatever way a compile ends, the bundle that was sent is overwritten and
removed, and so is a sealed list that nobody submitted; what a power cut left is removed before the next upload.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from lfr_edge.audit.disk import make_folder, sync_folder
from lfr_edge.console.compile_order import Order
from lfr_edge.console.sayings import Sayings
from lfr_edge.console.texts import ENGLISH
from lfr_edge.errors import WatchlistError
from lfr_edge.sentences import packed, say, unpacked
from lfr_edge.watchlist.destroy import destroy_file
from lfr_edge.watchlist.header import file_digest

MOST_BYTES: Final = 2 << 30  # reliability.md 4: of a whole bundle
_LINE: Final = 1 << 20
Phase = Literal["empty", "receiving", "received", "running", "refused", "done", "submitted"]
_FREE: Final = frozenset({"empty", "received", "refused", "done", "submitted"})  # a new bundle may come


@dataclass(slots=True)
class Compiling:
    """What the page shows of the newest bundle."""

    phase: Phase = "empty"
    name: str = ""
    size: int = 0
    bundle_sha256: str = ""
    stage: str = ""  # "rows", "pictures"
    done: int = 0
    total: int = 0
    survey: dict[str, Any] = field(default_factory=dict)
    refusal: dict[str, Any] = field(default_factory=dict)  # code, message, hint
    result: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""  # of the sealed list
    sealed_bytes: int = 0
    entries: list[dict[str, Any]] = field(default_factory=list)
    near: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def left_out(self) -> int:
        """People without a usable picture."""
        return sum(entry["verdict"] == "refuse" for entry in self.entries)

    def to_json(self, said: Sayings) -> dict[str, Any]:
        return {
            "phase": self.phase,
            "name": self.name,
            "size": self.size,
            "bundle_sha256": self.bundle_sha256,
            "stage": self.stage,
            "done": self.done,
            "total": self.total,
            "survey": _spoken_survey(self.survey, said),
            "refusal": _spoken_refusal(self.refusal, said),
            "result": _spoken_result(self.result, said),
            "sha256": self.sha256,
            "sealed_bytes": self.sealed_bytes,
            "left_out": self.left_out,
        }


class Compiler:
    """**Thread rule:** the event loop; disks are touched in threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self.now = Compiling()

    @property
    def bundle(self) -> Path:
        return self._folder / "bundle.zip"

    @property
    def sealed(self) -> Path:
        return self._folder / "list.sealed"

    async def receive(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Store an upload as it comes; an earlier one, finished or not, is erased first.

        Raises:
            WatchlistError: ``compile_busy``, ``compile_upload_empty`` or ``compile_upload_large``; nothing of
                the upload stays.
        """
        if self.now.phase not in _FREE:
            raise _busy()
        self.now = Compiling("receiving", name=name)
        try:
            await asyncio.to_thread(self._clear)
            digest = hashlib.sha256()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(self.bundle, flags, 0o600), "wb") as file:
                async for chunk in chunks:
                    self.now.size += len(chunk)
                    if self.now.size > MOST_BYTES:
                        raise WatchlistError(
                            "compile_upload_large",
                            say("the bundle is larger than {most_bytes} GiB", most_bytes=MOST_BYTES >> 30),
                            hint="compile it at a terminal: lfr-edge watchlist seal",
                        )
                    digest.update(chunk)
                    await asyncio.to_thread(file.write, chunk)
            if not self.now.size:
                raise WatchlistError(
                    "compile_upload_empty", "the file is empty", hint="choose the bundle's ZIP file"
                )
        except BaseException:
            self.now = Compiling()
            await asyncio.to_thread(self._clear)
            raise
        self.now.bundle_sha256 = digest.hexdigest()
        self.now.phase = "received"

    async def start(self, order: Order) -> None:
        """Raises WatchlistError ``compile_nothing_received`` or ``compile_busy``."""
        if self.now.phase == "running":
            raise _busy()
        if self.now.phase != "received":
            raise WatchlistError("compile_nothing_received", "no bundle was sent", hint="send one first")
        self.now.phase = "running"
        try:
            environment = {k: v for k, v in os.environ.items() if not k.startswith(("LFR_", "AWS_"))}
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "lfr_edge.console.compile_job"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=environment,
                limit=_LINE,
            )
            assert self._process.stdin is not None
            self._process.stdin.write(order.to_line())
            await self._process.stdin.drain()
        except OSError as error:
            await self._refuse(
                "compile_failed", say("the compile could not start: {strerror}", strerror=error.strerror)
            )
            return
        self._listening = asyncio.create_task(self._listen(self._process), name="compile")

    async def cancel(self) -> None:
        """End what runs and erase everything of it; nothing happens where there is nothing."""
        if self.now.phase == "receiving":
            raise _busy()
        await self._stop()
        self.now = Compiling()
        await asyncio.to_thread(self._clear)

    async def install(self, target: Path) -> None:
        """Put the sealed list where the deployment looks for it; what lay there is destroyed.

        Raises:
            WatchlistError: ``compile_not_done``, ``watchlist_altered`` or ``watchlist_unwritable``.
        """
        if self.now.phase != "done":
            raise WatchlistError("compile_not_done", "no compiled list waits", hint="send a bundle first")
        await asyncio.to_thread(self._install, target)
        self.now.phase = "submitted"

    async def take_back(self, target: Path) -> None:
        """Undo :meth:`install`: nobody was asked to approve it."""
        await asyncio.to_thread(target.replace, self.sealed)
        self.now.phase = "done"

    async def close(self) -> None:
        """With the console: end what runs, leave nothing."""
        await self._stop()
        if self._folder.exists():
            await asyncio.to_thread(self._clear)

    def rows(self, verdict: str, find: str, offset: int, count: int) -> tuple[list[dict[str, Any]], int]:
        """(entries with their look-alikes, how many there are) of a verdict ("" for all) that contain `find`."""
        wanted = find.lower()
        chosen = [
            entry
            for entry in self.now.entries
            if (not verdict or entry["verdict"] == verdict) and wanted in entry["reference"].lower()
        ]
        page = [
            entry | {"look_alikes": self.now.near.get(entry["reference"], [])}
            for entry in chosen[offset : offset + count]
        ]
        return page, len(chosen)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        ended = False
        with contextlib.suppress(ValueError):  # a line beyond the limit: not ours, so the process is ended
            async for line in process.stdout:
                ended = await self._hear(json.loads(line)) or ended
        if process.returncode is None:
            process.kill()
        status = await process.wait()
        if not ended:
            await self._refuse(
                "compile_failed", say("the compile ended unexpectedly (status {status})", status=status)
            )

    async def _hear(self, said: dict[str, Any]) -> bool:
        """Take in one line; True for the last one."""
        now = self.now
        match said.pop("t"):
            case "progress":
                now.stage, now.done, now.total = said["stage"], said["done"], said["total"]
            case "survey":
                now.survey = said
            case "entry":
                now.entries.append(said)
            case "near":
                now.near[said["reference"]] = said["near"]
            case "done":
                now.result, now.sha256, now.sealed_bytes = said["result"], said["sha256"], said["size"]
                await asyncio.to_thread(self._erase_bundle)
                now.phase = "done"
                return True
            case "refused":
                await self._refuse(said["code"], said["message"], said["hint"])
                return True
        return False

    async def _refuse(
        self, code: str, message: Any, hint: Any = "send the bundle again, or see the log"
    ) -> None:
        self.now.refusal = {"code": code, "message": _kept(message), "hint": _kept(hint)}
        await asyncio.to_thread(self._clear)
        self.now.phase = "refused"

    async def _stop(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        self._process = self._listening = None

    def _install(self, target: Path) -> None:
        if file_digest(self.sealed) != self.now.sha256:
            raise WatchlistError(
                "watchlist_altered", "the compiled list was changed on the disk", hint="send the bundle again"
            )
        try:
            self.sealed.replace(target)  # atomic: a crash leaves the one list or the other
            sync_folder(target.parent)
        except OSError as error:
            raise WatchlistError(
                "watchlist_unwritable",
                say("{target}: {strerror}", target=target, strerror=error.strerror),
                hint="watchlist.path must lie on the same disk as the data folder",
            ) from None

    def _erase_bundle(self) -> None:
        if self.bundle.exists():
            destroy_file(self.bundle)

    def _clear(self) -> None:
        make_folder(self._folder)
        for left in self._folder.iterdir():
            destroy_file(left)


def _kept(text: Any) -> Any:
    """As the compiling process sends it: our own refusals are packed like its."""
    return packed(text) if isinstance(text, str) else text


def spoken_row(row: Mapping[str, Any], said: Sayings) -> dict[str, Any]:
    """An entry's verdicts with their reasons in the reader's language."""
    images = [{**image, **_listed(said, "reasons", image["reasons"])} for image in row["images"]]
    return {**row, "images": images}


def _listed(said: Sayings, name: str, packed: Sequence[Any]) -> dict[str, Any]:
    """Texts of the compiling process by name; all of them English where one is, and said to be."""
    texts = [unpacked(text) for text in packed]
    found = [said(text) for text in texts]
    if all(one.language == said.language for one in found):
        return {name: [one.text for one in found]}
    return {name: [str(text) for text in texts], "language": ENGLISH}


def _spoken_survey(survey: Mapping[str, Any], said: Sayings) -> dict[str, Any]:
    if not survey:
        return {}
    warnings = [said(unpacked(text)).text for text in survey["warnings"]]
    return {**survey, **_listed(said, "problems", survey["problems"]), "warnings": warnings}


def _spoken_refusal(refusal: Mapping[str, Any], said: Sayings) -> dict[str, Any]:
    if not refusal:
        return {}
    texts = {name: unpacked(refusal[name]) for name in ("message", "hint")}
    return {"code": refusal["code"], **said.told(refusal["code"], **texts)}


def _spoken_result(result: Mapping[str, Any], said: Sayings) -> dict[str, Any]:
    if not result:
        return {}
    findings = [
        {**one, **said.told(one["code"], text=unpacked(one["text"]), hint=unpacked(one["hint"]))}
        for one in result.get("findings", ())
    ]
    return {**result, "findings": findings}


def _busy() -> WatchlistError:
    return WatchlistError("compile_busy", "a bundle is being compiled", hint="wait for it, or cancel it")
