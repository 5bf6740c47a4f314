"""Addresses are taken apart safely, and nothing secret survives redaction."""

from __future__ import annotations

import base64
from urllib.parse import quote, quote_plus, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.capture.order import Order
from lfr_edge.capture.source import SourceSpec, parse_address, redact
from lfr_edge.errors import CameraError
from lfr_edge.settings import CameraSettings

secrets = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=4, max_size=24)


def spec(**fields) -> SourceSpec:
    return SourceSpec(**{"kind": "rtsp", "url": "rtsp://10.0.0.7:554/s", **fields})


def test_address_with_userinfo_is_taken_apart():
    kind, url, user, password = parse_address("RTSP://us%20er:p%40ss@10.0.0.7:8554/a/b?c=1#frag")
    assert (kind, url, user, password) == ("rtsp", "rtsp://10.0.0.7:8554/a/b?c=1", "us er", "p@ss")
    assert parse_address("rtsps://[::1]/x")[1] == "rtsps://[::1]/x"


def test_default_ports():
    assert spec(url="rtsp://h/x").endpoint == ("h", 554)
    assert spec(url="rtsps://h/x").endpoint == ("h", 322)
    assert spec(url="rtsp://[fe80::1]:99/x").endpoint == ("fe80::1", 99)


@pytest.mark.parametrize(
    "address", ["http://10.0.0.7/x", "file:///etc/passwd", "rtsp://", "rtsp://h:99999/", "concat://a"]
)
def test_other_addresses_are_refused(address):
    with pytest.raises(CameraError) as caught:
        parse_address(address)
    assert caught.value.code == "camera_address_invalid"


def test_files_folders_and_nothing(tmp_path):
    file = tmp_path / "a.mp4"
    file.touch()
    assert parse_address(str(file))[:2] == ("file", str(file))
    assert parse_address(str(tmp_path))[0] == "images"
    with pytest.raises(CameraError) as caught:
        parse_address(str(tmp_path / "absent"))
    assert caught.value.code == "camera_not_found"


def test_settings_win_over_the_address(tmp_path):
    path = tmp_path / "pw"
    path.write_text("from file\nsecond line\n")
    settings = CameraSettings(id="a", url="rtsp://u:p@h/x", username="ops", password_file=path)
    made = SourceSpec.from_settings(settings)
    assert (made.username, made.password, made.url) == ("ops", "from file", "rtsp://h/x")
    plain = SourceSpec.from_settings(CameraSettings(id="a", url="rtsp://u:p@h/x", ca_file=path))
    assert (plain.username, plain.password, plain.ca_file) == ("u", "p", str(path))


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_unusable_password_files(tmp_path, content):
    path = tmp_path / "pw"
    path.write_bytes(content)
    with pytest.raises(CameraError) as caught:
        SourceSpec.from_settings(CameraSettings(id="a", url="rtsp://h/x", password_file=path))
    assert caught.value.code == "camera_password_unreadable"


@given(secrets, secrets)
def test_credentials_go_into_the_url_and_come_out_again(user, password):
    parts = urlsplit(spec(username=user, password=password).secret_url())
    assert (unquote(parts.username or ""), unquote(parts.password or "")) == (user, password)
    assert (parts.hostname, parts.port, parts.path) == ("10.0.0.7", 554, "/s")


def test_without_a_user_the_address_stays_bare():
    assert spec(password="x").secret_url() == "rtsp://10.0.0.7:554/s"


@given(secrets, secrets, st.text(max_size=20))
def test_nothing_secret_survives_redaction(user, password, noise):
    made = spec(username=user, password=password)
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    dirty = " ".join(
        (
            noise,
            made.secret_url(),
            password,
            quote(password),
            quote_plus(password),
            pair,
            repr(password),
            quote(password, safe="").lower(),
        )
    )
    clean = redact(dirty, made)
    marks = set("*")
    for secret in (password, quote(password, safe=""), pair):
        if not set(secret) <= marks and secret not in "rtsp://10.0.0.7:554/s" and secret not in noise:
            assert secret not in clean
    assert password not in repr(made) or password in repr(spec())


def test_redaction_knows_urls_and_digests_without_a_spec():
    text = 'Error opening rtsp://root:hunter2@cam/x and rtsps://a:b@c@d/ response="deadbeef" username="root"'
    clean = redact(text)
    for secret in ("hunter2", "root", "deadbeef", "b@c"):
        assert secret not in clean
    assert redact("rtsp://cam/x is down") == "rtsp://cam/x is down"


def test_order_survives_its_pipe_and_does_not_print_secrets():
    order = Order(spec(username="u", password="hunter2"), 3, 4, 5, 6)
    assert Order.from_json(order.to_json()) == order
    assert "hunter2" not in repr(order)
