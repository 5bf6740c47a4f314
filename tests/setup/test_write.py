"""A box written: what is there, who may read it, and that nothing that existed is lost."""

from __future__ import annotations

import os
import pwd

import pytest

from lfr_edge.clock import SystemClock
from lfr_edge.console.door.accounts import Accounts, Role
from lfr_edge.errors import AuditError, ConfigError
from lfr_edge.service.migration import format_of, newest
from lfr_edge.settings import load_settings
from lfr_edge.setup import preparation, write
from lfr_edge.setup.answers import AccountAnswer, Answers
from lfr_edge.setup.write import keep_password, write_box

CLOCK = SystemClock()
CAMERA = {
    "id": "left",
    "url": "rtsp://192.0.2.1/1",
    "username": "lfr",
    "password_file": "secrets/left.password",
}
B, C = {"force": "B"}, {"force": "C"}
MILLER = AccountAnswer(name="miller", role=Role.DEPLOYMENT_OFFICER)
OKORO = AccountAnswer(name="okoro", role=Role.AUTHORISING_OFFICER)


def answers(**configuration) -> Answers:
    given = {
        "site": "Van 7",
        "data": "data",
        "audit": "audit",
        "models": {"store": "models"},
        **configuration,
    }
    return Answers(accounts=(MILLER, OKORO), configuration=given)


def mode(path) -> int:
    return path.stat().st_mode & 0o777


def test_a_box_is_written(config):
    keep_password(config.parent / "secrets", "left", "geheim")
    written = write_box(answers(cameras=[CAMERA]), config, CLOCK)
    settings = load_settings(config)
    assert settings.site == "Van 7"
    assert settings.cameras[0].password_file.read_text() == "geheim\n"
    assert "geheim" not in config.read_text()
    assert [mode(file) for file in (config, settings.cameras[0].password_file, settings.data / "accounts.json",
                                    settings.data / "keys/device.key")] == [0o640, 0o600, 0o600, 0o600]  # fmt: skip
    assert mode(settings.data) == mode(settings.data / "keys") == mode(config.parent / "secrets") == 0o700
    assert all(file.exists() for file in written.files)
    assert (settings.audit / "device/device.vkey").read_text().strip() == written.device
    assert {code.account: code.role for code in written.codes} == {
        "miller": Role.DEPLOYMENT_OFFICER, "okoro": Role.AUTHORISING_OFFICER}  # fmt: skip
    assert written.older is None


def test_a_new_box_says_its_format_and_one_of_an_older_release_is_brought_forward(config):
    settings = load_settings(write_box(answers(), config, CLOCK).configuration)
    assert format_of(settings.data) == newest()
    assert not (settings.data / "migrations.jsonl").exists(), "there was nothing to bring forward"
    (settings.data / "format").unlink()
    assert format_of(settings.data) == 1
    write_box(answers(), config, CLOCK)
    assert format_of(settings.data) == newest()


@pytest.mark.skipif(os.geteuid() != 0, reason="LOUD SKIP: only root gives files away")
def test_the_networks_of_a_release_stay_roots(config, tmp_path):
    release = tmp_path / "release"
    (release / "default").mkdir(parents=True)
    (release / "default/pack.json").touch()
    write_box(answers(models={"store": str(release)}), config, CLOCK, owner="nobody")
    assert {path.stat().st_uid for path in (release, *release.rglob("*"))} == {0}
    inside = write_box(answers(models={"store": "data/models"}), config, CLOCK, owner="nobody", replace=True)
    nobody = pwd.getpwnam("nobody").pw_uid
    assert (load_settings(inside.configuration).models.store.stat().st_uid) == nobody


@pytest.mark.parametrize("root", ["slots/a", "elsewhere"])
def test_the_networks_of_the_release_that_runs_are_offered(tmp_path, monkeypatch, root):
    monkeypatch.setattr(preparation.sys, "prefix", str(tmp_path / root / "venv"))
    assert preparation.packs_here("/var/lib/lfr-edge") == "/var/lib/lfr-edge/models"
    (tmp_path / root / "models/default").mkdir(parents=True)
    (tmp_path / root / "models/default/pack.json").touch()
    if root == "slots/a":
        (tmp_path / "current").symlink_to("slots/a")
        root = "current"
    assert preparation.packs_here("/var/lib/lfr-edge") == str(tmp_path / root / "models")


def test_a_code_opens_exactly_its_account(config):
    written = write_box(answers(), config, CLOCK)
    accounts = Accounts(config.parent / "data/accounts.json", CLOCK)
    assert all(account.password_hash is None for account in accounts.all()), "no default password"
    code = written.codes[0]
    accounts.redeem(code.code, "miller", None, "three random words")
    assert accounts.verify("miller", "three random words").role is Role.DEPLOYMENT_OFFICER


def test_a_second_time_nothing_is_lost(config):
    first = write_box(answers(), config, CLOCK)
    accounts = Accounts(config.parent / "data/accounts.json", CLOCK)
    accounts.redeem(first.codes[0].code, "miller", None, "three random words")
    again = write_box(answers(), config, CLOCK)
    assert again.device == first.device, "the box keeps its key"
    assert again.known == ("miller",), "who has a password keeps it"
    assert [code.account for code in again.codes] == ["okoro"], "who has none gets a new code"
    assert again.codes[0].code != first.codes[1].code
    assert accounts.verify("miller", "three random words")


def test_another_configuration_is_never_written_over(config):
    write_box(answers(), config, CLOCK)
    before = config.read_text()
    with pytest.raises(ConfigError) as caught:
        write_box(answers(notice=B), config, CLOCK)
    assert caught.value.code == "setup_exists"
    assert config.read_text() == before
    written = write_box(answers(notice=B), config, CLOCK, replace=True)
    assert written.older.read_text() == before
    assert write_box(answers(notice=C), config, CLOCK, replace=True).older.name == "lfr.toml.2"
    assert load_settings(config).notice.force == "C"


def test_a_box_keeps_the_name_that_its_record_is_signed_with(config):
    write_box(answers(), config, CLOCK)
    before = config.read_text()
    with pytest.raises(ConfigError) as caught:
        write_box(answers(site="Van 8"), config, CLOCK, replace=True)
    assert caught.value.code == "setup_site_renamed"
    assert config.read_text() == before
    assert sorted(file.name for file in config.parent.iterdir()) == ["audit", "data", "lfr.toml", "models"]


def test_an_older_one_too_many(config, monkeypatch):
    monkeypatch.setattr(write, "_OLDER", 2)
    for notice in (None, B):
        write_box(answers(**({"notice": notice} if notice else {})), config, CLOCK, replace=True)
    with pytest.raises(ConfigError):
        write_box(answers(notice=C), config, CLOCK, replace=True)
    assert load_settings(config).notice.force == "B"


def test_what_is_wrong_writes_nothing(config):
    with pytest.raises(ConfigError) as caught:
        write_box(answers(console={"host": "0.0.0.0"}), config, CLOCK)
    assert caught.value.code == "setup_configuration_invalid"
    with pytest.raises(ConfigError) as caught:
        write_box(answers(), config, CLOCK, owner="nobody-of-that-name")
    assert caught.value.code == "setup_owner_unknown"
    assert not config.parent.exists()


def test_beside_a_running_service_the_key_is_left_alone(config):
    write_box(answers(), config, CLOCK)
    from lfr_edge.deployment.session import BoxRecord

    running = BoxRecord.open(load_settings(config), CLOCK)
    try:
        with pytest.raises(AuditError):
            write_box(answers(), config, CLOCK)
    finally:
        running.close()
    write_box(answers(), config, CLOCK)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "box").write_text("a file where the folder should be")
    with pytest.raises(ConfigError) as caught:
        write_box(answers(), tmp_path / "box/lfr.toml", CLOCK)
    assert caught.value.code == "setup_unwritable"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_hands_the_box_to_its_user(config):
    keep_password(config.parent / "secrets", "left", "geheim")
    write_box(answers(cameras=[CAMERA]), config, CLOCK, owner="nobody")
    nobody = pwd.getpwnam("nobody")
    settings = load_settings(config)
    for path in (settings.data, settings.data / "accounts.json", settings.audit / "device/entries.lfr",
                 config.parent / "secrets", settings.cameras[0].password_file):  # fmt: skip
        assert path.stat().st_uid == nobody.pw_uid, path
    assert (config.stat().st_uid, config.stat().st_gid) == (0, nobody.pw_gid)
