"""A hostile camera for a moment, and a child that was taken over; the trials ``camera-hostile`` and ``-confined``."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from lfr_edge.confinement import survey
from tests.faults import hostile, probing
from tests.faults.door import Message
from tests.faults.stations import PATIENT
from tests.faults.taken_over import probes
from tests.trials.hostile import attack
from tests.trials.trial import Attempt


@pytest.mark.timeout(300)
def test_hostile_messages_end_nothing_but_their_reader(tmp_path: Path) -> None:
    outcome = attack(Attempt(300, 7, tmp_path), **PATIENT)
    assert outcome.failures == ()
    assert outcome.tried >= 300
    assert int(outcome.facts["answers and descriptions"]) >= 15
    assert int(outcome.facts["of them opened"]) > 0, "control: some of them are read"


@pytest.mark.timeout(120)
def test_a_child_that_was_taken_over_reaches_nothing(tmp_path: Path) -> None:
    if survey().missing:
        pytest.skip(f"NOT TESTED: this kernel lacks {survey().missing}; doctor says so")
    ended = probes(tmp_path, confined=True)
    assert set(ended) == set(probing.PROBES)
    assert set(ended.values()) <= {"EPERM", "EACCES"}, ended


def test_every_hostile_message_is_another_one() -> None:
    chance = random.Random(1)
    camera = hostile.Hostile(chance)
    treatments = [camera.connection() for _ in range(40)]
    answer = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 12\r\n\r\nv=0\r\ns=gate\r\n"
    packet = b"$\0\0\x10" + bytes(range(16))
    changed = {
        treat(Message(kind, number, data))
        for treat in treatments
        for number in range(9)
        for kind, data in (("answer", answer), ("packet", packet))
    } - {answer, packet}
    assert len(changed) > 150
    assert camera.total >= len(changed)
    camera.honest = True
    assert treatments[0](Message("answer", 1, answer)) == answer
