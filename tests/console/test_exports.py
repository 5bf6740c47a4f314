"""Evidence with pictures: two persons, exactly what was asked, once, and with its proofs."""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile

import pytest

from lfr_edge.alerts.factors import Answer, Factors
from lfr_edge.alerts.record import Actor
from lfr_edge.audit.keys import open_certificate, read_certificate
from lfr_edge.audit.note import VerifierKey
from lfr_edge.audit.proof import parse_proof
from lfr_edge.audit.verify import verify
from lfr_edge.console.door.accounts import Role
from tests.console.test_reports import person_of
from tests.fakes.box import enrol, house, raised

NAME = "2026-11-22-1"
WHY = "case 4711, disclosure"


@pytest.fixture
async def decided(tmp_path):
    async with house(tmp_path) as box:
        factors = Factors.of(["features_agree"], [], [])
        for number in (1, 2):
            alert = await box.desk.raise_alert(raised(number))
            actor = Actor("miller", "operator")
            await box.desk.decide(alert.id.token, actor, Answer.SAME_PERSON, factors, "", alert.version)
        await box.desk.raise_alert(raised(3))
        box.log.checkpoint()
        enrol(box.accounts, "lang", Role.AUTHORISING_OFFICER)
        yield box


@pytest.fixture
async def auditor(decided):
    person = await person_of(decided, Role.AUDITOR)
    yield person
    await person.close()


async def ask(person, alerts, why=WHY) -> tuple[int, dict]:
    async with person.post("/api/audit/exports", json={"alerts": alerts, "why": why}) as answer:
        return answer.status, await answer.json()


def approve(box, asked: dict) -> None:
    actor = Actor("lang", "authorising_officer", "s")
    box.approvals.approve(asked["id"], asked["sha256"], actor, time.monotonic_ns())


def events(box, verb: str) -> list:
    return [entry.event for _, entry in box.log.entries() if entry.event.ev == verb]


async def test_what_was_approved_leaves_once_with_its_proofs(decided, auditor):
    status, asked = await ask(auditor, [2, 1, 2])
    assert status == 201
    async with auditor.get(f"/audit/exports/{asked['id']}") as answer:
        assert answer.status != 200, "nobody has approved it yet"
    assert events(decided, "evidence.viewed") == []
    approve(decided, asked)
    async with auditor.get("/audit", headers={"Accept": "text/html"}) as page:
        assert f"/audit/exports/{asked['id']}" in await page.text()
    async with auditor.get(f"/audit/exports/{asked['id']}") as answer:
        data = await answer.read()
        assert answer.status == 200, data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    for number in (1, 2):
        assert files[f"alert-{number}/probe.jpg"].startswith(b"\xff\xd8")
        assert json.loads(files[f"alert-{number}/alert.json"])["looks"][0]["answer"] == "same_person"
    folder = decided.folder / "audit" / NAME
    device = VerifierKey.parse((folder / "device.vkey").read_text().strip())
    key = open_certificate(read_certificate(folder / "key.cert"), device).key
    proofs = [parse_proof(text.decode()) for name, text in files.items() if name.endswith(".tlog-proof")]
    assert len(proofs) >= 6
    assert all(proof.holds(key) for proof in proofs)
    (exported,) = events(decided, "evidence.exported")
    assert exported.data["change"] == asked["id"]
    assert exported.data["file_sha256"] == hashlib.sha256(data).hexdigest()
    assert exported.why == WHY
    assert len(events(decided, "evidence.viewed")) == 4
    async with auditor.get(f"/audit/exports/{asked['id']}") as answer:
        assert answer.status != 200, "once"
    decided.log.checkpoint()
    assert not {"control_missing", "control_approval_void"} & {
        found.code for found in verify(folder).reservations
    }


async def test_nobody_elses_export_and_no_other_kind(decided, auditor):
    _, asked = await ask(auditor, [1])
    approve(decided, asked)
    officer = await person_of(decided, Role.DEPLOYMENT_OFFICER)
    for name in (asked["id"], "C-99", "x"):
        async with officer.get(f"/audit/exports/{name}") as answer:
            assert answer.status in {400, 403, 404, 409}, name
    assert events(decided, "evidence.exported") == []
    await officer.close()


@pytest.mark.parametrize("alerts", [[3], [99], [], [0], ["x"], [1] * 51])
async def test_only_decided_alerts_can_be_asked_for(decided, auditor, alerts):
    status, _ = await ask(auditor, alerts)
    assert status in {400, 404, 409}
    assert events(decided, "control.proposed") == []


async def test_no_reason_no_export(decided, auditor):
    assert (await ask(auditor, [1], why=""))[0] == 400


async def test_operators_and_engineers_cannot_ask(decided):
    for role in (Role.OPERATOR, Role.ENGINEER, Role.AUTHORISING_OFFICER):
        person = await person_of(decided, role)
        assert (await ask(person, [1]))[0] == 403
        await person.close()
