"""Every wrong input is noticed before any work: with its code, what to do next, and no traceback.

No pack is installed in these tests. The control is a command whose inputs are right: it gets as far as the pack.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "watchlist"))
sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from pictures_for_tests import png
from portraitist import FakePortraitist

from lfr_edge.cli import evaluate
from lfr_edge.cli.main import main

PROTOCOL = "role,path,identity\ngallery,A/0.png,A\nmated,A/1.png,A\nnonmated,B/0.png,B\n"
WRONG = ("nan", "inf", "-inf", "1e999", "-1", "", "x")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with everything that a run needs but the networks."""
    monkeypatch.chdir(tmp_path)
    for name in ("A/0", "A/1", "B/0"):
        path = tmp_path / "faces" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png())
    (tmp_path / "p.csv").write_text(PROTOCOL)
    (tmp_path / "faces/crowd").mkdir()
    for n in range(300):
        (tmp_path / f"faces/crowd/{n}.png").write_bytes(png())
    crowd = "".join(f"nonmated,crowd/{n}.png,P{n}\n" for n in range(300))
    (tmp_path / "many.csv").write_text(PROTOCOL + crowd)
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "errors.csv").write_text("identity,same_as,reason\nA,B,seen\n")
    clip(tmp_path / "clip.mp4")
    truth = {"fps": 25.0, "frames": 3, "width": 64, "height": 48, "tracks": [], "gt": []}
    (tmp_path / "clip.json").write_text(json.dumps(truth))
    (tmp_path / "other.json").write_text(json.dumps(truth | {"width": 1920, "height": 1080}))
    (tmp_path / "nan.json").write_text(json.dumps(truth | {"fps": float("nan")}))
    return tmp_path


def clip(path: Path) -> None:
    import av
    import numpy as np

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")))
        container.mux(stream.encode())


IDENTITIES = (
    "evaluate identities faces --protocol p.csv --label-errors errors.csv --html r.html --calibration c.json"
)
CLIP = "evaluate clip clip.mp4 --truth clip.json --watchlist faces"
FACES = "calibrate faces faces --protocol p.csv --out c.json"
DRIFT = "calibrate drift faces --protocol many.csv --against other"


def said(line: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    try:
        status = main([*line.split(), "--store", "none"] if line.split()[-1] != "--" else line.split()[:-1])
    except SystemExit as stop:
        status = int(str(stop.code))
    return status, capsys.readouterr().err


@pytest.mark.parametrize("line", [IDENTITIES, CLIP, FACES, DRIFT])
def test_the_control_gets_as_far_as_the_networks(line, place, capsys):
    assert said(line, capsys)[0] == 1
    assert "[pack_missing]" in said(line, capsys)[1]
    assert sorted(path.name for path in place.iterdir() if path.suffix in {".html", ".json"}) == [
        "clip.json",
        "nan.json",
        "other.json",
    ], "nothing is written by looking"


NUMBERS = {
    IDENTITIES: {
        "--face-px": ("0", "7", "1025", "48.5"),
        "--gallery-px": ("0", "7", "1025", "48.5"),
        "--blur": ("0", "100"),
        "--compression": ("0", "101", "500", "12.5"),
        "--light": ("0", "1", "2"),
        "--seed": ("0.5", "9223372036854775808"),
        "--threads": ("0.5", "100000"),
    },
    CLIP: {
        "--threshold": ("1.01", "-1.01"),
        "--fpir": ("0", "1"),
        "--list-size": ("0", "10000001"),
        "--agreement": ("0", "101"),
        "--side": ("0", "319", "1281", "9999"),
        "--seed": ("0.5",),
        "--threads": ("0.5",),
    },
    FACES: {"--list-size": ("0", "1.5"), "--fpir": ("0", "1"), "--seed": ("0.5",), "--threads": ("0.5",)},
    DRIFT: {"--fpir": ("0", "1"), "--seed": ("0.5",), "--threads": ("0.5",)},
    "evaluate outcomes errors.csv": {"--seed": ("0.5",)},
    "fieldtest plan new --camera n": {
        "--expect": ("0", "1"),
        "--half-width": ("0", "0.5"),
        "--passages": ("0", "1001"),
        "--decoys": ("10001",),
        "--seed": ("0.5",),
    },
}


@pytest.mark.parametrize(
    ("line", "option"), [(line, option) for line, options in NUMBERS.items() for option in options]
)
def test_numbers_that_cannot_be_meant(line, option, place, capsys):
    for text in (*WRONG, *NUMBERS[line][option]):
        if text == "-1" and option == "--threshold":
            continue  # the least cosine there is: everybody is on the list
        try:
            status = main([*line.split(), f"{option}={text}"])
        except SystemExit as stop:
            pytest.fail(f"{option} {text}: {stop}")
        error = capsys.readouterr().err
        assert (status, "[option_invalid]" in error, option in error, "→" in error) == (
            2,
            True,
            True,
            True,
        ), text
    assert not (place / "new").exists()


PLACES = [
    (IDENTITIES.replace("faces --p", "nowhere --p"), "faces_unreadable"),
    (IDENTITIES.replace("faces --p", "empty --p"), "faces_unreadable"),
    (IDENTITIES.replace("faces --p", "folder --p"), "sample_unreadable"),
    ("evaluate identities nowhere", "faces_unreadable"),
    ("evaluate identities folder", "protocol_too_few"),
    *[
        (line.replace("p.csv", other).replace("many.csv", other), code)
        for line in (IDENTITIES, FACES, DRIFT)
        for other, code in (
            ("nowhere", "protocol_missing"),
            ("folder", "protocol_missing"),
            ("empty", "protocol_invalid"),
            ("clip.mp4", "protocol_invalid"),
        )
    ],
    *[
        (f"{line} --label-errors {other}", "label_errors_invalid")
        for line in (IDENTITIES.replace("--label-errors errors.csv ", ""), FACES, DRIFT)
        for other in ("nowhere", "folder", "empty", "p.csv", "clip.mp4")
    ],
    *[
        (line.replace(name, other), "output_unwritable")
        for line, name in ((IDENTITIES, "r.html"), (IDENTITIES, "c.json"), (FACES, "c.json"))
        for other in ("nowhere/x", "folder", "empty/x", "/proc/x")
    ],
    (DRIFT.replace("many", "p"), "rate_unresolved"),
    (IDENTITIES.replace("r.html", "c.json"), "output_unwritable"),
    (CLIP.replace("clip.json", "nowhere"), "truth_missing"),
    (CLIP.replace("clip.json", "folder"), "truth_missing"),
    (CLIP.replace("clip.json", "empty"), "truth_invalid"),
    (CLIP.replace("clip.json", "nan.json"), "truth_invalid"),
    (CLIP.replace("clip.json", "clip.mp4"), "truth_invalid"),
    (CLIP.replace("clip.json", "other.json"), "truth_of_another_clip"),
    (CLIP.replace("clip.json", "clip.json clip.json"), "truth_count"),
    (CLIP.replace("clip.mp4", "nowhere.mp4"), "clip_unreadable"),
    (CLIP.replace("clip.mp4", "folder"), "clip_unreadable"),
    (CLIP.replace("clip.mp4", "empty"), "clip_unreadable"),
    (CLIP.replace("--watchlist faces", "--watchlist nowhere"), "gallery_missing"),
    (CLIP + " --identities nowhere", "faces_unreadable"),
    (CLIP + " --identities faces --protocol empty", "protocol_invalid"),
    (CLIP + " --identities faces --protocol p.csv", "rate_unresolved"),
    (CLIP + " --key-file nowhere", "watchlist_key_missing"),
    ("calibrate show nowhere --", "calibration_missing"),
    ("calibrate show folder --", "calibration_missing"),
    ("calibrate show empty --", "calibration_invalid"),
    ("calibrate show clip.json --", "calibration_invalid"),
    ("calibrate baseline nowhere --out b.json --", "audit_report_empty"),
    ("calibrate baseline folder --out nowhere/b.json --", "output_unwritable"),
    ("evaluate outcomes nowhere --", "outcomes_invalid"),
    ("evaluate outcomes folder --", "outcomes_invalid"),
    ("evaluate outcomes empty --", "outcomes_invalid"),
    ("evaluate outcomes clip.mp4 --", "outcomes_invalid"),
    ("fieldtest plan empty --camera n --", "fieldtest_folder_unwritable"),
    ("fieldtest plan /proc/x --camera n --", "fieldtest_folder_unwritable"),
    ("fieldtest plan new --camera n n --", "fieldtest_plan_invalid"),
    ("fieldtest plan new --camera n --group a --", "fieldtest_plan_invalid"),
    ("fieldtest plan new --camera n --group a=b,b --", "fieldtest_plan_invalid"),
    ("fieldtest plan new --camera n --group a=b,c a=d,e --", "fieldtest_plan_invalid"),
    ("fieldtest sheets nowhere --", "fieldtest_plan_missing"),
    ("fieldtest sheets empty --", "fieldtest_plan_missing"),
    ("fieldtest analyse folder --", "fieldtest_plan_missing"),
    ("fieldtest delete folder --everybody --", "fieldtest_nothing_to_delete"),
    ("fieldtest delete nowhere --participant A --", "fieldtest_participant_unknown"),
]


@pytest.mark.parametrize(("line", "code"), PLACES)
def test_files_and_folders_that_are_not_what_they_should_be(line, code, place, capsys):
    status, error = said(line, capsys)
    assert f"[{code}]" in error
    assert status in {1, 2}
    assert "→" in error, "what to do next"
    assert "Errno" not in error, "a person reads it, and the path stands there once"


@pytest.mark.parametrize(
    "text",
    [
        PROTOCOL + "mated,A/1.png,A\n",
        PROTOCOL + "mated,A/0.png,A\n",
        PROTOCOL.replace("identity\n", "identity,\n"),
        PROTOCOL.replace("identity\n", "identity,side,side\n"),
        PROTOCOL + "mated,A/2.png,A,more\n",
    ],
)
def test_a_protocol_that_would_flatter_or_mix_up(text, place, capsys):
    (place / "p.csv").write_text(text)
    assert "[protocol_invalid]" in said(IDENTITIES, capsys)[1]


def test_a_disk_that_filled_up_is_said(place, capsys):
    """/dev/full lets itself be opened and holds nothing: every check before passes."""
    (place / "a.csv").write_text("alert,identity,side\n" + "".join(f"{n},same_person,a\n" for n in range(9)))
    assert main(["evaluate", "outcomes", "a.csv", "--html", "/dev/full"]) == 2
    error = capsys.readouterr().err
    assert "[output_unwritable]" in error
    assert "No space left" in error


def test_a_result_is_printed_whatever_happens_to_its_files(place, monkeypatch, capsys):
    """Three people show no threshold, and the disk is full: the figures come out all the same."""
    for at, name in enumerate(("A/0", "A/1", "B/0")):
        face = {"box": [20, 20, 80, 80], "seed": at // 2}
        (place / f"faces/{name}.png").write_bytes(png() + json.dumps([face]).encode())
    model = {"fingerprint": "fake", "dimension": 8, "provider": "cpu", "precision": "fp32"}
    model |= {"pack": "fake", "version": "1", "networks": ["drawn"]}
    monkeypatch.setattr(evaluate, "open_pack", lambda *_: (None, FakePortraitist(), model))
    asked = ["evaluate", "identities", "faces", "--protocol", "p.csv", "--json"]
    for words, code, status in (
        (["--calibration", "c.json"], "calibration_impossible", 1),
        (["--html", "/dev/full"], "output_unwritable", 2),
    ):
        assert main([*asked, *words]) == status
        printed = capsys.readouterr()
        assert f"[{code}]" in printed.err
        assert json.loads(printed.out)["tpir_at_fpir"]["0.01"]["value"] is None
    assert not (place / "c.json").exists()
    assert main([*asked, "--html", "r.html"]) == 0
    assert "1 person on the list" in (place / "r.html").read_text()


def test_an_empty_calibration_is_said(place, capsys):
    (place / "c.json").write_text(json.dumps({"format": 1, "calibrations": []}))
    for line in ("calibrate show c.json --", "calibrate show c.json --list-size 10 --"):
        assert "[calibration_empty]" in said(line, capsys)[1]
