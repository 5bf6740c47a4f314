"""Entries that join the list of a running deployment: by two persons, within the authority, from the next probe."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lfr_edge.audit.verify import verify
from lfr_edge.demo.officers import APPROVER, PROPOSER, approve, arrive, authority_for
from lfr_edge.errors import DeploymentError
from lfr_edge.service import list_changes
from lfr_edge.service.changes import carry_out
from lfr_edge.service.control import Control
from lfr_edge.service.list_changes import withdraw
from lfr_edge.service.view import View
from lfr_edge.watchlist.container import seal
from lfr_edge.watchlist.keys import new_key
from tests.service.conftest import PASSPHRASE, SOUGHT, START_S, STRANGER, until
from tests.service.officers import refused
from tests.watchlist.lists import person

pytestmark = [pytest.mark.network, pytest.mark.timeout(150)]


async def test_somebody_who_joins_the_list_is_found_and_leaves_it_again(van, prepared, monkeypatch) -> None:
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

    held_to = []  # what an operational list must be, tests/deployment/test_readiness.py tries
    monkeypatch.setattr(list_changes, "refuse_list", lambda *found: held_to.append(found))
    proposal = await control.add_list(van.lists.sought, PASSPHRASE, PROPOSER)
    assert "Issued by: not signed" in proposal.summary[1]
    assert proposal.summary[2].startswith("With them the list has 2 people; 2 are authorised.")
    assert proposal.kind == "watchlist.add"
    assert [(reading.entries, reading.unlawful, purpose) for reading, purpose, _ in held_to] == [
        (1, 1, "evaluation")
    ]
    assert run.desk.counts().raised == 0, "proposed is not approved"
    third = _of_nobody(van.folder / "third.sealed", run.pack.fingerprint, run.listing.sealed.header.dimension)
    late = await control.add_list(third, PASSPHRASE, PROPOSER)  # either of the two fits, both do not
    assert await carry_out(run, await approve(service, "watchlist.add"), APPROVER)
    assert len(run.listing) == 2
    with pytest.raises(DeploymentError) as caught:
        await carry_out(run, await approve(service, late.kind), APPROVER)
    assert caught.value.code == "authority_list_size"
    told = run.approvals.get(late.id)
    assert (told.state, told.why.split(":")[0]) == ("refused", "authority_list_size"), (
        "no yes that is still to come"
    )
    assert "would have 3 entries, 1 activated and 2 added; 2 are authorised" in caught.value.message
    assert len(run.listing) == 2
    with pytest.raises(DeploymentError, match="1 activated and 2 added"):
        await control.add_list(third, PASSPHRASE, PROPOSER)
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


def _of_nobody(path: Path, fingerprint: str, dimension: int) -> Path:
    made = person(3, dimension=dimension)
    images = tuple(replace(image, source="published") for image in made.entry.images)
    entry = replace(made.entry, category="missing_person", images=images)
    listed = [replace(made, entry=entry)]
    seal(path, listed, key=new_key(), passphrase=PASSPHRASE, fingerprint=fingerprint, dimension=dimension)
    return path


async def _add_and_kill(van, raw: dict, *words: str) -> None:
    """A service of its own adds the sought person to its live list and is killed with no chance to clean up."""
    command = (sys.executable, "-m", "tests.service.addition_child", json.dumps(raw))
    arguments = (str(words[0] if words else van.lists.sought), PASSPHRASE, *words[1:])
    child = await asyncio.create_subprocess_exec(*command, *arguments, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(START_S):
            assert await child.stdout.readline() == (b"added\n" if not words else b"proposed\n")
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
    assert len(kept_files) == 3, "copy, key, and where it came from"
    await third.stop()
    assert not any(path.exists() for path in kept_files), "destroyed with the deployment"
    assert [one.what for one in third.run.receipts.items].count("addition") == 2
    assert third.run.receipts.complete
    assert van.lists.sought.exists(), "an evaluation that keeps its list keeps the file it was given"
    report = verify(van.log())
    assert report.intact, report
    assert not _unaccounted(report)


async def test_the_file_of_a_list_that_was_proposed_and_never_approved_is_erased_after_a_crash(
    van, start
) -> None:
    """The officer brought it for this deployment: domain.md has the import copy destroyed with the list."""
    lists = {name: van.folder / name for name in ("base.sealed", "brought.sealed")}
    shutil.copy(van.lists.strangers, lists["base.sealed"])
    shutil.copy(van.lists.sought, lists["brought.sealed"])
    key_file = shutil.copy(van.lists.key_file, van.folder / "list.key")
    over = {
        "watchlist": {"path": str(lists["base.sealed"]), "key_file": str(key_file)},
        "deployment": {"destroy_list": True},
    }
    await _add_and_kill(van, van.raw(**over), str(lists["brought.sealed"]), "propose")
    assert "watchlist.added" not in van.verbs()
    again = await start(**over)
    assert again.run.session.deployment.resumed
    assert len(again.run.listing) == 1
    await again.stop()
    assert not any(path.exists() for path in lists.values())
    assert [one.what for one in again.run.receipts.items].count("addition") == 1
    assert again.run.receipts.complete
    assert not list((van.folder / "data").rglob("*.proposed"))


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
