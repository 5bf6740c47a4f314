"""``lfr-edge status``: how a running box does, in a terminal."""

from __future__ import annotations

import argparse
import json
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lfr_edge.errors import AccessError, ConfigError
from lfr_edge.settings import Settings, load_settings

_EPILOG: Final = """\
examples:
  lfr-edge status --config /etc/lfr-edge/lfr.toml                  until Ctrl-C, once a second
  lfr-edge status --config /etc/lfr-edge/lfr.toml --once           one look; exit status 1 while anything has failed
  lfr-edge status --config /etc/lfr-edge/lfr.toml --once --json    for a script
  lfr-edge status --url https://van-7.lfr.example:8443 --token-file monitor.token --ca ca.pem

It reads what a monitoring system reads (/metrics), with the token of a system whose events hold "status". With
--config, address and token are taken from there: the first such [[integrations.systems]] table.
"""
_TIMEOUT_S: Final = 5.0
_MOST_BYTES: Final = 1 << 20

Labels = tuple[tuple[str, str], ...]
Samples = dict[str, dict[Labels, float]]


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "status",
        help="how a running box does: cameras, alerts, erasure, troubles",
        description="Show how a running box does.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="TOML", help="of the running service")
    parser.add_argument("--url", help="of the console, where there is no --config")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="bearer token")
    parser.add_argument("--ca", type=Path, metavar="PEM", help="the console's authority (lfr-edge tls)")
    parser.add_argument("--once", action="store_true", help="look once")
    parser.add_argument("--json", action="store_true", help="with --once: print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    url, token, ca = _where(args)
    context = _context(url, ca)
    if args.once or not sys.stdout.isatty():
        samples = _scrape(url, token, context)
        if args.json:
            print(json.dumps(_plain(samples), indent=2))
        else:
            Console().print(_view(samples))
        return 1 if samples["lfr_troubles"].get((("health", "failed"),)) else 0
    with Live(_view(_scrape(url, token, context)), auto_refresh=False, screen=True) as live:
        while True:
            time.sleep(1)
            try:
                live.update(_view(_scrape(url, token, context)), refresh=True)
            except AccessError as error:
                live.update(Text(error.diagnostics(), style="bold"), refresh=True)


def _where(args: argparse.Namespace) -> tuple[str, str, Path | None]:
    if args.config is None:
        if not (args.url and args.token_file):
            raise ConfigError(
                "status_nowhere", "neither --config nor --url and --token-file is given", hint="see --help"
            )
        if not args.url.startswith(("https://", "http://")):
            raise ConfigError("status_nowhere", f"{args.url} is no console's address", hint="https://…")
        return args.url.rstrip("/"), _token(args.token_file), args.ca
    settings = load_settings(args.config)
    file = args.token_file or _token_file(settings)
    console = settings.console
    if console.port == 0:
        raise ConfigError(
            "status_nowhere", "console.port = 0 takes another port at each start",
            hint="give --url, as serve printed it, and --token-file instead of --config",
        )  # fmt: skip
    scheme = "https" if console.tls_certificate else "http"
    name = console.dns_name or console.host
    return f"{scheme}://{name}:{console.port}", _token(file), args.ca


def _token_file(settings: Settings) -> Path:
    for system in settings.integrations.systems:
        if "status" in system.events:
            return system.token_file
    raise ConfigError(
        "status_no_system",
        "no system in the configuration may read the status",
        hint='[[integrations.systems]] with id = "monitor", token_file, events = ["status"]',
    )


def _token(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("status_token", f"{file}: {error}", hint="run as a user who may read it") from None


def _context(url: str, ca: Path | None) -> ssl.SSLContext | None:
    if not url.startswith("https:"):
        return None
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise ConfigError("status_ca", f"{ca}: {error}", hint="PEM of lfr-edge tls init") from None


def _scrape(url: str, token: str, context: ssl.SSLContext | None) -> Samples:
    """Raises AccessError ``status_unreachable`` or ``status_refused``."""
    from prometheus_client.parser import text_string_to_metric_families

    headers = {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{url}/metrics", headers=headers)  # noqa: S310 - http or https: _where
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=context) as answer:  # noqa: S310
            text = answer.read(_MOST_BYTES).decode()
    except urllib.error.HTTPError as error:
        raise AccessError(
            "status_refused", f"{url} answers {error.code}", hint="is the token one with events = ['status']?"
        ) from None
    except OSError as error:
        raise AccessError(
            "status_unreachable", f"{url}: {error}", hint="does lfr-edge serve run there?"
        ) from None
    samples: Samples = defaultdict(dict)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples[sample.name][tuple(sorted(sample.labels.items()))] = sample.value
    return samples


def _plain(samples: Samples) -> dict[str, Any]:
    """``{"name": value}`` or ``{"name": {"label=value,…": value}}``."""
    return {
        name: found[()]
        if list(found) == [()]
        else {",".join(f"{key}={value}" for key, value in labels): value for labels, value in found.items()}
        for name, found in samples.items()
    }


def _view(samples: Samples) -> Group:
    return Group(_headline(samples), _cameras(samples), _ledger(samples))


def _headline(samples: Samples) -> Text:
    phase = next((dict(labels)["phase"] for labels, on in samples["lfr_phase"].items() if on), "?")
    recognising = samples["lfr_recognising"].get((), 0) == 1
    line = Text(f"{phase} · ", style="bold")
    line.append(
        "recognising" if recognising else "NOT recognising", style="" if recognising else "bold reverse"
    )
    for health in ("failed", "degraded"):
        count = int(samples["lfr_troubles"].get((("health", health),), 0))
        if count:
            line.append(f" · {count} {health}", style="bold reverse" if health == "failed" else "bold")
    left = samples["lfr_authority_remaining_seconds"].get(())
    if left is not None:
        line.append(f" · authority ends in {int(left) // 3600} h {int(left) % 3600 // 60:02d} min")
    return line


def _cameras(samples: Samples) -> Table:
    table = Table(
        "camera", "state", "fps", "looks/s", "faces/min", "eyes px", "age ms", "dropped", "blind s", box=None
    )
    states = {
        dict(labels)["camera"]: dict(labels)["state"]
        for labels, on in samples["lfr_camera_state"].items()
        if on
    }
    for camera, state in sorted(states.items()):
        at = (("camera", camera),)
        values = (
            _number(samples["lfr_camera_frames_per_second"].get(at)),
            _number(samples["lfr_camera_looks_per_second"].get(at)),
            _number(samples["lfr_camera_faces_per_minute"].get(at)),
            _number(samples["lfr_camera_inter_eye_pixels"].get(at)),
            _number(samples["lfr_camera_frame_age_seconds"].get(at), 1000),
            _number(samples["lfr_camera_dropped_frames_total"].get(at)),
            _number(samples["lfr_camera_blind_seconds_total"].get(at)),
        )
        table.add_row(camera, Text(state, style="" if state == "live" else "bold reverse"), *values)
    return table


def _ledger(samples: Samples) -> Table:
    table = Table(box=None, show_header=False)
    names = ("processed", "erased", "retained")
    counts = [int(samples[f"lfr_templates_{name}_total"].get((), 0)) for name in names]
    exact = "=" if counts[0] == counts[1] + counts[2] else "≠ (stop and call an engineer)"
    table.add_row("templates", f"{counts[0]} processed {exact} {counts[1]} erased + {counts[2]} retained")
    alerts = {dict(labels)["state"]: int(count) for labels, count in samples["lfr_alerts"].items()}
    table.add_row(
        "alerts", " · ".join(f"{count} {state}" for state, count in alerts.items() if count) or "none"
    )
    p95 = samples["lfr_alert_latency_seconds"].get((("quantile", "0.95"),))
    table.add_row(
        "latency", "no alert yet" if p95 is None else f"p95 {p95 * 1000:.0f} ms from frame to alert"
    )
    watts = samples["lfr_power_watts"].get(())
    table.add_row("power", "not measured" if watts is None else f"{watts:.0f} W, processors and cards")
    return table


def _number(value: float | None, scale: float = 1) -> str:
    return "–" if value is None else f"{value * scale:.0f}"
