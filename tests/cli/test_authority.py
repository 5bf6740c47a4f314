"""``lfr-edge authority``: from nothing to a signed authority and to its cancellation, as a person would do it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lfr_edge.cli import authority as room
from lfr_edge.cli import authority_prompts as prompts
from lfr_edge.cli.main import main
from lfr_edge.clock import SystemClock
from lfr_edge.deployment.authority import read_authority, read_document, schema
from lfr_edge.deployment.authority.signing import key_id, read_public_key
from lfr_edge.deployment.authority.words import instant_ns, instant_text
from tests.conftest import REPOSITORY
from tests.fakes.authority import EXAMPLE

HOUR_NS = 3_600_000_000_000


@pytest.fixture
def key(tmp_path, capsys) -> Path:
    path = tmp_path / "ao.key"
    assert main(["authority", "keygen", str(path), "--no-passphrase"]) == 0
    assert key_id(read_public_key(tmp_path / "ao.key.pub")) in capsys.readouterr().out
    return path


def trusted(key: Path) -> dict[str, bytes]:
    public = read_public_key(key.with_name(key.name + ".pub"))
    return {key_id(public): public}


def times(hours_ago: float = 1, hours: float = 6) -> list[str]:
    now = SystemClock().wall_ns() - int(hours_ago * HOUR_NS)
    granted, start, end = now - HOUR_NS, now, now + int(hours * HOUR_NS)
    names = {"officer.granted": granted, "start": start, "end": end}
    return [f"--set={name}={instant_text(value)}" for name, value in names.items()]


@pytest.fixture
def draft(tmp_path) -> Path:
    """The example's words with times around now."""
    path = tmp_path / "op.json"
    assert main(["authority", "new", str(path), "--from", str(EXAMPLE), "--no-questions", *times()]) == 0
    return path


@pytest.fixture
def signed(draft, key) -> Path:
    assert main(["authority", "sign", str(draft), "--key", str(key), "--yes"]) == 0
    return draft


def test_the_schema_that_is_printed_is_the_one_in_the_repository(capsys):
    assert main(["authority", "schema"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == schema()
    assert printed == json.loads((REPOSITORY / "deploy/authority/authority.schema.json").read_text())


def test_sign_and_check(signed, key, capsys):
    assert read_authority(signed, trusted(key)).authority.place.name == "Market Square, Exampleton"
    capsys.readouterr()
    assert main(["authority", "check", str(signed), "--trust", f"{key}.pub"]) == 0
    out = capsys.readouterr().out
    assert out.count("\nok ") == 27
    assert "NO " not in out


def test_a_draft_from_nothing_names_its_gaps(tmp_path, capsys):
    path = tmp_path / "op.json"
    assert main(["authority", "new", str(path), "--no-questions"]) == 0
    out = capsys.readouterr().out
    for gap in ("Signature", "Necessity", "Proportionality", "Cameras", "Command"):
        assert gap in out
    assert main(["authority", "check", str(path)]) == 1
    assert main(["authority", "new", str(path), "--no-questions"]) == 1
    assert "authority_file_exists" in capsys.readouterr().err


def test_what_has_gaps_is_not_signed(tmp_path, key, capsys):
    path = tmp_path / "op.json"
    main(["authority", "new", str(path), "--from", str(EXAMPLE), "--no-questions", "--set", "necessity="])
    assert main(["authority", "sign", str(path), "--key", str(key), "--yes"]) == 1
    assert "authority_necessity" in capsys.readouterr().err
    assert read_document(path).signature is None


@pytest.mark.parametrize("answer", ["no", "", "y"])
def test_signing_is_meant(draft, key, monkeypatch, capsys, answer):
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert main(["authority", "sign", str(draft), "--key", str(key)]) == 1
    assert "authority_not_meant" in capsys.readouterr().err
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    assert main(["authority", "sign", str(draft), "--key", str(key)]) == 0


def test_every_field_is_asked_for_and_a_wrong_answer_again(tmp_path, monkeypatch, capsys):
    answers = {
        "operation:": ["Op TYPED 1"],
        "use case:": ["other", "protective_security"],
        "place · latitude:": ["north", "91", "54.5"],
        "start:": ["tomorrow", "2026-07-01 10:00+01:00"],
        "end:": ["2026-07-01 15:00"],
        "cameras:": ["north; south"],
        "watchlist · under 18:": ["yes"],
        "watchlist · categories:": ["everybody", "missing_person; blue_list"],
        "watchlist · maximum size:": ["many", "200"],
        "Urgent oral authority?": ["yes"],
        "urgent · taken down by:": ["Insp. F. Example"],
    }
    asked = []

    def answer(prompt: str) -> str:
        asked.append(prompt.strip())
        found = next((name for name in answers if prompt.strip().startswith(name)), None)
        return answers[found].pop(0) if found and answers[found] else ""

    monkeypatch.setattr("builtins.input", answer)
    path = tmp_path / "op.json"
    assert main(["authority", "new", str(path)]) == 0
    granted = read_document(path).authority
    assert granted.operation == "Op TYPED 1"
    assert (granted.use_case, granted.policy_paragraph) == ("protective_security", "LFR-2.4")
    assert granted.place.latitude == 54.5
    assert (granted.start, granted.end) == ("2026-07-01T09:00:00Z", "2026-07-01T15:00:00Z")
    assert granted.cameras == ("north", "south")
    assert granted.watchlist.under_18
    assert granted.watchlist.categories == ("missing_person", "blue_list")
    assert granted.watchlist.maximum_size == 200
    assert granted.urgent is not None
    assert granted.urgent.taken_down_by == "Insp. F. Example"
    assert not any(answers.values()), "every answer was asked for"
    assert "must be one of" in capsys.readouterr().out
    fields = {".".join(question.path) for question in prompts.questions()}
    assert len(fields) >= 45
    for name in ("place.zone", "assessments.cia.version", "command.silver", "threshold.changed_by"):
        assert name in fields


def test_enter_keeps_what_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda _: "")
    path = tmp_path / "again.json"
    assert main(["authority", "new", str(path), "--from", str(EXAMPLE)]) == 0
    assert read_document(path).authority == read_document(EXAMPLE).authority
    assert read_document(path).signature is None, "a copy is a draft"


def test_an_optional_part_can_go_again(tmp_path, monkeypatch):
    oral, plain = tmp_path / "oral.json", tmp_path / "plain.json"
    monkeypatch.setattr("builtins.input", lambda p: "yes" if p.strip().startswith("Urgent") else "")
    assert main(["authority", "new", str(oral), "--from", str(EXAMPLE)]) == 0
    assert read_document(oral).authority.urgent is not None
    monkeypatch.setattr("builtins.input", lambda p: "no" if p.strip().startswith("Urgent") else "")
    assert main(["authority", "new", str(plain), "--from", str(oral)]) == 0
    assert read_document(plain).authority.urgent is None


def test_an_optional_part_comes_with_the_first_of_its_fields(tmp_path):
    path = tmp_path / "oral.json"
    fields = [f"urgent.{field}" for field in ("reason=A threat at noon.", "taken_down_by=Insp. F. Example")]
    said = [word for field in fields for word in ("--set", field)]
    assert main(["authority", "new", str(path), "--from", str(EXAMPLE), "--no-questions", *said]) == 0
    urgent = read_document(path).authority.urgent
    assert (urgent.reason, urgent.taken_down_by) == ("A threat at noon.", "Insp. F. Example")
    assert instant_ns(urgent.confirm_by) - instant_ns(urgent.given) == 24 * 3600 * 10**9


@pytest.mark.parametrize(
    ("field", "code"),
    [("place.colour=red", "authority_field_unknown"), ("urgent=yes", "authority_field_unknown"),
     ("place.latitude=north", "authority_invalid"), ("use_case=other", "authority_invalid"),
     ("start=soon", "authority_invalid")],
)  # fmt: skip
def test_fields_that_cannot_be_set(tmp_path, capsys, field, code):
    path = tmp_path / "op.json"
    assert main(["authority", "new", str(path), "--no-questions", "--set", field]) == 1
    assert code in capsys.readouterr().err
    assert not path.exists()


def test_cancelling_works_at_once_and_is_signed(signed, key, capsys):
    before = read_document(signed)
    command = [
        "authority",
        "cancel",
        str(signed),
        "--key",
        str(key),
        "--by",
        "Supt A. Example",
        "--why",
        "Wrong day.",
    ]
    assert main(command) == 0
    found = read_authority(signed, trusted(key))
    assert found.cancellation is not None
    assert (found.cancellation.by, found.cancellation.why) == ("Supt A. Example", "Wrong day.")
    assert abs(instant_ns(found.cancellation.at) - SystemClock().wall_ns()) < 60 * 10**9
    assert found.authority == before.authority
    capsys.readouterr()
    assert main(["authority", "check", str(signed), "--trust", f"{key}.pub"]) == 1
    assert "Wrong day." in capsys.readouterr().out


def test_an_oral_authority_is_confirmed(tmp_path, key, monkeypatch, capsys, signed):
    assert main(["authority", "confirm", str(signed), "--key", str(key), "--by", "A"]) == 1
    assert "authority_not_oral" in capsys.readouterr().err
    path = tmp_path / "oral.json"
    said = {
        "Urgent": "yes",
        "urgent · reason": "A threat at noon.",
        "urgent · taken down by": "Insp. F. Example",
    }
    answer = lambda p: next((said[name] for name in said if p.strip().startswith(name)), "")  # noqa: E731
    monkeypatch.setattr("builtins.input", answer)
    assert main(["authority", "new", str(path), "--from", str(signed)]) == 0
    assert main(["authority", "confirm", str(path), "--key", str(key), "--by", "A"]) == 1
    assert "authority_unsigned" in capsys.readouterr().err
    assert main(["authority", "sign", str(path), "--key", str(key), "--yes"]) == 0
    assert main(["authority", "confirm", str(path), "--key", str(key), "--by", "Supt A. Example"]) == 0
    found = read_authority(path, trusted(key))
    assert found.confirmation is not None
    assert found.confirmation.by == "Supt A. Example"


CONFIG = """
site = "Van 3"
data = "var"
[[cameras]]
id = "north"
url = "north.mp4"
[[cameras]]
id = "{second}"
url = "south.mp4"
[deployment]
place = "Market Square, Exampleton"
latitude = 54.0002
longitude = -2.5479
[models]
purpose = "operational"
"""


@pytest.mark.parametrize(("second", "holds"), [("south", True), ("east", False)])
def test_check_against_a_box(signed, key, tmp_path, capsys, second, holds):
    config = tmp_path / "lfr.toml"
    config.write_text(CONFIG.format(second=second))
    capsys.readouterr()
    command = ["authority", "check", str(signed), "--config", str(config), "--trust", f"{key}.pub"]
    assert main(command) == (0 if holds else 1)
    out = capsys.readouterr().out
    assert "The list was not opened" in out
    assert ("not authorised: east" in out) is not holds
    assert main([*command, "--json"]) == (0 if holds else 1)
    said = json.loads(capsys.readouterr().out)
    assert said["holds"] is holds
    assert [c["code"] for c in said["clauses"] if not c["ok"]] == ([] if holds else ["cameras"])


def test_a_box_believes_only_its_own_keys(signed, key, tmp_path, capsys):
    config = tmp_path / "lfr.toml"
    config.write_text(CONFIG.format(second="south"))
    assert main(["authority", "check", str(signed), "--config", str(config)]) == 1
    assert "authority_signer_unknown" in capsys.readouterr().err


def test_check_of_a_signed_file_says_whom_to_believe(signed, capsys):
    assert main(["authority", "check", str(signed)]) == 1
    out = capsys.readouterr().out
    assert "say whom to believe" in out
    assert "nobody has signed" not in out


def test_check_of_a_cancelled_file_says_so_before_anybody_is_believed(signed, key, capsys):
    why = ["--by", "Supt A. Example", "--why", "The intelligence was wrong."]
    assert main(["authority", "cancel", str(signed), "--key", str(key), *why]) == 0
    capsys.readouterr()
    assert main(["authority", "check", str(signed)]) == 1
    assert "The intelligence was wrong." in capsys.readouterr().out


def test_a_passphrase_is_asked_twice_and_needed_later(tmp_path, draft, monkeypatch, capsys):
    typed = iter(
        ["short", "three plain words", "three other words", "three plain words", "three plain words"]
    )
    monkeypatch.setattr(room.getpass, "getpass", lambda _: next(typed))
    path = tmp_path / "locked.key"
    for code in ("authority_passphrase_short", "authority_passphrase_differs"):
        assert main(["authority", "keygen", str(path)]) == 1
        assert code in capsys.readouterr().err
        assert not path.exists()
    assert main(["authority", "keygen", str(path)]) == 0
    monkeypatch.setattr(room.getpass, "getpass", lambda _: "three plain words")
    assert main(["authority", "sign", str(draft), "--key", str(path), "--yes"]) == 0
    monkeypatch.setattr(room.getpass, "getpass", lambda _: "wrong words here")
    assert main(["authority", "sign", str(draft), "--key", str(path), "--yes"]) == 1
    assert "authority_key_locked" in capsys.readouterr().err
    assert main(["authority", "sign", str(draft), "--key", str(tmp_path / "none"), "--yes"]) == 1
    assert "authority_key_unreadable" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("threshold", "broken"),
    [(0.46, []), (0.44, ["threshold"])],
)
def test_check_against_the_list_itself(signed, key, tmp_path, capsys, threshold, broken):
    """An opened list is counted: categories, sources, age, size and threshold are the real ones."""
    from lfr_edge.watchlist.container import seal
    from lfr_edge.watchlist.keys import new_key, write_key_file
    from tests.watchlist.lists import DIMENSION, FINGERPRINT, person

    secret = new_key()
    write_key_file(tmp_path / "list.key", secret)
    sealed = tmp_path / "list.sealed"
    seal(sealed, [person(n) for n in range(3)], key=secret, fingerprint=FINGERPRINT, dimension=DIMENSION)
    config = tmp_path / "lfr.toml"
    listed = f'[watchlist]\npath = "list.sealed"\n[matching]\nthreshold = {threshold}\n'
    config.write_text(CONFIG.format(second="south") + listed)
    capsys.readouterr()
    command = ["authority", "check", str(signed), "--config", str(config), "--trust", f"{key}.pub", "--json",
               "--list-key", str(tmp_path / "list.key")]  # fmt: skip
    assert main(command) == (1 if broken else 0)
    said = json.loads(capsys.readouterr().out)
    assert [c["code"] for c in said["clauses"] if not c["ok"]] == broken
    assert next(c for c in said["clauses"] if c["code"] == "compiled")["text"].startswith(
        "compiled 0.0 h ago"
    )
