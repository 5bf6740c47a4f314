"""A start that is refused: a stable code, a hint for a person, and nothing left running or half open."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lfr_edge.errors import LfrError
from lfr_edge.watchlist.keys import new_key, write_key_file
from tests.service.conftest import children, until

pytestmark = [pytest.mark.network, pytest.mark.timeout(90)]


def _other_key(folder: Path) -> str:
    write_key_file(folder / "other.key", new_key())
    return str(folder / "other.key")


REFUSALS = {
    "no camera": (lambda van: {"cameras": []}, "config_no_cameras", 2),
    "no key file named": (lambda van: {"watchlist": {"key_file": None}}, "config_no_watchlist_key", 2),
    "licence": (
        lambda van: {
            "models": {"purpose": "operational"},
            "deployment": {"autostart": False, "destroy_list": True},
        },
        "model_licence_reference_missing",
        1,
    ),
    "no such pack": (lambda van: {"models": {"pack": "absent"}}, "model_pack_missing", 1),
    "no list": (lambda van: {"watchlist": {"path": str(van.folder / "none")}}, "watchlist_missing", 1),
    "another list's key": (
        lambda van: {"watchlist": {"key_file": _other_key(van.folder)}},
        "watchlist_key_wrong",
        1,
    ),
    "key file missing": (
        lambda van: {"watchlist": {"key_file": str(van.folder / "none.key")}},
        "watchlist_key_missing",
        1,
    ),
    "provider": (lambda van: {"models": {"providers": ("cuda",)}}, "vision_provider_missing", 1),
    "certificate": (
        lambda van: {"console": {"tls_certificate": "/dev/null", "tls_key": "/dev/null"}},
        "config_tls",
        2,
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_refused_start_names_the_reason_and_leaves_nothing(van, case) -> None:
    change, code, status = REFUSALS[case]
    service = van.service(**change(van))
    with pytest.raises(LfrError) as caught:
        await service.start()
    assert (caught.value.code, caught.value.exit_code) == (code, status)
    assert caught.value.hint
    assert children() == set()
    await until(lambda: van.server.players("/gate") == 0, what="the camera hears that nobody looks")


async def test_a_port_in_use_is_refused_and_the_next_start_goes_on(van, start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        service = van.service(console={"port": taken.getsockname()[1]})
        with pytest.raises(LfrError) as caught:
            await service.start()
        assert caught.value.code == "config_console_address"
        assert caught.value.hint
        assert children() == set()
    again = await start()  # the refused start has let go of log, store and slots
    assert again.run.session.deployment.resumed
