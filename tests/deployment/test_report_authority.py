"""What the record keeps of an authority and of a report that was given away, and how reports show it."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from lfr_edge.audit.event import Actor, check_event
from lfr_edge.deployment.authorised import authorised
from lfr_edge.deployment.period import Period
from lfr_edge.deployment.report import met
from lfr_edge.deployment.report.conduct import authority
from lfr_edge.deployment.report.content import report_document
from lfr_edge.deployment.report.foi import foi_document
from lfr_edge.deployment.report.html import page
from lfr_edge.deployment.report.made import NAMED_MAX, digest, report_made
from lfr_edge.deployment.verified import read_verified
from tests.fakes.authority import authority_now, signed_authority

OFFICER = Actor("do.two", "deployment_officer", "s-18")
AUDITOR = Actor("au.one", "auditor", "s-19")


def test_an_authority_on_record_fills_the_tables_and_names_nobody(van: Any) -> None:
    told = van.deployment()
    signed = signed_authority(authority_now(told.clock.wall_ns()))
    event = authorised(signed, OFFICER)
    check_event(event)
    name = signed.authority.officer.name
    command = signed.authority.command
    for person in (name, command.gold, command.silver, command.bronze):
        assert person not in str(event.data)
    assert event.data["sha256"] == signed.sha256
    told.log.append(event)
    told.open()
    told.say("deployment.started", actor=OFFICER)
    later = authorised(signed_authority(authority_now(told.clock.wall_ns(), 8)), OFFICER)
    told.log.append(later)
    told.say("deployment.cancelled", actor=OFFICER, why="the operation ended")
    told.close()
    (log,) = read_verified(told.folder)
    row = met.row(Period.of([log.statistics]))
    assert row["LFR Use Case"] == event.data["use_case"]
    assert row["Deployment Location"] == signed.authority.place.name
    (table,) = authority([log]).tables
    assert [line[1] for line in table.rows] == ["authorised", "started", "authorised", "cancelled"]
    assert table.rows[0][5].replace(" ", "") == signed.sha256
    text = page(report_document([log]))
    assert signed.sha256[:16] in text
    assert name not in text
    answers = {fact.label: fact.value for section in foi_document([log]).sections for fact in section.facts}
    assert answers["For which purpose?"] == event.data["use_case"]
    assert answers["Who authorised it?"] == str(signed.authority.officer.rank).replace("_", " ")
    assert "not recorded" not in answers["Which data protection impact assessment covers it?"]


def test_without_an_authority_the_section_is_left_out(van: Any) -> None:
    told = van.deployment()
    told.open()
    told.close()
    (log,) = read_verified(told.folder)
    assert authority([log]).tables == ()
    assert "Authorised, started" not in page(report_document([log]))


def test_a_report_that_was_given_away_is_on_record(van: Any) -> None:
    told = van.deployment()
    told.open()
    told.close()
    logs = read_verified(van.audit)
    event = report_made("met", b"a,b\r\n", logs, AUDITOR, "for the commissioner")
    check_event(event)
    assert (event.ev, event.actor, event.why) == ("report.made", AUDITOR, "for the commissioner")
    assert event.data["sha256"] == sha256(b"a,b\r\n").hexdigest()
    assert event.data["from"] == [
        {"origin": logs[0].report.origin, "size": logs[0].signed, "root": logs[0].root}
    ]
    check_event(report_made("html", b"", logs * 2 * NAMED_MAX, AUDITOR))


def test_the_digest_of_a_pack_is_that_of_sha256sum() -> None:
    pack = {"b.csv": b"2", "a.csv": b"1"}
    lines = f"{sha256(b'1').hexdigest()}  a.csv\n{sha256(b'2').hexdigest()}  b.csv\n"
    assert digest(pack) == sha256(lines.encode()).hexdigest()
    assert digest({**pack, "b.csv": b"3"}) != digest(pack)
