"""An authority that can sign for its own names only, whoever holds it; and a console that asks laptops who they are."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import pwd
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, web

from lfr_edge.cli.main import main
from lfr_edge.console.door import certificates
from lfr_edge.console.door.certificates import Names, issue, new_authority
from lfr_edge.errors import AccessError
from lfr_edge.service.site import listen
from lfr_edge.settings import ConsoleSettings

NOW = datetime.now(UTC)
NET = ipaddress.ip_network("127.0.0.0/8")


@dataclass(frozen=True)
class Place:
    ca: Path
    box: Path
    laptop: Path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An authority, a console's certificate and a laptop's, made by the commands."""
    monkeypatch.setenv("LFR_EDGE_CA_PASSPHRASE", "correct horse battery")
    place = Place(tmp_path / "ca", tmp_path / "box", tmp_path / "laptop")
    assert main(["tls", "init", str(place.ca), "--dns", "lfr.test", "--network", "127.0.0.0/8"]) == 0
    names = ["--dns", "van-7.lfr.test", "--ip", "127.0.0.1"]
    assert main(["tls", "issue", str(place.ca), str(place.box), *names]) == 0
    assert main(["tls", "issue", str(place.ca), str(place.laptop), "--client", "laptop-3"]) == 0
    return place


def _openssl_accepts(ca: Path, certificate: Path) -> bool:
    command = ["openssl", "verify", "-x509_strict", "-CAfile", str(ca), str(certificate)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_openssl_accepts_what_is_issued(place: Place) -> None:
    assert _openssl_accepts(place.ca / "ca.pem", place.box / "cert.pem")
    assert _openssl_accepts(place.ca / "ca.pem", place.laptop / "cert.pem")
    assert (place.box / "key.pem").stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED" in (place.ca / "ca.key").read_bytes()


@pytest.mark.parametrize(
    "names",
    [
        Names(dns=("van-7.other.test",)),
        Names(dns=("lfr.test.evil.test",)),
        Names(dns=("notlfr.test",)),
        Names(addresses=(ipaddress.ip_address("10.0.0.1"),)),
    ],
)
def test_a_stolen_authority_signs_for_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: Names
) -> None:
    """We refuse; and where a thief removes our refusal, everybody else's TLS refuses."""
    authority = new_authority("t", ["lfr.test"], [NET], NOW)
    with pytest.raises(AccessError) as caught:
        issue(authority, names, 30, NOW)
    assert caught.value.code == "tls_name_not_permitted"

    monkeypatch.setattr(certificates, "_require_permitted", lambda *_: None)
    forged, _ = issue(authority, names, 30, NOW)
    certificates.write_certificate(tmp_path / "ca.pem", authority.certificate)
    certificates.write_certificate(tmp_path / "forged.pem", forged)
    assert not _openssl_accepts(tmp_path / "ca.pem", tmp_path / "forged.pem")


@pytest.mark.parametrize("names", [["lfr.test"], []])
def test_an_authority_for_one_kind_of_name_signs_no_other_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    authority = new_authority("t", names, [] if names else [NET], NOW)
    monkeypatch.setattr(certificates, "_require_permitted", lambda *_: None)
    other = Names(addresses=(ipaddress.ip_address("127.0.0.1"),)) if names else Names(dns=("any.test",))
    forged, _ = issue(authority, other, 30, NOW)
    certificates.write_certificate(tmp_path / "ca.pem", authority.certificate)
    certificates.write_certificate(tmp_path / "forged.pem", forged)
    assert not _openssl_accepts(tmp_path / "ca.pem", tmp_path / "forged.pem")


@pytest.mark.parametrize(
    "name", ["", "*.lfr.test", "LFR.test", "a..b", "-a.test", "a" * 64 + ".test", "lfr.test/x"]
)
def test_what_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(AccessError, match="is not a host name"):
        new_authority("t", [name], [], NOW)


def test_limits() -> None:
    authority = new_authority("t", ["lfr.test"], [], NOW)
    for days in (0, 91):
        with pytest.raises(AccessError) as caught:
            issue(authority, Names(dns=("lfr.test",)), days, NOW)
        assert caught.value.code == "tls_days"
    late = NOW + timedelta(days=certificates.AUTHORITY_DAYS - 3)
    with pytest.raises(AccessError) as caught:
        issue(authority, Names(dns=("lfr.test",)), 30, late)
    assert caught.value.code == "tls_authority_over"
    with pytest.raises(AccessError):
        new_authority("t", [], [], NOW)


def test_renewing_keeps_the_names_and_changes_the_key(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    before = certificates.read_certificate(place.box / "cert.pem")
    for out in (place.box, place.laptop):
        assert main(["tls", "renew", str(place.ca), str(out), "--days", "60"]) == 0
    after = certificates.read_certificate(place.box / "cert.pem")
    assert certificates.names_of(after) == certificates.names_of(before)
    assert after.public_key() != before.public_key()
    assert (
        certificates.names_of(certificates.read_certificate(place.laptop / "cert.pem")).client == "laptop-3"
    )
    assert main(["tls", "show", str(place.box)]) == 0
    assert "van-7.lfr.test" in capsys.readouterr().out
    assert main(["tls", "renew", str(place.ca), str(place.box), "--days", "5"]) == 0
    assert main(["tls", "show", str(place.box)]) == 1, "it ends within ten days"
    assert main(["tls", "show", str(place.ca), "--json"]) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="LOUD SKIP: only root gives files away")
def test_the_service_can_read_its_key_also_after_root_renewed_it(place: Place, tmp_path: Path) -> None:
    out, service = tmp_path / "service", pwd.getpwnam("nobody")
    command = ["tls", "issue", str(place.ca), str(out), "--dns", "van-7.lfr.test", "--user", "nobody"]
    assert main(command) == 0
    before = (out / "key.pem").read_bytes()
    assert main(["tls", "renew", str(place.ca), str(out)]) == 0
    assert (out / "key.pem").read_bytes() != before
    for path in (out, *out.iterdir()):
        assert (path.stat().st_uid, path.stat().st_gid) == (service.pw_uid, service.pw_gid)
    assert (out / "key.pem").stat().st_mode & 0o777 == 0o600


def test_a_user_who_does_not_exist_is_said_before_anything_is_written(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["--dns", "van-7.lfr.test", "--user", "nobody-here"]
    assert main(["tls", "issue", str(place.ca), str(tmp_path / "x"), *names]) == 1
    assert "[tls_owner_unknown]" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_an_authority_is_not_overwritten_and_a_wrong_passphrase_is_said(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tls", "init", str(place.ca), "--dns", "lfr.test"]) == 1
    assert "tls_exists" in capsys.readouterr().err
    monkeypatch.setenv("LFR_EDGE_CA_PASSPHRASE", "another long passphrase")
    assert main(["tls", "renew", str(place.ca), str(place.box)]) == 1
    assert "tls_passphrase_wrong" in capsys.readouterr().err


async def _ask(address: str, place: Place, client: Path | None) -> int:
    context = ssl.create_default_context(cafile=str(place.ca / "ca.pem"))
    if client is not None:
        context.load_cert_chain(client / "cert.pem", client / "key.pem")
    async with ClientSession() as session, session.get(address, ssl=context) as answer:
        return answer.status


async def test_a_console_lets_in_laptops_with_a_certificate_and_nobody_else(
    place: Place, tmp_path: Path
) -> None:
    settings = ConsoleSettings(
        port=0,
        tls_certificate=place.box / "cert.pem",
        tls_key=place.box / "key.pem",
        tls_client_ca=place.ca / "ca.pem",
    )
    build: Callable[[bool], web.Application] = lambda tls: _hello()  # noqa: E731
    async with contextlib.AsyncExitStack() as stack:
        address = (await listen(stack, settings, build)).address
        assert await _ask(address, place, place.laptop) == 200
        with pytest.raises((ClientError, OSError)):
            await _ask(address, place, None)
        port = address.rsplit(":", 1)[1].strip("/")
        for version, welcome in (
            ("-tls1_1", False),
            ("-tls1_2", True),
        ):  # openssl: Python itself warns of 1.1
            command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", version, "-brief"]
            command += ["-cert", str(place.laptop / "cert.pem"), "-key", str(place.laptop / "key.pem")]
            told = await asyncio.create_subprocess_exec(
                *command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            assert (await told.wait() == 0) is welcome, version


def _hello() -> web.Application:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    return app
