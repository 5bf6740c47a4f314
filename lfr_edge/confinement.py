"""What a process gives up before it touches hostile bytes or other people's faces.

A capture child decodes whatever a camera, or somebody who pretends to be one, sends; the recogniser holds every
template. Both call :func:`confine` from inside, once everything they need is imported and opened. The kernel
then holds them to it, whatever code runs in them later:

==================  ========================================================================================
mechanism           what it takes away
==================  ========================================================================================
no_new_privileges   set-user-id programs and file capabilities
no core, no dump    core files, ``/proc/PID/mem`` for processes without CAP_SYS_PTRACE, attaching a debugger
parent's death      outliving the desk
Landlock            every file except ``read_paths``; TCP binding; TCP connections except to ``tcp_ports``;
                    signals and abstract sockets to the outside (as far as the kernel's ABI goes)
seccomp             other programs, other processes, writing to files, changing rights; for the recogniser all
                    new sockets, and without ``read_paths`` every ``open``
==================  ========================================================================================

A kernel that lacks one is reported in ``missing`` and is not fatal: ``doctor`` shows it, the desk records it.
Nothing here is imported but the standard library.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import resource
import signal
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from lfr_edge.confinement_calls import NETWORK, NEVER, NUMBERS, SCHEDULING
from lfr_edge.errors import ConfinementError
from lfr_edge.sentences import say

Profile = Literal["recogniser", "capture"]

# Thousandths of the machine's (or the service's) memory on top of a process's own size; see proc(5), oom_score_adj. One
# camera is missed less than recognition.
_TAKEN_FIRST: Final[dict[Profile, int]] = {"recogniser": 250, "capture": 350}
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_SECCOMP_SET_MODE_FILTER: Final = 1
_SECCOMP_GET_ACTION_AVAIL: Final = 2
_SECCOMP_FILTER_FLAG_TSYNC: Final = 1  # all threads of the process, also those that numpy started at import
_ALLOW: Final = 0x7FFF0000
_KILL_PROCESS: Final = 0x80000000
_ERRNO: Final = 0x00050000
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446  # the same on every processor
_LANDLOCK_VERSION_FLAG: Final = 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_BIND_TCP, _CONNECT_TCP = 1, 2

# processor: (audit architecture, column of NUMBERS, number of seccomp(2), first number of a foreign ABI)
_ARCHITECTURES: Final = {
    "x86_64": (0xC000003E, 0, 317, 0x40000000),
    "aarch64": (0xC00000B7, 1, 277, None),
}
# uapi/linux/filter.h: load word absolute, jump if equal / not less / any bit set, return
_LD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_NR_AT, _ARCH_AT, _ARGS_AT = 0, 4, 16  # offsets in struct seccomp_data; arguments are 64-bit little-endian
_CLONE_THREAD: Final = 0x00010000
_OPEN_FOR_CHANGE: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_PROT_EXEC: Final = 4
_SOCKET_FLAGS: Final = (0, 0x800, 0x80000, 0x80800)  # SOCK_NONBLOCK, SOCK_CLOEXEC

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Confinement:
    """Which mechanisms hold (after :func:`confine`) or are on offer (from :func:`survey`)."""

    no_new_privileges: bool
    no_core: bool  # no core files, not dumpable
    dies_with_parent: bool
    landlock_abi: int  # 0: none. 4 adds TCP, 6 adds signals and abstract sockets
    seccomp: bool
    missing: tuple[str, ...]  # one sentence for each thing that does not hold

    @property
    def complete(self) -> bool:
        return not self.missing


def survey() -> Confinement:
    """What this kernel offers. Changes nothing."""
    abi, seccomp = _landlock_abi(), _seccomp_offered()
    return Confinement(True, True, True, abi, seccomp, tuple(_gaps(abi, seccomp)))


def harden_process() -> None:
    """For the desk: no core file and no debugger may take keys or images out of it.

    Raises:
        ConfinementError: ``confinement_refused``.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(_PR_SET_DUMPABLE, 0)


def be_taken_first(profile: Profile) -> None:
    """Where memory runs out the kernel is to take this process, which can be started again, and not the desk, which
    keeps the record and the people's places.

    Relative to what a service manager gave all of us, so that nothing else on the machine is put at an advantage.
    Whoever is confined cannot do it any more; where the kernel refuses, the order stays that of the sizes.
    """
    own = Path("/proc/self/oom_score_adj")
    with contextlib.suppress(OSError, ValueError):
        own.write_text(
            str(min(1000, int(own.read_text(encoding="ascii")) + _TAKEN_FIRST[profile])), encoding="ascii"
        )


def confine(
    profile: Profile, *, read_paths: Iterable[Path | str] = (), tcp_ports: Sequence[int] | None = None
) -> Confinement:
    """Confine this process for good. `read_paths` (files, or folders with all below) stay readable.

    `tcp_ports` are the only ports that a capture child may connect to; None leaves TCP connections free
    (the recogniser never has any).

    **Thread rule:** call it from the main thread before starting others. seccomp covers threads that exist
    already; Landlock covers the caller and the threads it starts afterwards; ``missing`` counts the others.

    Raises:
        ConfinementError: ``confinement_refused`` when a mechanism that every supported kernel has is refused.
    """
    paths = tuple(read_paths)
    harden_process()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    threads = _thread_count()
    abi = _landlock_abi()
    notes: list[str] = []
    if abi:
        ports = () if profile == "recogniser" else tcp_ports
        try:
            _landlock(abi, paths, ports)
        except OSError as error:
            notes.append(f"Landlock was refused: {os.strerror(error.errno or 0)}")
            abi = 0
    seccomp = _seccomp_offered() and _seccomp(_program(profile, may_open=bool(paths)))
    # Without read_paths the recogniser's filter refuses every open to every thread, so Landlock adds nothing.
    sealed = profile == "recogniser" and not paths and seccomp
    if abi and threads > 1 and not sealed:
        notes.append(f"{threads - 1} threads started earlier are outside Landlock (seccomp covers them)")
    missing = (*_gaps(abi, seccomp), *notes)
    return Confinement(True, True, True, abi, seccomp, missing)


def _gaps(abi: int, seccomp: bool) -> Iterable[str]:
    if not abi:
        yield "Landlock: files stay within reach (kernel 5.13 or later, lsm=landlock)"
    elif abi < 4:
        yield f"Landlock ABI {abi}: TCP is not covered (kernel 6.7 or later)"
    elif abi < 6:
        yield f"Landlock ABI {abi}: signals and abstract sockets are not covered (kernel 6.12 or later)"
    if not seccomp:
        yield f"seccomp: system calls are not filtered (CONFIG_SECCOMP_FILTER, {platform.machine()})"


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), *[ctypes.c_ulong(0)] * 3) != 0:
        raise ConfinementError(
            "confinement_refused",
            say("prctl({option}) was refused: {why}", option=option, why=os.strerror(ctypes.get_errno())),
        )


def _syscall(number: int, *arguments: object) -> int:
    """A raw system call; -1 and ctypes.get_errno() on failure."""
    raw = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    _libc.syscall.restype = ctypes.c_long
    result: int = _libc.syscall(ctypes.c_long(number), *raw)
    return result


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _thread_count() -> int:
    try:
        return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - counted, not walked
    except OSError:
        return 1


# --- Landlock ------------------------------------------------------------------------------------------------


def _landlock_abi() -> int:
    """The kernel's Landlock version, 0 where there is none."""
    return max(0, _syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION_FLAG))


def _handled_file_rights(abi: int) -> int:
    """Every file right this ABI knows (uapi/linux/landlock.h): 13 at first, then refer, truncate, device ioctl."""
    count = 13 + (abi >= 2) + (abi >= 3) + (abi >= 5)
    return (1 << count) - 1


def _landlock(abi: int, read_paths: Sequence[Path | str], tcp_ports: Sequence[int] | None) -> None:
    handled_tcp = 0 if abi < 4 else _BIND_TCP | (0 if tcp_ports is None else _CONNECT_TCP)
    scoped = 3 if abi >= 6 else 0  # abstract sockets, signals
    attributes = struct.pack("<QQQ", _handled_file_rights(abi), handled_tcp, scoped)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = _checked(_syscall(_LANDLOCK_CREATE, ctypes.c_char_p(attributes), size, 0))
    try:
        for path in read_paths:
            _allow_reading(ruleset, path)
        for port in tcp_ports or ():
            if handled_tcp & _CONNECT_TCP:
                rule = struct.pack("<QQ", _CONNECT_TCP, port)
                _checked(_syscall(_LANDLOCK_ADD, ruleset, 2, ctypes.c_char_p(rule), 0))
        _checked(_syscall(_LANDLOCK_RESTRICT, ruleset, 0))
    finally:
        os.close(ruleset)


def _allow_reading(ruleset: int, path: Path | str) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # nothing to read
    try:
        rights = _READ_FILE | (_READ_DIR if Path(path).is_dir() else 0)
        rule = struct.pack("<Qi", rights, handle)
        _checked(_syscall(_LANDLOCK_ADD, ruleset, 1, ctypes.c_char_p(rule), 0))
    finally:
        os.close(handle)


# --- seccomp -------------------------------------------------------------------------------------------------


def _seccomp_offered() -> bool:
    architecture = _ARCHITECTURES.get(platform.machine())
    if architecture is None:
        return False
    action = struct.pack("<I", _ERRNO)
    return _syscall(architecture[2], _SECCOMP_GET_ACTION_AVAIL, 0, ctypes.c_char_p(action)) == 0


def _seccomp(program: bytes) -> bool:
    number = _ARCHITECTURES[platform.machine()][2]
    code = ctypes.create_string_buffer(program, len(program))

    class SockFprog(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    filter_program = SockFprog(len(program) // 8, ctypes.addressof(code))
    pointer = ctypes.byref(filter_program)
    return _syscall(number, _SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC, pointer) == 0


def _step(code: int, jump_true: int, jump_false: int, value: int) -> bytes:
    return struct.pack("<HBBI", code, jump_true, jump_false, value & 0xFFFFFFFF)


_PERMIT: Final = _step(_RET, 0, 0, _ALLOW)
_REFUSE: Final = _step(_RET, 0, 0, _ERRNO | errno.EPERM)
_ABSENT: Final = _step(_RET, 0, 0, _ERRNO | errno.ENOSYS)  # makes the C library fall back to the older call


def _argument(index: int) -> bytes:
    """Load the low half of argument `index`."""
    return _step(_LD, 0, 0, _ARGS_AT + 8 * index)


def _only_if_equal(index: int, values: Sequence[int]) -> bytes:
    """Permit when the low half of the argument is one of `values`, else refuse."""
    tests = b"".join(_step(_JEQ, len(values) - position, 0, value) for position, value in enumerate(values))
    return _argument(index) + tests + _REFUSE + _PERMIT


def _never_equal(index: int, values: Sequence[int]) -> bytes:
    """Refuse when the low half of the argument is one of `values`, else permit."""
    tests = b"".join(_step(_JEQ, len(values) - position, 0, value) for position, value in enumerate(values))
    return _argument(index) + tests + _PERMIT + _REFUSE


def _never_unless(index: int, values: Sequence[int]) -> bytes:
    """Refuse when the low half of the argument is none of `values`, else go on to what follows."""
    tests = b"".join(_step(_JEQ, len(values) - position, 0, value) for position, value in enumerate(values))
    return _argument(index) + tests + _REFUSE


def _only_if_bits(index: int, bits: int, *, present: bool) -> bytes:
    """Permit when any of `bits` is set (`present`) or none is, else refuse."""
    jump = (1, 0) if present else (0, 1)
    return _argument(index) + _step(_JSET, *jump, bits) + _REFUSE + _PERMIT


def _only_if_null(index: int) -> bytes:
    """Permit when both halves of the pointer are zero."""
    high = _step(_LD, 0, 0, _ARGS_AT + 8 * index + 4)
    return _argument(index) + _step(_JEQ, 0, 2, 0) + high + _step(_JEQ, 1, 0, 0) + _REFUSE + _PERMIT


def _rules(profile: Profile, *, may_open: bool, own_pid: int) -> dict[str, bytes]:
    """What each listed call meets; calls that are not listed are permitted."""
    rules = dict.fromkeys(NEVER, _REFUSE)
    rules |= {
        "clone": _only_if_bits(0, _CLONE_THREAD, present=True),
        "clone3": _ABSENT,
        "openat2": _ABSENT,
        "kill": _only_if_equal(0, [own_pid]),
        "tgkill": _only_if_equal(0, [own_pid]),
        "prctl": _never_equal(0, (_PR_SET_DUMPABLE, _PR_SET_PDEATHSIG)),
        "prlimit64": _only_if_null(2),
        "open": _only_if_bits(1, _OPEN_FOR_CHANGE, present=False) if may_open else _REFUSE,
        "openat": _only_if_bits(2, _OPEN_FOR_CHANGE, present=False) if may_open else _REFUSE,
    }
    if profile == "recogniser":
        rules |= dict.fromkeys(NETWORK, _REFUSE)
        rules["sendto"] = _only_if_null(4)  # send(2) on what it has, no address
    else:
        rules |= dict.fromkeys(("listen", "accept", "accept4", *SCHEDULING), _REFUSE)
        streams = [
            kind | flags for kind in (1, 2) for flags in _SOCKET_FLAGS
        ]  # SOCK_STREAM, SOCK_DGRAM: none raw
        rules["socket"] = _never_unless(0, (2, 10)) + _only_if_equal(1, streams)  # AF_INET, AF_INET6
        # FFmpeg compiles nothing at run time: no new code in the process that decodes hostile bytes.
        for call in ("mmap", "mprotect", "pkey_mprotect"):
            rules[call] = _only_if_bits(2, _PROT_EXEC, present=False)
    return rules


def _program(profile: Profile, *, may_open: bool, machine: str | None = None) -> bytes:
    """The BPF program: 8 bytes an instruction, at most 4096 instructions (linux/bpf_common.h)."""
    audit, column, _, foreign = _ARCHITECTURES[machine or platform.machine()]
    program = _step(_LD, 0, 0, _ARCH_AT) + _step(_JEQ, 1, 0, audit) + _step(_RET, 0, 0, _KILL_PROCESS)
    program += _step(_LD, 0, 0, _NR_AT)
    if foreign is not None:  # x32 would reach the same calls by other numbers
        program += _step(_JGE, 0, 1, foreign) + _REFUSE
    for name, rule in _rules(profile, may_open=may_open, own_pid=os.getpid()).items():
        number = NUMBERS[name][column]
        if number is not None:
            program += _step(_JEQ, 0, len(rule) // 8, number) + rule
    return program + _PERMIT
