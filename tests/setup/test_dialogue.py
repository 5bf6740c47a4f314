"""The questions, answered by a script that stands where a person sits; cameras are real ones on the loopback."""

from __future__ import annotations

import pytest
from onveef import wsdiscovery

from lfr_edge.cli.main import main
from lfr_edge.clock import SystemClock
from lfr_edge.errors import CameraError
from lfr_edge.settings import load_settings
from lfr_edge.setup.dialogue import Dialogue, Voice, written_text
from lfr_edge.setup.position import position_of
from lfr_edge.setup.preparation import CameraAnswer, Preparation
from tests.setup.conftest import PASSWORD, USER

CLOCK = SystemClock()
SITE = ["Van 7", "data", "", "evaluation", "", "Market Square", "", "Exampleshire Police", "101"]
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
    site = ["Van 7", "data", "", "for fun", "operational", "", "PO-2026-1", "", "", "", ""]
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
        *SITE, *[""] * 6, "n", "", "y", "", "tls/cert.pem", "tls/key.pem", "van-7.example", "y", NO_BENCHMARK
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


def test_neither_yes_nor_no_is_asked_again(street, config):
    """What a person typed ahead was taken for a no, and the camera left out without a word."""
    dead = "rtsp://127.0.0.1:1/none"
    person = Person(*SITE, *PEOPLE, "n", dead, "", "", "gate", "Y", "", "maybe", NO_CONSOLE, NO_BENCHMARK)
    box = person.walk(config)
    assert [camera.id for camera in box.settings.cameras] == ["camera-1"]
    assert person.text.count("y for yes, n for no") == 2


def test_a_name_that_cannot_be_one_loses_no_camera(street, config):
    person = Person(
        *SITE,
        *PEOPLE,
        "n",
        "rtsp://127.0.0.1:1/x",
        USER,
        PASSWORD,
        "Left Cam!",
        "left",
        "y",
        "",
        NO_CONSOLE,
        NO_BENCHMARK,
    )
    box = person.walk(config)
    assert [(camera.id, camera.username) for camera in box.settings.cameras] == [("left", USER)]
    assert "id" in person.text
    assert PASSWORD not in person.text


def test_a_camera_that_is_left_out_leaves_no_password(street, config):
    dead = "rtsp://127.0.0.1:1/none"
    person = Person(*SITE, *PEOPLE, "n", dead, USER, PASSWORD, "", "n", "", NO_CONSOLE, NO_BENCHMARK)
    box = person.walk(config)
    assert box.settings.cameras == ()
    assert not list(config.parent.rglob("*.password"))


def test_a_password_that_the_box_uses_stays(config):
    """Until the new configuration is written, the one in force needs it."""
    config.parent.mkdir()
    config.write_text(
        'site = "Van 3"\n[[cameras]]\nid = "a"\nurl = "rtsp://192.0.2.1/1"\npassword_file = "secrets/a.password"\n'
    )
    box = Preparation(config, CLOCK)
    box.add_camera(CameraAnswer("a", "rtsp://192.0.2.1/1", USER, PASSWORD))
    box.remove_camera("a")
    assert box.settings.cameras == ()
    assert (config.parent / "secrets" / "a.password").exists()


def test_going_back_a_step(config):
    """A wrong answer of the step before could only be mended after everything had been written."""
    person = Person(
        *SITE, "miller", "<",  # from People back to Site
        "Van 8", *[""] * 6, "<", "Van 9", *[""] * 8,  # there is nothing before the first step
        *PEOPLE, "n", "", "<", "n", "", NO_CONSOLE, NO_BENCHMARK,
    )  # fmt: skip
    box = person.walk(config)
    assert box.settings.site == "Van 9"
    assert person.text.count("1 of 6  Site") == 3
    assert person.text.count("3 of 6  Cameras") == 2
    assert "[miller]" in person.text, "what was answered in the step that was left is still there"


@pytest.mark.parametrize(
    ("typed", "position"),
    [
        ("51.50722 -0.12750", (51.50722, -0.1275)), ("51.5,-0.1", (51.5, -0.1)), ("51.5N; 0.1W", (51.5, -0.1)),
        ("33.9° s 151.2° e", (-33.9, 151.2)),
    ],
)  # fmt: skip
def test_a_position_as_people_write_it(typed, position, config):
    assert tuple(position_of(typed).values()) == position
    person = Person(*SITE[:6], typed, *SITE[7:], *PEOPLE, "n", "", NO_CONSOLE, NO_BENCHMARK)
    deployment = person.walk(config).settings.deployment
    assert (deployment.latitude, deployment.longitude) == position


def test_a_position_that_is_none_is_asked_again(config):
    wrong = ["High Street", "51.5", "95 0", "51.5 -0.1 3"]
    person = Person(*SITE[:6], *wrong, "", *SITE[7:], *PEOPLE, "n", "", NO_CONSOLE, NO_BENCHMARK)
    assert person.walk(config).settings.deployment.latitude is None
    assert person.text.count("a position is two numbers") == 3
    assert "deployment.latitude: Input should be less than or equal to 90" in person.text


def test_a_certificate_that_is_not_there_is_said(config):
    """It was taken without a word, and serve would not start."""
    missing = ["y", "", "tls/cert.pem", "tls/key.pem", ""]
    person = Person(*SITE, *PEOPLE, "n", "", *missing, "n", *missing[1:], "y", NO_BENCHMARK)
    person.walk(config)
    assert person.text.count("the certificate cannot be used: No such file or directory") == 2


def test_a_certificate_that_fits_is_taken(config, tmp_path, monkeypatch):
    monkeypatch.setenv("LFR_EDGE_CA_PASSPHRASE", "three random words")
    assert main(["tls", "init", str(tmp_path / "ca"), "--dns", "van.example"]) == 0
    assert main(["tls", "issue", str(tmp_path / "ca"), str(tmp_path / "tls"), "--dns", "van.example"]) == 0
    certificate, key = str(tmp_path / "tls" / "cert.pem"), str(tmp_path / "tls" / "key.pem")
    person = Person(*SITE, *PEOPLE, "n", "", "y", "", certificate, key, "van.example", NO_BENCHMARK)
    box = person.walk(config)
    assert "cannot be used" not in person.text
    box.change(console={"tls_key": certificate})
    assert "the certificate cannot be used" in box.certificate_trouble()


def test_an_existing_configuration_is_where_it_begins(config):
    config.parent.mkdir()
    config.write_text('site = "Van 3"\n[matching]\ncooldown_s = 30.0\n')
    box = Preparation(config, CLOCK)
    assert not box.resumed
    assert box.settings.matching.cooldown_s == 30.0
