"""``lfr-edge-install``: verify, approve and install a release on a box without a network."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from lfr_install import approval, known_faults, signing
from lfr_install.container import Bundle, Progress
from lfr_install.disk import sync_folder, sync_tree
from lfr_install.faults import InstallError
from lfr_install.journal import Journal
from lfr_install.manifest import describe
from lfr_install.release import Release, doctor, named
from lfr_install.slots import Slots

ROOT: Final = Path("/opt/lfr-edge")
CONFIG: Final = Path("/etc/lfr-edge/lfr.toml")
_EPILOG: Final = """\
once per box, with keys that two people bring (openssl genpkey -algorithm ed25519 -aes256 -out NAME.key;
openssl pkey -in NAME.key -pubout -out NAME.pub):
  lfr-edge-install enrol --release-key release.pub --installer anna.pub --installer ben.pub
every release:
  lfr-edge-install verify lfr-edge-0.2.0.bundle
  lfr-edge-install approve lfr-edge-0.2.0.bundle --key anna.key --public-key anna.pub      each of two people
  lfr-edge-install install lfr-edge-0.2.0.bundle
  lfr-edge-install status

A release is unpacked beside the one that runs; a link is moved; where `lfr-edge doctor` is not content, the link
is moved back. Exit status: 0 done, 1 refused (nothing changed, or changed back), 2 wrong use.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    try:
        return int(args.run(args))
    except InstallError as error:
        print(f"lfr-edge-install: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        who = isinstance(error, PermissionError)
        hint = (
            "run it as root"
            if who
            else "what runs is whole; make room or mend the disk, then: lfr-edge-install recover"
        )
        print(f"lfr-edge-install: install_disk: {error}\n  {hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\nlfr-edge-install: interrupted\n  lfr-edge-install recover finishes or takes back",
            file=sys.stderr,
        )
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lfr-edge-install",
        description="Verify, approve and install a release of lfr-edge on a box without a network.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--root", type=Path, default=ROOT, metavar="DIR", help=f"where (default: {ROOT})")
    steps = parser.add_subparsers(title="steps", metavar="STEP", required=True)

    enrol = steps.add_parser("enrol", help="once: whose releases, and whose approvals, this box accepts")
    enrol.add_argument(
        "--release-key", type=Path, required=True, metavar="PEM", help="public key of releases"
    )
    enrol.add_argument(
        "--installer", type=Path, action="append", required=True, metavar="PEM", help="public key of a person"
    )
    enrol.set_defaults(run=_enrol)

    check = steps.add_parser("verify", help="check every byte of a bundle; nothing is written")
    check.add_argument("bundle", type=Path)
    check.add_argument("--release-key", type=Path, metavar="PEM", help="instead of the enrolled one")
    check.add_argument("--json", action="store_true", help="print one JSON object")
    check.set_defaults(run=_verify)

    agree = steps.add_parser("approve", help="one person's approval of exactly this release")
    agree.add_argument("bundle", type=Path)
    agree.add_argument("--key", type=Path, required=True, metavar="PEM", help="private key")
    agree.add_argument("--public-key", type=Path, required=True, metavar="PEM")
    agree.set_defaults(run=_approve)

    put = steps.add_parser("install", help="install an approved bundle, or leave everything as it was")
    put.add_argument("bundle", type=Path)
    put.set_defaults(run=_install)

    mend = steps.add_parser("recover", help="after a power cut: finish or take back what was begun")
    mend.set_defaults(run=_recover)

    for step in (put, mend):
        step.add_argument("--config", type=Path, default=CONFIG, metavar="TOML", help=f"default: {CONFIG}")
        step.add_argument(
            "--restart", default="", metavar="COMMAND", help='such as "systemctl restart lfr-edge"'
        )

    tell = steps.add_parser("status", help="what runs, and the journal")
    tell.add_argument("--json", action="store_true", help="print one JSON object")
    tell.set_defaults(run=_status)
    return parser


def _enrol(args: argparse.Namespace) -> int:
    if len({signing.raw_public_key(key) for key in args.installer}) < approval.NEEDED:
        raise InstallError("enrol_two_persons", "two different installers are needed", hint="give two keys")
    ids = {"release": signing.key_id(args.release_key), "installers": _ids(args.installer)}
    trust = args.root / "trust"
    with _locked(args.root):
        if trust.exists():
            raise InstallError(
                "enrol_done_before",
                f"{trust} exists: this box knows its keys",
                hint="compare it with: lfr-edge-install status; to change keys, set the box up anew",
            )
        fresh = args.root / "trust.new"
        shutil.rmtree(fresh, ignore_errors=True)
        (fresh / "installers").mkdir(parents=True)
        shutil.copyfile(args.release_key, fresh / "release.pub")
        for key in args.installer:
            shutil.copyfile(key, fresh / "installers" / f"{signing.key_id(key)}.pub")
        sync_tree(fresh)
        os.replace(fresh, trust)  # noqa: PTH105
        sync_folder(args.root)
        Journal(args.root / "journal.jsonl").write("keys.enrolled", **ids)
    print(f"releases of {ids['release']}, approved by two of {', '.join(ids['installers'])}")
    return 0


def _verify(args: argparse.Namespace) -> int:
    key = args.release_key or _release(args).release_key()
    with Bundle.open(args.bundle, key) as bundle, _bar("checking") as progress:
        faults = known_faults.read(bundle.read(progress=progress, keep=known_faults.MEMBER))
        told = describe(bundle.manifest) | {"members": len(bundle.manifest.members)}
    told["known_faults"] = faults.as_record(_today())
    print(json.dumps(told, indent=2) if args.json else _told(told, faults))
    return 0


def _approve(args: argparse.Namespace) -> int:
    with Bundle.open(args.bundle, _release(args).release_key()) as bundle, _bar("checking") as progress:
        faults = known_faults.read(bundle.read(progress=progress, keep=known_faults.MEMBER))
        print(_told(describe(bundle.manifest), faults))
        out = approval.approve(args.bundle, bundle.manifest, args.key, args.public_key)
    print(f"approved: {out}")
    return 0


def _install(args: argparse.Namespace) -> int:
    if not args.config.exists():
        print(f"{args.config} is not there: the health check looks at the machine alone")
    with _locked(args.root), _bar("unpacking") as progress:
        manifest = _release(args).install(args.bundle, progress)
    verb = "runs" if args.restart else "is in use from the service's next start on"
    print(f"release {named(manifest)} {verb}: {args.root}/current")
    return 0


def _recover(args: argparse.Namespace) -> int:
    # The service's unit asks at every start, also when an installation restarts it: then that one decides.
    try:
        with _locked(args.root):
            print(_release(args).recover())
    except InstallError as error:
        if error.code != "install_busy":
            raise
        print(f"{error.message}, or what it started still does: what runs is left as it is")
    return 0


def _status(args: argparse.Namespace) -> int:
    slots, journal = Slots(args.root), Journal(args.root / "journal.jsonl")
    current, committed = slots.current(), slots.committed()
    faults = _faults_of(slots.folder(current)) if current else None
    told: dict[str, Any] = {
        "current": describe(slots.manifest(current)) if current else None,
        "committed_serial": committed.serial if committed else None,
        "known_faults": faults.as_record(_today()) if faults else None,
        "trusted": {
            "release": _ids([args.root / "trust" / "release.pub"]) if (args.root / "trust").exists() else [],
            "installers": _ids(_release(args).installers()),
        },
        "journal": journal.read(),
    }
    if args.json:
        print(json.dumps(told, indent=2))
        return 0
    print(_told(describe(slots.manifest(current)), faults) if current else "no release is installed")
    if told["trusted"]["release"]:
        print("release key", *told["trusted"]["release"], "· installers", *told["trusted"]["installers"])
    else:
        print("no keys are enrolled: lfr-edge-install enrol --help")
    for line in told["journal"]:
        about = f"{line['version']} (serial {line['serial']})" if "serial" in line else ""
        print(" ".join(filter(None, (line["at"], line["event"], about, line.get("why", "")))))
    return 0


def _release(args: argparse.Namespace) -> Release:
    config = getattr(args, "config", CONFIG)
    return Release(args.root, doctor(config), shlex.split(getattr(args, "restart", "")))


def _ids(keys: Sequence[Path]) -> list[str]:
    return sorted(signing.key_id(key) for key in keys)


def _faults_of(folder: Path) -> known_faults.KnownFaults:
    path = folder / known_faults.MEMBER
    return known_faults.read(path.read_bytes() if path.exists() else b"")


def _today() -> date:
    return datetime.now(UTC).date()


def _told(told: dict[str, Any], faults: known_faults.KnownFaults | None) -> str:
    lines = (
        f"lfr-edge {told['version']}, serial {told['serial']}, {told['profile']}, made {told['created']}",
        f"manifest {told['manifest_sha256']}",
        *(faults.sentences(_today()) if faults else ()),
    )
    return "\n".join(lines)


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """One installer at a time; the lock ends with the process, and with what it set to work on a slot."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InstallError(
                "install_busy", "another lfr-edge-install works here", hint="wait until it has ended"
            ) from None
        yield


@contextmanager
def _bar(what: str) -> Iterator[Progress]:
    """Percent on one line of a terminal; silent where nobody looks."""
    shown = sys.stderr.isatty()

    def progress(done: int, total: int) -> None:
        if shown:
            print(f"\r{what} {100 * done // max(total, 1)} %", end="", file=sys.stderr, flush=True)

    yield progress
    if shown:
        print(file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
