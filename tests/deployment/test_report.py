"""What goes out: tables, pages, paper and packs, from real logs, and what must never be in them."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import xml.etree.ElementTree as ET
import zlib
from base64 import a85decode
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.audit.event import PROCESSING
from lfr_edge.audit.note import VerifierKey
from lfr_edge.audit.proof import parse_proof
from lfr_edge.audit.verify import verify
from lfr_edge.cli.main import main
from lfr_edge.deployment.intervals import Share
from lfr_edge.deployment.period import FACES, Period
from lfr_edge.deployment.report import ie, met, spreadsheet
from lfr_edge.deployment.report.charts import charts
from lfr_edge.deployment.report.content import report_document
from lfr_edge.deployment.report.document import Bar, Chart, Document, Fact, Section, Stroke, Table
from lfr_edge.deployment.report.figures import as_json, figures
from lfr_edge.deployment.report.foi import QUESTIONS, foi_document
from lfr_edge.deployment.report.html import page
from lfr_edge.deployment.report.packs import auditor_pack, poster, public_pack
from lfr_edge.deployment.report.pdf import pdf
from lfr_edge.deployment.report.principles import CHAPTERS
from lfr_edge.deployment.report.svg import svg
from lfr_edge.deployment.report.wording import (
    cosine,
    interval,
    minutes,
    percent,
    published_percent,
    rate,
    seconds,
)
from lfr_edge.deployment.verified import VerifiedLog, read_verified

SECRET = "Jane Roe, 12 Elm Street"  # a note that a person typed where it does not belong


@pytest.fixture
def logs(van: Any) -> tuple[VerifiedLog, ...]:
    """Two deployments with a bit of everything."""
    for day, place in (("2025-01-08", "East Ham"), ("2025-01-22", "Stratford <script>")):
        told = van.deployment(f"{day}-1", day)
        told.open(place, location=place, use_case="crime hotspot", operation="=HYPERLINK(0)", dpia="DPIA-7")
        told.wait(30)
        told.alert("same_person", outcome="arrest", identity="same_person")
        told.wait(30)
        told.alert("same_person", "same_person", outcome="no_action", identity="different_person")
        told.alert("different_person", result="not_referred", score_e4=6420)
        ref = told.alert("same_person", "cannot_judge", result="not_referred")
        told.say("alert.held", ref=ref, why=SECRET)
        told.alert()
        for minute in range(3):
            told.wait(1)
            told.count(400, camera={"eye_px_e1": 300 + minute}, latency_ms={"300": 2, "inf": 1},
                       score_e4={"1000": 30, "2200": 12}, energy_j=900)  # fmt: skip
        told.say("ledger.counted", frames=9, faces=5000, probes=900, processed=900, erased=898, retained=2)
        told.say("drill.raised", ref="dd" * 16, truth="same_person")
        told.close()
    return read_verified(van.audit)


class Page(HTMLParser):
    """Collects what a page would load or run, its headings and its ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.pointed: list[str] = []
        self.open: list[str] = []
        self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in {"meta", "br", "rect", "polyline", "path", "link", "img"}:
            self.open.append(tag)
        if dict(attrs).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attrs)["content"] or ""
        for name, value in attrs:
            assert not name.startswith("on"), f"{name} runs script"
            if name in {"src", "href", "action", "data", "srcset", "xlink:href"}:
                self.loads.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name == "aria-labelledby":
                self.pointed += (value or "").split()

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"rect", "polyline", "path"}:
            assert self.open.pop() == tag


def strict(text: str) -> Page:
    seen = Page(text)
    assert seen.loads == []
    assert not {"script", "iframe", "object", "embed", "link", "img", "form", "base"} & set(seen.tags)
    assert "url(" not in text
    assert "@import" not in text
    assert seen.policy.startswith("default-src 'none'")
    assert len(seen.ids) == len(set(seen.ids))
    assert set(seen.pointed) <= set(seen.ids)
    assert seen.open == []
    assert seen.tags.count("h1") == 1
    assert '<html lang="en-GB">' in text
    return seen


def test_the_page_is_one_strict_file_with_all_charts(logs: tuple[VerifiedLog, ...]) -> None:
    one = page(report_document(logs[:1]))
    assert strict(one).tags.count("svg") == 4
    both = page(report_document(logs))
    assert strict(both).tags.count("svg") == 3
    assert "Stratford &lt;script&gt;" in both
    for text in (one, both):
        for label in (
            "per face seen",
            "per alert",
            "95 %",
            *(name.capitalize() for name in FACES),
            "Minutes blind",
        ):
            assert label in text
    assert logs[0].root.replace("+", "&#43;") in one or logs[0].root in one


def test_a_page_without_a_policy_or_with_a_picture_is_noticed(logs: tuple[VerifiedLog, ...]) -> None:
    """The control of strict(): each sabotage is seen."""
    text = page(report_document(logs[:1]))
    for wrong in (
        text.replace("default-src", ""),
        text.replace("<h2", '<img src="https://x.example/p.png"><h2', 1),
        text.replace("<h2", "<h2 onclick='x()'", 1),
        text.replace("</style>", "a{background:url(x)}</style>"),
    ):
        with pytest.raises(AssertionError):
            strict(wrong)


def test_charts_stay_on_the_plane_and_are_described(logs: tuple[VerifiedLog, ...]) -> None:
    for period in (Period.of([logs[0].statistics]), Period.of([log.statistics for log in logs])):
        for chart in charts(period):
            tree = ET.fromstring(svg(chart, "c"))
            assert [child.tag for child in tree][:2] == ["title", "desc"]
            assert chart.told
            for mark in chart.marks:
                if isinstance(mark, Bar):
                    assert mark.x >= 0
                    assert mark.y >= 0
                    assert mark.height >= 0
                    assert mark.x + mark.width <= chart.width
                elif isinstance(mark, Stroke):
                    assert all(0 <= x <= chart.width and 0 <= y <= chart.height for x, y in mark.points)


def test_nothing_recorded_draws_nothing_and_says_so(van: Any) -> None:
    told = van.deployment()
    told.open()
    told.close()
    quiet = read_verified(told.folder)
    assert charts(Period.of([quiet[0].statistics])) == ()
    text = page(report_document(quiet))
    strict(text)
    assert text.count("not recorded") > 10
    assert pdf(report_document(quiet)).startswith(b"%PDF-")
    assert as_json(quiet)["totals"]["faces.opportunities"] is None
    assert "Not closed" not in text


def test_a_running_evaluation_says_both(van: Any) -> None:
    told = van.deployment()
    told.say("deployment.opened", site="Hall", purpose="evaluation", cameras=[])
    told.log.checkpoint()
    text = page(report_document(read_verified(told.folder)))
    assert "Not an operational deployment" in text
    assert "Not closed when this was made" in text
    assert "test" in poster(read_verified(told.folder)).lower()


def test_the_paper_is_repeatable_embeds_its_fonts_and_names_the_root(logs: tuple[VerifiedLog, ...]) -> None:
    document = report_document(logs)
    first = pdf(document)
    assert first == pdf(document)
    assert b"/FontFile2" in first
    assert b"/URI" not in first
    assert first.count(b"/Type /Page\n") >= 3
    streams = re.findall(rb"stream\r?\n(.*?)endstream", first, re.DOTALL)
    assert any(b"BT" in _unpacked(stream) for stream in streams)


def _unpacked(stream: bytes) -> bytes:
    raw = stream.strip()
    try:
        return zlib.decompress(
            a85decode(raw, adobe=False) if not raw.endswith(b"~>") else a85decode(b"<~" + raw, adobe=True)
        )
    except (ValueError, zlib.error):
        return b""


def test_letters_that_the_font_lacks_keep_their_place() -> None:
    wide = Table("t", tuple(f"column {n}" for n in range(12)), (tuple("=x" for _ in range(12)),))
    document = Document("Tŷ Gwyn → 東", "ŵ", (Section("S", ("<b>&",), (Fact("a", "b"),), (wide,)),))
    assert pdf(document).startswith(b"%PDF-")
    assert pdf(Document("t", "s", (Section("S", charts=(Chart("c", "d", ()),)),))).startswith(b"%PDF-")


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("table", [met, ie])
def test_published_tables_carry_sum_definitions_and_root(logs: tuple[VerifiedLog, ...], table: Any) -> None:
    rows = rows_of(spreadsheet.published(logs, table, "passages"))
    assert rows[0] == [*table.COLUMNS, *table.ADDED]
    assert [row[0] for row in rows[1:4]] == ["East Ham", "Stratford <script>", "2 deployments"]
    faces = rows[0].index("Faces seen (estimate)" if table is met else "Faces seen")
    assert [row[faces] for row in rows[1:4]] == ["1440", "1440", "2880"]
    flat = {row[0]: row[1] for row in rows[4:] if len(row) > 1}
    assert "unbroken tracks" in flat[rows[0][faces]]
    assert [row[2] for row in rows[-2:]] == [f"sha256 {log.root}" for log in logs]


def test_the_long_form_has_every_figure_once_with_its_definition(logs: tuple[VerifiedLog, ...]) -> None:
    rows = rows_of(spreadsheet.long_form(logs))
    keys = [row[1] for row in rows[1:] if row[0] == spreadsheet.TOTAL]
    assert len(keys) == len(set(keys))
    assert keys == [figure.key for figure in figures(Period.of([log.statistics for log in logs]))]
    assert all(row[7] for row in rows[1:])


def test_json_agrees_with_the_table_and_adds_up(logs: tuple[VerifiedLog, ...]) -> None:
    report = json.loads(json.dumps(as_json(logs)))
    totals = report["totals"]
    assert totals["alerts"] == 10
    assert sum(value for key, value in totals.items() if key.startswith("finding.")) == 10
    assert sum(value for key, value in totals.items() if key.startswith("ending.")) == 10
    share = totals["rate.false_alerts.per_face.opportunities"]
    assert (share["value"], share["of"]) == (4 / 2400, 2400)
    assert share["low"] < share["value"] < share["high"]
    first = report["deployments"][0]
    assert first["met"]["False Alert Rate"] == "0.167 %"
    assert first["record"]["root"] == logs[0].root
    assert len(first["alerts"]) == 5


@given(st.text(max_size=40))
def test_no_cell_is_a_formula(text: str) -> None:
    made = spreadsheet.cell(text)
    assert made in {text, "'" + text}
    if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", made):
        assert made.lstrip(" ")[:1] not in {"=", "+", "-", "@", "\t", "\r"}
    (row,) = rows_of(spreadsheet.rows_to_csv([[text, "end"]]))
    assert row == [made, "end"]


def test_formulas_by_name() -> None:
    assert spreadsheet.cell("=1+1") == "'=1+1"
    assert spreadsheet.cell(" @SUM(A1)") == "' @SUM(A1)"
    assert spreadsheet.cell("-0.02") == "-0.02"
    assert spreadsheet.cell(None) == "not recorded"


def test_the_public_pack_holds_no_person(logs: tuple[VerifiedLog, ...]) -> None:
    files = public_pack(logs, "https://force.example/lfr")
    assert set(files) == {"index.html", "poster.html", "deployments-met.csv", "deployments-ie.csv", "figures.csv",
                          "figures.json"}  # fmt: skip
    whole = b"\n".join(files.values()).decode()
    for secret in (SECRET, "op.one", "do.two", f"{1:032x}", "Alerts over time"):
        assert secret not in whole
    assert "alerts" not in json.loads(files["figures.json"])["deployments"][0]
    for name in ("index.html", "poster.html"):
        text = files[name].decode()
        assert "https://force.example/lfr" in text or name == "index.html"
        strict(text)
    assert b"Alerts over time" in page(report_document(logs[:1])).encode()


def test_the_poster_promises_only_what_the_record_shows(van: Any, logs: tuple[VerifiedLog, ...]) -> None:
    text = poster(logs[:1])
    assert "accounts for every one" in " ".join(text.split())
    assert "1 were left undecided" in " ".join(text.split())
    told = van.deployment("2025-04-01-1", "2025-04-01")
    told.open()
    told.close()
    silent = poster(read_verified(told.folder))
    assert "Nothing about your face was kept" not in silent
    assert "False alerts: " not in silent


def test_every_proof_of_the_auditors_pack_holds(logs: tuple[VerifiedLog, ...], tmp_path: Path) -> None:
    files = auditor_pack(logs)
    clauses = json.loads(files["clauses.json"])["clauses"]
    assert list(dict.fromkeys(item["principle"] for item in clauses)) == [c.principle for c in CHAPTERS]
    assert len(CHAPTERS) == 8
    proven = 0
    for item in clauses:
        log = next(log for log in logs if log.report.origin == item["origin"])
        key = VerifierKey.parse(_log_key(log))
        for name in item["proofs"]:
            proof = parse_proof(files[name].decode())
            assert proof.index in item["entries"]
            assert proof.holds(key)
            proven += 1
    assert proven > 40
    broken = parse_proof(files[clauses[0]["proofs"][0]].decode().replace("extra e", "extra f", 1))
    assert not broken.holds(VerifierKey.parse(_log_key(logs[0])))
    strict(files["index.html"].decode())
    assert "no entry in the record" in files["index.html"].decode()


def test_every_clause_names_verbs_of_the_record_and_every_duty_of_the_log_is_claimed() -> None:
    claimed = {verb for chapter in CHAPTERS for clause in chapter.clauses for verb in clause.verbs}
    assert claimed <= set(PROCESSING)
    for verb in (
        "alert.decided",
        "ledger.counted",
        "watchlist.destroyed",
        "threshold.changed",
        "evidence.exported",
    ):
        assert verb in claimed


def _log_key(log: VerifiedLog) -> str:
    key = log.view.entry(0).event.data["key"]
    assert isinstance(key, str)
    return key


def test_questions_are_answered_from_the_log_or_said_to_be_open(logs: tuple[VerifiedLog, ...]) -> None:
    document = foi_document(logs)
    answers = {fact.label: fact.value for section in document.sections for fact in section.facts}
    assert len(answers) == sum(len(questions) for _, questions in QUESTIONS)
    assert "East Ham, 8 January 2025, 63 min" in answers["How often, where and for how long was it used?"]
    assert answers["How many people were stopped wrongly?"] == "2 on record as a different person"
    assert answers["Under which policy?"] == "not recorded"
    assert "the count is exact" in answers["What became of the biometrics of everybody else?"]
    assert answers["Was the watchlist destroyed afterwards?"].startswith("Yes")
    strict(page(document))


def test_questions_about_a_silent_log(van: Any) -> None:
    told = van.deployment()
    told.open(categories="x")
    told.alert("same_person", outcome="no_action")
    told.say("watchlist.activated", templates=2, entries=20000, categories={"missing": 4, "wanted": 19996})
    told.say("ledger.counted", processed=5, erased=3, retained=1)
    told.close()
    answers = {f.label: f.value for s in foi_document(read_verified(told.folder)).sections for f in s.facts}
    assert "nobody recorded whether" in answers["How many people were stopped wrongly?"]
    assert "does NOT balance" in answers["What became of the biometrics of everybody else?"]
    assert "2 templates are unaccounted" in answers["Was the watchlist destroyed afterwards?"]
    assert answers["In which categories?"] == "missing: 4; wanted: 19,996"
    empty = van.deployment("2025-02-01-1", "2025-02-01")
    empty.say("deployment.opened")
    empty.log.checkpoint()
    answers = {f.label: f.value for s in foi_document(read_verified(empty.folder)).sections for f in s.facts}
    assert answers["Was the watchlist destroyed afterwards?"] == "not recorded"


def test_words_of_figures() -> None:
    assert [percent(value) for value in (0, 1, 0.5, 0.1234, 1 / 12120, 7 / 2424559)] == [
        "0", "100", "50.0", "12.3", "0.0083", "0.00029",
    ]  # fmt: skip
    assert published_percent(Share(7, 2_424_559)) == "0.00029 %"
    assert published_percent(Share(0, 5)) == "0.000 %"
    assert (
        published_percent(None)
        == rate(None)
        == interval(None)
        == seconds(None)
        == cosine(None)
        == "not recorded"
    )
    assert rate(Share(0, 0)) == "no rate: there were none"
    assert (cosine(6400), cosine(3667)) == ("0.64", "0.3667")
    assert (minutes(0), minutes(30_000), minutes(120_000)) == ("0 min", "0.5 min", "2 min")


def run(*words: object) -> int:
    return main(["report", *map(str, words)])


def test_the_command_line(logs: tuple[VerifiedLog, ...], van: Any, tmp_path: Path, capsysbinary: Any) -> None:
    folder, out = logs[0].view.folder.path, tmp_path / "out"
    out.mkdir()
    assert run(folder) == 0
    assert capsysbinary.readouterr().out.startswith(b"Deployment Location,Date,Duration")
    for shown, begins in (("ie", b"Deployment,"), ("csv", b"deployment,figure"), ("json", b"{"),
                          ("html", b"<!doctype html>"), ("pdf", b"%PDF-")):  # fmt: skip
        assert run(folder, logs[1].view.folder.path, "--format", shown, "--out", out / shown) == 0
        assert (out / shown).read_bytes().startswith(begins)
    assert run("foi", van.audit, "--out", out / "foi.html") == 0
    assert run("foi", van.audit, "--format", "pdf", "--out", out / "foi.pdf") == 0
    key = folder / "device.vkey"
    assert run("pack", "public", folder, "--out", out / "public", "--key", key) == 0
    assert run("pack", "auditor", folder, "--out", out / "auditor") == 0
    assert (out / "auditor" / "index.html").exists()
    assert verify(folder).intact


def test_the_command_line_refuses_with_a_hint(
    logs: tuple[VerifiedLog, ...], tmp_path: Path, capsys: Any
) -> None:
    folder = logs[0].view.folder.path
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    for words, code in (
        (("pack", "secret", folder), "report_pack_unknown"),
        (("pack",), "report_pack_unknown"),
        (("pack", "public"), "report_no_deployment"),
        (("pack", "public", folder, "--out", tmp_path / "full"), "pack_folder_taken"),
        (("pack", "public", folder, "--out", tmp_path / "full" / "x" / "y"), "pack_unwritable"),
        (("foi", folder, "--format", "csv"), "report_format_unfit"),
        (("annexes",), "report_annexes_config"),
        (("annexes", "--config", "x.toml", "--format", "csv"), "report_format_unfit"),
        ((folder, "--out", tmp_path / "no" / "way"), "report_unwritable"),
        ((tmp_path / "nothing",), "audit_report_empty"),
    ):
        assert run(*words) in {1, 2}
        said = capsys.readouterr().err
        assert code in said
        assert "→" in said


def test_an_older_copy_beside_its_log_is_ambiguous(van: Any, tmp_path: Path, capsys: Any) -> None:
    told = van.deployment()
    told.open()
    told.log.checkpoint()
    shutil.copytree(told.folder, tmp_path / "older")
    told.alert("same_person")
    told.close()
    assert run(told.folder, told.folder) == 0
    assert capsys.readouterr().out.count("East Ham") == 1
    assert run(told.folder, tmp_path / "older") == 1
    assert "audit_report_ambiguous" in capsys.readouterr().err


def test_an_altered_log_is_refused_by_every_command(
    logs: tuple[VerifiedLog, ...], tmp_path: Path, capsys: Any
) -> None:
    folder = logs[0].view.folder.path
    raw = bytearray((folder / "entries.lfr").read_bytes())
    raw[raw.index(b"arrest")] ^= 1
    (folder / "entries.lfr").write_bytes(raw)
    for words in ((folder,), ("foi", folder), ("pack", "public", folder, "--out", tmp_path / "p")):
        assert run(*words) == 1
        assert "audit_report_refused" in capsys.readouterr().err
    assert not (tmp_path / "p").exists()


def test_a_witness_that_holds_the_heads_is_not_called_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """The public page said that nobody outside held a head, of a record that a witness had cosigned to its end."""
    sample = Path(__file__).resolve().parents[2] / "audit_logs" / "samples" / "v1-people"
    command = ["report", "foi", str(sample / "box"), "--format", "html"]
    warned = "checked against a head that somebody outside the box holds"
    assert main(command) == 0
    assert warned in capsys.readouterr().out
    assert main([*command, "--witness", str(sample / "witness.vkey")]) == 0
    assert warned not in capsys.readouterr().out
    assert main([*command, "--witness", str(sample / "device.vkey")]) == 1
    assert "audit_key_kind" in capsys.readouterr().err
