"""A life under strace: one call fails, or the process dies there, at one occurrence after the other.

The lives are acted in forks of one process that has imported everything (``python -m tests.faults.calls.disturbed``):
so only the act is traced, and an attempt costs a fraction of a second.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.conftest import REPOSITORY

CALLS: Final = (
    "openat", "read", "write", "pwrite64", "fsync", "fdatasync", "rename", "unlink", "unlinkat", "symlink", "mkdir",
    "ftruncate", "close", "fallocate",
)  # fmt: skip
FAULTS: Final = ("error=EIO", "error=ENOSPC", "signal=KILL")
_ATTACHED_S: Final = 20.0


@dataclass(frozen=True)
class Ended:
    """One disturbed act."""

    told: tuple[str, ...]  # what was acknowledged
    how: str  # "done", "refused", "died", or the exception that got out
    met: bool  # whether the fault happened


class Actor:
    """The process whose forks act. **Thread rule:** one thread."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.calls.disturbed"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def act(
        self, life: str, folder: Path, trace: Path, call: str, fault: str, when: str, *, hasty: bool = False
    ) -> Ended:
        self._say({"life": life, "folder": str(folder), "hasty": hasty})
        pid = int(self._hear()["pid"])
        inject = [f"-etrace={call}", f"-einject={call}:{fault}:when={when}"]
        with subprocess.Popen(
            ["strace", "-qq", "-o", str(trace), *inject, "-p", str(pid)], stderr=subprocess.DEVNULL
        ) as strace:
            _until_traced(pid)
            os.kill(pid, signal.SIGCONT)
            told, heard = [], self._hear()
            while "told" in heard:
                told.append(str(heard["told"]))
                heard = self._hear()
            strace.wait(30)
        how = str(heard["ended"])
        met = how == "died" or "INJECTED" in trace.read_text(encoding="utf-8", errors="replace")
        return Ended(tuple(told), how, met)

    def _say(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        heard: dict[str, Any] = json.loads(self._process.stdout.readline())
        return heard


def _until_traced(pid: int) -> None:
    deadline = time.monotonic() + _ATTACHED_S
    status = Path(f"/proc/{pid}/status")
    while "TracerPid:\t0\n" in status.read_text():
        if time.monotonic() > deadline:
            raise RuntimeError("strace does not attach")
        time.sleep(0.002)
    while status.read_text().split("State:\t")[1][0] not in "Tt":
        time.sleep(0.002)


def _tell(message: dict[str, Any]) -> None:
    os.writev(1, [json.dumps(message).encode() + b"\n"])  # a call that is never disturbed


def _fork(order: dict[str, Any]) -> None:
    """The child acts; the parent says how it ended."""
    from tests.faults.calls.lives import LIVES, REFUSALS

    pid = os.fork()
    if pid:
        os.waitpid(pid, os.WUNTRACED)
        _tell({"pid": pid})
        _, status = os.waitpid(pid, 0)
        ends = {0: "done", 5: "refused", 6: "OSError", 7: "another exception"}
        died = os.WIFSIGNALED(status)
        _tell({"ended": "died" if died else ends.get(os.WEXITSTATUS(status), "?")})
        return
    os.kill(os.getpid(), signal.SIGSTOP)  # until strace is there
    ended = 0
    try:
        if order["hasty"]:  # the control: what comes last is acknowledged first
            _tell({"told": _LAST[order["life"]]})
        LIVES[order["life"]].act(Path(order["folder"]), lambda ref: _tell({"told": ref}))
    except REFUSALS:
        ended = 5
    except OSError:
        ended = 6
    except BaseException:
        ended = 7
    os._exit(ended)


_LAST: Final = {"rotate": "closed van/d2", "erase": "2", "import": "new", "upgrade": "2"}


def main(lines: Sequence[str] | Any) -> None:
    from tests.faults.calls import lives

    del lives
    for line in lines:
        _fork(json.loads(line))


if __name__ == "__main__":
    main(sys.stdin)
