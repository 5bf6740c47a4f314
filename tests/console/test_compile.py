"""A bundle from the upload to the proposal: the real process, networks and signature; and every way it can fail."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import signal
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lfr_edge.audit.disk import make_folder
from lfr_edge.console.compile_job import Teller, compile_list
from lfr_edge.console.compile_order import Order
from lfr_edge.console.compiling import Compiler
from lfr_edge.console.door.accounts import Role
from lfr_edge.console.watchlist import addition_path
from lfr_edge.deployment.control.proposal import Proposal, Stamp
from lfr_edge.errors import AuditError, ModelError, WatchlistError
from lfr_edge.settings import ModelSettings, Settings, WatchlistSettings
from lfr_edge.watchlist.bundle import Label, read_unsigned, write_bundle
from lfr_edge.watchlist.bundle.signature import key_id
from lfr_edge.watchlist.container import SealedWatchlist, seal
from lfr_edge.watchlist.entry import categories
from lfr_edge.watchlist.header import file_digest
from lfr_edge.watchlist.keys import new_key, read_key_file, write_key_file
from tests import waiting
from tests.console.conftest import Person
from tests.fakes.box import ListRecorder, enrol, house
from tests.watchlist.lists import person

ISSUER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = ISSUER.public_key().public_bytes_raw()
HEAD = (
    "reference,category,response,images,image_source,image_taken,date_of_birth,legal_basis,holding_statement,"
    "reason,originating_officer,review_date"
)
ROW = "wanted_by_court,amber,{file},custody,2025-08-14,1988-02-29,Bail Act s7,custody image,warrant,DC 1,2099-12-31"


def png(picture: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", picture)[1])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> bytes:
    """Signed: one person, the same one again, and a picture of nobody."""
    import skimage.data

    folder = tmp_path_factory.mktemp("bundle")
    portrait = np.ascontiguousarray(skimage.data.astronaut()[:, :, ::-1])
    empty = np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8)
    pictures = {"W-1": portrait, "W-2": np.ascontiguousarray(portrait[:, ::-1]), "W-3": empty}
    rows = [HEAD]
    for reference, picture in pictures.items():
        (folder / f"{reference}.png").write_bytes(png(picture))
        rows.append(f"{reference},{ROW.format(file=f'{reference}.png')}")
    (folder / "watchlist.csv").write_text("\n".join(rows) + "\n")
    found = read_unsigned(folder, "evaluation").required()
    label = Label("L-1", "OP-1", "Example Constabulary", "evaluation", datetime.now(UTC))
    write_bundle(folder / "list.zip", found, label, ISSUER)
    return (folder / "list.zip").read_bytes()


def trust(folder: Path) -> None:
    key = {
        "key_id": key_id(PUBLIC), "purpose": "watchlist", "name": "Example Constabulary",
        "public_key": base64.b64encode(PUBLIC).decode(), "enrolled_by": "a", "approved_by": "b",
        "at": "2026-11-22T00:00:00Z", "change": "C-1",
    }  # fmt: skip
    (folder / "trust.json").write_text(json.dumps({"format": "lfr-edge trust 1", "keys": [key]}))


@pytest.fixture
async def box(tmp_path: Path, request):
    """A console whose deployment is being prepared; the pack is real where the test asks for it."""
    models = ModelSettings(purpose="evaluation")
    if "model_store" in request.fixturenames:
        models = ModelSettings(store=request.getfixturevalue("model_store").root, purpose="evaluation")
    (tmp_path / "medium").mkdir()
    write_key_file(tmp_path / "medium" / "list.key", new_key())
    place = WatchlistSettings(path=tmp_path / "watchlist.sealed", key_file=tmp_path / "medium" / "list.key")
    settings = Settings(data=tmp_path / "data", audit=tmp_path / "audit", models=models, watchlist=place)
    (tmp_path / "data").mkdir()
    trust(tmp_path)
    async with house(tmp_path, recorder=ListRecorder(), settings=settings) as running:
        yield running


@pytest.fixture
async def officer(box):
    enrol(box.accounts, "okafor", Role.DEPLOYMENT_OFFICER)
    person = Person(box)
    assert await person.sign_in("okafor") == 303
    yield person
    await person.close()


async def send(person: Person, data: bytes, name: str = "list.zip") -> tuple[int, dict]:
    async with person.post(f"/api/compile?name={name}", data=io.BytesIO(data)) as answer:
        return answer.status, await answer.json()


async def call(person: Person, what: str, **body) -> tuple[int, dict]:
    async with person.post(f"/api/compile/{what}", json=body) as answer:
        return answer.status, await answer.json()


async def ask(person: Person, path: str = "") -> dict:
    async with person.get(f"/api/compile{path}") as answer:
        return await answer.json()


async def until(person: Person, *phases: str) -> dict:
    for _ in range(2000):  # how long a compile takes is the box's affair; only a hang is a fault
        state = await ask(person)
        if state["phase"] in phases:
            return state
        await asyncio.sleep(0.05)
    raise AssertionError(state)


async def compiling() -> int:
    """The process that compiles. A process that has just begun has no command line yet."""

    def found() -> int:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        names = ((int(pid), Path(f"/proc/{pid}/cmdline")) for pid in children)
        return next((pid for pid, name in names if name.exists() and b"compile_job" in name.read_bytes()), 0)

    return await waiting.until(found, what="a process that compiles")


def left(box) -> set[str]:
    folder = box.folder / "data" / "compile"
    return {item.name for item in folder.iterdir()} if folder.exists() else set()


@pytest.mark.network
async def test_from_the_upload_to_the_proposal(box, officer, bundle, model_store):
    status, state = await send(officer, bundle)
    assert (status, state["phase"], state["name"]) == (201, "received", "list.zip")
    assert (await call(officer, "start"))[0] == 200
    state = await until(officer, "done", "refused")
    assert state["phase"] == "done", state
    assert left(box) == {"list.sealed"}, "the bundle that was sent is gone"
    assert state["result"]["verdicts"] == {"warn": 2, "refuse": 1}
    assert state["categories"] == [[categories()["wanted_by_court"].title, 2, 100.0]] or state["categories"][
        0
    ][1:] == [
        2,
        100.0,
    ]
    assert [pair["second"] for pair in state["result"]["resemblance"]["likely_the_same_person"]] == ["W-2"]
    assert state["result"]["facts"]["issuer"] == "Example Constabulary"

    page = await ask(officer, "/entries")
    assert [entry["reference"] for entry in page["entries"]] == ["W-1", "W-2", "W-3"]
    assert page["entries"][0]["look_alikes"][0][0] == "W-2"
    refused = await ask(officer, "/entries?verdict=refuse")
    assert refused["entries"][0]["images"][0]["reasons"] == ["no face was found in the picture"]
    assert (await ask(officer, "/entries?find=w-2&offset=x"))["count"] == 1
    assert (await ask(officer, "/entries?offset=50"))["entries"] == []
    found = await ask(officer, "/forecast?faces_per_hour=2500&hours=6")
    assert found["passages"] == 15_000
    assert "Expected false alerts" in found["text"]
    assert (await ask(officer, "/forecast?faces_per_hour=0&hours=6"))["error"] == "compile_crowd"
    assert (await ask(officer, "/forecast?faces_per_hour=many&hours=6"))["error"] == "compile_crowd"

    # Nobody is left out unawares.
    status, body = await call(officer, "submit")
    assert (status, body["error"]) == (409, "compile_left_out")
    (box.folder / "watchlist.sealed").write_bytes(b"the list of yesterday")
    status, body = await call(officer, "submit", leave_out=True)
    assert (status, body["phase"], body["proposal"]) == (200, "submitted", "C-1")
    assert box.control.said == [("unseal", "okafor"), ("propose watchlist", "")]
    assert left(box) == set()
    key = read_key_file(box.folder / "medium" / "list.key")
    with SealedWatchlist.open(box.folder / "watchlist.sealed", key) as opened:
        assert opened.digest == body["sha256"]
        assert [entry.reference for entry in opened.entries()] == ["W-1", "W-2"]
        assert opened.look_alikes("W-1")[0][0] == "W-2"
    data = [event[3] for event in box.recorder.events if event[0] == "watchlist.compiled"]
    assert [entry["step"] for entry in data] == ["begun", "submitted"]
    assert (data[1]["list_sha256"], data[1]["entries"], data[1]["left_out"]) == (body["sha256"], 2, 1)
    assert box.recorder.verbs("watchlist.imported") == ["watchlist.imported"]
    # Sent once, submitted once.
    assert (await call(officer, "submit", leave_out=True))[1]["error"] == "compile_not_done"


async def test_without_a_key_file_a_passphrase_is_needed(box, officer, bundle):
    (box.folder / "medium" / "list.key").unlink()
    await send(officer, bundle)
    status, body = await call(officer, "start")
    assert (status, body["error"]) == (409, "watchlist_no_credential")
    assert (await call(officer, "start", passphrase="too short"))[0] == 400
    assert (await ask(officer))["phase"] == "received"


BAD = {
    "no archive": b"hello, this is no archive",
    "cut short": lambda good: good[: len(good) // 2],
    "altered": lambda good: good.replace(b"wanted_by_court", b"missing_person!"),
    "another picture": lambda good: good[:200] + bytes([good[200] ^ 1]) + good[201:],
}


class Heard(Teller):
    """What the process would have said."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[dict] = []

    def say(self, kind: str, **fields) -> None:
        self.said.append({"t": kind, **fields})


def order(folder: Path, data: bytes, **changes) -> Order:
    (folder / "bundle.zip").write_bytes(data)
    (folder / "list.sealed").write_bytes(b"the active list")
    return replace(
        Order(
            folder / "bundle.zip", folder / "list.sealed", folder / "models", "default", "evaluation",
            {key_id(PUBLIC): PUBLIC}, {}, None, "correct horse battery", 1000, None, 0.01, None,
        ),
        **changes,
    )  # fmt: skip


@pytest.mark.parametrize("how", BAD)
def test_a_bad_bundle_seals_nothing(tmp_path, bundle, how):
    bad = BAD[how] if isinstance(BAD[how], bytes) else BAD[how](bundle)
    with pytest.raises(WatchlistError):
        compile_list(order(tmp_path, bad), Heard())
    assert (tmp_path / "list.sealed").read_bytes() == b"the active list"
    assert {item.name for item in tmp_path.iterdir()} == {"bundle.zip", "list.sealed"}


def test_a_signature_that_nobody_enrolled(tmp_path, bundle):
    with pytest.raises(WatchlistError, match="key"):
        compile_list(order(tmp_path, bundle, trusted={}), Heard())


def test_a_good_bundle_without_networks(tmp_path, bundle):
    """The control of the two above: this bundle gets as far as the missing pack."""
    heard = Heard()
    with pytest.raises(ModelError):
        compile_list(order(tmp_path, bundle), heard)
    survey = next(said for said in heard.said if said["t"] == "survey")
    assert (survey["entries"], survey["problems"]) == (3, [])


async def test_a_bad_bundle_changes_nothing(box, officer, bundle):
    (box.folder / "watchlist.sealed").write_bytes(b"the active list")
    await send(officer, bundle[: len(bundle) // 2])
    await call(officer, "start")
    state = await until(officer, "done", "refused")
    assert state["phase"] == "refused", state
    assert state["refusal"]["message"]
    assert left(box) == set()
    assert (box.folder / "watchlist.sealed").read_bytes() == b"the active list"
    assert (await call(officer, "submit"))[0] == 409
    assert box.control.said == []


async def test_cancel_ends_the_process_and_erases(box, officer, bundle):
    await send(officer, bundle)
    status, state = await call(officer, "start")
    assert (status, state["phase"]) == (200, "running")
    os.kill(await compiling(), signal.SIGSTOP)  # it is not to be over before it is cancelled
    assert (await call(officer, "start"))[1]["error"] == "compile_busy"
    assert (await send(officer, bundle))[1]["error"] == "compile_busy"
    status, state = await call(officer, "cancel")
    assert (status, state["phase"]) == (200, "empty")
    assert left(box) == set()
    assert (await call(officer, "start"))[1]["error"] == "compile_nothing_received"
    assert (await ask(officer, "/forecast?faces_per_hour=1&hours=1"))["error"] == "compile_not_done"
    assert (await send(officer, bundle))[0] == 201, "the next one is welcome"


async def test_a_killed_process_is_a_refusal(box, officer, bundle):
    await send(officer, bundle)
    await call(officer, "start")
    process = await compiling()
    assert os.getpriority(os.PRIO_PROCESS, process) >= os.getpriority(os.PRIO_PROCESS, 0)
    os.kill(process, signal.SIGKILL)
    state = await until(officer, "refused")
    assert "ended unexpectedly" in state["refusal"]["message"]
    assert left(box) == set()


async def test_what_may_be_sent(box, officer, monkeypatch):
    assert (await send(officer, b""))[1]["error"] == "compile_upload_empty"
    monkeypatch.setattr("lfr_edge.console.compiling.MOST_BYTES", 1000)
    status, body = await send(officer, bytes(1001))
    assert (status, body["error"]) == (409, "compile_upload_large")
    assert left(box) == set()
    monkeypatch.setattr("lfr_edge.console.watchlist.MOST_BYTES", 1000)
    assert (await send(officer, bytes(1001)))[1]["error"] == "compile_upload_large"
    status, state = await send(officer, bytes(1000), name="../../etc/passwd%00")
    assert (status, state["size"]) == (201, 1000)
    assert "/" not in state["name"]
    assert (box.folder / "data" / "compile" / "bundle.zip").stat().st_mode & 0o777 == 0o600


async def test_without_a_record_nothing_is_kept(box, officer, bundle):
    box.recorder.fail_on["watchlist.imported"] = AuditError("audit_write_failed", "no space")
    status, _ = await send(officer, bundle)
    assert status == 503
    assert left(box) == set()
    assert (await ask(officer))["phase"] == "empty"


class Adding:
    """The supervisor's side of an addition: takes it, or refuses it."""

    def __init__(self, refusal: WatchlistError | None = None) -> None:
        self.refusal = refusal
        self.asked: list[tuple[Path, object]] = []

    async def __call__(self, path: Path, credential, actor) -> Proposal:
        assert path.exists()
        self.asked.append((path, credential))
        if self.refusal:
            raise self.refusal
        return Proposal("C-7", "watchlist.add", {}, "11" * 32, (), actor.account, Stamp(0, 0, "boot"))


def compiled(box, compiler: Compiler) -> bytes:
    """A list as if the process had just sealed it."""
    key = read_key_file(box.folder / "medium" / "list.key")
    make_folder(compiler.sealed.parent)
    seal(compiler.sealed, [person(1)], key=key, fingerprint="", dimension=8)
    now = compiler.now
    now.phase, now.sha256 = "done", file_digest(compiler.sealed)
    now.result = {"facts": {"entries": 1}, "shares": {"categories": [], "sources": []}}
    return compiler.sealed.read_bytes()


async def test_while_it_runs_a_list_is_an_addition(box, officer):
    box.control.now = replace(box.control.now, phase="running")
    box.control.add_list = adding = Adding()
    (box.folder / "watchlist.sealed").write_bytes(b"the active list")
    assert (await call(officer, "submit"))[1]["error"] == "compile_not_done"
    data = compiled(box, box.compiler)
    status, body = await call(officer, "submit")
    assert (status, body["phase"], body["proposal"]) == (200, "submitted", "C-7")
    ((path, credential),) = adding.asked
    assert (path, credential) == (addition_path(box.folder / "watchlist.sealed", body["sha256"]), None)
    assert path.read_bytes() == data
    assert (box.folder / "watchlist.sealed").read_bytes() == b"the active list"
    assert box.control.said == []


async def test_an_addition_that_is_refused_is_taken_back(box, officer):
    box.control.now = replace(box.control.now, phase="running")
    box.control.add_list = Adding(
        WatchlistError("watchlist_duplicate_reference", "W-1 is on the list", hint="")
    )
    compiled(box, box.compiler)
    status, body = await call(officer, "submit")
    assert (status, body["error"]) == (409, "watchlist_duplicate_reference")
    assert (await ask(officer))["phase"] == "done"
    assert left(box) == {"list.sealed"}
    assert not list(box.folder.glob("*.added-*"))


async def test_nothing_is_moved_that_could_not_be_opened(box, officer):
    (box.folder / "watchlist.sealed").write_bytes(b"the list of yesterday")
    compiled(box, box.compiler)
    status, body = await call(officer, "submit", passphrase="of another list")
    assert (status, body["error"]) == (409, "watchlist_no_passphrase")
    (box.folder / "medium" / "list.key").unlink()
    write_key_file(box.folder / "medium" / "list.key", new_key())
    assert (await call(officer, "submit"))[1]["error"] == "watchlist_key_wrong"
    assert (box.folder / "watchlist.sealed").read_bytes() == b"the list of yesterday"
    assert box.control.said == []
    box.control.now = replace(box.control.now, phase="ended")
    assert (await call(officer, "submit"))[1]["error"] == "deployment_ended"


async def test_what_a_power_cut_left_is_erased_before_the_next_upload(tmp_path):
    folder = tmp_path / "compile"
    folder.mkdir()
    for name in ("bundle.zip", "list.sealed", ".list.sealed.journal"):
        (folder / name).write_bytes(b"left")

    async def chunks():
        yield b"new"

    compiler = Compiler(folder)
    await compiler.receive("a.zip", chunks())
    assert {item.name: item.read_bytes() for item in folder.iterdir()} == {"bundle.zip": b"new"}
    await compiler.close()
    assert list(folder.iterdir()) == []


async def test_a_compiled_list_that_was_changed_on_the_disk(tmp_path):
    compiler = Compiler(tmp_path)
    compiler.now.phase, compiler.now.sha256 = "done", "00" * 32
    from lfr_edge.watchlist.container import seal
    from tests.watchlist.lists import person

    seal(compiler.sealed, [person(1)], key=bytes(32), fingerprint="", dimension=8)
    with pytest.raises(WatchlistError) as caught:
        await compiler.install(tmp_path / "target")
    assert caught.value.code == "watchlist_altered"
    assert not (tmp_path / "target").exists()


def test_an_order_goes_through_a_pipe_whole():
    order = Order(
        Path("a"), Path("b"), Path("c"), "default", "evaluation", {"k": PUBLIC}, {"k": "Name"}, None,
        "passphrase", 10, None, 0.01, 0.5,
    )  # fmt: skip
    assert Order.from_line(order.to_line()) == order
