"""What somebody answered, or a script brings: the accounts, and any part of the configuration as its file has it.

The same document is the draft that an interrupted setup goes on with. It holds no password and no code.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError, field_validator

from lfr_edge.audit.disk import write_new
from lfr_edge.console.door.book import Role
from lfr_edge.errors import ConfigError
from lfr_edge.settings import Section, Settings

FORMAT: Final = "lfr-edge setup 1"
AccountName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9._-]{1,31}$")]


class AccountAnswer(Section):
    name: AccountName
    role: Role


class Answers(Section):
    """What will be written. ``configuration`` is checked by the settings themselves, not a second time here."""

    format: Literal["lfr-edge setup 1"] = FORMAT
    accounts: tuple[AccountAnswer, ...] = ()
    probe_s: float = Field(5.0, ge=0, le=60)  # of each camera; 0: do not look
    benchmark_s: float = Field(20.0, ge=0, le=300)  # 0: do not measure
    configuration: dict[str, Any] = Field(default_factory=dict)
    done: tuple[str, ...] = ()  # steps that a draft has behind it

    @field_validator("accounts")
    @classmethod
    def _once(cls, accounts: tuple[AccountAnswer, ...]) -> tuple[AccountAnswer, ...]:
        if len({account.name for account in accounts}) != len(accounts):
            raise ValueError("two accounts have the same name")
        return accounts

    def settings(self) -> Settings:
        """The configuration, checked.

        Raises:
            ConfigError: ``setup_configuration_invalid``; the message names the field and never its value.
        """
        try:
            return Settings.model_validate(self.configuration)
        except ValidationError as error:
            raise ConfigError(
                "setup_configuration_invalid",
                f"configuration: {_fields(error)}",
                hint="docs/reference/configuration.md explains every field",
            ) from None


def read_answers(path: Path) -> Answers:
    """A script's answers, in TOML.

    Raises:
        ConfigError: ``setup_answers_unreadable``, ``setup_answers_invalid``, ``setup_configuration_invalid``.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            "setup_answers_unreadable", f"{path}: {error}", hint="lfr-edge setup --help shows an example"
        ) from None
    answers = parse_answers(raw, str(path))
    answers.settings()
    return answers


def parse_answers(raw: dict[str, Any], name: str) -> Answers:
    """Raises ConfigError ``setup_answers_invalid``: the message names the fields and never their values."""
    try:
        return Answers.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(
            "setup_answers_invalid",
            f"{name}: {_fields(error)}",
            hint=f'the file begins with format = "{FORMAT}"; passwords lie in files that it names',
        ) from None


class Draft:
    """The answers so far, on disk after each of them: Ctrl-C and a power cut lose the question that stood open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.answers = Answers()

    @classmethod
    def beside(cls, configuration: Path) -> Draft:
        """The draft that belongs to this configuration file.

        Raises:
            ConfigError: ``setup_draft_damaged``.
        """
        draft = cls(configuration.with_name(f".{configuration.name}.setup"))
        try:
            raw = json.loads(draft._path.read_text(encoding="utf-8"))
            draft.answers = parse_answers(raw, str(draft._path))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, ConfigError):
            raise ConfigError(
                "setup_draft_damaged", f"{draft._path} is no draft of this program",
                hint="remove it to begin anew",
            ) from None  # fmt: skip
        return draft

    @property
    def begun(self) -> bool:
        return self._path.exists()

    def keep(self, **changes: Any) -> None:
        self.answers = self.answers.model_copy(update=changes)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_new(self._path, self.answers.model_dump_json(indent=1).encode())

    def configure(self, **fields: Any) -> None:
        """Set fields of the configuration; a table's fields as a mapping, which is merged."""
        configuration = dict(self.answers.configuration)
        for name, value in fields.items():
            before = configuration.get(name)
            configuration[name] = (
                {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
            )
        self.keep(configuration=configuration)

    def finish(self, step: str) -> None:
        if step not in self.answers.done:
            self.keep(done=(*self.answers.done, step))

    def discard(self) -> None:
        self._path.unlink(missing_ok=True)


def _fields(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
