"""Every command of the README and the tutorial, from a fresh clone with an empty home: what a newcomer does."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(900)]
DEMO_S = 180  # issue 2: the demo from a fresh clone in under three minutes, installation included
# How this machine reaches the registries is its owner's configuration, like a proxy on a newcomer's.
KEPT = (
    "PIP_",
    "UV_",
    "NPM_CONFIG_",
    "SSL_CERT_",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "HTTP",
    "http",
    "CI",
)


# Each shell line of README.md and docs/tutorial.md, and what runs it. "here" are the tests below.
RUN_BY = {
    "./scripts/demo": "here",
    "./scripts/demo --headless --seconds 20 --json": "here",
    "./scripts/demo --headless --seconds 20 --keep /tmp/demo": "here",
    ".venv/bin/lfr-edge audit verify /tmp/demo/audit": "here",
    "./scripts/test": ".ci/run",
    "./scripts/demo --headless --seconds 10 --control": "tests/cli/test_demo.py",
}


def test_every_command_of_readme_and_tutorial_is_run() -> None:
    lines = set()
    for page in ("README.md", "docs/tutorial.md"):
        for block in re.findall(r"```sh\n(.*?)```", (REPOSITORY / page).read_text(), re.DOTALL):
            lines |= {line.partition(" #")[0].strip() for line in block.splitlines()} - {""}
    assert lines == set(RUN_BY)
    here = Path(__file__).read_text(encoding="utf-8").partition("def test_the_demo")[2]
    for line, where in RUN_BY.items():
        text = here if where == "here" else (REPOSITORY / where).read_text(encoding="utf-8")
        words = [word for word in line.split() if word.startswith("--") or word in {"audit", "verify"}]
        assert [word for word in words if word not in text] == [], f"{line}: is it still run in {where}?"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    if not (REPOSITORY / ".git").exists() or shutil.which("git") is None:
        pytest.skip("NOT TESTED: not a git checkout")
    subprocess.run(["git", "clone", "-q", str(REPOSITORY), str(tmp_path / "clone")], check=True)
    return tmp_path / "clone"


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> str:
    """pip's, empty at first: what two of its installations have in common is fetched once."""
    return str(tmp_path_factory.mktemp("pip"))


def _bare_environment(home: Path, *, uv: bool) -> dict[str, str]:
    """Nothing of ours: no virtual environment, no cache, no display, uv only where it is asked for."""
    home.mkdir(exist_ok=True)
    programs = home / "programs"
    programs.mkdir(exist_ok=True)
    if uv:
        found = shutil.which("uv")
        if found is None:
            pytest.skip("NOT TESTED: uv is not installed")
        (programs / "uv").symlink_to(Path(found).resolve())
    kept = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
    python = getattr(sys, "_base_executable", sys.executable)
    return kept | {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(home), "PYTHON": python}


@pytest.mark.parametrize("uv", [False, True], ids=["pip", "uv"])
def test_the_demo_from_a_fresh_clone(clone: Path, tmp_path: Path, downloads: str, uv: bool) -> None:
    environment = _bare_environment(tmp_path / "home", uv=uv) | {"PIP_CACHE_DIR": downloads}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=clone, env=environment, capture_output=True, text=True, timeout=850
        )

    kept = tmp_path / "demo"
    began, used = time.monotonic(), _children_s()
    if uv:  # the tutorial's
        done = run("./scripts/demo", "--headless", "--seconds", "20", "--keep", str(kept))
    else:  # the README's
        done = run("./scripts/demo", "--headless", "--seconds", "20", "--json")
    wall_s, used_s = time.monotonic() - began, _children_s() - used
    print(f"from clone to verdict: {wall_s:.0f} s, of the processors {used_s:.0f} s")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert used_s < DEMO_S  # a wall time would measure who else works here
    if uv:
        verified = run(".venv/bin/lfr-edge", "audit", "verify", str(kept / "audit"))
        assert verified.returncode == 2
        assert "INTACT WITH RESERVATIONS" in verified.stdout
        assert "control" in verified.stdout
    else:
        assert json.loads(done.stdout)["passed"] is True
        _open_the_console(clone, environment)
    left = subprocess.run(
        ["git", "status", "--porcelain"], cwd=clone, check=True, capture_output=True, text=True
    )
    assert left.stdout == "", "nothing but ignored files is left in the checkout"

    # The second time everything is there: no network, no second installation.
    used = _children_s()
    offline = environment | {"PIP_NO_INDEX": "1", "UV_OFFLINE": "1"}
    again = subprocess.run(
        ["./scripts/demo", "--help"], cwd=clone, env=offline, capture_output=True, text=True
    )
    assert again.returncode == 0
    assert "setting up" not in again.stderr
    assert _children_s() - used < 15


def _children_s() -> float:
    """Processor time of every process that was started from here and has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _open_the_console(clone: Path, environment: dict[str, str]) -> None:
    """``./scripts/demo`` as a person starts it, ended with Ctrl-C."""
    with subprocess.Popen(
        ["./scripts/demo"],
        cwd=clone,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    ) as demo:
        assert demo.stdout is not None
        told = ""
        for line in demo.stdout:
            told += line
            if "Ctrl-C ends" in line:
                os.killpg(demo.pid, signal.SIGINT)  # a terminal tells the whole group
                break
        told += demo.stdout.read()
        assert demo.wait(300) in {0, 1}, told  # 1: the sought person had not passed yet
    assert "• console http://127.0.0.1:" in told
    assert "one-time code for the account 'operator': " in told
    assert "[  ok  ] log verifies" in told


def test_the_tests_from_a_fresh_clone_without_uv(clone: Path, tmp_path: Path, downloads: str) -> None:
    environment = _bare_environment(tmp_path / "home", uv=False) | {"PIP_CACHE_DIR": downloads}
    command = ["./scripts/test", "-q", "tests/test_errors.py"]  # a handful: what takes its time is pip
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, timeout=850)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    # The set for development runs the demo, too: nothing is installed again.
    again = subprocess.run(
        ["./scripts/demo", "--help"], cwd=clone, env=environment, capture_output=True, text=True
    )
    assert again.returncode == 0
    assert "setting up" not in again.stderr


def test_setup_refuses_what_it_does_not_know(clone: Path, tmp_path: Path) -> None:
    environment = _bare_environment(tmp_path / "home", uv=False)

    def setup(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["./scripts/setup", *arguments],
            cwd=clone,
            env=environment | changes,
            capture_output=True,
            text=True,
        )

    unknown = setup("tpu")
    assert (unknown.returncode, "no such set: tpu" in unknown.stderr) == (2, True)
    absent = setup("cpu", PYTHON="/no/such/python")
    assert (absent.returncode, "Python 3.11 or newer" in absent.stderr) == (1, True)
    assert not (clone / ".venv").exists()
