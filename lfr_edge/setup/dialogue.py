"""The questions at a terminal. Each answer is kept at once: Ctrl-C loses the question that stands open."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from lfr_edge.errors import CameraError, ConfigError, LfrError
from lfr_edge.settings import CameraSettings, Settings
from lfr_edge.setup.finding import Finding
from lfr_edge.setup.onvif import FoundCamera, Stream, find, streams_of
from lfr_edge.setup.people import PEOPLE, accounts_of, missing_roles
from lfr_edge.setup.position import position_of, position_text
from lfr_edge.setup.preparation import (
    CameraAnswer,
    Preparation,
    describe,
    packs_here,
    require_stream,
    warning,
)
from lfr_edge.setup.write import Written

MARK: Final = {"ok": "  ok  ", "warn": " warn ", "fail": " FAIL "}
BACK: Final = "<"
_SYSTEM_DATA: Final = "/var/lib/lfr-edge"


@dataclass(frozen=True, slots=True)
class Voice:
    """How somebody is asked. `ask` and `secret` raise EOFError or KeyboardInterrupt where nobody answers."""

    ask: Callable[[str], str]
    secret: Callable[[str], str]
    say: Callable[[str], None]

    def yes(self, question: str, *, default: bool) -> bool:
        while True:
            answer = self.ask(f"{question} [{'Y/n' if default else 'y/N'}] ").strip().lower()
            if answer in {"", "y", "yes", "n", "no"}:
                return default if not answer else answer.startswith("y")
            self.say("  y for yes, n for no")


class _BackError(Exception):
    """Somebody wants to answer the step before once more."""


class Dialogue:
    """One walk through the steps. A resumed one passes over what is done."""

    def __init__(
        self, preparation: Preparation, voice: Voice, *, interfaces: Sequence[str] | None = None
    ) -> None:
        def ask(question: str) -> str:
            answer = voice.ask(question)
            if answer.strip() == BACK:
                raise _BackError
            return answer

        self._box = preparation
        self._voice = replace(voice, ask=ask)
        self._interfaces = interfaces

    def walk(self) -> None:
        """Everything up to the writing.

        Raises:
            LfrError: what a person must mend elsewhere. EOFError, KeyboardInterrupt: nobody answers; the draft is kept.
        """
        steps = (
            ("site", "Site", self._site),
            ("people", "People", self._people),
            ("cameras", "Cameras", self._cameras),
            ("console", "Console", self._console),
            ("checks", "This machine", self._checks),
            ("benchmark", "How many cameras", self._benchmark),
        )
        at, again = 0, False
        while at < len(steps):
            name, title, step = steps[at]
            heading = f"\n{at + 1} of {len(steps)}  {title}"
            if name in self._box.draft.answers.done and not again:
                self._voice.say(f"{heading}: done before")
                at += 1
                continue
            self._voice.say(heading)
            try:
                step()
            except _BackError:
                at, again = max(0, at - 1), True
                continue
            self._box.draft.finish(name)
            at, again = at + 1, False

    # ── steps ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _site(self) -> None:
        self._field("Name of this van or site", "site")
        default = _SYSTEM_DATA if self._box.path.is_relative_to("/etc") else "var"
        self._field("Folder for alerts, accounts and keys", "data", default=default)
        audit = str(Path(str(self._box.draft.answers.configuration["data"])) / "audit")
        self._field("Folder for the record", "audit", default=audit)
        self._field("Purpose: operational, or evaluation (trials, training)", "models.purpose")
        self._field(
            "Folder of installed networks", "models.store", default=packs_here(str(Path(audit).parent))
        )
        if self._box.settings.models.purpose == "operational":
            self._field("Reference of the licence for operational use, where the pack needs one",
                        "models.licence_reference")  # fmt: skip
        self._field("Where it stands, as authorities will name it", "deployment.place")
        self._position()
        self._field("Force, as the public knows it", "notice.force")
        self._field("Whom the public may ask or complain to", "notice.contact")

    def _position(self) -> None:
        shown = position_text(self._box.settings)
        question = "Its position, degrees north and east, such as 51.50722 -0.12750; empty: later"
        while True:
            typed = self._voice.ask(f"{question}{f' [{shown}]' if shown else ''}: ").strip()
            try:
                if not typed or self._set("deployment", dict(position_of(typed))):
                    return
            except ConfigError as error:
                self._voice.say(f"  {error.message}; {error.hint}")

    def _people(self) -> None:
        self._voice.say(
            "Each person gets a one-time code at the end and chooses a password with it: there is no default one.\n"
            "One person, one account, one role; several names with blanks between. Empty: nobody yet."
        )
        accounts = list(self._box.draft.answers.accounts)
        for role, does in PEOPLE:
            there = [account.name for account in accounts if account.role is role]
            known = f" [{' '.join(there)}]" if there else ""
            while True:
                names = self._voice.ask(f"{role.replace('_', ' ')}: {does}{known} ").lower().split()
                if not names:
                    break
                others = [account for account in accounts if account.role is not role]
                try:
                    fresh = accounts_of(names, role, others)
                except ConfigError as error:
                    self._voice.say(f"  {error.message}")
                    continue
                accounts = [*others, *fresh]
                self._box.draft.keep(accounts=tuple(accounts))
                break
        missing = missing_roles(accounts)
        if missing:
            roles = ", ".join(role.replace("_", " ") for role in missing)
            self._voice.say(f"  Still needed before a deployment: {roles} (lfr-edge accounts add).")

    def _cameras(self) -> None:
        for camera in self._box.cameras():
            self._voice.say(f"  there is {camera.id}: {camera.url}")
        if self._voice.yes("Look for ONVIF cameras on this box's networks?", default=True):
            self._found()
        while True:
            address = self._voice.ask("Address of a camera (rtsp://…), or empty to go on: ").strip()
            if not address:
                break
            try:
                require_stream(address)
            except CameraError as error:
                self._voice.say(f"  {error.message}")
                continue
            username = self._voice.ask("  user name, or empty: ").strip()
            password = self._voice.secret("  password, or empty: ") if username else ""
            self._add(address, username, password)
        if not self._box.settings.cameras:
            self._voice.say("  No camera yet: lfr-edge serve will not start without one.")

    def _found(self) -> None:
        self._voice.say("  listening …")
        cameras = find(self._interfaces)
        if not cameras:
            self._voice.say("  none answered; type addresses by hand")
        for camera in cameras:
            what = f"{camera.name} {camera.model}".strip() or "a camera"
            if not self._voice.yes(f"  {camera.host}: {what}. Use it?", default=True):
                continue
            username = self._voice.ask("    user name on the camera: ").strip()
            password = self._voice.secret("    password: ") if username else ""
            try:
                stream = self._choose(camera, username, password)
            except CameraError as error:
                self._voice.say(f"    {error.message}. {error.hint}")
                continue
            if stream is not None:
                self._add(stream.url, username, password)

    def _choose(self, camera: FoundCamera, username: str, password: str) -> Stream | None:
        streams = asyncio.run(streams_of(camera.service, username, password))
        for number, stream in enumerate(streams, start=1):
            size = f"{stream.width} × {stream.height}" if stream.width else "size unknown"
            self._voice.say(f"    {number}  {stream.name}: {stream.encoding} {size}")
        if not streams:
            self._voice.say("    it names no video stream")
            return None
        while True:
            answer = self._voice.ask("    which one? [1] ").strip() or "1"
            if answer.isdecimal() and 1 <= int(answer) <= len(streams):
                return streams[int(answer) - 1]
            self._voice.say(f"    a number from 1 to {len(streams)}")

    def _add(self, url: str, username: str, password: str) -> None:
        """Name the camera, keep it, look at it."""
        taken = {camera.id for camera in self._box.settings.cameras}
        suggestion = next(name for n in range(1, 100) if (name := f"camera-{n}") not in taken)
        while True:
            name = self._voice.ask(f"  short name for pages and record [{suggestion}] ").strip() or suggestion
            try:
                camera = self._box.add_camera(CameraAnswer(name, url, username, password))
                break
            except ConfigError as error:  # address and password are good: only the name is asked for again
                self._voice.say(f"  {_without_prefix(error)}")
            except CameraError as error:
                self._voice.say(f"  {error.message}")
                return
        if self._box.draft.answers.probe_s:
            self._look(camera)

    def _look(self, camera: CameraSettings) -> None:
        try:
            report = asyncio.run(self._box.probe(camera, seconds=self._box.draft.answers.probe_s))
        except CameraError as error:
            self._voice.say(f"  {error.message} [{error.code}]\n  → {error.hint}")
            if not self._voice.yes("  Keep it all the same?", default=True):
                self._box.remove_camera(camera.id)
            return
        self._voice.say(f"  {describe(report)}")
        if warning(report):
            self._voice.say(f"  {warning(report)}")

    def _console(self) -> None:
        if not self._voice.yes(
            "Shall laptops and phones reach the console over the van's network?", default=False
        ):
            self._voice.say("  The console answers on this machine only (127.0.0.1).")
            return
        self._voice.say("  It needs a certificate: lfr-edge tls init, then lfr-edge tls issue.")
        # One table at once: an address that others reach is refused without its certificate.
        while True:
            console = {
                "host": self._voice.ask("  address to listen on [0.0.0.0] ").strip() or "0.0.0.0",  # noqa: S104 - asked
                "tls_certificate": self._voice.ask("  certificate (cert.pem): ").strip(),
                "tls_key": self._voice.ask("  its key (key.pem): ").strip(),
                "dns_name": self._voice.ask("  DNS name in it, for passkeys, or empty: ").strip(),
            }
            if not (console["tls_certificate"] and console["tls_key"]):
                self._voice.say("  Without one, the console stays on this machine.")
                return
            if self._set("console", {name: value for name, value in console.items() if value}):
                trouble = self._box.certificate_trouble()
                if not trouble:
                    return
                self._voice.say(f"  {trouble}")
                if self._voice.yes("  Keep it all the same, because it is made later?", default=False):
                    return

    def _checks(self) -> None:
        for finding in self._box.checks():
            self._voice.say(finding_text(finding))

    def _benchmark(self) -> None:
        seconds = self._box.draft.answers.benchmark_s
        if not seconds or not self._voice.yes(f"Measure this box? {seconds:g} s", default=True):
            return
        try:
            measured = self._box.measure(seconds)
        except LfrError as error:
            self._voice.say(f"  not measured: {error.message} [{error.code}]\n  → {error.hint}")
            return
        for verdict in measured.verdicts:
            self._voice.say(f"  {verdict.text} (the {verdict.bound_by} would be full)")
        self._voice.say(f"  ({measured.circumstances})")

    # ── fields ────────────────────────────────────────────────────────────────────────────────────────────────

    def _field(self, words: str, path: str, *, default: str = "") -> None:
        """Ask until the settings take the answer; an empty one keeps what is shown."""
        table, _, name = path.rpartition(".")
        given = self._box.draft.answers.configuration
        present = (given.get(table, {}) if table else given).get(name)
        shown = present if present is not None else default or _default(self._box.settings, table, name)
        while True:
            answer = self._voice.ask(f"{words}{f' [{shown}]' if shown else ''}: ").strip()
            value: Any = answer or present or default
            if not value or self._set(table or name, {name: value} if table else value):
                return

    def _set(self, name: str, value: Any) -> bool:
        try:
            self._box.change(**{name: value})
        except ConfigError as error:
            self._voice.say(f"  {_without_prefix(error)}")
            return False
        return True


def _without_prefix(error: ConfigError) -> str:
    return re.sub("^configuration: ", "", error.message)


def finding_text(finding: Finding) -> str:
    line = f"  [{MARK[finding.state]}] {finding.check:<15} {finding.text}"
    return line if finding.state == "ok" or not finding.do else f"{line}\n{'':27}→ {finding.do}"


def written_text(written: Written, settings: Settings) -> str:
    """What lies where now, the codes, and what comes next."""
    lines = ["\nWritten:", *(f"  {file}" for file in written.files)]
    if written.older is not None:
        lines.append(f"  {written.older}  (the configuration before)")
    lines += ["\nThis box's public key, for the auditor:", f"  {written.device}"]
    if written.codes:
        lines.append(
            "\nOne-time codes, shown this once. Each opens the console's page /setup within 24 hours:"
        )
        lines += [
            f"  {code.account:<20} {code.role.replace('_', ' '):<20} {code.code}" for code in written.codes
        ]
    if written.known:
        lines.append(f"\nLeft as they are: {', '.join(written.known)}")
    lines += [
        "\nNext:",
        f"  lfr-edge doctor --config {written.configuration}",
        f"  lfr-edge serve --config {written.configuration}      (or: systemctl enable --now lfr-edge)",
    ]
    if not settings.cameras:
        lines.insert(-1, f"  lfr-edge setup --config {written.configuration}       to add cameras")
    return "\n".join(lines)


def _default(settings: Settings, table: str, name: str) -> str:
    value = getattr(getattr(settings, table) if table else settings, name)
    return "" if value is None else str(value)
