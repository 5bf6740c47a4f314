"""Thresholds out of a crowd, and through the command."""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "watchlist"))
sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from pictures_for_tests import png
from portraitist import FakePortraitist

from lfr_edge.cli import calibrate as command
from lfr_edge.cli.main import main
from lfr_edge.errors import EvaluationError
from lfr_edge.evaluation.calibrate import Strangers, calibrate, everybody_against_everybody, strangers_of
from lfr_edge.evaluation.faces import Templates
from lfr_edge.evaluation.identities import report, run_identities
from lfr_edge.evaluation.labels import LabelError
from lfr_edge.evaluation.parity import compare
from lfr_edge.evaluation.protocol import Protocol, Sample
from lfr_edge.matching.threshold import choose, load_calibrations

MODEL = {"fingerprint": "fake", "dimension": 8, "provider": "cpu", "precision": "fp32"}
DAY = date(2026, 11, 22)


def crowd(people: int, images: int = 1, seed: int = 0, dimension: int = 24) -> tuple[Templates, list[Sample]]:
    generator = np.random.default_rng(seed)
    centres = np.repeat(generator.standard_normal((people, dimension)), images, axis=0)
    vectors = centres + 0.3 * generator.standard_normal(centres.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    samples = [Sample("gallery", f"{n}.png", f"P{n // images}") for n in range(len(vectors))]
    return Templates(
        vectors.astype(np.float32)[None], np.ones(len(vectors), bool), ("",) * len(vectors)
    ), samples


def pictures(folder: Path, people: int, *, shift: int = 0) -> Path:
    for n in range(people):
        person = folder / f"P{n:03d}"
        person.mkdir(parents=True)
        for image in range(2 if n < 20 else 1):
            face = {"box": [20, 20, 80, 80], "seed": shift + 1000 * image + n}
            (person / f"{image}.png").write_bytes(png() + json.dumps([face]).encode())
    return folder


def test_nobody_is_their_own_stranger():
    templates, samples = crowd(30, images=2)
    errors = [LabelError("P3", "P4", "drawn"), LabelError("P5", "nobody", "not here")]
    strangers = everybody_against_everybody(templates, samples, errors)
    assert strangers.scores.shape == (60, 30)
    for row, sample in enumerate(samples):
        assert strangers.scores[row, int(sample.identity[1:])] == -np.inf
    assert (strangers.scores[6:8, 4] == -np.inf).all()
    assert (strangers.scores[8:10, 3] == -np.inf).all()
    assert np.isfinite(strangers.scores).sum() == 60 * 29 - 4
    plain = templates.matrix[0] @ templates.matrix[0, ::2].T
    shown = np.isfinite(strangers.scores)
    assert np.allclose(strangers.scores[shown], plain[shown], atol=1e-6)


def test_a_face_without_a_template_is_nobody_on_the_list():
    templates, samples = crowd(30)
    usable = np.ones(30, bool)
    usable[7] = False
    strangers = everybody_against_everybody(Templates(templates.matrix, usable, ("",) * 30), samples)
    assert 7 not in strangers.listed
    assert (strangers.scores[7] == -np.inf).all()
    assert all("P7" not in (row["identity"], row["resembles"]) for row in strangers.closest())


@pytest.fixture(scope="module")
def made():
    strangers = everybody_against_everybody(*crowd(1200))
    return calibrate(strangers, MODEL, measured=DAY, material="drawn", sizes=(10, 100, 5000, 10_000, 10**7))


def test_thresholds_rise_with_the_list_and_fall_with_the_rate(made):
    found, refused = made
    assert {c.list_size for c in found} >= {10, 100, 1200, 5000, 10_000}
    for one in found:
        assert one.low <= one.threshold <= one.high
        assert one.reach <= 10
        for other in found:
            if other.list_size >= one.list_size and other.target_fpir <= one.target_fpir:
                assert other.threshold >= one.threshold
    asked = {"fingerprint": "fake", "provider": "cpu", "precision": "fp32"}
    assert choose(found, list_size=8_000, target_fpir=0.03, **asked).list_size == 10_000
    assert {one.list_size for one in refused} >= {10**7}
    assert all("times" in one.reason or "cannot" in one.reason for one in refused)
    assert not {(c.list_size, c.target_fpir) for c in found} & {(r.list_size, r.target_fpir) for r in refused}


def test_a_longer_list_agrees_with_one_that_is_measured(made):
    """1,800 people measured; 900 of them, carried to 1,800: each within the other's interval."""
    whole = everybody_against_everybody(*crowd(1800, seed=5))
    half = Strangers(whole.scores[:900, :900], whole.seekers[:900], whole.listed[:900], whole.names[:900])
    options = {"measured": DAY, "material": "drawn", "sizes": (1800,), "targets": (0.03,)}
    (measured,), _ = calibrate(whole, MODEL, **options)
    carried = next(c for c in calibrate(half, MODEL, **options)[0] if c.list_size == 1800)
    assert carried.low <= measured.threshold <= carried.high
    assert measured.high - measured.low < carried.high - carried.low


def test_a_protocols_strangers(tmp_path):
    samples = []
    for n in range(440):
        role = "gallery" if n < 40 else "nonmated"
        samples.append(Sample(role, f"{n}.png", f"P{n}"))
        face = {"box": [20, 20, 80, 80], "seed": n}
        (tmp_path / f"{n}.png").write_bytes(png() + json.dumps([face]).encode())
    samples.append(Sample("mated", "0.png", "P0"))
    run = run_identities(FakePortraitist(), tmp_path, Protocol(tuple(samples)))
    strangers = strangers_of(run, [LabelError("P50", "P1", "drawn")])
    assert strangers.scores.shape == (399, 40)
    found, _ = calibrate(
        strangers_of(run), MODEL, measured=DAY, material="drawn", sizes=(10,), targets=(0.1,)
    )
    full = report(run, MODEL)["threshold_at_fpir"]["0.1"]["value"]
    assert next(c for c in found if c.list_size == 40).threshold == pytest.approx(full, abs=0.02)


def perturbed(templates: Templates, noise: float) -> Templates:
    moved = templates.matrix + noise * np.random.default_rng(9).standard_normal(templates.matrix.shape)
    moved /= np.linalg.norm(moved, axis=2, keepdims=True)
    return Templates(moved.astype(np.float32), templates.usable, templates.reasons)


def test_parity_tells_rounding_from_another_network():
    templates, samples = crowd(600)
    sides = [
        (one, everybody_against_everybody(one, samples))
        for one in (
            templates,
            perturbed(templates, 0.0005),
            perturbed(templates, 0.1),
            crowd(600, dimension=16)[0],
        )
    ]
    rounded = compare(sides[0], sides[1], 0.05)
    assert rounded.problems == ()
    assert rounded.fpir == pytest.approx(0.05, abs=0.01)
    assert rounded.score_p99 < 0.005
    assert rounded.faces == rounded.people == 600
    assert rounded.threshold_low < rounded.threshold < rounded.threshold_high
    assert rounded.fpir_low < rounded.fpir < rounded.fpir_high
    assert rounded.risen + rounded.fallen < 5
    drifted = compare(sides[0], sides[2], 0.05)
    assert len(drifted.problems) >= 2
    assert drifted.risen + drifted.fallen > rounded.risen + rounded.fallen
    assert drifted.to_json()["drifted"]
    with pytest.raises(EvaluationError) as caught:
        compare(sides[0], sides[3], 0.05)
    assert caught.value.code == "parity_dimension"
    with pytest.raises(EvaluationError) as caught:
        compare(sides[0], sides[1], 1e-6)
    assert caught.value.code == "rate_unresolved"


@pytest.mark.parametrize("lost", [(), range(40)])
def test_faces_that_neither_side_found_move_no_score(lost):
    """Minus infinity less minus infinity is no number, and no warning either (warnings are errors here)."""
    templates, samples = crowd(400)
    usable = templates.usable.copy()
    usable[list(lost)] = False
    sides = [
        (one, everybody_against_everybody(one, samples))
        for one in (
            Templates(templates.matrix, usable, templates.reasons),
            Templates(perturbed(templates, 0.0005).matrix, usable, templates.reasons),
        )
    ]
    found = compare(*sides, 0.05)
    assert (found.faces, found.lost, found.problems) == (400 - len(lost), 0, ())


def test_few_faces_cannot_show_what_happens_to_one_in_a_hundred():
    templates, samples = crowd(299)
    side = templates, everybody_against_everybody(templates, samples)
    with pytest.raises(EvaluationError) as caught:
        compare(side, side, 0.1)
    assert caught.value.code == "rate_unresolved"
    assert "300" in caught.value.message


@pytest.fixture
def fake_pack(monkeypatch):
    """The command over a vision side whose scores are known; the pack "other" sees other faces."""

    class Other(FakePortraitist):
        def templates(self, portrait, face, variants):
            self._seeds = [seed + 50_000 for seed in self._seeds]
            return super().templates(portrait, face, variants)

    def opened(args, name, providers):
        model = MODEL | {"pack": name, "version": "1", "provider": providers[0]}
        return None, Other() if name == "other" else FakePortraitist(), model

    monkeypatch.setattr(command, "open_pack", opened)


def test_the_command_writes_what_the_service_reads(tmp_path, fake_pack, capsys):
    folder, out = pictures(tmp_path / "faces", 250), tmp_path / "c.json"
    asked = ["calibrate", "faces", str(folder), "--out", str(out), "--list-size", "20", "250", "100000"]
    assert main([*asked, "--fpir", "0.1", "0.0001"]) == 0
    text = capsys.readouterr().out
    assert "one false alert in" in text
    assert "cannot tell:" in text
    assert "most alike" in text
    assert main([*asked, "--fpir", "0.1", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["people"] == 250
    assert len(body["closest"]) == 20
    found = load_calibrations(out)
    assert {c.list_size for c in found} >= {20, 250}
    assert main(["calibrate", "show", str(out), "--list-size", "21"]) == 0
    shown = capsys.readouterr().out
    assert "10 faces" in shown
    assert " 250 " in shown
    assert main(["calibrate", "show", str(out), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["calibrations"]) == len(found)
    assert main(["calibrate", "show", str(out), "--list-size", "9000000"]) == 1
    assert "cannot tell: the longest list" in capsys.readouterr().err


def test_a_crowd_that_can_tell_nothing(tmp_path, fake_pack, capsys):
    folder = pictures(tmp_path / "faces", 40)
    asked = ["calibrate", "faces", str(folder), "--out", str(tmp_path / "c.json"), "--fpir", "0.001"]
    assert main(asked) == 1
    assert "calibration_impossible" in capsys.readouterr().err
    assert not (tmp_path / "c.json").exists()


def test_drift_by_the_command(tmp_path, fake_pack, capsys):
    folder = pictures(tmp_path / "faces", 300)
    asked = ["calibrate", "drift", str(folder), "--fpir", "0.1"]
    assert main([*asked, "--against", "default", "--against-providers", "cuda"]) == 0
    assert "in step" in capsys.readouterr().out
    assert main([*asked, "--against", "other"]) == 1
    assert "drifted" in capsys.readouterr().out
    assert main([*asked, "--against", "other", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["drifted"]


def test_one_picture_of_each_is_enough(tmp_path, fake_pack, capsys):
    """A large set of strangers has one picture of everybody; no protocol is needed for it."""
    folder = pictures(tmp_path / "faces", 260)
    for person in folder.iterdir():
        (person / "1.png").unlink(missing_ok=True)
    asked = ["calibrate", "faces", str(folder), "--out", str(tmp_path / "c.json"), "--list-size", "10"]
    assert main([*asked, "--fpir", "0.1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["people"] == 260
    (tmp_path / "nobody" / "A").mkdir(parents=True)
    assert main(["calibrate", "faces", str(tmp_path / "nobody"), "--out", str(tmp_path / "d.json")]) == 1
    assert "[protocol_too_few]" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--list-size", "0"], ["--fpir", "1"], ["--fpir", "nan"]])
def test_figures_that_cannot_be(words, tmp_path, capsys):
    assert main(["calibrate", "faces", str(tmp_path), "--out", "x", *words]) == 2
    assert "[option_invalid]" in capsys.readouterr().err
