"""``lfr-edge serve``: run a deployment until it is ended."""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from lfr_edge.logs import STYLES, install

if TYPE_CHECKING:
    from lfr_edge.service import Service
    from lfr_edge.service.notify import Progress

_PATIENCE_S = 10.0  # a recogniser is started anew within seconds; longer without a frame, and systemd may act
_EPILOG = """\
examples:
  lfr-edge serve --config lfr.toml            until Ctrl-C or SIGTERM, which end the deployment in order
  lfr-edge doctor --config lfr.toml           check everything first
  lfr-edge audit verify audit_logs/var        afterwards: what the record says

SIGHUP (systemctl reload) takes a changed configuration over where that is safe: how cameras are reached, the public
notice, the console's certificate. A file that changes anything else is refused whole, with the reason, in the log.
The first start prints a one-time setup code for the first account. There is no default password.
Nobody is looked at before the deployment is started on the console's Deployment page: authority, list, two persons
(models.purpose = "evaluation" with deployment.autostart = true starts by itself). When one deployment has ended, the
next is prepared on the same page.
A second start after a crash or a power cut goes on with the same deployment: no alert is lost.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "serve",
        help="prepare and run deployments",
        description="Open the console and prepare a deployment; people start and end it there.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config", type=Path, required=True, help="the configuration (TOML); see deploy/lfr.toml"
    )
    parser.add_argument(
        "--log", choices=STYLES, default="auto",
        help="lines on the error stream: text, journal (with priorities), json; auto: journal under systemd, else text",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from lfr_edge.settings import load_settings

    settings = load_settings(args.config)
    install(args.log)
    from lfr_edge.service import Service

    return asyncio.run(_serve(Service(settings), args.config))


async def _serve(service: Service, config: Path) -> int:
    from lfr_edge.service.notify import Notifier, feed

    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    notifier = Notifier()
    await service.start()
    _reload_on_hangup(service, config)
    notifier.ready(_state(service))
    alive = asyncio.create_task(feed(notifier, _progress(service)))
    print(_state(service), flush=True)
    print(f"console     {service.address}", flush=True)
    code = service.accounts.first_code()
    if code is not None:
        print(f"setup code  {code}  (once, for the first account)", flush=True)
    await ended.wait()
    notifier.stopping()
    alive.cancel()
    print("ending the deployment …", flush=True)
    await service.stop(why="ended by signal")
    run = service.run
    ending, totals = run.warden.ending, run.warden.totals
    wiped = ending.wiped if ending is not None and ending.wiped is not None else 0
    print(
        f"ended: {totals['processed']} templates processed, {totals['erased']} erased, {totals['retained']} retained; "
        f"{wiped} slots and rows overwritten; log {run.session.log.folder}",
        flush=True,
    )
    return 1 if run.failed.is_set() else 0


def _reload_on_hangup(service: Service, config: Path) -> None:
    """``systemctl reload``, one at a time, in the order in which they were asked for."""
    from lfr_edge.service.reload import reload_and_tell

    tasks: set[asyncio.Task[bool]] = set()

    def begin() -> None:
        task = asyncio.get_running_loop().create_task(reload_and_tell(service, config))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, begin)


def _progress(service: Service) -> Progress:
    """Frames that are looked at, while there is somebody to look at them for."""
    from lfr_edge.service.notify import Progress

    def expected() -> bool:
        run = service.run
        live = any(status.state == "live" for status in run.cameras.statuses)
        return run.phase == "running" and not run.paused and not run.failed.is_set() and live

    def frames() -> int:
        return service.run.warden.totals["frames"]

    return Progress(service.clock, frames, expected, patience_s=_PATIENCE_S)


def _state(service: Service) -> str:
    run = service.run
    if run.resuming:
        return f"deployment {run.session.deployment.id} waits for its list: unseal it on the console"
    if run.phase == "preparing":
        return f"deployment {run.session.deployment.id} is in preparation"
    return (
        f"deployment {run.session.deployment.id} {'goes on' if run.session.deployment.resumed else 'is open'}"
    )
