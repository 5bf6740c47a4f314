"""Make the sample logs of the current format: ``python audit_logs/samples/make.py FOLDER``.

Run once per format version, and once when the product records new things, and commit the result; the tests then
verify it for ever. The folder's name says which story is told: ``v1``, or ``v1-people`` with an authority, approvals,
drills and receipts. Time and keys are fixed, so that two runs give the same bytes. The keys are nobody's: they are
the SHA-256 of their names.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Final

from lfr_edge.audit.commitment import commit
from lfr_edge.audit.device import DeviceLog
from lfr_edge.audit.event import Actor, Event
from lfr_edge.audit.keys import deployment_keys, device_keys
from lfr_edge.audit.log import AuditLog, LogOptions
from lfr_edge.audit.note import WITNESS_KEY, MemorySigner, Signature, VerifierKey, parse_signature
from lfr_edge.audit.receipt import code_digest
from lfr_edge.audit.view import LogView
from lfr_edge.audit.witness import WitnessRefusedError, deliver, request_text
from lfr_edge.audit.witness_server import WitnessBook

OPERATOR = Actor("op.reed", "operator", "s-0011")
OFFICER = Actor("do.shaw", "deployment_officer", "s-0012")
AUTHORISING = Actor("ao.lane", "authorising_officer", "s-0013")
SECOND = Actor("op.wren", "operator", "s-0014")
STREET = Actor("eo.marsh", "engagement_officer", "s-0015")
RECEIPT: Final = "K7QM-2XRD-9FTT"  # the code on the paper that the stopped person was given


class SampleClock:
    """A quarter of a second passes with every look."""

    def __init__(self) -> None:
        self._mono = 5_000_000_000

    def monotonic_ns(self) -> int:
        self._mono += 250_000_000
        return self._mono

    def wall_ns(self) -> int:
        return 1_795_334_400_000_000_000 + self._mono


class SampleStore:
    """Keys that are made from their names."""

    def read(self, name: str) -> bytes:
        return sha256(b"lfr-edge sample key " + name.encode()).digest()

    def write(self, name: str, secret: bytes) -> None:
        raise NotImplementedError

    def destroy(self, name: str) -> None:
        pass


class BookWitness:
    """The witness without the network."""

    def __init__(self, book: WitnessBook) -> None:
        self._book = book

    @property
    def key(self) -> VerifierKey:
        return self._book.signer.verifier

    def introduce(self, certificate: object) -> None:
        assert self._book.add_log(str(certificate)).status == 200

    def add_checkpoint(self, old: int, proof: tuple[bytes, ...], checkpoint: object) -> tuple[Signature, ...]:
        answer = self._book.add_checkpoint(request_text(old, proof, checkpoint))  # type: ignore[arg-type]
        if answer.status != 200:
            raise WitnessRefusedError(answer.status)
        return (parse_signature(answer.body.rstrip("\n")),)


def record_deployment(log: AuditLog) -> None:
    """A short, blameless deployment: one alert of each fate, one withdrawal, one approved threshold change."""
    watchlist, digest = log.reference("watchlist-1"), sha256(b"watchlist bundle").hexdigest()
    log.append(Event("deployment.opened", OFFICER, data={"use_case": "crime_hotspot", "cameras": 2}))
    log.append(Event("control.proposed", OFFICER, "change-1", {"kind": "watchlist", "sha256": digest}))
    log.append(Event("control.approved", AUTHORISING, "change-1", {"sha256": digest}))
    data = {"templates": 3, "entries": 3, "change": "change-1", "sha256": digest}
    log.append(Event("watchlist.activated", OFFICER, watchlist, data))
    log.append(Event("threshold.set", OFFICER, data={"threshold_e4": 4200}))
    log.append(Event("recogniser.started", data={"model": "sample"}))
    log.append(Event("camera.connected", ref="gate"))
    for number in range(3):
        ref = log.reference(f"alert-{number}")
        sealed = commit(b"the alert's images", sha256(b"salt %d" % number).digest())
        data = {"camera": "gate", "score_e4": 4300 + 17 * number, "commitment": sealed}
        log.append(Event("alert.raised", ref=ref, data=data))
        if number == 2:
            log.append(Event("alert.suppressed", ref=ref, data={"reason": "cool_down"}))
            continue
        log.append(Event("alert.offered", ref=ref, data={"to": "op.reed"}))
        log.append(Event("alert.looked", OPERATOR, ref, {"look": 1}, "ears and hairline compared"))
        decision = "true_alert" if number else "false_alert"
        log.append(Event("alert.decided", OPERATOR, ref, {"decision": decision}, "clear – good light"))
        counts = {"processed": 40 * number + 40, "erased": 40 * number + 40 - number, "retained": number}
        log.append(Event("ledger.counted", data=counts))
    digest = sha256(b"threshold 4400").hexdigest()
    log.append(Event("control.proposed", OFFICER, "change-2", {"kind": "threshold", "sha256": digest}))
    log.append(Event("control.approved", AUTHORISING, "change-2", {"sha256": digest}))
    data = {"threshold_e4": 4400, "change": "change-2", "sha256": digest}
    log.append(Event("threshold.changed", OFFICER, data=data))
    log.append(Event("watchlist.withdrawn", OFFICER, log.reference("entry-2"), {"templates": 1}, "found"))
    log.append(Event("alert.erased", ref=log.reference("alert-0"), data={"key_destroyed": True}))
    log.append(Event("ledger.counted", data={"processed": 97, "erased": 96, "retained": 1}))
    log.append(Event("recogniser.stopped"))
    log.append(Event("watchlist.destroyed", OFFICER, watchlist, {"templates": 2}))
    log.append(Event("deployment.closed", OFFICER))


def record_people(log: AuditLog) -> None:
    """Authorised, briefed, approved by two, drilled; an engagement with a receipt, a late addition, a cancellation."""
    authority = {
        "sha256": sha256(b"authority").hexdigest(),
        "operation": "Op Sample 1",
        "ends_s": 1_795_370_400,
    }
    log.append(Event("deployment.opened", OFFICER, data={"purpose": "operational", "cameras": ["gate"]}))
    log.append(Event("deployment.authorised", OFFICER, data=authority))
    log.append(Event("briefing.acknowledged", OPERATOR, data={"sha256": authority["sha256"]}))
    data = {"templates": 3, "entries": 3, "categories": {"wanted": 2, "missing": 1}}
    watchlist = log.reference("watchlist-1")
    approved(log, "change-1", "watchlist.activate", Event("watchlist.activated", OFFICER, watchlist, data))
    log.append(Event("threshold.set", OFFICER, data={"threshold_e4": 4200}))
    log.append(Event("deployment.started", OFFICER))
    log.append(Event("recogniser.started", data={"model": "sample"}))
    log.append(Event("camera.connected", ref="gate"))
    drill, unanswered = log.reference("drill-1"), log.reference("drill-2")
    log.append(Event("drill.raised", ref=drill, data={"number": 1, "truth": "same_person", "camera": "gate"}))
    look = {"number": 1, "look": 1, "answer": "same_person", "took_ms": 5200}
    log.append(Event("drill.answered", OPERATOR, drill, look))
    again = {**look, "look": 2, "took_ms": 4100, "result": "referred", "right": True}
    log.append(Event("drill.answered", SECOND, drill, again))
    alert = log.reference("alert-1")
    sealed = commit(b"the alert's images", sha256(b"salt").digest())
    raised = {"number": 2, "camera": "gate", "score_e4": 4311, "threshold_e4": 4200, "commitment": sealed}
    log.append(Event("alert.raised", ref=alert, data=raised))
    log.append(Event("alert.offered", ref=alert, data={"number": 2}))
    for number, actor in ((1, OPERATOR), (2, SECOND)):
        data = {"number": 2, "look": number, "answer": "same_person", "took_ms": 6000, "factors": ["hair"]}
        log.append(Event("alert.looked", actor, alert, data))
    log.append(Event("alert.decided", SECOND, alert, {"number": 2, "looks": 2, "result": "referred"}))
    log.append(Event("alert.engaged", STREET, alert, {"number": 2}))
    outcome = {"number": 2, "outcome": "no_action", "identity": "different_person"}
    log.append(Event("alert.outcome", STREET, alert, outcome))
    log.append(Event("receipt.issued", STREET, alert, {"number": 2, "code_sha256": code_digest(RECEIPT)}))
    added = Event("watchlist.added", OFFICER, log.reference("entry-4"), {"templates": 1})
    approved(log, "change-2", "watchlist.add", added)
    log.append(Event("drill.raised", ref=unanswered, data={"number": 3, "truth": "different_person"}))
    log.append(Event("ledger.counted", data={"processed": 97, "erased": 96, "retained": 1}))
    log.append(Event("deployment.cancelled", AUTHORISING, data=authority, why="the operation has ended"))
    log.append(Event("recogniser.stopped"))
    log.append(Event("watchlist.destroyed", OFFICER, watchlist, {"templates": 4}))
    log.append(Event("alert.erased", ref=alert, data={"key_destroyed": True}))
    report = {"what": "met", "sha256": sha256(b"report").hexdigest(), "deployments": 1}
    log.append(Event("report.made", OFFICER, data=report, why="for the force's web page"))
    log.append(Event("deployment.closed", OFFICER))


def approved(log: AuditLog, name: str, kind: str, event: Event) -> None:
    """Proposed by the officer, approved by somebody else, and done."""
    digest = sha256(f"{kind} {name}".encode()).hexdigest()
    log.append(Event("control.proposed", OFFICER, name, {"kind": kind, "sha256": digest}))
    log.append(Event("control.approved", AUTHORISING, name, {"kind": kind, "sha256": digest}))
    log.append(replace(event, data={**event.data, "change": name, "sha256": digest}))


STORIES: Final = {"v1": record_deployment, "v1-people": record_people}


def make(folder: Path) -> None:
    clock, store = SampleClock(), SampleStore()
    options = LogOptions(
        checkpoint_every=16, ballast_bytes=0, timer=False, source=lambda: "ntp", boot_id=lambda: "sample-boot"
    )
    device = device_keys(store, "sample.example/van-1/device", clock)
    book = WitnessBook(
        folder / "witness",
        MemorySigner("sample.example/witness", store.read("witness"), WITNESS_KEY),
        (device.device,),
        clock,
    )
    witness = BookWitness(book)
    box = folder / "box"
    register = DeviceLog.open(box, "sample.example/van-1/device", device, clock, options=options)
    origin = "sample.example/van-1/2026-11-22-1"
    register.opened(origin, OFFICER)
    log = AuditLog.create(
        box / "2026-11-22-1", origin, deployment_keys(store, device, origin, clock), clock, options=options
    )
    STORIES[folder.name](log)
    deliver(log.folder, log, witness)
    last = log.close(OFFICER)
    deliver(log.folder, LogView.load(log.folder), witness)
    register.closed(origin, last, OFFICER)
    deliver(register.log.folder, register.log, witness)
    register.suspend()
    (folder / "witness.vkey").write_text(witness.key.text + "\n")
    (folder / "device.vkey").write_text(device.device.text + "\n")
    altered = folder / "altered"
    shutil.copytree(box / "2026-11-22-1", altered)
    raw = (altered / "entries.lfr").read_bytes()
    wrong = {"v1": (b"false_alert", b"true__alert"), "v1-people": (b"different_person", b"same______person")}
    (altered / "entries.lfr").write_bytes(raw.replace(*wrong[folder.name]))
    torn = folder / "torn"
    log = AuditLog.create(
        torn, f"{origin}b", deployment_keys(store, device, f"{origin}b", clock), clock, options=options
    )
    log.append(Event("camera.lost", ref="gate"))
    log.suspend()
    (torn / "entries.lfr").write_bytes((torn / "entries.lfr").read_bytes() + b"LFE1\x00\x00")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
