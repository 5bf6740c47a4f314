"""``lfr-edge config``: mistakes told by name, fields and codes explained from the code itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lfr_edge.cli.config import settings_fields
from lfr_edge.cli.error_codes import error_codes
from lfr_edge.cli.main import main
from tests.conftest import REPOSITORY


def test_the_example_has_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", str(REPOSITORY / "deploy" / "lfr.toml")]) == 0
    assert "2 cameras" in capsys.readouterr().out


def test_every_mistake_is_named_at_once_and_no_input_is_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "lfr.toml"
    config.write_text(
        'cooldown = 3\n[matching]\nagreement = 0\n[[cameras]]\nid = "A b"\nurl = "rtsp://u:s3cret@192.0.2.1/"\n'
    )
    assert main(["config", "check", str(config)]) == 2
    err = capsys.readouterr().err
    for part in ("config_invalid", "cooldown", "matching.agreement", "cameras.0.id", "→"):
        assert part in err
    assert "s3cret" not in err


def test_every_field_has_title_description_values_and_can_be_explained(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fields = settings_fields()
    assert len(fields) > 40
    for field in fields:
        assert field.title, field.path
        assert field.description.endswith("."), field.path
        assert field.values, field.path
        if field.name.endswith("_s"):
            assert "econds" in field.description, f"{field.path}: no unit"
    assert main(["config", "explain"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(fields)
    assert main(["config", "explain", "cameras.stall_s"]) == 0
    assert "default: 3.0" in capsys.readouterr().out


def test_every_code_belongs_to_one_class() -> None:
    kinds: dict[str, set[str]] = {}
    for row in error_codes():
        kinds.setdefault(row.code, set()).add(row.kind)
    assert len(kinds) > 100
    # access_unknown, config_… and the like: a code that meant two things could not be looked up.
    assert {code: found for code, found in kinds.items() if len(found) > 1} == {}


def test_a_code_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "explain", "camera_auth_refused"]) == 0
    out = capsys.readouterr().out
    assert "CameraError" in out
    assert "→" in out


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "explain", "nonsense"]) == 2
    assert "[config_unknown_name]" in capsys.readouterr().err


def test_the_schema_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["additionalProperties"] is False
    assert "cameras" in schema["properties"]


def test_a_camera_that_can_never_be_one_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lfr.toml"
    path.write_text('[[cameras]]\nid = "left"\nurl = "file:///srv/street.mp4"\n')
    assert main(["config", "check", str(path)]) == 1
    assert "camera_address_invalid" in capsys.readouterr().err
    path.write_text('[[cameras]]\nid = "left"\nurl = "/srv/street.mp4"\n')  # the control: it may still appear
    assert main(["config", "check", str(path)]) == 0


def test_a_password_in_an_address_is_said_without_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "lfr.toml"
    config.write_text('[[cameras]]\nid = "gate"\nurl = "rtsp://lfr:geheim@192.0.2.1/1"\n')
    assert main(["config", "check", str(config)]) == 0
    told = capsys.readouterr().out
    assert "gate: the address holds a password" in told
    assert "geheim" not in told
    config.write_text('[[cameras]]\nid = "gate"\nurl = "rtsp://lfr@192.0.2.1/1"\n')
    assert main(["config", "check", str(config)]) == 0
    assert "holds a password" not in capsys.readouterr().out
