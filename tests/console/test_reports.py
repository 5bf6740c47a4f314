"""Reports, accuracy and audit pages over a real record: what is shown, what is refused, what is put on record."""

from __future__ import annotations

import csv
import io
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from lfr_edge.audit.note import WITNESS_KEY, read_key_file
from lfr_edge.audit.proof import parse_proof
from lfr_edge.audit.verify import verify
from lfr_edge.console.door.accounts import Role
from lfr_edge.console.shelf import Shelf
from lfr_edge.errors import AuditError
from tests.console.conftest import Person
from tests.fakes.box import enrol, house, raised

NAME = "2026-11-22-1"


@pytest.fixture
async def recorded(tmp_path):
    """A box with a real log: one alert, and a signed head over it."""
    async with house(tmp_path) as box:
        await box.desk.raise_alert(raised())
        box.log.checkpoint()
        yield box


async def person_of(box, role: Role) -> Person:
    person = Person(box)
    enrol(box.accounts, str(role).replace("_", "-"), role)
    assert await person.sign_in(str(role).replace("_", "-")) == 303
    return person


@pytest.fixture
async def auditor(recorded):
    person = await person_of(recorded, Role.AUDITOR)
    yield person
    await person.close()


def made(box) -> list[dict]:
    return [entry.event.data for _, entry in box.log.entries() if entry.event.ev == "report.made"]


async def body(person, url: str, status: int = 200) -> str:
    async with person.get(url, headers={"Accept": "text/html"}) as answer:
        assert answer.status == status, await answer.text()
        return await answer.text()


async def test_the_report_is_counted_from_the_record_and_recorded(recorded, auditor):
    text = await body(auditor, "/reports")
    assert "Error rates" in text
    assert "Deployment Location" in text
    assert "<svg" in text
    (entry,) = made(recorded)
    assert entry["what"] == "page"
    assert entry["from"][0]["root"]
    every = await body(auditor, "/reports?of=all")
    assert "Total Alerts" in every


async def test_each_file_is_made_and_recorded(recorded, auditor):
    kinds = {"met.csv": b"\xef\xbb\xbf", "ie.csv": b"\xef\xbb\xbf", "figures.csv": b"\xef\xbb\xbf",
             "figures.json": b"{", "report.html": b"<!doctype", "report.pdf": b"%PDF", "questions.html": b"<!doctype",
             "questions.pdf": b"%PDF", "public-pack.zip": b"PK", "auditor-pack.zip": b"PK"}  # fmt: skip
    for name, start in kinds.items():
        async with auditor.get(f"/reports/{NAME}/{name}") as answer:
            data = await answer.read()
            assert answer.status == 200, data
            assert data.startswith(start), name
            assert answer.headers["Content-Disposition"] == f'attachment; filename="lfr-{NAME}-{name}"'
    assert [entry["what"] for entry in made(recorded)] == list(kinds)
    async with auditor.get(f"/reports/{NAME}/met.csv") as answer:
        rows = list(csv.reader(io.StringIO((await answer.read()).decode("utf-8-sig"))))
    assert dict(zip(rows[0], rows[1], strict=True))["Total Alerts"] == "1"
    for url in (f"/reports/{NAME}/passwords.csv", "/reports/2020-01-01-1/met.csv", "/reports/device/met.csv"):
        async with auditor.get(url) as answer:
            assert answer.status == 404, url


async def test_the_auditors_pack_is_not_for_everybody(recorded):
    officer = await person_of(recorded, Role.DEPLOYMENT_OFFICER)
    async with officer.get(f"/reports/{NAME}/auditor-pack.zip") as answer:
        assert answer.status == 403
    assert "auditor-pack" not in await body(officer, "/reports")
    await officer.close()


async def test_no_figure_is_taken_from_an_altered_record(recorded, auditor):
    entries = recorded.folder / "audit" / NAME / "entries.lfr"
    raw = bytearray(entries.read_bytes())
    raw[200] ^= 1
    entries.write_bytes(raw)
    text = await body(auditor, "/reports")
    assert "no figure is taken" in text
    assert "Deployment Location" not in text
    async with auditor.get(f"/reports/{NAME}/met.csv") as answer:
        assert answer.status == 409
    async with auditor.post("/api/audit/verify", json={"deployment": NAME}) as answer:
        assert (await answer.json())["verdict"] == "altered"
    assert 'data-verdict="altered"' in await body(auditor, "/audit")


async def test_an_empty_box_says_so(box, sign_in):
    person = await sign_in("auditor", Role.AUDITOR)
    assert "No deployment yet" in await body(person, "/reports")
    assert "No record yet" in await body(person, "/audit")
    assert "No evaluation is kept" in await body(person, "/accuracy")
    async with person.post("/api/audit/verify", json={}) as answer:
        assert answer.status == 404


async def test_timeline_filters_and_pages(recorded, auditor):
    for n in range(120):
        recorded.recorder.record("clock.jumped", actor=None, ref="", data={"n": n}, why="")
    first = await body(auditor, "/audit")
    assert first.count(">clock.jumped</code>") > 40
    older = first.partition('id="older" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert "before=" in older
    second = await body(auditor, older)
    shown = lambda text: {part.split('"')[0] for part in text.split(f'href="/audit/{NAME}/')[1:]}  # noqa: E731
    assert not shown(first) & shown(second) - {"log.zip"}
    filtered = await body(auditor, "/audit?verb=collection")
    assert "alert.raised" in filtered
    assert ">clock.jumped</code>" not in filtered
    signed = await body(auditor, "/audit?verb=access&person=auditor")
    assert "access.signed_in" in signed
    assert "No entry fits" in await body(auditor, "/audit?person=nobody")
    for odd in ("?before=x", "?before=-1", "?before=999999", "?verb=%3Cscript%3E", "?of=../../etc"):
        assert "<script>" not in (await body(auditor, f"/audit{odd}")).replace(
            '<script type="application', ""
        )


async def test_one_entry_with_its_proof(recorded, auditor):
    text = await body(auditor, f"/audit/{NAME}/1")
    assert "hashes lead from this entry" in text
    async with auditor.get(f"/audit/{NAME}/1/proof") as answer:
        proof = parse_proof(await answer.text())
    certificate = recorded.log.keys.signer.verifier
    assert proof.holds(certificate)
    recorded.recorder.record("clock.jumped", actor=None, ref="", data={}, why="")
    newest = recorded.log.size - 1
    assert "No signed head covers" in await body(auditor, f"/audit/{NAME}/{newest}")
    async with auditor.get(f"/audit/{NAME}/{newest}/proof") as answer:
        assert answer.status == 409
    await body(auditor, f"/audit/{NAME}/99999", 404)
    await body(auditor, f"/audit/{NAME}/x", 404)
    await body(auditor, "/audit/elsewhere/1", 404)


async def test_the_copy_verifies_elsewhere_and_holds_no_secret(recorded, auditor, tmp_path):
    async with auditor.get(f"/audit/{NAME}/log.zip") as answer:
        data = await answer.read()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {"entries.lfr", "checkpoints", "key.cert", "device.vkey"} <= set(archive.namelist())
        archive.extractall(tmp_path / "copy")
    assert verify(tmp_path / "copy").intact
    assert made(recorded)[-1]["what"] == "log"


async def test_verifying_says_how_far_it_has_come(recorded, auditor):
    async with auditor.get("/api/audit/verify?deployment=" + NAME) as answer:
        assert (await answer.json()) == {"running": False, "done": 0, "of": 0}
    async with auditor.post("/api/audit/verify", json={"deployment": NAME}) as answer:
        found = await answer.json()
    assert found["verdict"] == "unanchored"
    assert found["done"] == found["of"] > 3
    assert found["checked"]
    assert any("entries" in line for line in found["lines"])
    async with auditor.get("/api/audit/verify?deployment=" + NAME) as answer:
        assert (await answer.json())["verdict"] == "unanchored"
    async with auditor.post("/api/audit/verify", json={"deployment": "../etc"}) as answer:
        assert answer.status == 404


async def test_a_reading_is_kept_until_the_record_grows(recorded):
    shelf = Shelf(recorded.folder / "audit")
    (one,), (same,) = await shelf.verified(NAME), await shelf.verified(NAME)
    assert one is same
    recorded.recorder.record("clock.jumped", actor=None, ref="", data={}, why="")
    (grown,) = await shelf.verified(NAME)
    assert grown is not one
    with pytest.raises(AuditError):
        await shelf.verified("device")
    assert Shelf(Path("/nonexistent")).names() == ()


async def test_what_a_witness_holds_counts_as_soon_as_it_is_there(tmp_path):
    sample = Path(__file__).resolve().parents[2] / "audit_logs" / "samples" / "v1-people"
    shutil.copytree(sample / "box", tmp_path / "audit")
    shelf = Shelf(tmp_path / "audit", (read_key_file(sample / "witness.vkey", WITNESS_KEY),))
    name = next(name for name in shelf.names() if any((shelf.folder(name).anchors).glob("*.note")))
    anchors = shelf.folder(name).anchors
    anchors.rename(tmp_path / "later")
    assert (await shelf.verified(name))[0].report.anchors == ()
    (tmp_path / "later").rename(anchors)
    assert (await shelf.verified(name))[0].report.anchors != ()
    assert (await Shelf(tmp_path / "audit").verified(name))[0].report.anchors == (), "the control"


RESULT = {
    "model": {"fingerprint": "f"},
    "n": {"gallery_people": 100, "mated": 90, "mated_people": 80, "nonmated": 1000, "nonmated_people": 900},
    "tpir_at_fpir": {"0.01": {"value": 0.91, "low": 0.88, "high": 0.94, "n": 90},
                     "0.0001": {"value": None, "low": None, "high": None, "n": 90, "note": "1,000 searches"}},
    "threshold_at_fpir": {"0.01": {"value": 0.4, "low": 0.39, "high": 0.41},
                          "0.0001": {"value": None, "low": None, "high": None}},
    "fte_interval": {"value": 0.0, "low": 0.0, "high": 0.03, "n": 100},
    "fta_interval": {"value": 0.01, "low": 0.0, "high": 0.03, "n": 1090},
    "by_list_size": [{"n": 100, "fpir": 0.01, "fpir_model": 0.01, "threshold_at_1_percent": 0.4}],
    "det": [{"threshold": 0.1, "fpir": 1.0, "fnir": 0.0}, {"threshold": 0.4, "fpir": 0.01, "fnir": 0.09},
            {"threshold": 0.9, "fpir": 0.0, "fnir": 1.0}],
}  # fmt: skip


async def test_a_stored_result_is_shown_and_what_it_cannot_tell_is_said(recorded, auditor):
    folder = recorded.folder / "data" / "evaluations"
    folder.mkdir(parents=True)
    (folder / "lfw.json").write_text(json.dumps(RESULT))
    text = await body(auditor, "/accuracy")
    assert "91.0 %" in text
    assert "Cannot tell." in text
    assert "1,000 searches" in text
    assert "Detection error trade-off" in text
    for broken in ("{", "[]", "{}", '{"model": 1}', "[" * 5000):
        (folder / "lfw.json").write_text(broken)
        assert "is not a result" in await body(auditor, "/accuracy")
