"""A release on a stick: one bit is enough to refuse it, and a cut leaves the old one or the new one, whole."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from tests.deploy import conftest as parts
from tests.deploy import test_container as container
from tests.deploy import test_install as install
from tests.trials.parts import Folders, plain
from tests.trials.running import within
from tests.trials.trial import Attempt, Outcome, Trial

_CUTS_OF_A_BOX: Final = 10
_OTHER_SLOT: Final = "next(name for name in NAMES if name != self.current())"


def flip_bits(attempt: Attempt) -> Outcome:
    keys = plain(parts.keys)(Folders(attempt.folder))
    path = plain(parts.release)(within(attempt, "releases").folder, keys)(1)
    done, accepted = 0, 0
    while done < attempt.n:
        some = min(250, attempt.n - done)
        accepted += container._flip(path, keys, some, attempt.seed + done)
        done += some
        attempt.step(some)
    facts = {"bits of the bundle": path.stat().st_size * 8}
    return Outcome(done, ("an altered bundle was accepted",) * accepted, facts)


def flip_bits_past_a_lenient_reader(attempt: Attempt) -> Outcome:
    def lenient(self: Any, wanted: bytes, where: str) -> None:
        self._file.read(len(wanted))

    with patch.object(container.Bundle, "_expect", lenient):
        return flip_bits(attempt)


def cut(attempt: Attempt) -> Outcome:
    return _cut(attempt, plain(install.program)(Folders(attempt.folder)))


def cut_an_installer_with_one_slot(attempt: Attempt) -> Outcome:
    """It writes the new release over the one in use."""
    source = attempt.folder / "lfr_install"
    shutil.copytree(parts.OFFLINE / "lfr_install", source, ignore=shutil.ignore_patterns("__pycache__"))
    slots = source / "slots.py"
    text = slots.read_text(encoding="utf-8")
    assert _OTHER_SLOT in text, "the installer chooses its slot elsewhere now"
    slots.write_text(text.replace(_OTHER_SLOT, 'self.current() or "a"'), encoding="utf-8")
    program = attempt.folder / "lfr-edge-install"
    parts.parts.write_program(source, program)
    return _cut(attempt, program)


def _cut(attempt: Attempt, program: Path) -> Outcome:
    keys = plain(parts.keys)(Folders(attempt.folder))
    ends: Counter[str] = Counter()
    done = 0
    while done < attempt.n:
        some = min(_CUTS_OF_A_BOX, attempt.n - done)
        folder = within(attempt, f"box-{done}").folder
        root = plain(install.root)(program, keys, folder)
        release = plain(parts.release)(folder, keys)
        ends.update(install._cuts(program, root, release, keys, folder, some, attempt.seed + done, 0.5))
        shutil.rmtree(folder)
        done += some
        attempt.step(some)
    return Outcome(done, facts={f"left the {which}": number for which, number in ends.items()})


TRIALS: Final = (
    Trial(
        name="install-bits",
        bar="D",
        promise="no altered release is installed",
        does="turns single bits of a signed bundle and reads it as the installer does",
        sabotage="a reader that does not compare headers and padding",
        unit="bits",
        slice=150,
        full=10_000,
        run=flip_bits,
        control=flip_bits_past_a_lenient_reader,
        control_n=150,
        ci="tests/deploy/test_container.py::test_no_flipped_bit_is_accepted",
    ),
    Trial(
        name="install-cuts",
        bar="A2",
        promise="a cut during an upgrade leaves the old release or the new one, whole",
        does="SIGKILL at a random moment of an installation, half of them at its switch; after `recover` one whole "
        "release runs",
        sabotage="an installer that writes over the release in use",
        unit="cuts",
        slice=2,
        full=100,
        run=cut,
        control=cut_an_installer_with_one_slot,
        control_n=3,
        ci="tests/deploy/test_install.py::test_a_cut_leaves_the_old_or_the_new",
        about="20 min",
        adds_up=True,
    ),
)
