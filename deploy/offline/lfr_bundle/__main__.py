"""``deploy/make-bundle``: collect, list, sign."""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import lfr_install
from lfr_install import known_faults, signing
from lfr_install.container import write_bundle
from lfr_install.faults import InstallError
from lfr_install.manifest import Manifest

from lfr_bundle import parts
from lfr_bundle.sbom import sbom

PROJECT: Final = Path(__file__).resolve().parents[3]
_EPILOG: Final = """\
  openssl genpkey -algorithm ed25519 -aes256 -out release.key        once; keep it off this machine
  deploy/audit-packages --out audit.json
  deploy/make-bundle --key release.key --audit-report audit.json --out dist

Out come lfr-edge-VERSION-SERIAL.bundle and lfr-edge-install. Two runs on the same commit and the same report give
the same bytes. The serial is the number of commits, so that it grows with every release.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    try:
        out = make(args)
    except InstallError as error:
        print(f"make-bundle: {error}", file=sys.stderr)
        return 1
    print(f"{parts.digest(out)}  {out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deploy/make-bundle",
        description="Make one signed file from which a box without a network is installed.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--key", type=Path, required=True, metavar="PEM", help="Ed25519 private key of releases"
    )
    parser.add_argument("--out", type=Path, default=PROJECT / "dist", metavar="DIR", help="default: dist")
    parser.add_argument("--profile", choices=["cpu", "gpu"], default="cpu", help="locked set of packages")
    parser.add_argument(
        "--store", type=Path, default=PROJECT / "var/models", metavar="DIR", help="model packs"
    )
    parser.add_argument("--pack", action="append", metavar="NAME", help="pack to carry (default: default)")
    parser.add_argument(
        "--demo-cache",
        type=Path,
        metavar="DIR",
        help="~/.cache/lfr-edge of a machine where `lfr-edge demo` ran once: the demo then runs on the box, too",
    )
    parser.add_argument(
        "--site",
        action="store_true",
        help="carry the documents, readable in a browser from the box or the medium",
    )
    report = parser.add_mutually_exclusive_group(required=True)
    report.add_argument("--audit-report", type=Path, metavar="JSON", help="what deploy/audit-packages wrote")
    report.add_argument("--no-audit-report", metavar="WHY", help="the reason stands in the bundle")
    return parser


def make(args: argparse.Namespace) -> Path:
    """The finished bundle. Raises InstallError."""
    if _git("status", "--porcelain"):
        raise InstallError(
            "make_dirty",
            "the checkout has changes that no commit names",
            hint="commit or remove them: git status; a bundle must be what a commit says",
        )
    signing.sign(b"is this a release key?", args.key)  # what is wrong is said before minutes of work
    answer = _vulnerabilities(args)
    faults = known_faults.read(answer)
    _warn(faults)
    for pack in args.pack or ["default"]:
        parts.require_pack(args.store / pack)
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    epoch, serial = int(_git("log", "-1", "--format=%ct")), int(_git("rev-list", "--count", "HEAD"))
    created = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d")
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _say("downloading the locked wheels …")
        parts.download_wheels(PROJECT, args.profile, folder / "wheels")
        parts.build_wheel(PROJECT, folder / "wheels", epoch)
        for pack in args.pack or ["default"]:
            parts.copy_pack(args.store / pack, folder / "models")
        if args.demo_cache:
            parts.copy_demo_cache(args.demo_cache, folder / "cache" / "lfr-edge")
        if args.site:
            parts.build_site(PROJECT, folder / "site", epoch)
        _copy_files(folder, args.profile)
        (folder / "vulnerabilities.json").write_bytes(answer)
        bill = sbom(folder, parts.members(folder), version=version, created=created)
        (folder / "sbom.cdx.json").write_bytes(bill)
        manifest = Manifest(
            version=version,
            serial=serial,
            created=created,
            profile=args.profile,
            python=f"{sys.version_info[0]}.{sys.version_info[1]}",
            machine=platform.machine(),
            members=parts.members(folder),
        )
        _say("signing …")
        signature = signing.sign(manifest.encode(), args.key)
        out: Path = args.out / f"lfr-edge-{version}-{serial}.bundle"
        write_bundle(out, manifest, {m.name: folder / m.name for m in manifest.members}, signature)
    parts.write_program(Path(lfr_install.__file__).parent, args.out / "lfr-edge-install")
    _warn(faults)
    return out


def _copy_files(folder: Path, profile: str) -> None:
    (folder / "requirements").mkdir()
    shutil.copyfile(PROJECT / f"requirements/{profile}.txt", folder / f"requirements/{profile}.txt")
    for name in _git("ls-files", "deploy", "LICENSE", "CHANGELOG.md").splitlines():
        if name.startswith("deploy/offline/") or name == "deploy/make-bundle":
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, folder / name)


def _vulnerabilities(args: argparse.Namespace) -> bytes:
    """The bundle's member, as it was written: two people who build from one answer get the same bytes."""
    if args.audit_report is None:
        return known_faults.nobody(args.no_audit_report)
    try:
        raw: bytes = args.audit_report.read_bytes()
        record = json.loads(raw)
        if record["format"] != known_faults.FORMAT or known_faults.read(raw).made is None:
            raise ValueError("it is not dated")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InstallError(
            "make_audit_report",
            f"{args.audit_report} is not what deploy/audit-packages writes: {error}",
            hint="deploy/audit-packages --out audit.json; pip-audit alone says neither when nor whether it could see",
        ) from None
    if record["profile"] != args.profile:
        raise InstallError(
            "make_audit_report",
            f"{args.audit_report} is about the {record['profile']} set, the bundle is of the {args.profile} set",
            hint=f"deploy/audit-packages --profile {args.profile} --out audit.json",
        )
    return raw


def _warn(faults: known_faults.KnownFaults) -> None:
    """In a frame where somebody must not overlook it; before the work and once more at its end."""
    said = faults.sentences(datetime.now(UTC).date())
    frame = ["", "!" * 100, *said, "the installer says so on every box", "!" * 100, ""]
    _say("\n".join(frame if faults.blind or faults.faults or len(said) > 1 else said))


def _git(*arguments: str) -> str:
    told = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
    if told.returncode:
        raise InstallError(
            "make_no_commit",
            "this is not a git checkout",
            hint="a bundle is made from a commit, which dates it",
        )
    return told.stdout.strip()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
