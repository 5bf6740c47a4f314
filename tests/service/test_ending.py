"""An end that the power cuts: it is finished, and nobody is looked for by a list that the record calls destroyed."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys

import pytest

from lfr_edge.audit.verify import verify
from lfr_edge.demo.officers import PROPOSER
from lfr_edge.errors import DeploymentError
from lfr_edge.service.control import Control
from lfr_edge.service.phase import Phase
from lfr_edge.service.view import View
from tests.service.conftest import PASSPHRASE, START_S


async def _end_and_die(van, raw: dict, last: str) -> None:
    command = (sys.executable, "-m", "tests.service.ending_child", json.dumps(raw), last)
    child = await asyncio.create_subprocess_exec(*command)
    try:
        async with asyncio.timeout(2 * START_S):
            assert await child.wait() == -9
    finally:
        child._transport.close()


@pytest.fixture
def own_lists(van):
    """Copies, because the end destroys them."""
    sealed = shutil.copy(van.lists.sought, van.folder / "list.sealed")
    key_file = shutil.copy(van.lists.key_file, van.folder / "list.key")
    return {
        "watchlist": {"path": str(sealed), "key_file": str(key_file)},
        "deployment": {"destroy_list": True},
    }


@pytest.mark.parametrize("last", ["templates", "sealed_list"])
async def test_an_interrupted_end_is_finished_at_the_next_start(van, start, own_lists, last) -> None:
    await _end_and_die(van, van.raw(**own_lists), last)
    started = van.verbs().count("recogniser.started")
    again = await start(**own_lists)
    run = again.run
    assert run.session.deployment.resumed
    assert run.phase is Phase.ENDED
    assert van.verbs().count("recogniser.started") == started, "nobody was looked for again"
    assert van.verbs()[-2:] == ["deployment.closed", "log.closed"]
    assert not any((van.folder / name).exists() for name in ("list.sealed", "list.key"))
    assert (van.folder / f"{run.session.deployment.id}.evidence.key").exists(), (
        "the alert's pictures are kept"
    )
    report = verify(van.log())
    assert report.intact, report
    assert not [found.code for found in report.reservations if found.code.startswith("template")]


async def test_an_interrupted_end_waits_for_the_passphrase_and_nothing_starts_meanwhile(
    van, start, own_lists
) -> None:
    await _end_and_die(van, van.raw(**own_lists), "templates")
    (van.folder / "list.key").unlink()  # the officer has it, and a passphrase
    again = await start(**own_lists)
    assert again.run.phase is Phase.PREPARING
    assert "interrupted" in " ".join(trouble.text for trouble in View(again).status().troubles)
    with pytest.raises(DeploymentError) as caught:
        await again.run.start(PROPOSER)
    assert caught.value.code == "deployment_ending"
    await Control(again).unseal(PASSPHRASE, PROPOSER)
    assert again.run.phase is Phase.ENDED
    assert not (van.folder / "list.sealed").exists()
    assert verify(van.log()).intact
