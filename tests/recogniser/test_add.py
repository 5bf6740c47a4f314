"""An entry put on the running list: found with the next probe, in the loop and in the sealed process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist.container import Enrolled, SealedWatchlist, seal
from lfr_edge.watchlist.entry import CandidateImage, Entry, Response
from tests.recogniser.conftest import Build, frame, picture
from tests.recogniser.test_process import Desk, desk  # noqa: F401 - a fixture

pytestmark = [pytest.mark.network, pytest.mark.timeout(120)]


def addition(folder: Path, fingerprint: str, templates: np.ndarray, *references: str) -> tuple[bytes, bytes]:
    entries = [
        Entry(name, "missing_person", Response.AMBER, (CandidateImage("a.png"),)) for name in references
    ]
    people = [Enrolled(entry, (b"picture",), templates) for entry in entries]
    seal(folder / "addition", people, key=bytes(32), fingerprint=fingerprint, dimension=templates.shape[1])
    with SealedWatchlist.open(folder / "addition", bytes(32)) as opened:
        return opened.template_part(), opened.template_key()


def test_the_next_probe_finds_an_added_entry(build: Build, portrait, sought, vision, tmp_path) -> None:
    recogniser = build(listed=False)
    seen = [frame(picture(portrait, (20 + 6 * n, 100)), n) for n in range(40)]
    assert not [hit for one in seen[:20] for hit in recogniser.step([one])]
    part, key = addition(tmp_path, vision.fingerprint, sought, "SOUGHT-2")
    added = recogniser.add(part, key)
    assert (added.references, added.templates, added.look_alikes) == (("SOUGHT-2",), 1, ())
    hits = [hit for one in seen[20:] for hit in recogniser.step([one])]
    assert [hit.reference for hit in hits] == ["SOUGHT-2"]
    with pytest.raises(WatchlistError) as caught:
        recogniser.add(part, key)
    assert caught.value.code == "watchlist_duplicate_reference"


async def test_in_the_sealed_process(desk: Desk, portrait, sought, default_pack, tmp_path) -> None:  # noqa: F811
    """The list grows inside the process that can open no file: the answer says whom the new entry resembles."""
    await desk.start()
    assert (await desk.handle.request("withdraw", {"reference": "SOUGHT-1"})).body["found"]
    invented = np.random.default_rng(3).standard_normal((300, sought.shape[1])).astype(np.float32)
    invented /= np.linalg.norm(invented, axis=1, keepdims=True)
    many = addition(tmp_path, default_pack.fingerprint, invented, "INVENTED-1")
    assert (await desk.handle.request("add", parts=many)).body["templates"] == 300
    part, key = addition(tmp_path, default_pack.fingerprint, sought, "SOUGHT-2")
    answer = (await desk.handle.request("add", parts=(part, key))).body
    assert answer["references"] == ["SOUGHT-2"]
    assert answer["look_alikes"] == []
    again = (await desk.handle.request("add", parts=(part, key))).body
    assert again["code"] == "watchlist_duplicate_reference"
    twin = (
        await desk.handle.request("add", parts=addition(tmp_path, default_pack.fingerprint, sought, "TWIN"))
    ).body
    assert twin["look_alikes"] == [["TWIN", "SOUGHT-2", 1.0]]
    assert (await desk.handle.request("withdraw", {"reference": "TWIN"})).body["found"]
    broken = (await desk.handle.request("add", parts=(part[:-1], key))).body
    assert broken["code"] in {"watchlist_altered", "watchlist_duplicate_reference"}
    await desk.show_walk(portrait, seconds=20, until="alert")
    assert [alert.body["reference"] for alert in desk.alerts()] == ["SOUGHT-2"]
