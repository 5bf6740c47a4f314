"""``deploy/audit-packages``: ask pip-audit about the locked packages, date the answer, and try whether it can see.

pip-audit ends with 0 and "No known vulnerabilities found" where its database knew none of the packages, as behind a
mirror that hands out wheels only. So a package with faults that are known for years is asked about in the same run: an
answer that finds none of them is worth nothing, and says so.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from lfr_install import known_faults
from lfr_install.faults import InstallError

PROJECT: Final = Path(__file__).resolve().parents[3]
CONTROL: Final = "jinja2==2.4.1"  # CVE-2014-1402, CVE-2016-10745, CVE-2019-10906 and more
_FOUND: Final = 1  # pip-audit's exit status where it knows a fault
_EPILOG: Final = """\
  deploy/audit-packages --out audit.json
  deploy/make-bundle --key release.key --audit-report audit.json

Exit status: 0 asked, and nothing known; 1 faults are known, or the database could not be asked. The file is written in
both cases, and a bundle carries it: the box shows its date and what it says.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    try:
        record = ask(shlex.split(args.pip_audit) or _program(), args.profile)
        args.out.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    except InstallError as error:
        print(f"audit-packages: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"audit-packages: audit_disk: {error}\n  name another file with --out", file=sys.stderr)
        return 1
    told = known_faults.read(args.out.read_bytes())
    print("\n".join(told.sentences(datetime.now(UTC).date())))
    return 1 if told.blind or told.faults else 0


def ask(program: Sequence[str], profile: str) -> dict[str, Any]:
    """The record of one question, with its control. Raises InstallError ``audit_failed``."""
    lock = PROJECT / "requirements" / f"{profile}.txt"
    report = _report(program, lock, "--require-hashes")
    with tempfile.TemporaryDirectory() as folder:
        control = Path(folder, "control.txt")
        control.write_text(f"{CONTROL}\n")
        seen = _report(program, control, "--no-deps")
    found = sum(len(entry.get("vulns", ())) for entry in seen["dependencies"])
    return {
        "format": known_faults.FORMAT,
        "made": datetime.now(UTC).date().isoformat(),
        "profile": profile,
        "control": {"package": CONTROL, "faults": found},
        "why": ""
        if found
        else f"the database knew no fault of {CONTROL}, which has many: it could not be asked",
        "report": report,
    }


def _report(program: Sequence[str], requirements: Path, option: str) -> dict[str, Any]:
    command = [*program, "-r", str(requirements), "--disable-pip", option, "-f", "json"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        report = json.loads(told.stdout)
        if told.returncode not in (0, _FOUND) or not isinstance(report.get("dependencies"), list):
            raise ValueError(f"it ended with {told.returncode}")
    except (OSError, ValueError, AttributeError, subprocess.TimeoutExpired) as error:
        raise InstallError(
            "audit_failed",
            f"{shlex.join(program)} gave no report: {error}",
            hint="is there a network? without one: deploy/make-bundle --no-audit-report WHY",
        ) from None
    return dict(report)


def _program() -> list[str]:
    for name, command in (("pip-audit", ["pip-audit"]), ("uv", ["uv", "tool", "run", "pip-audit"])):
        if shutil.which(name):
            return command
    raise InstallError(
        "audit_program_missing", "there is no pip-audit here", hint="pipx install pip-audit, or install uv"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deploy/audit-packages",
        description="Ask pip-audit whether the locked packages have known faults, and date the answer.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--profile", choices=["cpu", "gpu"], default="cpu", help="locked set of packages")
    parser.add_argument("--out", type=Path, required=True, metavar="JSON", help="where the answer goes")
    parser.add_argument(
        "--pip-audit", default="", metavar="COMMAND", help="default: pip-audit, or uv tool run pip-audit"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
