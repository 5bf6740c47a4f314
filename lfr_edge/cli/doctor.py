"""``lfr-edge doctor``: every prerequisite, one line each, and what to do about it."""

from __future__ import annotations

import argparse
import json
import platform
import resource
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lfr_edge.clock import SystemClock
from lfr_edge.errors import LfrError
from lfr_edge.formats import refuse_newer
from lfr_edge.setup.finding import Finding
from lfr_edge.setup.position import position_text
from lfr_edge.setup.storage import cores, examine_storage, space, swap
from lfr_edge.setup.time_source import examine_clock

if TYPE_CHECKING:
    from lfr_edge.settings import Settings

_MARK: Final = {"ok": "  ok  ", "warn": " warn ", "fail": " FAIL "}
_NEEDED_GIB: Final = 4  # networks, a 20,000-person list, eight camera processes at 70 MB each
_ANOTHER_GIB: Final = 0.35  # for each further recogniser: networks and list once more (docs/performance.md)

_EPILOG = """\
examples:
  lfr-edge doctor                       this machine
  lfr-edge doctor --config lfr.toml     this machine and this configuration
  lfr-edge doctor --json                for a script; exit status 1 if anything FAILs
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "doctor",
        help="check every prerequisite and say what to do",
        description="Check every prerequisite of this machine, one line each, and say what to do about it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, help="check this configuration, too")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    findings = list(examine(args.config))
    failed = any(finding.state == "fail" for finding in findings)
    if args.json:
        rows = [{name: getattr(f, name) for name in ("check", "state", "text", "do")} for f in findings]
        print(json.dumps({"ok": not failed, "findings": rows}))
        return int(failed)
    for finding in findings:
        print(f"[{_MARK[finding.state]}] {finding.check:<20} {finding.text}")
        if finding.do and finding.state != "ok":
            print(f"{'':9}{'':<20} → {finding.do}")
    warned = sum(finding.state == "warn" for finding in findings)
    print("not ready" if failed else f"ready, {warned} warnings" if warned else "ready")
    return int(failed)


def examine(config: Path | None) -> Iterator[Finding]:
    """All checks in order; one that breaks is a failed check, not a failed doctor."""
    checks: list[Callable[[], Iterator[Finding]]] = [
        _python, _runtime, _processors, _memory, _confinement, examine_clock,
    ]  # fmt: skip
    if config is None:
        checks.append(lambda: iter((space(Path.cwd()), swap(), cores())))
    else:
        checks.append(lambda: _configuration(config))
    for check in checks:
        try:
            yield from check()
        except LfrError as error:
            yield Finding(error.code, "fail", error.message, error.hint)


def _python() -> Iterator[Finding]:
    text = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    supported = sys.version_info >= (3, 11) and sys.platform == "linux"
    yield Finding("python", "ok" if supported else "fail", text, "Linux and Python 3.11 or newer are needed")


def _runtime() -> Iterator[Finding]:
    found = [name for name in ("onnxruntime", "onnxruntime-gpu") if _installed(name)]
    if len(found) != 1:
        what = (
            "both onnxruntime and onnxruntime-gpu are installed" if found else "no ONNX Runtime is installed"
        )
        yield Finding(
            "onnx runtime", "fail", what, "rm -rf .venv && scripts/setup cpu (or gpu): exactly one set"
        )
        return
    from lfr_edge.vision.sessions import available_providers

    providers = available_providers()
    yield Finding("onnx runtime", "ok", f"{found[0]} {metadata.version(found[0])}: {', '.join(providers)}")
    if found[0] == "onnxruntime-gpu" and "CUDAExecutionProvider" not in providers:
        yield Finding(
            "cuda", "fail", "the GPU build lists no CUDA provider", "rm -rf .venv && scripts/setup gpu"
        )


def _installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _processors() -> Iterator[Finding]:
    from lfr_edge.vision.threads import available_cpus

    cpus = available_cpus()
    text = f"{cpus} usable (affinity and cgroup quota)"
    yield Finding(
        "processors", "ok" if cpus >= 2 else "warn", text, "two cores are the least for one live camera"
    )


def _memory() -> Iterator[Finding]:
    gib = _available_gib()
    yield Finding(
        "memory",
        "ok" if gib >= _NEEDED_GIB else "warn",
        f"{gib:.1f} GiB available",
        f"{_NEEDED_GIB} GiB are wanted",
    )
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    enough = soft == resource.RLIM_INFINITY or soft >= 64 << 20
    text = "unlimited" if soft == resource.RLIM_INFINITY else f"{soft >> 20} MiB"
    yield Finding(
        "locked memory", "ok" if enough else "warn", f"{text} may be locked",
        "LimitMEMLOCK=256M in the service unit keeps a 20,000-person list out of swap",
    )  # fmt: skip


def _available_gib() -> float:
    facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(facts["MemAvailable"].split()[0]) / 1024**2


def _recognisers(settings: Settings) -> Finding:
    from lfr_edge.recogniser.shares import how_many
    from lfr_edge.vision.threads import available_cpus

    cameras = len(settings.cameras)
    count = how_many(settings.models, cameras, cpus=available_cpus(), list_bytes=0)
    wanted, available = _NEEDED_GIB + (count - 1) * _ANOTHER_GIB, _available_gib()
    who = "1 recogniser looks" if count == 1 else f"{count} recognisers look"
    whom = "1 camera" if cameras == 1 else f"{cameras} cameras"
    return Finding(
        "recognisers",
        "ok" if available >= wanted else "warn",
        f"{who} at {whom}",
        f"{wanted:g} GiB are wanted for them and {available:.1f} available: choose fewer with models.recognisers",
    )


def _confinement() -> Iterator[Finding]:
    from lfr_edge.confinement import survey

    kernel = survey()
    held = [
        f"Landlock ABI {kernel.landlock_abi}" if kernel.landlock_abi else "",
        "seccomp" if kernel.seccomp else "",
    ]
    yield Finding(
        "confinement", "warn" if kernel.missing else "ok",
        ", ".join(filter(None, held)) + (f"; missing: {', '.join(kernel.missing)}" if kernel.missing else ""),
        "a kernel with Landlock (5.13 or newer) and seccomp confines the decoders and the recogniser",
    )  # fmt: skip


def _data_format(data: Path) -> Finding:
    """Raises ConfigError ``format_newer``, ``format_unreadable``."""
    from lfr_edge.service.migration import format_of, newest

    found = format_of(data)
    refuse_newer(found, newest(), data)
    text = f"{found}" if found == newest() else f"{found}, brought to {newest()} at the next start"
    return Finding("data format", "ok", text)


def _configuration(path: Path) -> Iterator[Finding]:
    from lfr_edge.models.licence import require_permission
    from lfr_edge.models.store import ModelStore
    from lfr_edge.settings import load_settings
    from lfr_edge.setup.certificate import examine_certificate
    from lfr_edge.setup.outside import examine_anchoring

    settings = load_settings(path)
    yield Finding(
        "configuration", "ok" if settings.cameras else "warn", f"{path}: {len(settings.cameras)} cameras",
        "serve does not start without a camera: lfr-edge setup adds one",
    )  # fmt: skip
    if settings.cameras:
        yield _recognisers(settings)
    if settings.models.purpose == "operational" and not position_text(settings):
        yield Finding(
            "position", "warn", "the box does not know where it stands",
            "an authority for a place is refused without deployment.latitude and longitude",
        )  # fmt: skip
    yield from examine_certificate(settings.console)
    yield from examine_storage(settings.data)
    yield _data_format(settings.data)
    yield from examine_anchoring(settings, SystemClock())
    pack = ModelStore(settings.models.store).load(settings.models.pack)
    yield Finding("networks", "ok", f"{pack.name} {pack.manifest.version}, verified")
    require_permission(pack, settings.models.purpose, settings.models.licence_reference)
    yield Finding("licence", "ok", f"permits {settings.models.purpose} use")
    if settings.watchlist.path.exists():
        yield Finding("watchlist", "ok", str(settings.watchlist.path))
    else:  # between two deployments there is none, and a release must be installable then
        yield Finding(
            "watchlist",
            "fail" if settings.deployment.autostart else "warn",
            f"{settings.watchlist.path} is missing",
            "before a deployment: on the page Watchlist, or lfr-edge watchlist seal --help",
        )
