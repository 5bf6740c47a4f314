"""Whatever is said below the console has a text in each language; what has none is marked as English."""

from __future__ import annotations

import calendar
import json
import string
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.alerts.alert import State, Step
from lfr_edge.capture.keeper import CameraState
from lfr_edge.console.door.accounts import Role
from lfr_edge.console.ports import Trouble
from lfr_edge.console.sayings import Sayings, read_sayings
from lfr_edge.console.texts import ENGLISH, LANGUAGES
from lfr_edge.deployment.authority.clauses import RULES
from lfr_edge.deployment.authority.words import Rank, use_cases
from lfr_edge.deployment.ending.receipts import NAMES
from lfr_edge.deployment.readiness import CODES
from lfr_edge.errors import AccessError, AlertError
from lfr_edge.sentences import Sentence, listed, own_words, packed, say, unpacked
from lfr_edge.watchlist.entry import categories, image_sources
from tests.console.spoken_below import Below, flattened, spoken_below
from tests.fakes.box import van_status

OTHERS = [language for language in LANGUAGES if language != ENGLISH]
BELOW = spoken_below()
MONTHS = calendar.month_name[1:]
# Words of closed sets, which the code makes sentences of one by one.
TERMS = (
    *(rank.words for rank in Rank),
    *(role.value.replace("_", " ") for role in Role),
    *(text for one in categories().values() for text in (one.title, one.meaning)),
    *(one.title for one in image_sources().values()),
    *(text for one in use_cases().values() for text in (one.title, one.meaning)),
    *(rule.title for rule in RULES),
    *NAMES.values(),
    *(str(state).replace("_", " ") for state in State),
    *(str(step).replace("_", " ") for step in Step),
    *get_args(CameraState),
    *("operational", "evaluation", "proposed", "approved", "used", "refused", "expired", "approving", "void"),
    *("propose", "approve", "refuse", "starting", "ending", "category", "source"),
    *("legal basis", "objective", "necessity", "proportionality", "alternatives"),
    *("intact", "qualified", "altered", "unreadable"),
    *MONTHS,
)


def names(pattern: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(pattern) if name}


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_from_below_has_a_text_in_each_language(language):
    said = Sayings(language)
    missing = [one for one in BELOW if said(_unfilled(one), one.code).language != language]
    told = "\n".join(f'{one.where}  [{one.code}]\n{json.dumps(one.pattern)} = ""' for one in missing)
    assert not missing, f"add to lfr_edge/console/texts/said.{language}.toml:\n{told}"


def _unfilled(one: Below) -> str:
    """As if it were said with the names of its values for values."""
    if not one.names:
        return Sentence(one.pattern)
    return Sentence(one.pattern, one.pattern, {name: _Any(name) for name in one.names})


class _Any:
    """A value that any format takes."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __format__(self, _: str) -> str:
        return self.name


def test_the_search_finds_what_is_said():
    """The control: errors, hints, findings, clauses, readiness lines, reasons and troubles are all among it."""
    patterns = {one.pattern for one in BELOW}
    assert {
        "name or password is wrong",  # an error
        "ask a deployment officer for a new code",  # its hint
        "entry {seq} calls itself {seq_2}",  # a finding of the verifier
        "the threshold is {threshold:.4f}; the floor is {floor:.4f}",  # a clause
        "the Authorising Officer signs it with: lfr-edge authority sign FILE --key KEY",  # its hint
        "{free:.1f} GiB free",  # a line of the readiness list
        "eyes {value:.0f} px apart: at least {at:.0f} {needed}",  # a reason about a picture
        "camera {id} gives no picture",  # a trouble
    } <= patterns
    codes = {one.code for one in BELOW}
    assert {f"readiness_{code}" for code in CODES} <= codes
    assert {f"authority_{rule.code}" for rule in RULES} <= codes
    assert len(patterns) > 900


def test_no_text_is_put_together_before_it_is_handed_on():
    assert flattened() == (), "use say(pattern, …): a flattened text cannot be said in another language"


@pytest.mark.parametrize("language", OTHERS)
def test_words_of_closed_sets_have_a_text(language):
    said = Sayings(language)
    assert [term for term in TERMS if said(term).language != language] == []


@pytest.mark.parametrize("language", OTHERS)
def test_translations_fill_in_the_same_values(language):
    wrong = {
        pattern: text
        for table in read_sayings(language).values()
        for pattern, text in table.items()
        if names(pattern) != names(text) or not text.strip()
    }
    assert wrong == {}


@pytest.mark.parametrize("language", OTHERS)
def test_no_translation_is_left_of_what_nobody_says_any_more(language):
    said_below = {one.pattern for one in BELOW}
    stale = {
        pattern
        for code, table in read_sayings(language).items()
        for pattern in table
        if code != "terms" and pattern not in said_below
    }
    assert stale == set(), "remove them from the file, or correct them there"


def test_values_are_filled_in_anew_and_sentences_among_them_translated():
    said = Sayings("cy")
    line = listed(
        [say("{camera} is {state}", camera="north", state=say("stalled")), say("there is no camera")]
    )
    assert line == "north is stalled, there is no camera"
    assert said(line).text == "north: wedi sefyll, nid oes camera"
    error = AlertError("alert_unknown", "there is no such alert")
    assert said(say("an alert could not be recorded: {error}", error=error)).text.endswith(
        "nid oes rhybudd o'r fath"
    )


def test_without_a_translation_it_stays_english_and_is_marked():
    said = Sayings("cy")
    assert said("the moon is not made of cheese").language == ENGLISH
    assert said.html("<b> & cheese") == '<span lang="en">&lt;b&gt; &amp; cheese</span>'
    assert said.told(text="the body is not JSON", hint="the moon") == {
        "text": "the body is not JSON",
        "hint": "the moon",
        "language": "en",
    }
    unknown = say("{camera} is {state}", camera="north", state=say("made of cheese"))
    assert said(unknown).language == ENGLISH


def test_english_needs_no_mark():
    said = Sayings()
    assert said.told(text="the moon is not made of cheese") == {"text": "the moon is not made of cheese"}
    assert said.html("a < b") == "a &lt; b"


def test_what_holds_no_words_needs_no_translation():
    assert Sayings("cy")(own_words("anything that an officer wrote")).language == "cy"
    assert Sayings("cy")("").language == "cy"


@given(st.text(max_size=40), st.integers(), st.floats(allow_nan=False, allow_infinity=False))
def test_a_sentence_comes_through_another_process_whole(word, number, share):
    first = say(
        "{word} and {number:,} and {share:.1f}: {inner}",
        word=word,
        number=number,
        share=share,
        inner=say("too dark"),
    )
    second = unpacked(json.loads(json.dumps(packed(first))))
    assert second == first
    assert isinstance(second, Sentence)
    assert second.pattern == first.pattern
    assert second.values["inner"].pattern == "too dark"
    assert unpacked(packed("plain")) == "plain"


@pytest.mark.parametrize(
    "pattern", ["{x.__class__}", "{x[0]}", "{0}", "{x!r:>9999999}", "{x:999999999d}", "{y}", "{x:.999999f}"]
)
def test_a_hostile_pattern_is_not_filled_in(pattern):
    raw = {"english": "as it was", "pattern": pattern, "values": {"x": 1}}
    assert unpacked(raw) == "as it was"
    assert not isinstance(unpacked(raw), Sentence)


async def test_errors_are_answered_in_the_readers_language(box, sign_in):
    welsh = {"Accept-Language": "cy", "Accept": "application/json"}
    stranger = await sign_in()
    async with stranger.get("/api/alerts", headers=welsh) as answer:
        told = await answer.json()
    assert told == {
        "error": "access_signed_out",
        "message": "rydych wedi'ch allgofnodi",
        "hint": "mewngofnodwch eto",
    }
    async with stranger.get("/api/alerts") as answer:
        assert (await answer.json())["message"] == "you are signed out"


async def test_troubles_are_told_in_the_readers_language(box, sign_in):
    troubles = (
        Trouble("degraded", say("camera {id} gives no picture", id="north"), "check the path of the stream"),
        Trouble("degraded", "something of another program", "which we cannot translate"),
    )
    box.system.now = replace(van_status(), troubles=troubles)
    engineer = await sign_in("byte", Role.ENGINEER)
    async with engineer.get("/api/status", headers={"Accept-Language": "cy"}) as answer:
        first, second = (await answer.json())["troubles"]
    assert first == {
        "health": "degraded",
        "text": "nid oes llun o gamera north",
        "hint": "gwiriwch lwybr y ffrwd",
    }
    assert second["language"] == "en"
    async with engineer.get("/system", headers={"Accept-Language": "cy"}) as answer:
        page = await answer.text()
    assert '<span lang="en">something of another program</span>' in page
    assert "nid oes llun o gamera north" in page


def test_an_error_keeps_its_english_for_logs_and_the_command_line():
    error = AccessError("access_unknown", say("there is no account {name}", name="reed"))
    assert str(error) == error.message == "there is no account reed"
    assert json.dumps(error.message) == '"there is no account reed"'
