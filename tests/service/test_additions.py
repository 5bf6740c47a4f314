"""Entries that join the list of a running deployment: by two persons, within the authority, from the next probe."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lfr_edge.audit.verify import verify
from lfr_edge.demo.officers import APPROVER, PROPOSER, approve, authority_for
from lfr_edge.service.changes import carry_out
from lfr_edge.service.list_changes import withdraw
from tests.service.conftest import PASSPHRASE, SOUGHT, STRANGER, until
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
