"""The one settings tree: what it refuses, how paths count, and that the example loads."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from lfr_edge.errors import ConfigError
from lfr_edge.settings import CameraSettings, ConsoleSettings, Settings, load_settings
from tests.conftest import REPOSITORY


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "lfr.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_example_loads_and_is_a_deployment_not_a_toy() -> None:
    settings = load_settings(REPOSITORY / "deploy" / "lfr.toml")
    assert [camera.id for camera in settings.cameras] == ["left", "right"]
    assert settings.models.purpose == "operational"
    assert settings.models.licence_reference
    assert settings.matching.threshold is None, "calibrated, not copied"
    assert settings.console.host == "127.0.0.1"
    assert all(camera.password_file for camera in settings.cameras)


def test_relative_paths_count_from_the_file(tmp_path: Path) -> None:
    text = 'data = "d"\naudit = "/a"\n[[cameras]]\nid = "gate"\nurl = "x.mp4"\npassword_file = "p"\n'
    settings = load_settings(write(tmp_path, text))
    assert settings.data == tmp_path / "d"
    assert settings.audit == Path("/a")
    assert settings.cameras[0].password_file == tmp_path / "p"
    assert settings.models.store == tmp_path / "var/models", "defaults, too"


@pytest.mark.parametrize(
    ("text", "code", "named"),
    [
        (None, "config_missing", "No such file"),
        ("a = [", "config_syntax", ""),
        (b"\n# K\xfcche\n", "config_syntax", "line 2: this is not UTF-8"),
        ("nonsense = 1", "config_invalid", "nonsense"),
        ("[matching]\nagreement = 21", "config_invalid", "matching.agreement"),
        ("[matching]\nthreshold = 1.5", "config_invalid", "matching.threshold"),
        ("[retention]\nalert_images_h = 745", "config_invalid", "retention.alert_images_h"),
        ("[models]\nrecognisers = true", "config_invalid", "models.recognisers"),  # and not 1
        ("[matching]\nthreshold = false", "config_invalid", "matching.threshold"),
        ("[models]\nproviders = []", "config_invalid", "models.providers"),
        ('[models]\npurpose = "covert"', "config_invalid", "models.purpose"),
        (
            '[[cameras]]\nid = "a"\nurl = "x"\ndetector_side = 1000',
            "config_invalid",
            "cameras.0.detector_side",
        ),
        ('[[cameras]]\nid = "a"\nurl = "x"\n[[cameras]]\nid = "a"\nurl = "y"', "config_invalid", "same id"),
        ('[console]\nhost = "0.0.0.0"', "config_invalid", "tls_certificate"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str | bytes | None, code: str, named: str) -> None:
    path = tmp_path / "lfr.toml" if text is None else write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_settings(path)
    assert caught.value.code == code
    assert named in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_the_law_s_maximum_can_only_be_shortened() -> None:
    assert Settings().retention.alert_images_h == 24
    assert Settings.model_validate({"retention": {"alert_images_h": 744}}).retention.alert_images_h == 744
    with pytest.raises(ValidationError):
        Settings.model_validate({"retention": {"alert_images_h": 744.1}})


def test_an_address_others_can_reach_needs_tls() -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        assert ConsoleSettings(host=host).host == host
    assert ConsoleSettings(host="10.0.0.1", tls_certificate="c", tls_key="k").tls_key == Path("k")


def test_settings_do_not_change_under_way() -> None:
    camera = CameraSettings(id="gate", url="x")
    with pytest.raises(ValidationError):
        camera.url = "y"
