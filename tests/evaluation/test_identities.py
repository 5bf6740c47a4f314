"""The run over pictures: with a fake vision side whose scores are known, and once with real faces."""

from __future__ import annotations

import csv
import json
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "watchlist"))
sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from pictures_for_tests import png
from portraitist import FakePortraitist

from lfr_edge.cli.main import main
from lfr_edge.errors import EvaluationError
from lfr_edge.evaluation import labels
from lfr_edge.evaluation.identities import report, run_identities
from lfr_edge.evaluation.labels import LabelError, read_label_errors
from lfr_edge.evaluation.page import page
from lfr_edge.evaluation.protocol import Protocol, Sample
from lfr_edge.evaluation.series import KINDS, variants_of
from lfr_edge.vision.portraits import Degradation

MODEL = {"fingerprint": "fake", "dimension": 8, "provider": "cpu", "precision": "fp32"}


def picture(seed: int | None, **changes) -> bytes:
    faces = [] if seed is None else [{"box": [20, 20, 80, 80], "seed": seed} | changes]
    return png() + json.dumps(faces).encode()


@pytest.fixture
def faces(tmp_path) -> tuple[Path, Protocol]:
    """40 listed people, each searched for once with the very same face; 400 strangers, one picture each."""
    samples = []
    for n in range(40):
        for role in ("gallery", "mated"):
            samples.append(Sample(role, f"{role}{n}.png", f"P{n}"))
            (tmp_path / f"{role}{n}.png").write_bytes(picture(n))
    for n in range(400):
        samples.append(Sample("nonmated", f"s{n}.png", f"S{n}"))
        (tmp_path / f"s{n}.png").write_bytes(picture(1000 + n))
    return tmp_path, Protocol(tuple(samples))


def test_the_same_face_is_always_found(faces):
    folder, protocol = faces
    told = []
    run = run_identities(FakePortraitist(), folder, protocol, progress=lambda *step: told.append(step))
    found = report(run, MODEL)
    assert (found["fte"], found["fta"], found["rank_1"]) == (0, 0, 1.0)
    assert found["tpir_at_fpir"]["0.01"]["value"] == 1.0
    assert found["tpir_at_fpir"]["0.0001"]["value"] is None
    assert 0.5 < found["threshold_at_fpir"]["0.1"]["value"] < found["threshold_at_fpir"]["0.01"]["value"] < 1
    assert found["n"] == {
        "gallery_people": 40,
        "gallery_images": 40,
        "mated": 40,
        "mated_people": 40,
        "nonmated": 400,
        "nonmated_people": 400,
    }
    assert [row["n"] for row in found["by_list_size"]] == [10, 30, 40]
    fpir = [row["fpir"] for row in found["by_list_size"] if row["fpir"] is not None]
    assert fpir == sorted(fpir)  # a longer list gives more false alerts
    assert sum(found["histograms"]["nonmated"]) == 400
    assert len(found["highest_nonmated"]) == 20
    assert told[-1] == ("nonmated", 400, 400)
    json.dumps(found, allow_nan=False)


def test_pictures_without_a_usable_face_count_as_failures(faces):
    folder, protocol = faces
    (folder / "gallery0.png").write_bytes(picture(None))
    (folder / "mated1.png").write_bytes(picture(1, score=0.3))
    (folder / "mated2.png").write_bytes(picture(2, eye_px=5.0))
    (folder / "s0.png").write_bytes(png())  # cannot be decoded
    found = report(run_identities(FakePortraitist(), folder, protocol), MODEL)
    assert found["fte"] == 1 / 40
    assert found["fta"] == 3 / 440
    assert found["tpir_at_fpir"]["0.1"]["value"] == 37 / 40  # the not enrolled and the two not acquired
    reasons = {item["path"]: item["reason"] for item in found["failures"]}
    assert reasons == {
        "gallery0.png": "no face was found",
        "mated1.png": "the detector is not sure that this is a face",
        "mated2.png": "below the quality of a probe",
        "s0.png": "the picture cannot be decoded",
    }
    json.dumps(found, allow_nan=False)


def test_a_label_error_is_reported_with_and_without(faces, tmp_path):
    folder, protocol = faces
    for n in range(6):
        (folder / f"s{n}.png").write_bytes(picture(n))  # the stranger Sn is the listed person Pn
    run = run_identities(FakePortraitist(), folder, protocol)
    path = tmp_path / "errors.csv"
    rows = [f"S{n},P{n},the same photograph" for n in range(6)] + ["S9,nobody,not on the list"]
    path.write_text("\n".join(["identity,same_as,reason", *rows]))
    found = report(run, MODEL, label_errors=read_label_errors(path))
    assert {item["identity"] for item in found["highest_nonmated"][:6]} == {f"S{n}" for n in range(6)}
    without = found["without_label_errors"]
    assert without["searches_left_out"] == 6
    assert without["threshold_at_fpir"]["0.01"]["value"] < found["threshold_at_fpir"]["0.01"]["value"]
    assert "without_label_errors" not in report(run, MODEL)


@pytest.mark.parametrize("text", ["", "identity,same_as\n", "identity,same_as,reason\na,b,\n"])
def test_a_label_error_needs_its_reason(tmp_path, text):
    (tmp_path / "errors.csv").write_text(text)
    with pytest.raises(EvaluationError) as caught:
        read_label_errors(tmp_path / "errors.csv")
    assert caught.value.code == "label_errors_invalid"


def test_probes_shrunk_to_a_size_are_reported_beside_the_native_ones(faces):
    folder, protocol = faces
    run = run_identities(FakePortraitist(), folder, protocol, probe_variants=[Degradation(32)])
    (row,) = report(run, MODEL)["by_face_px"]
    assert row["face_px"] == 32
    assert row["tpir_at_fpir"]["0.1"]["value"] < 0.9  # the fake's variants are other random faces
    assert row["at_native_threshold"]["0.1"]["fpir"]["value"] == pytest.approx(0.1, abs=0.06)


def test_a_series_of_every_kind(faces):
    folder, protocol = faces
    asked = {kind.name: kind.usual for kind in KINDS}
    run = run_identities(FakePortraitist(), folder, protocol, probe_variants=variants_of(asked))
    result = report(run, MODEL | {"pack": "fake", "version": "1"})
    assert [(row["kind"], row["value"]) for row in result["by_condition"]] == [
        (kind.name, value) for kind in KINDS for value in kind.usual
    ]
    row = result["by_condition"][-1]
    assert row["at_native_threshold"]["0.1"]["tpir"]["high"] < 1
    assert "0.001" not in row["at_native_threshold"], "400 strangers cannot show it"
    text = page(result)
    for kind in KINDS:
        assert f"{kind.title}: what is left of recognition" in text
    json.dumps(result, allow_nan=False)


def test_several_gallery_templates_of_a_person_the_best_counts(faces):
    folder, protocol = faces
    run = run_identities(FakePortraitist(), folder, protocol, gallery_variants=[Degradation(64)])
    single = run_identities(FakePortraitist(), folder, protocol)
    assert (run.scores().nonmated >= single.scores().nonmated - 1e-6).all()


def test_a_protocol_that_names_no_picture(faces):
    folder, protocol = faces
    (folder / "s3.png").unlink()
    with pytest.raises(EvaluationError) as caught:
        run_identities(FakePortraitist(), folder, protocol)
    assert caught.value.code == "sample_unreadable"


def test_nobody_can_be_enrolled(faces):
    folder, protocol = faces
    for n in range(40):
        (folder / f"gallery{n}.png").write_bytes(picture(None))
    with pytest.raises(EvaluationError) as caught:
        run_identities(FakePortraitist(), folder, protocol)
    assert caught.value.code == "gallery_empty"


@pytest.mark.shared
def test_real_faces_through_the_command(shared, default_pack, model_store, tmp_path, capsys):
    """A small part of the shared protocol: every person searched for against 60 listed, 120 strangers."""
    with (shared / "faces" / "protocol.csv").open() as file:
        rows = list(csv.DictReader(file))
    mated = [row for row in rows if row["role"] == "mated"]
    people = list(dict.fromkeys(row["identity"] for row in mated))[:60]
    chosen = [row for row in rows if row["role"] == "gallery" and row["identity"] in people]
    chosen += [next(row for row in mated if row["identity"] == name) for name in people]
    chosen += [row for row in rows if row["role"] == "nonmated"][:120]
    small = tmp_path / "small.csv"
    with small.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(chosen)
    arguments = ["evaluate", "identities", str(shared / "faces"), "--protocol", str(small), "--threads", "1"]
    arguments += ["--store", str(model_store.root), "--calibration", str(tmp_path / "calibration.json")]
    known = Path(labels.__file__).with_name("lfw_label_errors.csv")
    arguments += ["--label-errors", str(known)]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["fte"] == found["fta"] == 0
    assert found["rank_1"] > 0.93
    assert found["tpir_at_fpir"]["0.1"]["value"] > 0.9
    assert found["tpir_at_fpir"]["0.001"]["value"] is None
    assert found["model"]["fingerprint"] == default_pack.fingerprint
    assert (tmp_path / "calibration.json").exists()


def test_the_page_says_what_the_result_says_and_asks_for_nothing(faces):
    folder, protocol = faces
    strange = Sample("nonmated", "s1.png", "<script>alert(1)</script>")
    run = run_identities(
        FakePortraitist(), folder, Protocol((*protocol.samples, strange)), probe_variants=[Degradation(48)]
    )
    errors = (LabelError("S2", "P1", "drawn"),)
    result = report(run, MODEL | {"pack": "fake", "version": "1"}, label_errors=errors)
    text = page(result)
    HTMLParser().feed(text)
    assert "cannot tell" in text
    assert "rule of 3" in text
    assert "Width of the face" in text
    assert "<td>48</td>" in text or ">48</text>" in text
    assert "The same without 1 mislabelled searches" in text
    assert "<script" not in text
    assert "http" not in text
    assert "nan" not in text.lower().replace("nano", "")


def test_a_pack_that_is_not_installed(tmp_path, capsys):
    for name, count in (("a", 2), ("b", 2)):
        (tmp_path / name).mkdir()
        for n in range(count):
            (tmp_path / name / f"{n}.png").write_bytes(png())
    assert main(["evaluate", "identities", str(tmp_path), "--store", str(tmp_path / "none")]) == 1
    assert "lfr-edge models pull default" in capsys.readouterr().err


def test_scores_of_a_person_are_the_best_of_the_images(faces):
    """The block-wise person score against the plain double loop."""
    folder, protocol = faces
    twice = Protocol((*protocol.samples, Sample("gallery", "mated7.png", "P3")))
    run = run_identities(FakePortraitist(), folder, twice)
    scores = run.scores()
    gallery = twice.of("gallery")
    for row in (0, 17, 399):
        probe = run.nonmated.matrix[0, row]
        for column, person in enumerate(scores.people):
            rows = [i for i, sample in enumerate(gallery) if sample.identity == person]
            plain = max(float(run.gallery.matrix[0, i] @ probe) for i in rows)
            assert np.isclose(scores.nonmated[row, column], plain, atol=1e-6)
