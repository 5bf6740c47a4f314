"""``lfr-edge camera``: look at a camera before relying on it."""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from lfr_edge.capture.probe import ProbeReport, probe_camera
from lfr_edge.capture.source import parse_address, redact
from lfr_edge.clock import SystemClock
from lfr_edge.errors import CameraError
from lfr_edge.settings import CameraSettings, VisionSettings

_EXAMPLES: Final = """examples:
  lfr-edge camera probe rtsp://10.0.0.7/stream1
  lfr-edge camera probe rtsp://10.0.0.7/stream1 --username ops --password-file /etc/lfr/gate.password
  lfr-edge camera probe rtsps://10.0.0.7/stream1 --ca-file /etc/lfr/cameras-ca.pem --json
  lfr-edge camera probe recording.mp4 --seconds 5
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    group = commands.add_parser(
        "camera",
        help="look at a camera",
        description="Look at a camera before relying on it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = group.add_subparsers(dest="action", required=True, metavar="ACTION")
    probe = actions.add_parser(
        "probe",
        help="measure what a camera sends, and what a face in its picture would measure",
        description="Open the camera as a deployment would, and measure what it sends.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    probe.add_argument("url", metavar="URL", help="rtsp://, rtsps://, a video file or a folder of images")
    probe.add_argument("--username", help="for Digest or Basic sign-in")
    probe.add_argument("--password-file", type=Path, help="file whose first line is the password")
    probe.add_argument("--transport", choices=("tcp", "udp"), default="tcp", help="RTP transport (tcp)")
    probe.add_argument(
        "--ca-file", type=Path, help="certificates that may sign an rtsps camera's certificate (PEM)"
    )
    probe.add_argument("--seconds", type=float, default=5.0, metavar="N", help="time to watch (5)")
    probe.add_argument("--json", action="store_true", help="print one JSON object")
    probe.set_defaults(run=run_probe)


def run_probe(arguments: argparse.Namespace) -> int:
    """Print the report.

    Raises:
        CameraError: the camera cannot be opened or read.
    """
    settings = _settings(arguments)
    min_eye_px = VisionSettings().min_eye_px
    report = asyncio.run(
        probe_camera(settings, SystemClock(), seconds=arguments.seconds, min_eye_px=min_eye_px)
    )
    if arguments.json:
        print(json.dumps(asdict(report)))
    else:
        print(_text(report, redact(arguments.url), min_eye_px))
    return 0


def _settings(arguments: argparse.Namespace) -> CameraSettings:
    parse_address(arguments.url)  # its errors say what is wrong with the address
    try:
        return CameraSettings(
            id="probe",
            url=arguments.url,
            username=arguments.username,
            password_file=arguments.password_file,
            transport=arguments.transport,
            ca_file=arguments.ca_file,
        )
    except ValidationError as error:
        fields = "; ".join(str(item["msg"]) for item in error.errors(include_input=False))
        raise CameraError("camera_address_invalid", f"these settings are not valid: {fields}") from None


def _text(report: ProbeReport, url: str, min_eye_px: float) -> str:
    lines = [
        f"{url}",
        f"  codec          {report.codec}",
        f"  picture        {report.width} x {report.height}",
        f"  rate           {report.fps:.1f} pictures a second",
        f"  first picture  {report.first_frame_s:.2f} s after the start",
        f"  latency        {report.latency_ms:.0f} ms median, {report.latency_p95_ms:.0f} ms p95 (captured to taken)",
        f"  jitter         {report.jitter_ms:.1f} ms p95",
    ]
    if report.cores is not None:
        lines.append(f"  decoding       {report.cores:.2f} of a processor")
    if report.decode_errors:
        lines.append(f"  damaged        {report.decode_errors} pictures could not be decoded")
    if report.frozen:
        lines.append("  frozen         the pictures are all the same")
    lines += [f"  not confined   {text}" for text in report.unconfined]
    lines += [
        "",
        f"  A face 16 cm wide, looking into the camera (a probe needs {min_eye_px:g} px between the eyes):",
        "  share of width   scene shown   face      between the eyes",
    ]
    lines += [
        f"  {f'1/{size.share}':<16} {size.view_m:>6.1f} m      {size.face_px:>5.0f} px  {size.eye_px:>5.1f} px  "
        + ("enough" if size.enough else "too small")
        for size in report.faces
    ]
    return "\n".join(lines)
