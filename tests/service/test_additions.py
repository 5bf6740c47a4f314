"""Entries that join the list of a running deployment: by two persons, within the authority, from the next probe."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace

import pytest

from lfr_edge.audit.verify import verify
from lfr_edge.demo.officers import APPROVER, PROPOSER, approve, arrive, authority_for
from lfr_edge.service.changes import carry_out
from lfr_edge.service.control import Control
from lfr_edge.service.list_changes import withdraw
from lfr_edge.service.view import View
from tests.service.conftest import PASSPHRASE, SOUGHT, START_S, STRANGER, until
from tests.service.officers import refused

pytestmark = [pytest.mark.network, pytest.mark.timeout(150)]


async def test_somebody_who_joins_the_list_is_found_and_leaves_it_again(van, prepared) -> None:
    officers = await prepared(watchlist={"path": str(van.lists.strangers)})
    service, control, run = officers.service, officers.control, officers.service.run
    await officers.bring(watchlist=replace(authority_for(service).watchlist, maximum_size=2))
    await officers.two_persons("watchlist", "", "watchlist.activate")
    await officers.brief()
    await control.start(PROPOSER)
    assert (
        await refused(control.add_list(van.lists.strangers, None, PROPOSER))
        == "watchlist_duplicate_reference"
    )

    proposal = await control.add_list(van.lists.sought, PASSPHRASE, PROPOSER)
    assert proposal.kind == "watchlist.add"
    assert run.desk.counts().raised == 0, "proposed is not approved"
    assert await carry_out(run, await approve(service, "watchlist.add"), APPROVER)
    assert len(run.listing) == 2
    alert = (await until(run.desk.open_alerts, what="an alert on the person who was added"))[0]
    assert alert.facts.reference == SOUGHT
    await withdraw(run, SOUGHT, PROPOSER, "found")
    assert len(run.listing) == 1
    assert run.listing.templates == run.listing.templates_of(STRANGER)
    await control.end(PROPOSER, "end of the test", erase_imports=False)
    report = verify(van.log())
    assert report.intact, report
    assert not [found for found in report.reservations if found.code.startswith(("control", "template"))]
    assert van.verbs().count("watchlist.added") == 1


async def _add_and_kill(van, raw: dict) -> None:
    """A service of its own adds the sought person to its live list and is killed with no chance to clean up."""
    command = (sys.executable, "-m", "tests.service.addition_child", json.dumps(raw))
    arguments = (str(van.lists.sought), PASSPHRASE)
    child = await asyncio.create_subprocess_exec(*command, *arguments, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(START_S):
            assert await child.stdout.readline() == b"added\n"
    finally:
        child.kill()
        await child.wait()
        child._transport.close()


def _unaccounted(report) -> list[str]:
    return [found.code for found in report.reservations if found.code.startswith("template")]


async def test_who_joined_the_list_is_found_after_a_crash_and_a_withdrawal_stays(van, start) -> None:
    over = {"watchlist": {"path": str(van.lists.strangers)}}
    await _add_and_kill(van, van.raw(**over))
    assert "watchlist.added" in van.verbs()
    again = await start(**over)
    run = again.run
    assert run.session.deployment.resumed
    assert (len(run.listing), run.lost) == (2, [])
    alert = (await until(run.desk.open_alerts, what="an alert on the person who was added"))[0]
    assert alert.facts.reference == SOUGHT
    await withdraw(run, SOUGHT, PROPOSER, "found")
    await again.suspend()

    third = await start(**over)
    assert len(third.run.listing) == 1
    assert third.run.listing.withdrawn == {SOUGHT}
    kept_files = list((van.folder / "data" / "deployments").glob("*/additions/*"))
    assert len(kept_files) == 2
    await third.stop()
    assert not any(path.exists() for path in kept_files), "destroyed with the deployment"
    assert [one.what for one in third.run.receipts.items].count("addition") == 2
    assert third.run.receipts.complete
    assert van.lists.sought.exists(), "an evaluation that keeps its list keeps the file it was given"
    report = verify(van.log())
    assert report.intact, report
    assert not _unaccounted(report)


async def test_an_addition_that_was_altered_is_said_to_be_lost_and_its_templates_are_accounted_for(
    van, start
) -> None:
    over = {"watchlist": {"path": str(van.lists.strangers)}}
    service = await start(**over)
    await arrive(service)
    await Control(service).add_list(van.lists.sought, PASSPHRASE, PROPOSER)
    await carry_out(service.run, await approve(service, "watchlist.add"), APPROVER)
    await service.suspend()
    (copy,) = (van.folder / "data" / "deployments").glob("*/additions/*.sealed")
    data = bytearray(copy.read_bytes())
    data[-1] ^= 1
    copy.write_bytes(data)
    unused = copy.with_name(f"{'0' * 64}.key")
    unused.write_bytes(b"kept, and then the power went before its approval was used")

    again = await start(**over)
    assert len(again.run.listing) == 1
    assert not unused.exists()
    said = [trouble.text for trouble in View(again).status().troubles]
    assert any("added templates are not looked for" in text for text in said)
    gone = [e.event for e in van.entries() if e.event.ev == "watchlist.destroyed"]
    assert [event.data["templates"] for event in gone] == [1]
    assert gone[0].why.startswith("watchlist_altered")
    await again.stop()
    report = verify(van.log())
    assert report.intact, report
    assert not _unaccounted(report)
    assert not copy.exists()
