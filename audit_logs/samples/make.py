"""Make the sample logs of the current format: ``python audit_logs/samples/make.py FOLDER``.

Run once per format version and commit the result; the tests then verify it for ever. Time and keys are fixed, so
that two runs give the same bytes. The keys are nobody's: they are the SHA-256 of their names.
"""

from __future__ import annotations

import shutil
import sys
from hashlib import sha256
from pathlib import Path

from lfr_edge.audit.commitment import commit
from lfr_edge.audit.device import DeviceLog
from lfr_edge.audit.event import Actor, Event
from lfr_edge.audit.keys import deployment_keys, device_keys
from lfr_edge.audit.log import AuditLog, LogOptions
from lfr_edge.audit.note import WITNESS_KEY, MemorySigner, Signature, VerifierKey, parse_signature
from lfr_edge.audit.view import LogView
from lfr_edge.audit.witness import WitnessRefusedError, deliver, request_text
from lfr_edge.audit.witness_server import WitnessBook

OPERATOR = Actor("op.reed", "operator", "s-0011")
OFFICER = Actor("do.shaw", "deployment_officer", "s-0012")
AUTHORISING = Actor("ao.lane", "authorising_officer", "s-0013")


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
    record_deployment(log)
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
    (altered / "entries.lfr").write_bytes(raw.replace(b"false_alert", b"true__alert"))
    torn = folder / "torn"
    log = AuditLog.create(
        torn, f"{origin}b", deployment_keys(store, device, f"{origin}b", clock), clock, options=options
    )
    log.append(Event("camera.lost", ref="gate"))
    log.suspend()
    (torn / "entries.lfr").write_bytes((torn / "entries.lfr").read_bytes() + b"LFE1\x00\x00")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
