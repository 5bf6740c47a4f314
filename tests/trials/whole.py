"""The whole service: `lfr-edge serve` with its camera, networks, accounts, list, desk and console, under attack."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Final

from lfr_edge.models.store import ModelStore
from tests.conftest import model_store
from tests.faults.whole.box import Box
from tests.faults.whole.hygiene import GONE_S, PATIENT, SAID_S, Scan, freeze_and_scan
from tests.faults.whole.power import Tally, cuts, lies
from tests.faults.whole.returns import Returns, drawn, suffer
from tests.faults.whole.soak import EVERY_S, WARM_UP_S, Course, slope_mib_h, soak
from tests.faults.whole.street import Street, street
from tests.faults.whole.traces import Traces, trace
from tests.trials.parts import go_verifier, plain, run
from tests.trials.sabotage import sabotaged
from tests.trials.trial import Attempt, Outcome, Trial

_MOST_GROUPS: Final = 60  # of strangers, before one comes again: two and a half minutes


@contextmanager
def _street(attempt: Attempt, **how: int) -> Iterator[Street]:
    folder = attempt.folder / "street"
    folder.mkdir()
    store: ModelStore = plain(model_store)()
    with street(folder, store, **{"spare": 400, "additions": 200, **how}) as made:
        yield made


def cut_power(attempt: Attempt) -> Outcome:
    with _street(attempt) as outside:
        go = go_verifier(attempt.folder)
        tally = run(cuts(outside, attempt.folder, attempt.n, attempt.chance("cuts"), go, attempt.step))
    return _told(tally)


def cut_lying_power(attempt: Attempt) -> Outcome:
    with _street(attempt) as outside:
        go = go_verifier(attempt.folder)
        tally = run(lies(outside, attempt.folder, attempt.n, attempt.chance("lies"), go))
    return _told(tally)


def _told(tally: Tally) -> Outcome:
    return Outcome(tally.tried, tuple(tally.failures), tally.facts())


def soak_minutes(attempt: Attempt) -> Outcome:
    return _soak(attempt, warm_up_s=min(WARM_UP_S, 12.0 * attempt.n))


def soak_leaking(attempt: Attempt) -> Outcome:
    return _soak(attempt, warm_up_s=10.0, every_s=5.0, sabotage=True)


def _soak(attempt: Attempt, *, warm_up_s: float, every_s: float = EVERY_S, sabotage: bool = False) -> Outcome:
    told = [0]

    def step() -> None:
        passed = course.samples[-1].at_s if course.samples else 0.0
        minutes = int(max(0.0, passed - warm_up_s) / 60)
        attempt.step(minutes - told[0])
        told[0] = minutes

    course = Course()
    with _street(attempt, spare=20, additions=5) as outside:
        run(
            soak(
                outside,
                attempt.folder,
                attempt.n * 60.0,
                attempt.chance("soak"),
                course,
                warm_up_s=warm_up_s,
                every_s=every_s,
                step=step,
                sabotage=sabotage,
            )
        )
    counted = [one for one in course.samples if one.at_s > warm_up_s]
    slope = round(slope_mib_h(counted), 2)
    ends = (counted[0], counted[-1]) if counted else ()
    return Outcome(
        attempt.n,
        tuple(course.failures),
        {
            "memory's slope, MiB an hour": slope,
            "anonymous memory, MiB": " to ".join(f"{one.rss_kib / 1024:.1f}" for one in ends),
            "descriptors": " to ".join(str(one.descriptors) for one in ends),
            "threads": " to ".join(str(one.threads) for one in ends),
            "faults": sum(course.faults.values()),
            **{f"fault: {name}": count for name, count in sorted(course.faults.items())},
            "deployments": course.deployments,
            "acknowledgements": course.acknowledged,
        },
    )


def come_back(attempt: Attempt) -> Outcome:
    with _street(attempt, spare=20, additions=1) as outside:
        faults = drawn(attempt.chance("faults"), attempt.n)
        work = suffer(outside, attempt.folder, faults, attempt.chance("work"), attempt.step)
        told: Returns = run(work)
    return Outcome(told.tried, tuple(told.failures), told.facts())


def take_the_desk(attempt: Attempt) -> Outcome:
    with _street(attempt, spare=20, additions=1) as outside:
        faults = ["recogniser out of memory"] * attempt.n
        told = run(suffer(outside, attempt.folder, faults, attempt.chance("work"), desk_first=True))
    return Outcome(told.tried, tuple(told.failures), told.facts())


def freeze(attempt: Attempt) -> Outcome:
    return _freeze(attempt, guard="")


def freeze_without_wiping(attempt: Attempt) -> Outcome:
    return _freeze(attempt, guard="no_wipe")


def _freeze(attempt: Attempt, *, guard: str) -> Outcome:
    with _street(attempt, spare=20, additions=1, strangers=min(_MOST_GROUPS, attempt.n + 5)) as outside:
        scan = run(_scanned(outside, attempt, guard))
    return Outcome(
        scan.freezes,
        tuple(scan.failures),
        {
            "faces": scan.faces,
            "fragments looked for": scan.words,
            "memory of a scan, MiB": scan.scanned_mib,
            "scan, wall s, slowest": round(scan.slowest_s, 1),
            "scans after the last look, s": f"{GONE_S} to {scan.latest_s + SAID_S:.1f}",
            "looked for again after, s, longest": round(scan.oldest_s, 1),
            "groups that came round too soon": scan.passed_over,
            "recognisers that the desk replaced": scan.replaced,
        },
    )


async def _scanned(outside: Street, attempt: Attempt, guard: str) -> Scan:
    state = attempt.folder / "state"
    state.mkdir()
    box = Box(outside, state, attempt.folder / "lfr.toml", cameras=PATIENT)
    box.furnish()
    try:
        with sabotaged(guard) if guard else nullcontext():
            box.environment = dict(os.environ)
            await box.start()
        await box.ready()
        return await freeze_and_scan(box, attempt.chance("freezes"), attempt.n, attempt.step)
    finally:
        await box.kill()


def leave_traces(attempt: Attempt) -> Outcome:
    return _trace(attempt, careless=False)


def leave_traces_carelessly(attempt: Attempt) -> Outcome:
    """Blind unless every place shows what was left there."""
    outcome = _trace(attempt, careless=True)
    places = [fact for fact in outcome.facts if str(fact).startswith("fragments: ")]
    return outcome if all(outcome.facts[place] for place in places) else Outcome(outcome.tried)


def _trace(attempt: Attempt, *, careless: bool) -> Outcome:
    with _street(attempt, spare=20, additions=1, strangers=min(_MOST_GROUPS, attempt.n + 5)) as outside:
        chance = attempt.chance("traces")
        work = trace(outside, attempt.folder, attempt.n, chance, careless=careless, step=attempt.step)
        told: Traces = run(work)
    return Outcome(
        told.groups,
        tuple(told.failures),
        {
            "fragments looked for": told.words,
            **{f"read: {place}, MiB": size for place, size in told.read_mib.items()},
            **{f"fragments: {place}": hits for place, hits in told.hits.items()},
        },
    )


TRIALS: Final = (
    Trial(
        name="service-power",
        bar="A1",
        promise="no record, alert, decision, withdrawal, addition or erasure that anybody was told is lost to a power "
        "cut; the service is ready again within 10 s",
        does="people work over HTTP while all state lies on a loop-mounted ext4 whose power goes (FS_IOC_SHUTDOWN) at "
        "a random moment of recognition, decisions, activation, changes of the list, the end, recovery, upgrade",
        sabotage="libeatmydata: a sync does nothing",
        unit="cuts",
        slice=1,
        full=300,
        run=cut_power,
        control=cut_lying_power,
        control_n=1,
        ci="tests/faults/test_whole.py::test_a_power_cut_and_a_disk_that_lies",
        needs=("root", "loop device", "libeatmydata", "go"),
        about="1 h",
        adds_up=True,
    ),
    Trial(
        name="service-soak",
        bar="E6",
        promise="nothing is lost and nothing grows: memory 1 MiB an hour at most, descriptors and threads not at all",
        does="a fault every 30 s: recogniser killed or hung, capture killed, camera gone or hung, disk full, uplink "
        "gone, slow and vanishing clients, the wall clock set; deployment after deployment in one process",
        sabotage="a service that keeps a megabyte and a descriptor a second",
        unit="minutes",
        slice=1,
        full=60,
        run=soak_minutes,
        control=soak_leaking,
        control_n=1,
        ci="tests/faults/test_whole.py::test_faults_one_after_the_other_heal_and_lose_nothing",
        needs=("root", "loop device"),
        about="its minutes and ten more; 24 h: --n 1440",
    ),
    Trial(
        name="service-back",
        bar="D",
        promise="a recogniser or a capture process that is killed, hangs, or is taken by the kernel for want of memory "
        "is back within 2 s of its end; the desk never goes, and nothing that was told is lost",
        does="SIGKILL, SIGSTOP, and memory taken under the kernel's own limit until its OOM killer chooses; each until "
        "a picture has been looked at again",
        sabotage="a box whose desk the OOM killer takes first",
        unit="ends",
        slice=2,
        full=60,
        run=come_back,
        control=take_the_desk,
        control_n=1,
        ci="tests/faults/test_whole.py::test_the_kernel_takes_a_child_for_want_of_memory_and_it_is_back",
        needs=("root", "memory group"),
        about="20 min",
        adds_up=True,
    ),
    Trial(
        name="service-memory",
        bar="B1",
        promise="nothing of a passer-by who is on no list is in the memory of any process 1.0 s after the last frame",
        does="strangers pass; their crops' and templates' own bytes are taken from the stopped recogniser, and "
        "/proc/PID/mem of every process is scanned for them a second after they left",
        sabotage="slots that are given back and not overwritten",
        unit="freezes",
        slice=1,
        full=200,
        run=freeze,
        control=freeze_without_wiping,
        control_n=12,  # what was not overwritten is often used again within the second: most freezes miss it
        ci="tests/faults/test_whole.py::test_strangers_are_gone_from_all_memory_after_a_second",
        needs=("root",),
        about="20 min",
        adds_up=True,
    ),
    Trial(
        name="service-traces",
        bar="B2",
        promise="nothing of a passer-by who is on no list is on the disk, in a core, on the wire or in a browser",
        does="strangers pass while people work; every process then dies by SIGSEGV or SIGABRT with cores wanted; the "
        "raw disk image, the cores' folder, the console's traffic and a browser's profile are read",
        sabotage="somebody leaves fragments in each of the four places; all four have to be found",
        unit="groups",
        slice=1,
        full=40,
        run=leave_traces,
        control=leave_traces_carelessly,
        control_n=1,
        ci="tests/faults/test_whole.py::test_every_place_is_really_read",
        needs=("root", "loop device"),
        about="10 min",
        adds_up=True,
    ),
)
