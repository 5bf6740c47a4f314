"""A drill pack from staff pictures: consent first, hard cases, cut as the desk shows faces."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from lfr_edge.alerts.drills import read_drill_pack
from lfr_edge.alerts.factors import Answer
from lfr_edge.cli.main import main
from lfr_edge.models.store import ModelStore, Pack

pytestmark = [pytest.mark.network, pytest.mark.shared]


@pytest.fixture
def staff(tmp_path: Path, shared: Path) -> Path:
    """Four people of the public test set stand in for staff."""
    folder = tmp_path / "staff"
    rows = [row.split(",") for row in (shared / "faces" / "protocol.csv").read_text().splitlines()]
    by_person: dict[str, list[str]] = {}
    for row in rows[1:]:
        path = next(cell for cell in row if cell.endswith(".jpg"))
        by_person.setdefault(Path(path).parent.name, []).append(path)
    several = [(name, paths) for name, paths in by_person.items() if len(paths) > 1][:4]
    for number, (_, paths) in enumerate(several):
        person = folder / f"person-{number}"
        person.mkdir(parents=True)
        (person / "consent.txt").write_text(f"HR-2026-{number}\n")
        for at, path in enumerate(paths[:2]):
            image = Image.open(shared / "faces" / path)
            image.crop((45, 45, 205, 205)).save(person / f"{at}.jpg", quality=95)  # one face in each
    return folder


def drill(*words: str) -> int:
    return main(["drill", *words])


def test_a_pack_holds_both_answers_and_no_easier_pictures_than_the_street(
    staff: Path,
    tmp_path: Path,
    model_store: ModelStore,
    default_pack: Pack,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pack = tmp_path / "pack"
    assert drill("make", str(staff), str(pack), "--store", str(model_store.root)) == 0
    assert "8 cases: 4 same person, 4 different persons" in capsys.readouterr().out
    cases = read_drill_pack(pack)
    for case in cases:
        sizes = [Image.open(io.BytesIO(path.read_bytes())).size for path in (case.probe, case.candidate)]
        assert sizes == [(320, 320), (320, 320)], "as every alert's pictures"
    answers = [case.truth for case in cases]
    assert answers.count(Answer.SAME_PERSON) == 4
    assert "HR-2026-0" in (pack / "pack.toml").read_text()
    assert (pack.stat().st_mode & 0o777) == 0o700
    assert drill("check", str(pack)) == 0


def test_nobody_becomes_a_drill_without_consent(
    staff: Path,
    tmp_path: Path,
    model_store: ModelStore,
    default_pack: Pack,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pack = tmp_path / "pack"
    (staff / "person-1" / "consent.txt").write_text("\n")
    assert drill("make", str(staff), str(pack), "--store", str(model_store.root)) == 1
    assert "drill_person_refused" in capsys.readouterr().err
    assert not pack.exists()
    (staff / "person-1" / "consent.txt").write_text("HR-2026-1")
    (staff / "person-2" / "1.jpg").unlink()
    assert drill("make", str(staff), str(pack), "--store", str(model_store.root)) == 1
    assert "two pictures" in capsys.readouterr().err
    assert drill("make", str(tmp_path / "nobody"), str(pack)) == 1
