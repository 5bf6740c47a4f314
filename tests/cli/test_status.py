"""`lfr-edge status` reads a real console over a real socket, and says why where it cannot."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from lfr_edge.cli.main import main
from lfr_edge.settings import IntegrationSettings, Settings, SystemSettings
from tests.fakes.box import ListRecorder, house

TOKEN = "s" * 32


@pytest.fixture
async def url(tmp_path: Path):
    (tmp_path / "token").write_text(TOKEN)
    system = SystemSettings(id="monitor", token_file=tmp_path / "token", events=("status",))
    settings = Settings(
        data=tmp_path / "data", audit=tmp_path / "audit", integrations=IntegrationSettings(systems=(system,))
    )
    async with house(tmp_path, recorder=ListRecorder(), settings=settings) as running:
        yield running.url


async def _status(url: str, tmp_path: Path, *more: str) -> int:
    arguments = ["status", "--url", url, "--token-file", str(tmp_path / "token"), *more]
    return await asyncio.to_thread(main, arguments)


async def test_one_look(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = await _status(url, tmp_path, "--once")
    out = capsys.readouterr().out
    assert code in {0, 1}
    assert "processed = " in out
    assert "fps" in out


async def test_for_a_script(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await _status(url, tmp_path, "--once", "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["lfr_phase"]["phase=running"] == 1
    processed, erased = found["lfr_templates_processed_total"], found["lfr_templates_erased_total"]
    assert processed == erased + found["lfr_templates_retained_total"]


async def test_a_wrong_token_and_a_silent_box_are_said(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text("w" * 32)
    assert await _status(url, tmp_path, "--once") == 1
    assert "status_refused" in capsys.readouterr().err
    assert await _status("http://127.0.0.1:1", tmp_path, "--once") == 1
    assert "status_unreachable" in capsys.readouterr().err


def test_without_an_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--once"]) == 2
    assert "status_nowhere" in capsys.readouterr().err
    (tmp_path / "lfr.toml").write_text("")
    assert main(["status", "--config", str(tmp_path / "lfr.toml"), "--once"]) == 2
    assert "status_no_system" in capsys.readouterr().err


def test_a_port_that_is_another_at_each_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It was asked at port 0, and nobody answers there."""
    (tmp_path / "token").write_text("t" * 32)
    (tmp_path / "token").chmod(0o600)
    config = tmp_path / "lfr.toml"
    config.write_text(
        "[console]\nport = 0\n"
        f'[[integrations.systems]]\nid = "m"\ntoken_file = "{tmp_path}/token"\nevents = ["status"]\n'
    )
    assert main(["status", "--config", str(config), "--once"]) == 2
    assert "give --url" in capsys.readouterr().err
