"""The error tree: codes, hints, exit statuses, and that its drawing is true."""

from __future__ import annotations

import inspect
import re

import pytest

from lfr_edge import errors
from lfr_edge.errors import CameraError, ConfigError, LfrError

CLASSES = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, LfrError)]


def test_the_drawing_shows_every_class_and_no_other() -> None:
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    assert sorted(drawn) == sorted(cls.__name__ for cls in CLASSES if cls is not LfrError)


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_carries_code_message_and_hint(cls: type[LfrError]) -> None:
    error = cls("room_what", "it broke", hint="mend it")
    assert (error.code, error.message, error.hint, str(error)) == (
        "room_what",
        "it broke",
        "mend it",
        "it broke",
    )
    assert error.diagnostics() == "it broke [room_what]\n  → mend it"
    assert error.exit_code == (2 if cls is ConfigError else 1)


@pytest.mark.parametrize("code", ["", "one", "Two_Words", "two words", "_a_b", "a__b", "a_b_", "ä_b"])
def test_a_code_is_snake_case_of_two_words_or_more(code: str) -> None:
    with pytest.raises(ValueError, match="not an error code"):
        CameraError(code, "it broke")


def test_without_a_hint_nothing_is_promised() -> None:
    assert CameraError("camera_refused", "nobody answers").diagnostics() == "nobody answers [camera_refused]"
