"""Confinement, probed from inside real processes; each probe also runs unconfined, to show that it can succeed."""

from __future__ import annotations

import json
import os
import platform
import re
import resource
import socket
import struct
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import pytest

from lfr_edge import confinement
from lfr_edge.confinement import Confinement, survey
from lfr_edge.confinement_calls import NETWORK, NEVER, NUMBERS, SCHEDULING

ROOM = r"""
import ctypes, encodings.idna, errno, json, mmap, os, resource, signal, socket, sys, threading
from lfr_edge.confinement import confine
profile, readable = sys.argv[1:3]
port, victim, inherited = map(int, sys.argv[3:])
libc = ctypes.CDLL(None, use_errno=True)

def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result

def connect(to):
    with socket.socket() as s:
        s.settimeout(2)
        s.connect(("127.0.0.1", to))

def execute():
    pid = os.fork()
    if pid == 0:
        os.execv("/bin/true", ["true"])
    assert os.waitpid(pid, 0)[1] == 0

def listen():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()

def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        s.sendto(b"x", ("127.0.0.1", port))

def thread():
    done = []
    t = threading.Thread(target=done.append, args=(1,)); t.start(); t.join()
    assert done

def pair():
    a, b = socket.socketpair(); a.close(); b.close()

def pipe():
    a, b = os.pipe(); os.write(b, b"x"); assert os.read(a, 1) == b"x"

def send():
    with socket.socket(fileno=os.dup(inherited)) as s:
        s.send(b"alert")

def executable_memory():
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()

def memory_of_victim():
    open("/proc/%d/mem" % victim, "rb").close()

class Limits(ctypes.Structure):
    _fields_ = [("soft", ctypes.c_ulong), ("hard", ctypes.c_ulong)]

probes = {
    "read_other": lambda: open("/etc/passwd").close(),
    "read_allowed": lambda: open(readable).read(),
    "list_root": lambda: os.listdir("/"),
    "write": lambda: open(readable, "r+").close(),
    "create": lambda: open(readable + ".new", "w").close(),
    "rename": lambda: os.rename(readable, readable) ,
    "inet_socket": lambda: socket.socket().close(),
    "unix_socket": lambda: socket.socket(socket.AF_UNIX).close(),
    "connect_allowed": lambda: connect(port),
    "listen": listen,
    "udp": udp,
    "execute": execute,
    "kill_other": lambda: os.kill(victim, 0),
    "kill_self": lambda: os.kill(os.getpid(), 0),
    "ptrace": lambda: checked(libc.ptrace(0x4206, victim, None, None)),   # PTRACE_SEIZE
    "peek": lambda: checked(libc.process_vm_readv(victim, None, 0, None, 0, 0)),
    "memory_of_victim": memory_of_victim,
    "outlive_parent": lambda: checked(libc.prctl(1, 0, 0, 0, 0)),
    "dumpable_again": lambda: checked(libc.prctl(4, 1, 0, 0, 0)),
    "core_again": lambda: resource.setrlimit(resource.RLIMIT_CORE, (1, 1)),
    "name_space": lambda: checked(libc.unshare(0x10000000)),             # CLONE_NEWUSER
    "memfd": lambda: os.close(os.memfd_create("x")),
    "executable_memory": executable_memory,
    "thread": thread, "pair": pair, "pipe": pipe, "send": send,
}
def matrices():
    import numpy as np
    assert float((np.ones((64, 64)) @ np.ones((64, 64)))[0, 0]) == 64
import numpy
probes["matrices"] = matrices

report = None
if profile != "none":
    report = confine(profile, read_paths=[readable] if readable != "-" else [], tcp_ports=[port])
answers = {}
for name, probe in probes.items():
    try:
        probe()
        answers[name] = "done"
    except OSError as error:
        answers[name] = errno.errorcode.get(error.errno, "?")
    except ValueError:  # Python's word for a refused limit
        answers[name] = "EPERM"
dumpable = libc.prctl(3, 0, 0, 0, 0)
print(json.dumps({"answers": answers, "dumpable": dumpable, "core": resource.getrlimit(resource.RLIMIT_CORE),
    "missing": report and report.missing}))
"""
DENIED = {"EPERM", "EACCES"}
HARMLESS = {"kill_self", "thread", "pair", "pipe", "send", "matrices"}

needs_kernel = pytest.mark.skipif(
    survey().landlock_abi < 6 or not survey().seccomp,
    reason="NOT TESTED: this kernel lacks Landlock 6 or seccomp",
)


@pytest.fixture
def probe(tmp_path: Path):
    """Run the probes in a fresh process; its answers."""
    readable = tmp_path / "allowed.txt"
    readable.write_text("x")
    victim = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    listener = socket.create_server(("127.0.0.1", 0))
    ours, theirs = socket.socketpair()

    def run(profile: str, *, may_read: bool = True) -> dict:
        port = listener.getsockname()[1]
        arguments = [
            profile,
            str(readable) if may_read else "-",
            str(port),
            str(victim.pid),
            str(theirs.fileno()),
        ]
        done = subprocess.run(
            [sys.executable, "-c", ROOM, *arguments], pass_fds=[theirs.fileno()], capture_output=True, text=True,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    yield run
    victim.communicate()
    for end in (listener, ours, theirs):
        end.close()


def test_unconfined_every_probe_succeeds(probe):
    """Positive control: what is refused below is refused by the confinement and by nothing else."""
    answers = probe("none")["answers"]
    allowed_to_fail = set() if os.geteuid() == 0 else {"ptrace", "peek", "memory_of_victim", "name_space"}
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        allowed_to_fail |= {
            "core_again"
        }  # the whole test run was started, or left by a browser, without cores
    assert {name for name, answer in answers.items() if answer != "done"} <= allowed_to_fail


@needs_kernel
def test_recogniser_has_no_disk_and_no_network(probe):
    result = probe("recogniser", may_read=False)
    done = {name for name, answer in result["answers"].items() if answer == "done"}
    assert done == HARMLESS | {"executable_memory"}
    assert {answer for name, answer in result["answers"].items() if name not in done} <= DENIED
    assert (result["dumpable"], result["core"]) == (0, [0, 0])
    assert result["missing"] == []


@needs_kernel
def test_recogniser_reads_only_what_it_was_granted(probe):
    answers = probe("recogniser")["answers"]
    assert answers["read_allowed"] == "done"
    assert answers["read_other"] in DENIED
    assert answers["write"] in DENIED


@needs_kernel
def test_capture_reaches_its_camera_and_nothing_else(probe):
    result = probe("capture")
    done = {name for name, answer in result["answers"].items() if answer == "done"}
    assert done == HARMLESS | {"read_allowed", "inet_socket", "connect_allowed", "udp"}
    assert result["missing"] == []


@needs_kernel
def test_capture_may_connect_only_to_the_cameras_port(tmp_path):
    code = (
        "import socket, sys\nfrom lfr_edge.confinement import confine\n"
        "confine('capture', tcp_ports=[1])\n"
        "try: socket.socket().connect(('127.0.0.1', int(sys.argv[1])))\n"
        "except PermissionError: print('denied')\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        done = subprocess.run([sys.executable, "-c", code, port], capture_output=True, text=True)
    assert done.stdout == "denied\n", done.stderr


@needs_kernel
@pytest.mark.parametrize(
    ("call", "noted"),
    [
        ("'capture', read_paths=['/etc/hosts']", True),
        ("'recogniser', read_paths=['/etc/hosts']", True),
        ("'recogniser'", False),
    ],
)
def test_threads_from_before_are_reported_where_it_matters(call, noted):
    """Landlock spares them; without read_paths the recogniser's filter stops them too, as the open shows."""
    code = (
        "import threading\nfrom lfr_edge.confinement import confine\n"
        "go, result = threading.Event(), []\n"
        "def early():\n"
        "    go.wait()\n"
        "    try: open('/etc/passwd').close(); result.append('read')\n"
        "    except OSError: result.append('denied')\n"
        "thread = threading.Thread(target=early); thread.start()\n"
        f"missing = confine({call}).missing\n"
        "go.set(); thread.join()\nprint(result[0], missing)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ("1 threads started earlier" in done.stdout) == noted, done.stderr
    assert done.stdout.startswith("read" if noted else "denied")


def test_a_confined_process_dies_with_its_parent():
    child = (
        "import sys, time\nfrom lfr_edge.confinement import confine\n"
        "confine('recogniser')\nprint('ready', flush=True)\ntime.sleep(60)"
    )
    parent = (
        "import subprocess, sys\n"
        "c = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdout=subprocess.PIPE)\n"
        "c.stdout.readline()\nprint(c.pid, flush=True)\nimport os; os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", parent, child], capture_output=True, text=True, timeout=30)
    pid = int(done.stdout)
    for _ in range(100):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the child outlived its parent")


def test_harden_process_takes_cores_and_dumps():
    code = (
        "import ctypes, resource\nfrom lfr_edge.confinement import harden_process\nharden_process()\n"
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "0 (0, 0)\n", done.stderr


def test_a_kernel_without_them_is_reported_not_fatal(monkeypatch):
    monkeypatch.setattr(confinement, "_syscall", lambda *_: -1)
    offer = survey()
    assert (offer.landlock_abi, offer.seccomp, offer.complete) == (0, False, False)
    assert len(offer.missing) == 2


@pytest.mark.parametrize(("abi", "word"), [(1, "TCP"), (4, "signals")])
def test_older_landlocks_say_what_they_lack(monkeypatch, abi, word):
    monkeypatch.setattr(confinement, "_landlock_abi", lambda: abi)
    assert any(word in text for text in survey().missing)


def test_an_unknown_processor_has_no_filter(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert not survey().seccomp


def test_survey_changes_nothing():
    before = Path("/proc/self/status").read_text()
    assert isinstance(survey(), Confinement)
    after = Path("/proc/self/status").read_text()
    for field in ("NoNewPrivs", "Seccomp"):
        pattern = re.compile(rf"^{field}:.*$", re.M)
        assert pattern.findall(before) == pattern.findall(after)


HEADERS = {0: "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", 1: "/usr/include/asm-generic/unistd.h"}


@pytest.mark.parametrize("column", [0, 1])
def test_numbers_are_the_kernels(column):
    path = Path(HEADERS[column])
    if not path.exists():
        pytest.skip(f"NOT TESTED: {path} is absent (linux-libc-dev)")
    found = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\b", path.read_text()))
    for name, numbers in NUMBERS.items():
        if name in found:
            assert numbers[column] == int(found[name]), name


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("profile", ["recogniser", "capture"])
@pytest.mark.parametrize("may_open", [True, False])
def test_the_filter_interpreted(machine, profile, may_open):
    """Run the BPF program in a plain interpreter: the reference for processors this test does not run on."""
    program = confinement._program(profile, may_open=may_open, machine=machine)
    audit, column, *_ = confinement._ARCHITECTURES[machine]
    other = confinement._ARCHITECTURES["aarch64" if machine == "x86_64" else "x86_64"][0]

    def verdict(name: str, *arguments: int, architecture: int = audit) -> int:
        number = NUMBERS[name][column]
        assert number is not None
        return interpret(program, number, architecture, arguments)

    allow, eperm, enosys = 0x7FFF0000, 0x00050001, 0x00050026
    for name in NEVER:
        if NUMBERS[name][column] is not None:
            assert verdict(name) == eperm, name
    assert verdict("execve", architecture=other) == 0x80000000
    assert verdict("clone3") == verdict("openat2") == enosys
    assert verdict("clone", 0x00010000 | 0x100) == allow
    assert verdict("clone", 17) == eperm
    assert verdict("kill", os.getpid()) == allow
    assert verdict("kill", 1) == verdict("tgkill", 1) == eperm
    assert verdict("prctl", 4, 1) == eperm
    assert verdict("prctl", 1, 0) == eperm, "it may not outlive its parent"
    assert verdict("prctl", 15) == allow
    assert verdict("prlimit64", 0, 4, 0) == allow
    assert verdict("prlimit64", 0, 4, 1 << 40) == verdict("prlimit64", 0, 4, 8) == eperm
    assert verdict("openat", 0, 0, os.O_RDONLY) == (allow if may_open else eperm)
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC):
        assert verdict("openat", 0, 0, flags) == eperm
    sealed = profile == "recogniser"
    for name in NETWORK:
        assert (verdict(name, 2, 1) == eperm) == (sealed or name in {"listen", "accept", "accept4"}), name
    for name in SCHEDULING:
        assert verdict(name, 0, 1) == (allow if sealed else eperm)
    assert verdict("socket", 1, 1) == verdict("socket", 16, 3) == eperm
    for family, kind in product((2, 10), (1, 2, 0x801, 0x80002, 0x80801)):
        assert verdict("socket", family, kind) == (eperm if sealed else allow)
    assert verdict("socket", 2, 3) == verdict("socket", 10, 0x80003) == eperm, "no raw socket"
    assert verdict("sendto", 3, 1, 1, 0, 1 << 33) == (eperm if sealed else allow)
    assert verdict("sendto", 3, 1, 1, 0, 0) == allow
    assert verdict("mmap", 0, 1, 4) == (allow if sealed else eperm)
    assert verdict("mprotect", 0, 1, 3) == allow
    assert interpret(program, 0, audit, ()) == allow  # read on one, io_setup on the other
    if machine == "x86_64":
        assert interpret(program, 0x40000000 | 59, audit, ()) == eperm


def interpret(program: bytes, number: int, architecture: int, arguments: tuple[int, ...]) -> int:
    """Classic BPF as far as seccomp filters use it."""
    data = struct.pack("<IIQ6Q", number, architecture, 0, *(*arguments, *[0] * 6)[:6])
    steps, at, accumulator = list(struct.iter_unpack("<HBBI", program)), 0, 0
    while True:
        code, jump_true, jump_false, value = steps[at]
        at += 1
        if code == 0x20:
            accumulator = struct.unpack_from("<I", data, value)[0]
        elif code == 0x06:
            return value
        else:
            truth = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[
                code
            ]
            at += jump_true if truth else jump_false


@pytest.mark.parametrize(
    ("profile", "more", "share"), [("recogniser", 0, 250), ("capture", 0, 350), ("capture", 900, 350)]
)
def test_the_kernel_takes_a_child_before_the_desk(profile: str, more: int, share: int) -> None:
    """Where memory runs out: relative to what a service manager gave all of them (the trial: service-back)."""
    code = (
        "from pathlib import Path; from lfr_edge.confinement import be_taken_first\n"
        "own = Path('/proc/self/oom_score_adj')\n"
        f"given = min(1000, int(own.read_text()) + {more})\n"  # lowering what is inherited takes a privilege
        f"own.write_text(str(given)); be_taken_first('{profile}'); print(given, own.read_text())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    given, own = map(int, done.stdout.split())
    assert own == min(1000, given + share)
