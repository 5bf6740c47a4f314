"""Where pictures come from."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from lfr_edge.settings.section import Identifier, Seconds, Section


class CameraSettings(Section):
    """One camera, or a recorded file or folder that stands in for one."""

    id: Identifier = Field(title="Camera", description="Short name used in logs, on pages and in the record.")
    url: str = Field(
        title="Address",
        description="rtsp://, rtsps://, a video file or a folder of images. Put no password here.",
    )
    username: str | None = Field(None, title="User name", description="For Digest or Basic authentication.")
    password_file: Path | None = Field(
        None, title="Password file", description="File whose first line is the camera's password."
    )
    transport: Literal["tcp", "udp"] = Field("tcp", title="Transport", description="RTP transport.")
    ca_file: Path | None = Field(
        None, title="CA file", description="Certificates that may sign an rtsps camera's certificate (PEM)."
    )
    realtime: bool = Field(
        True,
        title="Real-time pace",
        description="Files and folders only: play at recorded pace, not at full speed.",
    )
    loop: bool = Field(False, title="Loop", description="Files and folders only: start again at the end.")
    open_timeout_s: Seconds = Field(
        5.0, title="Open timeout", description="Seconds to wait for the first answer."
    )
    read_timeout_s: Seconds = Field(
        3.0, title="Read timeout", description="Seconds without data that end a stream."
    )
    stall_s: Seconds = Field(
        3.0,
        title="Frame-age deadline",
        description="Seconds without a new frame after which the reader is replaced.",
    )
    grace_s: Seconds = Field(
        90.0,
        title="Start-up grace",
        description="Seconds a rebooting camera is given before it counts as failed.",
    )
    max_frame_age_s: Seconds = Field(
        2.0, title="Oldest frame", description="A frame older than this many seconds is never matched."
    )
    decoder: Literal["software", "nvdec"] = Field(
        "software",
        title="Video decoder",
        description="'nvdec' decodes on an NVIDIA card, whose driver a hostile stream then reaches; without a card the"
        " processor does it, and the codec shown says so.",
    )
    detector_side: int = Field(
        1280,
        ge=320,
        le=3840,
        multiple_of=32,
        title="Detector size",
        description="Longest side in pixels of the picture the detector sees. Faces under about 50 px need 1280.",
    )
