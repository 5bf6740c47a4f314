"""``python -m tests.faults.probing FD``: a capture child that was taken over by its camera, and tries what it can.

It is started as the keeper starts it, reads its order and confines itself as ever; then it does not open its camera.
``PROBING`` in its environment says, as JSON, what there is to reach; with ``"confined": false`` it skips the
confinement (the control: what is refused is refused by that and by nothing else).
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from lfr_edge.capture import child
from lfr_edge.capture.order import Order
from lfr_edge.clock import Clock

AIMS: Final[dict[str, Any]] = json.loads(os.environ.get("PROBING", "{}"))
_libc = ctypes.CDLL(None, use_errno=True)
_SEIZE: Final = 0x4206  # PTRACE_SEIZE
_NEW_USER: Final = 0x10000000  # CLONE_NEWUSER


def _checked(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


def _read(path: str) -> None:
    with open(path, "rb") as file:  # noqa: PTH123 - as plainly as an intruder would
        file.read(16)


def _read_at_nothing(path: str) -> None:
    with open(path, "rb"):  # noqa: PTH123
        return  # what is at address 0 cannot be read by anybody; whoever may open it may read the rest


def _execute() -> None:
    if os.posix_spawn("/bin/true", ["true"], {}) <= 0:
        raise OSError(errno.EPERM, "")


def _fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _connect(port: int) -> None:
    with socket.socket() as one:
        one.settimeout(2)
        one.connect(("127.0.0.1", port))


def _abstract() -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.connect("\0" + AIMS["abstract"])


def _listen() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()


def _program_in_memory() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


# What succeeds for anybody who runs as root and is not confined.
PROBES: Final[dict[str, Callable[[], object]]] = {
    "open the watchlist": lambda: _read(AIMS["watchlist"]),
    "list the folder of the watchlist": lambda: os.listdir(Path(AIMS["watchlist"]).parent),  # noqa: PTH208
    "open the record": lambda: _read(AIMS["record"]),
    "open the device's key": lambda: _read(AIMS["key"]),
    "open the configuration": lambda: _read("/etc/passwd"),
    "read the desk's memory": lambda: _read_at_nothing(f"/proc/{AIMS['desk']}/mem"),
    "read the desk's environment": lambda: _read(f"/proc/{AIMS['desk']}/environ"),
    "change the watchlist": lambda: os.close(os.open(AIMS["watchlist"], os.O_WRONLY | os.O_APPEND)),
    "leave a file": lambda: os.close(os.open(AIMS["watchlist"] + ".new", os.O_CREAT | os.O_WRONLY)),
    "move the watchlist": lambda: os.rename(AIMS["watchlist"], AIMS["watchlist"]),  # noqa: PTH104
    "connect to the console": lambda: _connect(AIMS["console"]),
    "connect to a local service": _abstract,
    "listen": _listen,
    "open a socket of the system": lambda: socket.socket(socket.AF_UNIX).close(),
    "open a raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close(),
    "start a program": _execute,
    "fork": _fork,
    "trace the desk": lambda: _checked(_libc.ptrace(_SEIZE, AIMS["desk"], None, None)),
    "read the desk's pages": lambda: _checked(_libc.process_vm_readv(AIMS["desk"], None, 0, None, 0, 0)),
    "signal the desk": lambda: os.kill(AIMS["desk"], 0),
    "slow the desk down": lambda: os.setpriority(os.PRIO_PROCESS, AIMS["desk"], 19),
    "pin the desk to a processor": lambda: os.sched_setaffinity(AIMS["desk"], {min(os.sched_getaffinity(0))}),
    "write a program into memory": _program_in_memory,
    "make a file in memory": lambda: os.close(os.memfd_create("x")),
    "enter a name space": lambda: _checked(_libc.unshare(_NEW_USER)),
    "become dumpable again": lambda: _checked(_libc.prctl(4, 1, 0, 0, 0)),
    "allow itself a core": lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
    "outlive its parent": lambda: _checked(_libc.prctl(1, 0, 0, 0, 0)),
}


def probe(order: Order, status: child.StatusPipe, clock: Clock) -> None:
    """In the place of :func:`child.run`."""
    for name, tried in PROBES.items():
        try:
            tried()
        except OSError as error:
            status.send("probe", name=name, ended=errno.errorcode.get(error.errno or 0, "?"))
        except ValueError:  # Python's word for a refused limit
            status.send("probe", name=name, ended="EPERM")
        else:
            status.send("probe", name=name, ended="done")


if __name__ == "__main__":
    if not AIMS["confined"]:
        child._confine = lambda spec: ()
    signal.alarm(60)
    child.run = probe
    raise SystemExit(child.main(sys.argv[1:]))
