"""``lfr-edge setup``: from a bare box to a configuration, by questions, by a page, or by a file of answers."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import sys
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lfr_edge.errors import AccessError, ConfigError, LfrError

if TYPE_CHECKING:
    from lfr_edge.settings import ConsoleSettings
    from lfr_edge.setup.page import PageSetup
    from lfr_edge.setup.preparation import Measured, Preparation
    from lfr_edge.setup.write import Written

_FAREWELL_S: Final = 3.0
_EPILOG: Final = """\
examples:
  lfr-edge setup --config /etc/lfr-edge/lfr.toml --user lfr-edge     questions at this terminal
  lfr-edge setup --config /etc/lfr-edge/lfr.toml --page              questions on a page, with a one-time code
  lfr-edge setup --config lfr.toml --answers van-7.toml --json       no questions: for a force's scripts

Ctrl-C keeps the answers; the same command goes on. Nothing that exists is written over without asking.
A file of answers (passwords lie in files that it names):

  format = "lfr-edge setup 1"
  accounts = [{ name = "miller", role = "deployment_officer" }, { name = "okoro", role = "authorising_officer" }]
  probe_s = 5                        # watch each camera so long; 0: do not
  benchmark_s = 20                   # 0: do not measure
  [configuration]                    # any field of docs/reference/configuration.md
  site = "Van 7"
  data = "/var/lib/lfr-edge"
  audit = "/var/lib/lfr-edge/audit"
  [[configuration.cameras]]
  id = "left"
  url = "rtsp://192.0.2.11/stream1"
  username = "lfr"
  password_file = "/etc/lfr-edge/secrets/left.password"
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "setup",
        help="set this box up: accounts, keys, cameras, checks, a measured verdict",
        description="Set this box up and write its configuration.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config", type=Path, default=Path("lfr.toml"), help="the configuration to write (default: lfr.toml)"
    )
    parser.add_argument(
        "--answers", type=Path, metavar="FILE", help="ask nothing; take the answers from here"
    )
    parser.add_argument("--page", action="store_true", help="ask on a page instead of this terminal")
    parser.add_argument(
        "--replace", action="store_true", help="set another configuration aside without asking"
    )
    parser.add_argument("--user", metavar="NAME", help="of the service: the files will be theirs (as root)")
    parser.add_argument(
        "--interface", action="append", metavar="ADDRESS",
        help="look for cameras from this own address only (default: all networks of the box)",
    )  # fmt: skip
    parser.add_argument(
        "--host", default="127.0.0.1", help="with --page: own address to listen on (127.0.0.1)"
    )
    parser.add_argument("--port", type=int, default=8443, help="with --page: 0 takes a free one (8443)")
    parser.add_argument(
        "--certificate", type=Path, metavar="PEM", help="with --page: needed off the loopback"
    )
    parser.add_argument("--key", type=Path, metavar="PEM", help="with --page: of the certificate")
    parser.add_argument("--json", action="store_true", help="with --answers: print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.answers is not None and args.page:
        raise ConfigError("setup_two_ways", "--answers asks nothing and --page does", hint="give one of them")
    if args.answers is not None:
        return _by_file(args)
    return _by_page(args) if args.page else _by_questions(args)


def _by_questions(args: argparse.Namespace) -> int:
    from lfr_edge.clock import SystemClock
    from lfr_edge.setup.dialogue import BACK, Dialogue, Voice, written_text
    from lfr_edge.setup.preparation import Preparation

    voice = Voice(input, getpass.getpass, print)
    box = Preparation(args.config, SystemClock())
    print(
        f"lfr-edge setup · {box.path}\nEnter keeps what stands in brackets, {BACK} goes back a step.\n"
        "Ctrl-C keeps the answers for later."
    )
    if box.resumed:
        print("Going on with the answers given before.")
    try:
        Dialogue(box, voice, interfaces=args.interface).walk()
        replace = args.replace or _may_replace(box, voice.yes)
        settings = box.settings
        written = box.write(replace=replace, owner=args.user)
    except (KeyboardInterrupt, EOFError):
        print(f"\nThe answers are kept. Go on with: lfr-edge setup --config {args.config}", file=sys.stderr)
        raise
    print(written_text(written, settings))
    return 0


def _may_replace(box: Preparation, yes: Any) -> bool:
    if not box.path.exists():
        return False
    if not yes(f"\n{box.path} exists. Write the new one, and keep it under another name?", default=False):
        raise KeyboardInterrupt
    return True


def _by_file(args: argparse.Namespace) -> int:
    from lfr_edge.clock import SystemClock
    from lfr_edge.setup.answers import read_answers
    from lfr_edge.setup.dialogue import finding_text, written_text
    from lfr_edge.setup.preparation import Preparation

    answers = read_answers(args.answers)
    box = Preparation(args.config, SystemClock())
    box.draft.answers = answers
    say = (lambda _: None) if args.json else print
    findings = list(box.checks())
    for finding in findings:
        say(finding_text(finding))
    cameras = _probed(box, say)
    measured = _measured(box, say)
    written = box.write(replace=args.replace, owner=args.user)
    if args.json:
        print(
            json.dumps(
                _report(written, measured) | {"cameras": cameras, "checks": [asdict(f) for f in findings]}
            )
        )
    else:
        print(written_text(written, answers.settings()))
    blind = any("error" in camera for camera in cameras)
    return int(blind or any(finding.state == "fail" for finding in findings))


def _probed(box: Preparation, say: Any) -> list[dict[str, Any]]:
    """What each camera sends, or why it cannot be seen: a force's script hears of it, the box is written anyway."""
    from lfr_edge.setup.preparation import describe

    seconds = box.draft.answers.probe_s
    rows: list[dict[str, Any]] = []
    for camera in box.cameras() if seconds else ():
        try:
            report = asyncio.run(box.probe(camera, seconds=seconds))
        except LfrError as error:
            rows.append({"id": camera.id, "error": error.code, "message": error.message, "hint": error.hint})
            say(f"  {camera.id}: {error.diagnostics()}")
        else:
            rows.append({"id": camera.id, "codec": report.codec, "width": report.width, "height": report.height,
                         "fps": report.fps, "cores": report.cores, "frozen": report.frozen})  # fmt: skip
            say(f"  {camera.id}: {describe(report)}")
    return rows


def _measured(box: Preparation, say: Any) -> Measured | None:
    seconds = box.draft.answers.benchmark_s
    if not seconds:
        return None
    try:
        measured = box.measure(seconds)
    except LfrError as error:
        say(f"  not measured: {error.diagnostics()}")
        return None
    for verdict in measured.verdicts:
        say(f"  {verdict.text} (the {verdict.bound_by} would be full)")
    say(f"  ({measured.circumstances})")
    return measured


def _report(written: Written, measured: Measured | None) -> dict[str, Any]:
    return {
        "configuration": str(written.configuration),
        "older": str(written.older) if written.older else None,
        "device": written.device,
        "codes": {code.account: code.code for code in written.codes},
        "known": list(written.known),
        "files": [str(file) for file in written.files],
        "benchmark": None
        if measured is None
        else {
            "load": round(measured.load, 2),
            "others": None if measured.others is None else round(measured.others, 3),
            "speeds": [asdict(speed) for speed in measured.speeds],
            "verdicts": [
                {"side": v.side, "cameras": v.cameras, "bound_by": v.bound_by} for v in measured.verdicts
            ],
        },
    }


def _by_page(args: argparse.Namespace) -> int:
    from lfr_edge.clock import SystemClock
    from lfr_edge.logs import install
    from lfr_edge.settings import ConsoleSettings
    from lfr_edge.setup.page import PageSetup
    from lfr_edge.setup.preparation import Preparation

    install()
    box = PageSetup(Preparation(args.config, SystemClock()), owner=args.user, interfaces=args.interface)
    if box.gone():
        raise AccessError(
            "access_first_account_exists",
            "this box already has an account",
            hint="sign in to the console; lfr-edge setup without --page still asks at this terminal",
        )
    try:
        console = ConsoleSettings(
            host=args.host, port=args.port, tls_certificate=args.certificate, tls_key=args.key
        )
    except ValueError:
        raise ConfigError(
            "setup_page_needs_tls",
            f"{args.host} can be reached by others",
            hint="give --certificate and --key",
        ) from None
    return asyncio.run(_serve_page(box, console))


async def _serve_page(box: PageSetup, console: ConsoleSettings) -> int:
    from lfr_edge.clock import SystemClock
    from lfr_edge.console.first_run import Door, build_first_run
    from lfr_edge.service.site import listen

    door = Door(SystemClock(), tls=console.tls_certificate is not None)
    async with AsyncExitStack() as stack:
        listening = await listen(stack, console, lambda _: build_first_run(box, door))
        print(f"setup page  {listening.address}first-run", flush=True)
        print(f"setup code  {door.new_code()}  (once, for one browser, within an hour)", flush=True)
        await door.finished.wait()
        print("The box is set up; the page shows the accounts' codes and is gone.", flush=True)
        await asyncio.sleep(_FAREWELL_S)  # its style sheet may still be on the way
    return 0
