"""From a bundle to a running release, or back to the one before."""

from __future__ import annotations

import contextlib
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from lfr_install import approval
from lfr_install.container import Bundle, Progress
from lfr_install.faults import InstallError
from lfr_install.journal import Journal
from lfr_install.manifest import Manifest, describe
from lfr_install.slots import Committed, Slots

PROGRAM: Final = "venv/bin/lfr-edge"
_DOCTOR_S: Final = 300  # it takes seconds; a box that needs minutes for it is not well
_RESTART_S: Final = 180  # a deployment ends in order first: the unit gives it 30 s, and 90 s to start

Health = Callable[[Path], str]
"""Told the slot's folder; returns "" where it is well, otherwise what is wrong."""


class Release:
    """The steps of an installation on one root. Whatever fails, what ran before runs on."""

    def __init__(self, root: Path, health: Health, restart: Sequence[str] = ()) -> None:
        self.root = root
        self.slots = Slots(root)
        self.journal = Journal(root / "journal.jsonl")
        self._health = health
        self._restart = restart

    def install(self, path: Path, progress: Progress | None = None) -> Manifest:
        """Verify, unpack into the spare slot, set up, switch, look whether it is well, commit or return.

        Raises:
            InstallError: with the code of the step that refused.
        """
        self.recover()
        with Bundle.open(path, self.release_key()) as bundle:
            manifest = bundle.manifest
            self._refuse_misfit(manifest)
            approved_by = approval.approvers(path, manifest, self.installers())
            approval.require_two(approved_by)
            self.journal.write("install.begun", approved_by=approved_by, **describe(manifest))
            slot = self.slots.spare()
            try:
                folder = self.slots.clear(slot)
                bundle.read(folder, progress)
                _set_up(folder, manifest)
            except (InstallError, OSError) as error:
                self._abandon(slot, manifest, error)
                raise
        trouble = self._health(folder)  # before the switch: what cannot start never gets its turn
        if trouble:
            raise self._refused(manifest, trouble)
        self.slots.complete(slot, manifest)
        trouble = self._switch(slot) or self._health(folder)
        if trouble:
            raise self._refused(manifest, trouble, taken_back=self._return())
        self.slots.commit(slot)
        self.journal.write("install.committed", slot=slot, **describe(manifest))
        return manifest

    def _abandon(self, slot: str, manifest: Manifest, error: InstallError | OSError) -> None:
        """The reason is what the caller is told. A full disk gets its room back first; and where the line cannot be
        written even so, the next `recover` writes it.
        """
        with contextlib.suppress(OSError, InstallError):
            if isinstance(error, InstallError):
                why = f"{error.code}: {error.message}"
            else:
                why = f"install_disk: {error.strerror}"
                self.slots.clear(slot)
            self.journal.write("install.abandoned", why=why, **describe(manifest))

    def recover(self) -> str:
        """What a cut left between switch and commit: commit it if it is well, otherwise return.

        Run at every boot before the service and before every installation. Returns what was done, in words.
        """
        current, committed = self.slots.current(), self.slots.committed()
        if current is None or (
            committed is not None
            and (committed.slot, committed.serial) == (current, self.slots.manifest(current).serial)
        ):
            return self._close_journal(committed)
        manifest = self.slots.manifest(current)
        trouble = self._health(self.slots.folder(current))
        if not trouble:
            self.slots.commit(current)
            self.journal.write("install.committed", slot=current, recovered=True, **describe(manifest))
            return f"release {named(manifest)} was in use and is well: committed"
        trouble += self._return()
        self.journal.write("install.returned", why=trouble, recovered=True, **describe(manifest))
        return f"release {named(manifest)} was not well ({trouble}): returned to the one before"

    def release_key(self) -> Path:
        key = self.root / "trust" / "release.pub"
        if not key.exists():
            raise InstallError(
                "install_not_enrolled",
                f"{self.root} knows no release key",
                hint="once per box: lfr-edge-install enrol --release-key FILE --installer FILE --installer FILE",
            )
        return key

    def installers(self) -> list[Path]:
        return sorted((self.root / "trust" / "installers").glob("*.pub"))

    def _refuse_misfit(self, manifest: Manifest) -> None:
        committed = self.slots.committed()
        if committed is not None and manifest.serial <= committed.serial:
            raise InstallError(
                "bundle_not_newer",
                f"serial {manifest.serial} is not newer than {committed.serial}, which this box has run",
                hint="an older release may carry faults that are known by now; take the newest one",
            )
        here = f"{sys.version_info[0]}.{sys.version_info[1]}", platform.machine()
        if (manifest.python, manifest.machine) != here:
            raise InstallError(
                "bundle_misfit",
                f"the bundle is for Python {manifest.python} on {manifest.machine}; this is {' on '.join(here)}",
                hint="make the bundle on the same Debian release and processor as the van's box",
            )

    def _close_journal(self, committed: Committed | None) -> str:
        """A cut before the switch, or between an end and its line: the journal says how it ended."""
        last = next(reversed(self.journal.read()), None)
        if last is None or last["event"] != "install.begun":
            return "nothing was left half-done"
        about = {name: value for name, value in last.items() if name not in {"at", "before", "approved_by"}}
        done = committed is not None and committed.serial == last["serial"]
        about["event"] = "install.committed" if done else "install.abandoned"
        self.journal.write(recovered=True, **about)
        how = "was committed" if done else "never got its turn; what ran before it runs on"
        return f"release {last['version']} (serial {last['serial']}) {how}"

    def _switch(self, slot: str | None) -> str:
        """Move the link and restart what uses it; "", or what went wrong with the restart."""
        self.slots.switch(slot)
        if not self._restart:
            return ""
        try:
            told = subprocess.run(self._restart, check=False, timeout=_RESTART_S)
        except subprocess.TimeoutExpired:
            return f"`{shlex.join(self._restart)}` did not end within {_RESTART_S} s"
        except OSError as error:
            return f"`{shlex.join(self._restart)}`: {error.strerror}"
        return f"`{shlex.join(self._restart)}` ended with {told.returncode}" if told.returncode else ""

    def _return(self) -> str:
        """Back to the release before; "", or that it was not restarted."""
        committed = self.slots.committed()
        trouble = self._switch(committed.slot if committed else None)
        return f"; the release before it was not restarted: {trouble}" if trouble and committed else ""

    def _refused(self, manifest: Manifest, trouble: str, *, taken_back: str | None = None) -> InstallError:
        """`taken_back`: what :meth:`_return` said, where it was in use."""
        trouble += taken_back or ""
        try:
            self.journal.write("install.returned", why=trouble, **describe(manifest))
        except InstallError as error:  # the reason comes first; `recover` closes the journal
            trouble += f"; and the journal does not say so yet: {error.message}"
        what = "was not put in use" if taken_back is None else "was in use and is taken back"
        before = "the release before it runs on" if self.slots.committed() else "no release ran before it"
        if taken_back:  # this one may have brought the data folder forward, which an older one refuses
            before = "NOTHING RUNS: see why in the service's log (journalctl -u lfr-edge), and bring a newer bundle"
        return InstallError(
            "install_unwell",
            f"release {named(manifest)} {what}, because it is not well: {trouble}",
            hint=f"{before}; the journal: lfr-edge-install status",
        )


def named(manifest: Manifest) -> str:
    """Two releases may have one version: the serial tells them apart."""
    return f"{manifest.version} (serial {manifest.serial})"


def _set_up(folder: Path, manifest: Manifest) -> None:
    """An environment of the slot's own, from the bundle's wheels and from nothing else.

    Raises:
        InstallError: ``install_venv`` or ``install_wheels``.
    """
    venv = folder / "venv"
    _run([sys.executable, "-m", "venv", str(venv)], "install_venv", "install Debian's package python3-venv")
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps", "--no-cache-dir"]
    wheels = ["--find-links", str(folder / "wheels")]
    hint = "the bundle does not fit this machine; make it again on the same Debian release"
    locked = folder / "requirements" / f"{manifest.profile}.txt"
    _run([*pip, *offline, *wheels, "--require-hashes", "-r", str(locked)], "install_wheels", hint)
    own = [str(path) for path in sorted((folder / "wheels").glob("lfr_edge-*.whl"))]
    _run([*pip, *offline, *own], "install_wheels", hint)
    # --no-deps installs exactly the lock; whether the lock names all that is needed is asked here.
    _run([str(venv / "bin" / "python"), "-m", "pip", "check"], "install_wheels", hint)


def doctor(config: Path) -> Health:
    """The product's own opinion: ``lfr-edge doctor``, with the box's configuration where there is one."""

    def ask(folder: Path) -> str:
        command = [str(folder / PROGRAM), "doctor"]
        if config.exists():
            command += ["--config", str(config)]
        try:
            told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_DOCTOR_S)
        except subprocess.TimeoutExpired:
            return f"doctor gave no answer within {_DOCTOR_S} s"
        except OSError as error:
            return f"doctor cannot be run: {error.strerror}"
        if not told.returncode:
            return ""
        lines = [line.strip() for line in told.stdout.splitlines() if "FAIL" in line]
        return "; ".join(lines) or f"doctor ended with {told.returncode}"

    return ask


def _run(command: Sequence[str], code: str, hint: str) -> None:
    # The lock goes along: where the installer alone is killed, its pip still writes into the slot, and the next
    # installation must not begin there. Nothing else is inherited.
    told = subprocess.run(command, capture_output=True, text=True, check=False, close_fds=False)
    if told.returncode:
        last = (told.stderr or told.stdout).strip().splitlines()[-3:]
        raise InstallError(code, f"{Path(command[0]).name} failed: {' / '.join(last)}", hint=hint)
