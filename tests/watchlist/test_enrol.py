"""Verdicts on pictures, in the words a person reads."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from pictures_for_tests import png
from portraitist import FakePortraitist

from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist.container import SealedWatchlist, seal
from lfr_edge.watchlist.enrol import Degradation, Enrolment, Rules, Verdict, enrol_image
from lfr_edge.watchlist.folder import survey

PLAIN = Rules()
LARGE = {"box": [20, 20, 80, 80]}
SMALL = {"box": [0, 0, 20, 20]}


def picture(*faces: dict) -> bytes:
    return png() + json.dumps(faces).encode()


def verdict(*faces: dict, rules: Rules = PLAIN) -> tuple[Verdict, tuple[str, ...], np.ndarray | None]:
    report, usable = enrol_image(FakePortraitist(), "a.png", picture(*faces), rules)
    return report.verdict, report.reasons, usable and usable.templates


def test_a_good_picture_passes():
    found, reasons, templates = verdict(LARGE)
    assert (found, reasons) == (Verdict.PASS, ())
    assert templates.shape == (1, 8)


@pytest.mark.parametrize(
    ("faces", "wanted", "words"),
    [
        ([], Verdict.REFUSE, "no face"),
        ([LARGE, LARGE | {"box": [0, 0, 50, 50]}], Verdict.REFUSE, "2 faces in the picture; crop"),
        ([SMALL, LARGE], Verdict.WARN, "the one in the foreground"),
        ([LARGE | {"eye_px": 28}], Verdict.WARN, "eyes 28 px apart: at least 60 recommended"),
        ([LARGE | {"eye_px": 19}], Verdict.REFUSE, "eyes 19 px apart: at least 20 needed"),
        ([LARGE | {"quality": 0.2, "weaknesses": ["blurred"]}], Verdict.WARN, "weak picture: blurred"),
        ([LARGE | {"quality": 0.01}], Verdict.REFUSE, "cannot be recognised in this picture: low overall"),
        ([LARGE | {"seed": None}], Verdict.REFUSE, "no usable template"),
    ],
)
def test_verdicts_give_their_reason(faces, wanted, words):
    found, reasons, templates = verdict(*faces)
    assert found is wanted
    assert words in " ".join(reasons)
    assert (templates is None) == (wanted is Verdict.REFUSE)


def test_the_face_in_the_foreground_is_the_one_enrolled():
    _, _, templates = verdict(SMALL | {"seed": 1}, LARGE | {"seed": 2})
    assert np.array_equal(templates, verdict(LARGE | {"seed": 2})[2])


def test_the_face_in_the_middle_on_request():
    side = {"box": [0, 0, 45, 45], "seed": 1}
    middle = {"box": [30, 30, 70, 70], "seed": 2}
    found, reasons, templates = verdict(side, middle, rules=Rules(several_faces="central"))
    assert found is Verdict.WARN
    assert "middle" in reasons[0]
    assert np.array_equal(templates, verdict(middle)[2])


def test_a_marked_face_is_the_one_that_is_meant():
    first, second = {"box": [0, 0, 45, 45], "seed": 1}, {"box": [40, 40, 85, 85], "seed": 2}
    data = picture(first, second)
    report, usable = enrol_image(FakePortraitist(), "a.png", data, PLAIN, mark=(41, 41))
    assert report.verdict is Verdict.PASS
    assert np.array_equal(usable.templates, verdict(first)[2]), "nearer to the middle of the first"
    report, usable = enrol_image(FakePortraitist(), "a.png", data, PLAIN, mark=(60, 60))
    assert np.array_equal(usable.templates, verdict(second)[2])
    report, usable = enrol_image(FakePortraitist(), "a.png", data, PLAIN, mark=(95, 5))
    assert (report.verdict, usable) == (Verdict.REFUSE, None)
    assert report.reasons == ("there is no face at the marked point (95, 5)",)
    assert enrol_image(FakePortraitist(), "a.png", data, PLAIN)[0].verdict is Verdict.REFUSE


def test_degraded_variants_are_more_templates_of_the_same_picture():
    rules = Rules(variants=(Degradation(64), Degradation(32, 60)))
    assert verdict(LARGE, rules=rules)[2].shape == (3, 8)


def test_a_picture_that_cannot_be_decoded():
    report, templates = enrol_image(FakePortraitist(), "a.png", png(), Rules())
    assert (report.verdict, report.reasons) == (Verdict.REFUSE, ("the picture cannot be decoded",))
    assert templates is None
    assert report.to_json() == {
        "image": "a.png",
        "verdict": "refuse",
        "reasons": ["the picture cannot be decoded"],
        "eye_px": None,
        "quality": None,
        "elements": [],
    }


def folder(tmp_path: Path, **people: list[bytes]) -> Path:
    rows = ["reference,category,response,images"]
    for reference, images in people.items():
        names = [f"{reference}-{n}.png" for n in range(len(images))]
        for name, data in zip(names, images, strict=True):
            (tmp_path / name).write_bytes(data)
        rows.append(f"{reference},wanted_by_police,amber,{';'.join(names)}")
    (tmp_path / "watchlist.csv").write_text("\n".join(rows))
    return tmp_path


def sealing(enrolment: Enrolment, path: Path) -> None:
    maker = enrolment.portraitist
    seal(path, enrolment.run(), key=bytes(32), fingerprint=maker.fingerprint, dimension=maker.dimension)


def test_a_folder_becomes_a_sealed_list(tmp_path):
    path = folder(tmp_path, W1=[picture(LARGE), picture()], W2=[picture(LARGE | {"seed": 5})])
    told, seen = [], []
    enrolment = Enrolment(
        survey(path), FakePortraitist(), progress=lambda *step: told.append(step), on_report=seen.append
    )
    sealing(enrolment, tmp_path / "list")
    assert told == [(1, 2), (2, 2)]
    assert [report.to_json()["verdict"] for report in enrolment.reports] == ["warn", "pass"]
    assert [report.brief() for report in seen] == enrolment.reports
    assert seen[1].to_json()["images"][0]["elements"][0]["element"] == "SingleFacePresent"
    with SealedWatchlist.open(tmp_path / "list", bytes(32)) as opened:
        assert [image.file for image in opened.entry("W1").images] == [
            "W1-0.png"
        ]  # the refused picture was left out
        assert opened.candidate_image("W1") == picture(LARGE)
        assert opened.portrait("W1").startswith(b"\xff\xd8")  # a JPEG of the face alone
        first = seen[0].images[0]
        assert opened.quality("W1") == {"eye_px": first.eye_px, "overall": first.quality}, "of that picture"
        assert opened.header.rows == 2


def test_one_person_without_a_usable_picture_refuses_the_list(tmp_path):
    path = folder(tmp_path, W1=[picture(LARGE)], W2=[picture()])
    with pytest.raises(WatchlistError) as caught:
        sealing(Enrolment(survey(path), FakePortraitist()), tmp_path / "list")
    assert caught.value.code == "watchlist_refused"
    assert "W2, W2-0.png: no face was found" in caught.value.message
    assert not (tmp_path / "list").exists()
    sealing(Enrolment(survey(path), FakePortraitist(), skip_refused=True), tmp_path / "list")
    with SealedWatchlist.open(tmp_path / "list", bytes(32)) as opened:
        assert [entry.reference for entry in opened.entries()] == ["W1"]


def test_a_survey_with_problems_is_not_enrolled(tmp_path):
    path = folder(tmp_path, W1=[b"no picture"])
    enrolment = Enrolment(survey(path), FakePortraitist())
    with pytest.raises(WatchlistError):
        sealing(enrolment, tmp_path / "list")
    assert enrolment.reports == []


def test_a_picture_that_disappears_while_the_list_is_made(tmp_path):
    path = folder(tmp_path, W1=[picture(LARGE)])
    found = survey(path)
    (path / "W1-0.png").unlink()
    with pytest.raises(WatchlistError, match="changed while it was read"):
        sealing(Enrolment(found, FakePortraitist()), tmp_path / "list")
