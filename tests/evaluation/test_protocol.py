from __future__ import annotations

from pathlib import Path

import pytest

from lfr_edge.errors import EvaluationError
from lfr_edge.evaluation.protocol import draw_protocol, read_protocol

GOOD = "role,path,identity,site\ngallery,a/1.png,a,north\nmated,a/2.png,a,north\nnonmated,b/1.png,b,south\n"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "protocol.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_groups_are_what_the_protocol_says(tmp_path):
    protocol = read_protocol(written(tmp_path, GOOD))
    assert [sample.role for sample in protocol.samples] == ["gallery", "mated", "nonmated"]
    assert protocol.of("nonmated")[0].groups == {"site": "south"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("role,path", "path,role"), "first line must begin"),
        (("mated,a/2", "guest,a/2"), "line 3: role 'guest'"),
        (("a/2.png", "../2.png"), "does not lie in the data folder"),
        (("a/2.png", "/etc/passwd"), "does not lie in the data folder"),
        (("b/1.png,b", "b/1.png,"), "line 4: identity is empty"),
        (("b/1.png,b", "b/1.png,a"), "is a stranger but is in the gallery"),
        (("a/2.png,a", "a/2.png,c"), "searched for but not in the gallery"),
        (("nonmated,b/1.png,b,south\n", ""), "there is no nonmated sample"),
    ],
)
def test_a_wrong_protocol_is_refused_with_the_place(tmp_path, change, words):
    with pytest.raises(EvaluationError) as caught:
        read_protocol(written(tmp_path, GOOD.replace(*change)))
    assert caught.value.code == "protocol_invalid"
    assert words in caught.value.message


def test_no_file(tmp_path):
    with pytest.raises(EvaluationError) as caught:
        read_protocol(tmp_path / "absent.csv")
    assert caught.value.code == "protocol_missing"


def people(tmp_path: Path, **images: int) -> Path:
    for name, count in images.items():
        (tmp_path / name).mkdir()
        for n in range(count):
            (tmp_path / name / f"{n}.png").write_bytes(b"x")
    return tmp_path


def test_a_drawn_protocol_is_the_same_for_the_same_seed(tmp_path):
    folder = people(tmp_path, a=2, b=3, c=1, d=2, e=4)
    first = draw_protocol(folder, 7)
    assert first == draw_protocol(folder, 7)
    assert any(first.samples != draw_protocol(folder, seed).samples for seed in range(5))
    listed = {sample.identity for sample in first.of("gallery")}
    assert len(listed) == 2
    assert {s.identity for s in first.of("mated")} == listed
    assert not {s.identity for s in first.of("nonmated")} & listed
    assert len({sample.path for sample in first.samples}) == 12


def test_too_few_people_for_a_protocol(tmp_path):
    with pytest.raises(EvaluationError) as caught:
        draw_protocol(people(tmp_path, a=1, b=1), 0)
    assert caught.value.code == "protocol_too_few"
    with pytest.raises(EvaluationError) as caught:
        draw_protocol(tmp_path / "nowhere", 0)
    assert caught.value.code == "faces_unreadable"
