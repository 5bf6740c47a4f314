"""What doctor says of ``[anchoring]``: each way in which heads do not leave the box, and the one in which they do."""

from __future__ import annotations

import os
import socket
import time

import pytest

from lfr_edge.audit.note import WITNESS_KEY, MemorySigner
from lfr_edge.clock import SystemClock
from lfr_edge.settings import Settings
from lfr_edge.setup.outside import examine_anchoring

KEY = MemorySigner("force.example/witness", b"w" * 32, WITNESS_KEY).verifier.text


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def findings(tmp_path, **anchoring):
    settings = Settings.model_validate({"audit": tmp_path / "audit", "anchoring": anchoring})
    return {finding.check: finding for finding in examine_anchoring(settings, SystemClock())}


def test_nobody_outside(tmp_path):
    found = findings(tmp_path)
    assert found["anchoring"].state == "warn"
    assert "anchor sheet" in found["anchoring"].do


def test_a_witness_that_answers(tmp_path, listener):
    (tmp_path / "force.vkey").write_text(KEY + "\n")
    url = f"http://127.0.0.1:{listener}"
    found = findings(tmp_path, witness_url=url, witness_key=tmp_path / "force.vkey", stamp_url=f"{url}/tsa")
    assert {check: finding.state for check, finding in found.items()} == {
        "witness key": "ok", "witness": "ok", "time stamps": "ok", "last anchor": "warn"}  # fmt: skip
    assert found["witness key"].text == "force.example/witness"
    assert found["last anchor"].text == "none yet"


def test_a_key_that_is_none_and_an_address_where_nobody_is(tmp_path, listener):
    (tmp_path / "force.vkey").write_text("no key\n")
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    found = findings(tmp_path, witness_url=f"http://127.0.0.1:{port}", witness_key=tmp_path / "force.vkey")
    assert found["witness key"].state == "fail"
    assert found["witness"].state == "warn"
    assert "does not answer" in found["witness"].text
    missing = findings(tmp_path, witness_url=f"http://127.0.0.1:{port}", witness_key=tmp_path / "none.vkey")
    assert missing["witness key"].state == "fail"


@pytest.mark.parametrize(
    ("age_s", "state", "text"), [(600, "ok", "hours ago"), (40 * 86_400, "warn", "40.0 days ago")]
)
def test_the_age_of_the_last_anchor(tmp_path, listener, age_s, state, text):
    anchors = tmp_path / "audit/2026-11-22-1/anchors"
    anchors.mkdir(parents=True)
    (anchors.parent / "entries.lfr").touch()
    (anchors / "force.note").touch()
    then = time.time() - age_s
    os.utime(anchors / "force.note", (then, then))
    found = findings(tmp_path, stamp_url=f"http://127.0.0.1:{listener}")
    assert (found["last anchor"].state, text in found["last anchor"].text) == (state, True)
