"""Four short lives of a box, each to be disturbed at every system call: rotate, erase, import, upgrade.

A life has a beginning that is made once and copied, an act that is disturbed, and a judgement: whatever failed, what
was acknowledged is so, nothing is half, both verifiers find nothing, and the same act done again comes to its end.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import numpy as np

from lfr_edge.alerts.material import AlertMaterial, AlertPictures
from lfr_edge.audit.device import DeviceLog
from lfr_edge.audit.event import SYSTEM, Event
from lfr_edge.audit.folder import LogFolder
from lfr_edge.audit.keys import FileKeyStore, deployment_keys, device_keys
from lfr_edge.audit.log import AuditLog, LogOptions
from lfr_edge.audit.verify import verify
from lfr_edge.audit.view import LogView
from lfr_edge.deployment.keeping.register import Register
from lfr_edge.deployment.keeping.sweeper import Sweeper
from lfr_edge.errors import AlertError, AuditError
from lfr_edge.settings import Settings
from lfr_edge.watchlist import container
from lfr_edge.watchlist.entry import CandidateImage, Entry, Response
from tests.deploy import conftest as releases
from tests.deployment.conftest import MovedClock, Van
from tests.trials.parts import Folders, plain

from lfr_install import approval, release  # isort: skip - on the path once tests.deploy.conftest was imported
from lfr_install.container import Bundle  # isort: skip
from lfr_install.faults import InstallError  # isort: skip

Told = Callable[[str], None]
WALL_NS: Final = 1_736_330_400 * 10**9  # 2025-01-08 10:00 UTC
KEY: Final = b"k" * 32
PICTURES: Final = AlertPictures(b"probe" * 60, b"candidate" * 40)
NAME: Final = "2025-01-08-1"
OPTIONS: Final = LogOptions(timer=False, ballast_bytes=4096, checkpoint_every=3, boot_id=lambda: "boot-1")


@dataclass(frozen=True)
class Life:
    """`begin(folder)` once; `act(folder, told)` under fire; `judge(folder, told, Go verifier)` says what is wrong."""

    begin: Callable[[Path], None]
    act: Callable[[Path, Told], None]
    judge: Callable[[Path, Sequence[str], Path | None], str]


# ── the record ────────────────────────────────────────────────────────────────────────────────────────────────────


def _device(root: Path, clock: MovedClock) -> tuple[FileKeyStore, Any, DeviceLog]:
    store = FileKeyStore(root / "keys")
    keys = device_keys(store, "van/device", clock)
    return store, keys, DeviceLog.open(root / "audit", "van/device", keys, clock, options=OPTIONS)


def _agree(root: Path, program: Path | None) -> str:
    """Both verifiers, on every log that was laid out."""
    for folder in sorted((root / "audit").glob("*")):
        files = LogFolder(folder)
        if not (files.is_log() and files.heads.exists() and files.checkpoints.exists()):
            continue
        findings = verify(folder).findings
        if findings:
            return f"{folder.name}: {findings[0].line()}"
        if (
            program is not None
            and subprocess.run([program, folder], capture_output=True, check=False).returncode
        ):
            return f"{folder.name}: the Go verifier finds what ours does not"
    return ""


def _on_record(root: Path) -> set[tuple[str, str]]:
    """(log, reference) of what the acts below write."""
    found = set()
    for folder in (root / "audit").glob("*"):
        if LogFolder(folder).entries.exists() and LogFolder(folder).is_log():
            view = LogView.load(folder)
            events = (view.entry(seq).event for seq in range(view.size))
            found.update((event.ev, event.ref) for event in events)
    return found


def rotate(root: Path, told: Told) -> None:
    """Two deployments one after the other: the device log opens and closes both."""
    clock = MovedClock(WALL_NS)
    store, keys, device = _device(root, clock)
    for name in ("d1", "d2"):
        origin, folder = f"van/{name}", root / "audit" / name
        if _is_closed(folder):
            continue
        own = deployment_keys(store, keys, origin, clock)
        if LogFolder(folder).is_log():
            log = AuditLog.open(folder, origin, own, clock, options=OPTIONS)
        else:
            device.opened(origin)
            log = AuditLog.create(folder, origin, own, clock, options=OPTIONS)
        for number in range(3):
            ref = f"{name}-{number}-{secrets.token_hex(4)}"
            log.append(Event("camera.lost", SYSTEM, ref))
            told(ref)
        device.closed(origin, log.close())
        told(f"closed {origin}")
    device.suspend()


def _is_closed(folder: Path) -> bool:
    if not (LogFolder(folder).is_log() and LogFolder(folder).entries.exists()):
        return False
    view = LogView.load(folder)
    return view.size > 0 and view.entry(view.size - 1).event.ev == "log.closed"


def _judge_rotation(root: Path, told: Sequence[str], program: Path | None) -> str:
    wrong = _agree(root, program)
    if wrong:
        return wrong
    rotate(root, lambda ref: None)  # AuditError: it does not go on
    record = _on_record(root)
    for ref in told:
        closing = ref.removeprefix("closed ")
        known = ("device.deployment_closed", closing) if closing != ref else ("camera.lost", ref)
        if known not in record:
            return f"{ref} was acknowledged and is not on record"
    return _agree(root, program)


# ── erasure ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _begin_erasure(root: Path) -> None:
    van = Van(root, MovedClock(WALL_NS - 10 * 86_400 * 10**9))
    story = van.deployment(NAME)
    story.open(people=5)
    material = AlertMaterial(_material(root), KEY)
    for number in range(1, 5):
        token = f"{number:032x}"
        if number == 3:
            van.clock.advance(10 * 3600)
        story.say("alert.raised", ref=token, number=number, commitment=material.keep(token, PICTURES))
    story.close()
    material.close()
    for log in van.logs:
        log._release()


def _material(root: Path) -> Path:
    return root / "data" / "deployments" / NAME / "material"


def erase(root: Path, told: Told) -> None:
    """Two alerts are over, two are not."""
    clock = MovedClock(WALL_NS + 25 * 3600 * 10**9)
    store, _, device = _device(root, clock)

    class Recorder:
        def record(self, ev: Any, *, actor: Any, ref: str, data: Any, why: str) -> int:
            return device.log.append(Event(ev, actor or SYSTEM, ref, data, why)).seq

    settings = Settings.model_validate({"site": "van", "data": root / "data", "audit": root / "audit"})
    register = Register(settings.data / "register", store, clock)
    swept = Sweeper(settings, clock, Recorder(), register, store).sweep()
    for item in swept.erased:
        told(f"{item.number}")
    if not swept.clean:
        raise AuditError("retention_failed", swept.failed[0].reason)
    device.suspend()


def _judge_erasure(root: Path, told: Sequence[str], program: Path | None) -> str:
    wrong = _agree(root, program)
    if wrong:
        return wrong
    material = AlertMaterial(_material(root), KEY)
    record = _on_record(root)
    for number in range(1, 5):
        token = f"{number:032x}"
        recorded = ("alert.erased", token) in record
        if str(number) in told and not recorded:
            return f"the erasure of alert {number} was acknowledged and is not on record"
        try:
            readable = material.read(token) == PICTURES
        except AlertError:
            readable = False
        if readable and recorded:
            return f"alert {number} is erased on record, and its pictures can be read"
        if not readable and number > 2:
            return f"the pictures of alert {number} are gone before their time"
    again: list[str] = []
    erase(root, again.append)
    tokens = material.tokens()
    if tokens != {f"{number:032x}" for number in (3, 4)}:
        return f"after another sweep these are left: {sorted(tokens)}"
    if not {("alert.erased", f"{number:032x}") for number in (1, 2)} <= _on_record(root):
        return "an erasure is not on record after another sweep"
    return _agree(root, program)


# ── the list ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _people(prefix: str, count: int) -> list[container.Enrolled]:
    chance = np.random.default_rng(len(prefix))
    made = []
    for number in range(count):
        row = chance.standard_normal((1, 128)).astype(np.float32)
        image = CandidateImage(f"{prefix}{number}.png")
        entry = Entry(f"{prefix}-{number}", "wanted_by_court", next(iter(Response)), (image,))
        made.append(container.Enrolled(entry, (b"png" * 40,), row / np.linalg.norm(row)))
    return made


def _begin_import(root: Path) -> None:
    clock = MovedClock(WALL_NS)
    _, _, device = _device(root, clock)
    _seal(root, "old", 2)
    device.log.append(Event("watchlist.imported", SYSTEM, "old"))
    device.suspend()


def _seal(root: Path, prefix: str, count: int) -> None:
    container.seal(root / "list.sealed", _people(prefix, count), key=KEY, fingerprint="f" * 64, dimension=128)


def bring_list(root: Path, told: Told) -> None:
    """A new list takes the place of the one that is there; then that is said."""
    _, _, device = _device(root, MovedClock(WALL_NS))
    _seal(root, "new", 3)
    device.log.append(Event("watchlist.imported", SYSTEM, "new"))
    told("new")
    device.suspend()


def _judge_list(root: Path, told: Sequence[str], program: Path | None) -> str:
    wrong = _agree(root, program)
    if wrong:
        return wrong
    there = _who(root)
    recorded = ("watchlist.imported", "new") in _on_record(root)
    if there not in ({"old-0", "old-1"}, {"new-0", "new-1", "new-2"}):
        return f"the list is neither the old one nor the new one: {there}"
    if told and not recorded:
        return "the import was acknowledged and is not on record"
    if recorded and "new-0" not in there:
        return "the new list is on record and the old one is there"
    bring_list(root, lambda ref: None)
    if "new-0" not in _who(root):
        return "the list cannot be brought again"
    return _agree(root, program)


def _who(root: Path) -> set[str]:
    with container.SealedWatchlist.open(root / "list.sealed", key=KEY) as sealed:
        return {entry.reference for entry in sealed.entries()}


# ── the release ───────────────────────────────────────────────────────────────────────────────────────────────────


def _begin_upgrade(root: Path) -> None:
    keys = plain(releases.keys)(Folders(root))
    make = plain(releases.release)(root, keys)
    (root / "box" / "trust" / "installers").mkdir(parents=True)
    shutil.copyfile(keys.public("release"), root / "box" / "trust" / "release.pub")
    for name in ("anna", "ben"):
        shutil.copyfile(keys.public(name), root / "box" / "trust" / "installers" / f"{name}.pub")
    for serial in (1, 2):
        bundle = make(serial)
        with Bundle.open(bundle, root / "box" / "trust" / "release.pub") as opened:
            for name in ("anna", "ben"):
                approval.approve(bundle, opened.manifest, keys.private(name), keys.public(name))
    with patch.object(release, "_set_up", _no_venv):
        _release(root).install(root / "lfr-edge-1.bundle")


def _release(root: Path) -> release.Release:
    return release.Release(root / "box", lambda folder: "")


def _no_venv(folder: Path, manifest: Any) -> None:
    (folder / "venv").mkdir()
    (folder / "venv" / "ready").write_bytes(manifest.version.encode())


def upgrade(root: Path, told: Told) -> None:
    """From release 1 to release 2; making the environment (minutes of other programs) is left out."""
    with patch.object(release, "_set_up", _no_venv):
        _release(root).install(root / "lfr-edge-2.bundle")
    told("2")


def _judge_upgrade(root: Path, told: Sequence[str], program: Path | None) -> str:
    del program
    for last in (False, True):
        box = _release(root)
        box.recover()
        current = box.slots.current()
        if current is None:
            return "no release is in use"
        manifest, folder = box.slots.manifest(current), box.slots.folder(current)
        committed = box.slots.committed()
        if committed is None or committed.serial != manifest.serial:
            return f"release {manifest.serial} is in use and {committed} is committed"
        if (folder / "venv" / "ready").read_bytes() != manifest.version.encode():
            return "the environment is another one's"
        for member in manifest.members:
            path = folder / member.name
            if not path.is_file() or path.stat().st_size != member.size:
                return f"{member.name} of release {manifest.serial} is not whole"
        if (told or last) and manifest.serial != 2:
            return "the new release was acknowledged and the old one is in use"
        if manifest.serial == 2:
            return ""
        box.journal.read()
        upgrade(root, lambda ref: None)
    return ""


LIVES: Final = {
    "rotate": Life(lambda root: root.joinpath("audit").mkdir(), rotate, _judge_rotation),
    "erase": Life(_begin_erasure, erase, _judge_erasure),
    "import": Life(_begin_import, bring_list, _judge_list),
    "upgrade": Life(_begin_upgrade, upgrade, _judge_upgrade),
}
REFUSALS: Final = (AuditError, InstallError)

__all__ = ["LIVES", "REFUSALS", "Life"]
