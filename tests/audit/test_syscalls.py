"""A2 at the system-call boundary: strace makes each call on the log's files fail or kills the process there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lfr_edge.audit.folder import LogFolder
from lfr_edge.audit.keys import FileKeyStore, deployment_keys, device_keys
from lfr_edge.audit.log import AuditLog, LogOptions
from lfr_edge.audit.verify import verify
from lfr_edge.audit.view import LogView
from lfr_edge.clock import SystemClock
from lfr_edge.errors import AuditError

from .test_independent import go_verifier as go_verifier

REPOSITORY = Path(__file__).resolve().parents[2]
CALLS = (
    "openat",
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "rename",
    "ftruncate",
    "mkdir",
    "close",
    "fallocate",
)
FILES = ("", "entries.lfr", "heads", "checkpoints", "ballast", "key.cert", "device.vkey")
CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, {repository!r})
from lfr_edge.audit.event import Event
from lfr_edge.audit.keys import FileKeyStore, deployment_keys, device_keys
from lfr_edge.audit.log import AuditLog, LogOptions
from lfr_edge.clock import SystemClock
from lfr_edge.errors import AuditError
root, clock = Path(sys.argv[1]), SystemClock()
store = FileKeyStore(root / "keys")
keys = deployment_keys(store, device_keys(store, "van/device", clock), "van/d1", clock)
options = LogOptions(checkpoint_every=3, ballast_bytes=4096, timer=False)
try:
    log = AuditLog.create(root / "log", "van/d1", keys, clock, options=options)
    for n in range(3):
        print(log.append(Event("camera.lost")).seq, flush=True)
    print(log.append(Event("alert.decided")).seq, flush=True)
    log.close()
except AuditError as error:
    print(error.code)
    sys.exit(5)
"""


def live(root: Path, call: str, fault: str, when: str) -> tuple[int, list[int], bool]:
    """Run a short life of a log under strace; exit status, acknowledged numbers, whether the fault was met."""
    log = root / "log"
    paths = [f"-P{log / name}{end}" for name in FILES for end in ("", ".new")]
    trace = root / "trace"
    command = [
        "strace",
        "-f",
        "-q",
        "-o",
        str(trace),
        *paths,
        f"-etrace={call}",
        f"-einject={call}:{fault}:when={when}",
    ]
    child = [sys.executable, "-c", CHILD.format(repository=str(REPOSITORY)), str(root)]
    done = subprocess.run([*command, *child], capture_output=True, text=True, check=False)
    met = "INJECTED" in trace.read_text() or done.returncode < 0 or done.returncode == 137
    return done.returncode, [int(line) for line in done.stdout.split() if line.isdecimal()], met


def agree(program: Path | None, folder: Path) -> None:
    """Whatever the fault left, nothing is altered: by our verifier, and by the Go one where it could be built."""
    files = LogFolder(folder)
    if not (files.is_log() and files.heads.exists() and files.checkpoints.exists()):
        return  # killed while it was laid out: not yet a log
    report = verify(folder)
    assert report.findings == (), report.findings
    if program is not None:
        assert subprocess.run([program, folder], capture_output=True, check=False).returncode == 0


def recover(root: Path, acknowledged: list[int], program: Path | None) -> None:
    folder, clock = root / "log", SystemClock()
    agree(program, folder)
    store = FileKeyStore(root / "keys")
    keys = deployment_keys(store, device_keys(store, "van/device", clock), "van/d1", clock)
    options = LogOptions(ballast_bytes=0, timer=False)
    if LogFolder(folder).entries.exists():
        begin = AuditLog.open
    else:
        assert not acknowledged
        begin = AuditLog.create
    try:
        begin(folder, "van/d1", keys, clock, options=options).close()
    except AuditError as error:
        if error.code != "audit_log_closed":
            raise
    view = LogView.load(folder)
    assert all(
        view.entry(seq).event.ev in {"camera.lost", "alert.decided", "disk.full"} for seq in acknowledged
    )
    assert view.entry(view.size - 1).event.ev == "log.closed"
    agree(program, folder)
    assert verify(folder).logs[0].heads.last_size == view.size


def faults(
    tmp_path: Path, call: str, fault: str, *, forever: bool, step: int, program: Path | None = None
) -> None:
    for nth in range(1, 100, step):
        root = tmp_path / f"{nth}"
        root.mkdir()
        status, acknowledged, met = live(root, call, fault, f"{nth}+" if forever else f"{nth}")
        place = (call, fault, nth, status)
        assert status in ({0, 5} if fault.startswith("error") else {0, -9, 137}), place
        recover(root, acknowledged, program)
        shutil.rmtree(root)
        if not met:
            assert status == 0, place
            return
    pytest.fail("the fault never left the run")


@pytest.fixture
def traced(tmp_path: Path) -> Path:
    """A folder to run in, where strace is there and may trace."""
    probe = ["strace", "-qq", "-o/dev/null", "-einject=getppid:error=EIO", "true"]
    if shutil.which("strace") is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        if os.environ.get("CI") == "true":
            pytest.fail("strace has to work in CI")
        pytest.skip("NOT TESTED: strace is absent or may not trace here")
    return tmp_path


@pytest.mark.parametrize("fault", ["error=EIO", "signal=KILL"])
@pytest.mark.parametrize("call", ["write", "fdatasync"])
def test_every_third_write_and_sync(traced: Path, call: str, fault: str) -> None:
    faults(traced, call, fault, forever=False, step=3)


@pytest.mark.trial
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("forever", [False, True], ids=["once", "for-ever"])
@pytest.mark.parametrize("fault", ["error=EIO", "error=ENOSPC", "signal=KILL"])
@pytest.mark.parametrize("call", CALLS)
def test_every_occurrence_of_every_call(
    traced: Path, go_verifier: Path, call: str, fault: str, forever: bool
) -> None:
    faults(traced, call, fault, forever=forever, step=1, program=go_verifier)
