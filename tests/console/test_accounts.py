from __future__ import annotations

import json
import stat
import time

import pytest
from argon2 import PasswordHasher

from lfr_edge.cli.main import main
from lfr_edge.clock import SystemClock
from lfr_edge.console.door import accounts as room
from lfr_edge.console.door.accounts import CODE_LIFE_S, Accounts, Role
from lfr_edge.errors import AccessError
from tests.fakes.box import PASSWORD, ManualClock, enrol


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def accounts(tmp_path, clock):
    return Accounts(tmp_path / "accounts.json", clock)


def code_of(caught) -> str:
    return caught.value.code


def test_there_is_no_default_account(accounts):
    assert accounts.all() == ()
    for name in ("admin", "root", "operator", ""):
        with pytest.raises(AccessError) as caught:
            accounts.verify(name, "")
        assert code_of(caught) == "access_refused"


def test_the_first_code_makes_one_account_and_dies(accounts):
    code = accounts.first_code()
    account = accounts.redeem(code.lower().replace("-", " "), " Miller ", Role.OPERATOR, PASSWORD)
    assert (account.name, account.role) == ("miller", Role.OPERATOR)
    assert accounts.verify("MILLER", PASSWORD) == account
    assert accounts.first_code() is None
    with pytest.raises(AccessError) as caught:
        accounts.redeem(code, "reed", Role.OPERATOR, PASSWORD)
    assert code_of(caught) == "access_code_refused"


def test_a_first_code_left_over_makes_no_second_account(accounts):
    code = accounts.first_code()
    enrol(accounts, "okafor", Role.DEPLOYMENT_OFFICER)
    with pytest.raises(AccessError) as caught:
        accounts.redeem(code, "intruder", Role.DEPLOYMENT_OFFICER, PASSWORD)
    assert code_of(caught) == "access_code_refused"


def test_a_code_belongs_to_one_name_keeps_its_role_and_expires(accounts, clock):
    code = accounts.add("reed", Role.AUDITOR)
    with pytest.raises(AccessError):
        accounts.redeem(code, "okafor", None, PASSWORD)
    clock.pass_s(CODE_LIFE_S + 1)
    with pytest.raises(AccessError) as caught:
        accounts.redeem(code, "reed", None, PASSWORD)
    assert code_of(caught) == "access_code_refused"
    code = accounts.reset("reed")
    assert accounts.redeem(code, "reed", Role.DEPLOYMENT_OFFICER, PASSWORD).role is Role.AUDITOR


def test_a_reset_ends_the_old_password(accounts):
    enrol(accounts, "reed", Role.AUDITOR)
    before = accounts.get("reed")
    accounts.reset("reed")
    assert accounts.get("reed").generation > before.generation
    with pytest.raises(AccessError):
        accounts.verify("reed", PASSWORD)


def test_a_disabled_account_answers_like_an_unknown_one(accounts):
    enrol(accounts, "reed", Role.AUDITOR)
    accounts.set_disabled("reed", disabled=True)
    with pytest.raises(AccessError) as disabled:
        accounts.verify("reed", PASSWORD)
    with pytest.raises(AccessError) as unknown:
        accounts.verify("nobody", PASSWORD)
    assert str(disabled.value) == str(unknown.value)
    accounts.set_disabled("reed", disabled=False)
    assert accounts.verify("reed", PASSWORD)


def test_the_file_is_private_and_holds_no_secret(accounts, tmp_path):
    code = accounts.first_code()
    accounts.redeem(code, "miller", Role.OPERATOR, PASSWORD)
    code = accounts.add("reed", Role.AUDITOR)
    path = tmp_path / "accounts.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert PASSWORD not in text
    assert code not in text
    assert code.replace("-", "") not in text
    assert "$argon2id$" in text


def test_another_process_sees_a_change_at_once(accounts, tmp_path, clock):
    enrol(accounts, "miller", Role.OPERATOR)
    other = Accounts(tmp_path / "accounts.json", clock)
    assert other.get("miller") == accounts.get("miller")
    other.set_disabled("miller", disabled=True)
    assert accounts.get("miller").disabled


@pytest.mark.parametrize("name", ["", "x", "1abc", "a" * 33, "../x", "a b", "ä" * 3])
def test_odd_names_are_refused(accounts, name):
    with pytest.raises(AccessError) as caught:
        accounts.add(name, Role.OPERATOR)
    assert code_of(caught) == "access_name_invalid"


def test_names_are_taken_once_and_unknown_ones_said(accounts):
    accounts.add("reed", Role.AUDITOR)
    with pytest.raises(AccessError) as caught:
        accounts.add("reed", Role.AUDITOR)
    assert code_of(caught) == "access_name_taken"
    with pytest.raises(AccessError) as caught:
        accounts.reset("ghost")
    assert code_of(caught) == "access_unknown"


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaa", "miller miller 1", "x" * 257])
def test_weak_passwords_are_refused(accounts, password):
    code = accounts.first_code()
    with pytest.raises(AccessError) as caught:
        accounts.redeem(code, "miller", Role.OPERATOR, password)
    assert code_of(caught) == "access_password_weak"
    with pytest.raises(AccessError) as caught:
        accounts.redeem(code, "miller", None, PASSWORD)
    assert code_of(caught) == "access_role_missing"
    assert accounts.redeem(code, "miller", Role.OPERATOR, PASSWORD), (
        "a refused password does not use the code up"
    )


def test_a_damaged_file_is_an_error_not_an_open_door(accounts, tmp_path):
    enrol(accounts, "miller", Role.OPERATOR)
    (tmp_path / "accounts.json").write_text(json.dumps({"accounts": [{"name": "x"}], "codes": []}))
    with pytest.raises(AccessError) as caught:
        accounts.all()
    assert code_of(caught) == "access_file_unreadable"


def test_passwords_cost_an_attacker_what_argon2id_should(accounts, monkeypatch):
    monkeypatch.setattr(room, "_HASHER", PasswordHasher())
    assert PasswordHasher().memory_cost >= 65_536
    enrol(accounts, "miller", Role.OPERATOR)
    assert "$argon2id$v=19$m=65536" in accounts.get("miller").password_hash
    started = time.process_time()
    accounts.verify("miller", PASSWORD)
    assert time.process_time() - started > 0.005


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "lfr.toml"
    path.write_text('data = "var"\n')
    return str(path)


def test_the_command_line_knows_every_role(config, capsys):
    for role in Role:
        assert (
            main(["accounts", "add", f"a-{role}".replace("_", "-"), "--role", role, "--config", config]) == 0
        )
    assert main(["accounts", "list", "--config", config]) == 0
    listed = capsys.readouterr().out
    assert all(f" {role} " in listed for role in Role)


def test_the_command_line_round(config, tmp_path, capsys):
    assert main(["accounts", "setup-code", "--config", config]) == 0
    code = capsys.readouterr().out.split(": ")[1].split()[0]
    accounts = Accounts(tmp_path / "var" / "accounts.json", SystemClock())
    accounts.redeem(code, "miller", Role.OPERATOR, PASSWORD)
    assert main(["accounts", "setup-code", "--config", config]) == 1
    assert "access_first_account_exists" in capsys.readouterr().err
    for words in (
        ["add", "reed", "--role", "auditor"],
        ["disable", "reed"],
        ["enable", "reed"],
        ["reset", "reed"],
    ):
        assert main(["accounts", *words, "--config", config]) == 0
    capsys.readouterr()
    assert main(["accounts", "list", "--config", config]) == 0
    listed = capsys.readouterr().out
    assert "miller" in listed
    assert "waits for its code" in listed
    assert main(["accounts", "disable", "ghost", "--config", config]) == 1
    assert "access_unknown" in capsys.readouterr().err
