"""The questions, answered by a script that stands where a person sits; cameras are real ones on the loopback."""

from __future__ import annotations

import pytest
from onveef import wsdiscovery

from lfr_edge.cli.main import main
from lfr_edge.clock import SystemClock
from lfr_edge.errors import CameraError
from lfr_edge.settings import load_settings
from lfr_edge.setup.dialogue import Dialogue, Voice, written_text
from lfr_edge.setup.preparation import CameraAnswer, Preparation
from tests.setup.conftest import PASSWORD, USER

CLOCK = SystemClock()
SITE = ["Van 7", "data", "", "evaluation", "", "Market Square", "Exampleshire Police", "101"]
PEOPLE = ["miller", "okoro", "jones singh", "", "", "weber"]
NO_CONSOLE, NO_BENCHMARK = "n", "n"


class Person:
    """Answers in order; what is left over or missing fails the test. ``...`` leaves (Ctrl-C)."""

    def __init__(self, *answers: object) -> None:
        self._answers = list(answers)
        self.heard: list[str] = []
        self.voice = Voice(self._answer, self._answer, self.heard.append)

    def _answer(self, question: str) -> str:
        self.heard.append(question)
        assert self._answers, f"unexpected question: {question}"
        answer = self._answers.pop(0)
        if answer is ...:
            raise KeyboardInterrupt
        return str(answer)

    @property
    def text(self) -> str:
        return "\n".join(self.heard)

    def walk(self, config, **options) -> Preparation:
        box = Preparation(config, CLOCK)
        box.draft.answers = box.draft.answers.model_copy(update={"probe_s": 1.0})
        Dialogue(box, self.voice, interfaces=["127.0.0.1"], **options).walk()
        assert not self._answers, self._answers
        return box


@pytest.fixture
def found(street, monkeypatch):
    monkeypatch.setattr(wsdiscovery, "WS_DISCOVERY_PORT", street.camera.discovery_port)
    monkeypatch.setattr("lfr_edge.setup.dialogue.find", _quickly)
    return street


def _quickly(interfaces):
    from lfr_edge.setup.onvif import find

    return find(interfaces, listen_s=0.5)


def test_from_nothing_to_a_box(found, config):
    person = Person(*SITE, *PEOPLE, "y", "y", USER, PASSWORD, "", "gate", "", NO_CONSOLE, NO_BENCHMARK)
    box = person.walk(config)
    assert "127.0.0.1: Gate X-200" in person.text
    assert "h264 320 × 240" in person.text
    assert "[  ok  ] disk" in person.text
    settings = box.settings
    written = box.write()
    assert {code.account: str(code.role) for code in written.codes} == {
        "miller": "deployment_officer", "okoro": "authorising_officer", "jones": "operator", "singh": "operator",
        "weber": "engineer"}  # fmt: skip
    loaded = load_settings(config)
    camera = loaded.cameras[0]
    assert (camera.id, camera.url, camera.username) == ("gate", found.url, USER)
    assert camera.password_file.read_text() == f"{PASSWORD}\n"
    assert PASSWORD not in config.read_text() + person.text
    assert loaded.models.purpose == "evaluation"
    assert loaded.notice.contact == "101"
    text = written_text(written, settings)
    assert all(code.code in text for code in written.codes)
    assert str(config) in text
    assert not box.draft.begun
    assert main(["config", "check", str(config)]) == 0


def test_ctrl_c_loses_the_open_question_only(config):
    left = Person(*SITE, "miller", ...)
    with pytest.raises(KeyboardInterrupt):
        left.walk(config)
    assert not config.exists(), "nothing is written before the end"
    back = Person(*PEOPLE, "n", "", NO_CONSOLE, NO_BENCHMARK)
    box = back.walk(config)
    assert box.resumed
    assert "1 of 6  Site: done before" in back.text
    assert "[miller]" in back.text, "the person named before the interruption is still there"
    assert box.settings.site == "Van 7"
    third = Person()
    third.walk(config)
    assert third.text.count("done before") == 6


def test_wrong_answers_are_asked_again(config):
    site = ["Van 7", "data", "", "for fun", "operational", "", "PO-2026-1", "", "", ""]
    people = ["Miller!", "miller", "miller", "okoro", "", "", "", ""]
    person = Person(*site, *people, "n", "telnet://x", "", "y", "0.0.0.0", "cert.pem", "", NO_BENCHMARK)
    with pytest.raises(AssertionError, match="unexpected question"):
        person.walk(config)  # one question is open: the name in the certificate
    assert "models.purpose: Input should be" in person.text
    assert "'miller!' cannot be a name" in person.text
    assert "miller has another role already" in person.text
    assert "Still needed before a deployment: operator" in person.text
    assert "an address of kind telnet:// is not supported" in person.text


def test_the_console_for_laptops_needs_a_certificate(config):
    person = Person(
        *SITE, *[""] * 6, "n", "", "y", "", "tls/cert.pem", "tls/key.pem", "van-7.example", NO_BENCHMARK
    )
    console = person.walk(config).settings.console
    assert (console.host, str(console.tls_certificate), console.dns_name) == (
        "0.0.0.0", "tls/cert.pem", "van-7.example")  # fmt: skip
    other = Person(*[""] * 2)
    assert other  # no answers used
    box = Preparation(config.with_name("b.toml"), CLOCK)
    shy = Person("y", "", "", "", "")
    Dialogue(box, shy.voice)._console()
    assert box.settings.console.host == "127.0.0.1"
    assert "stays on this machine" in shy.text


def test_a_camera_that_does_not_answer_may_be_left_out(street, config):
    dead = "rtsp://127.0.0.1:1/none"
    person = Person(
        *SITE, *PEOPLE, "n", dead, "", "", "n", dead, "", "spare", "y", "", NO_CONSOLE, NO_BENCHMARK
    )
    box = person.walk(config)
    assert [camera.id for camera in box.settings.cameras] == ["spare"]
    assert "[camera_" in person.text


def test_a_wrong_password_on_the_camera_is_told(found, config):
    person = Person(*SITE, *PEOPLE, "y", "y", USER, "wrong words", "", NO_CONSOLE, NO_BENCHMARK)
    box = person.walk(config)
    assert "refused user name and password" in person.text
    assert "wrong words" not in person.text
    assert box.settings.cameras == ()
    assert "No camera yet" in person.text


def test_credentials_in_an_address_go_to_their_file(config):
    box = Preparation(config, CLOCK)
    camera = box.add_camera(CameraAnswer("left", "rtsp://ops:p%40ss@192.0.2.1/1"))
    assert (camera.url, camera.username) == ("rtsp://192.0.2.1/1", "ops")
    assert camera.password_file.read_text() == "p@ss\n"
    box.add_camera(CameraAnswer("left", "rtsp://192.0.2.2/1"))
    assert [one.url for one in box.settings.cameras] == ["rtsp://192.0.2.2/1"], (
        "the same name is the same camera"
    )
    for bad in (CameraAnswer("left", "ftp://x"), CameraAnswer("left", "/no/such/file")):
        with pytest.raises(CameraError):
            box.add_camera(bad)
    assert "p@ss" not in config.with_name(".lfr.toml.setup").read_text()


def test_an_existing_configuration_is_where_it_begins(config):
    config.parent.mkdir()
    config.write_text('site = "Van 3"\n[matching]\ncooldown_s = 30.0\n')
    box = Preparation(config, CLOCK)
    assert not box.resumed
    assert box.settings.matching.cooldown_s == 30.0
