"""A drill pack is read strictly, and a schedule raises its cases at random, at a rate, and never in the way."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import date
from types import SimpleNamespace

import pytest

from lfr_edge.alerts import drills
from lfr_edge.alerts.drills import DrillSchedule, Setting, read_drill_pack
from lfr_edge.alerts.factors import Answer, Factors
from lfr_edge.errors import AlertError, AuditError
from tests.alerts.conftest import MILLER
from tests.fakes.box import drawn_face, raised

HEAD = 'format = "lfr-edge drill pack 1"\n'
WHY = Factors.of(["features_agree"])


def a_setting() -> Setting:
    return Setting("north", "wanted on warrant", "amber", "custody", date(2023, 5, 14), 1)


def case(number: int, truth: str) -> str:
    return (
        f'[[case]]\nname = "case-{number}"\nprobe = "p{number}.jpg"\ncandidate = "c{number}.jpg"\n'
        f'truth = "{truth}"\nconsent = ["HR-{number}"]\n'
    )


@pytest.fixture
def pack(tmp_path):
    folder = tmp_path / "pack"
    folder.mkdir()
    for number in range(1, 5):
        (folder / f"p{number}.jpg").write_bytes(drawn_face(number))
        (folder / f"c{number}.jpg").write_bytes(drawn_face(100 + number))
    text = HEAD + "".join(case(n, ("same_person", "different_person")[n % 2]) for n in range(1, 5))
    (folder / "pack.toml").write_text(text)
    return folder


def test_a_pack_is_cases_with_known_answers(pack):
    cases = read_drill_pack(pack)
    assert [c.truth for c in cases].count(Answer.SAME_PERSON) == 2
    assert cases[0].probe.read_bytes() == drawn_face(1)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "drill_pack_unreadable"),
        ("not = toml = at all", "drill_pack_unreadable"),
        (HEAD, "drill_pack_invalid"),
        (case(1, "same_person"), "drill_pack_invalid"),
        (HEAD + case(1, "same_person") + case(2, "same_person"), "drill_pack_invalid"),
        (HEAD + case(1, "same_person") + case(1, "different_person"), "drill_pack_invalid"),
        (HEAD + case(1, "same_person") + case(2, "cannot_judge"), "drill_pack_invalid"),
        (HEAD + case(1, "same_person") + case(9, "different_person"), "drill_pack_invalid"),
        (
            HEAD + case(1, "same_person") + case(2, "different_person").replace('["HR-2"]', "[]"),
            "drill_pack_invalid",
        ),
        (
            HEAD + case(1, "same_person") + case(2, "different_person").replace("p2", "../p2"),
            "drill_pack_invalid",
        ),
        (
            HEAD + case(1, "same_person") + case(2, "different_person") + 'score = "0.9"\n',
            "drill_pack_invalid",
        ),
    ],
)
def test_what_is_no_pack_is_refused(pack, text, code):
    if text is None:
        (pack / "pack.toml").unlink()
    else:
        (pack / "pack.toml").write_text(text)
    with pytest.raises(AlertError) as caught:
        read_drill_pack(pack)
    assert caught.value.code == code


def test_a_link_out_of_the_pack_is_refused(pack, tmp_path):
    (tmp_path / "elsewhere.jpg").write_bytes(b"x")
    (pack / "p1.jpg").unlink()
    (pack / "p1.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    with pytest.raises(AlertError):
        read_drill_pack(pack)


async def test_each_case_is_used_as_often_as_any_other(bench, pack):
    async with bench.open() as desk:
        schedule = DrillSchedule(
            desk, read_drill_pack(pack), 4.0, bench.clock, a_setting, chance=random.Random(3)
        )
        used = []
        for _ in range(12):
            drill = await schedule.raise_one()
            used.append(drill.drill.case)
            assert drill.facts.camera == "north"
            assert len(drill.facts.look_alikes) == 1, "as many as an alert of this list would have"
            await desk.decide(drill.id.token, MILLER, Answer.SAME_PERSON, WHY, "", drill.version)
        assert set(Counter(used).values()) == {3}
        assert used[:4] != used[4:8], "not always in the same order"
        assert desk.counts().raised == 0


async def test_drills_stay_out_of_the_way(bench, pack):
    async with bench.open() as desk:
        here = [a_setting()]
        schedule = DrillSchedule(desk, read_drill_pack(pack), 4.0, bench.clock, lambda: here[0])
        assert not schedule.timely(), "nobody is at the desk"
        desk.turns.arrive("miller")
        assert schedule.timely()
        alert = await desk.raise_alert(raised())
        assert not schedule.timely(), "a real alert waits"
        await desk.decide(alert.id.token, MILLER, Answer.SAME_PERSON, WHY, "", alert.version)
        assert schedule.timely()
        here[0] = None
        assert not schedule.timely()
        assert await schedule.raise_one() is None


async def test_the_schedule_keeps_its_rate_and_survives_a_lost_picture(bench, pack, monkeypatch):
    """Time is the test's: 200 waits at 6 an hour are about 33 hours."""
    waits: list[float] = []

    async def sleep(seconds):
        waits.append(seconds)
        if len(waits) > 200:
            raise asyncio.CancelledError

    async with bench.open() as desk:
        desk.turns.arrive("miller")
        cases = read_drill_pack(pack)
        (pack / "c2.jpg").unlink()
        schedule = DrillSchedule(desk, cases, 6.0, bench.clock, a_setting, chance=random.Random(5))
        monkeypatch.setattr(drills, "asyncio", SimpleNamespace(sleep=sleep, to_thread=asyncio.to_thread))
        real = schedule.raise_one

        async def raise_and_answer():
            drill = await real()
            await desk.decide(drill.id.token, MILLER, Answer.SAME_PERSON, WHY, "", drill.version)

        monkeypatch.setattr(schedule, "raise_one", raise_and_answer)
        with pytest.raises(asyncio.CancelledError):
            await schedule.run()
        assert 25 < sum(waits) / 3600 < 42
        spread = sorted(waits)
        assert spread[10] < 100, "soon after the last, too"
        assert spread[-10] > 1200
        raised_ = bench.recorder.verbs("drill.raised")
        assert 140 < len(raised_) < 160, "three of four cases had their pictures"


async def test_without_cases_or_rate_nothing_runs(bench, pack):
    async with bench.open() as desk:
        await DrillSchedule(desk, (), 6.0, bench.clock, a_setting).run()
        await DrillSchedule(desk, read_drill_pack(pack), 0.0, bench.clock, a_setting).run()


async def test_a_drill_that_cannot_be_recorded_is_not_shown(bench, pack):
    bench.recorder.fail_on["drill.raised"] = AuditError("audit_log_failed", "the disk is gone")
    async with bench.open() as desk:
        schedule = DrillSchedule(desk, read_drill_pack(pack), 4.0, bench.clock, a_setting)
        with pytest.raises(AuditError):
            await schedule.raise_one()
        assert desk.open_alerts() == ()
