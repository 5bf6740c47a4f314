"""What the desk hands the sealed process at its start: checked here, at the border."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from lfr_edge.settings import Identifier, MatchingSettings, ModelSettings, Seconds, VisionSettings


class CameraPlan(BaseModel):
    """One camera as the recogniser knows it: no address, no credentials."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Identifier
    slot_fd: int = Field(ge=3, description="Inherited descriptor of the frame slot.")
    bell_fd: int = Field(ge=3, description="Inherited read end of a pipe: one byte for each new frame.")
    detector_side: int = Field(ge=320, le=3840)
    max_frame_age_s: Seconds


class StartSpec(BaseModel):
    """Body of the ``start`` message; its parts are the sealed templates and the key that opens them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    store: Path
    models: ModelSettings
    vision: VisionSettings
    matching: MatchingSettings
    threshold: float = Field(
        ge=-1, le=1, description="Cosine; what this list and this model were calibrated to."
    )
    cameras: tuple[CameraPlan, ...] = Field(min_length=1)
    remaining_s: float | None = Field(
        None,
        ge=0,
        description="Until the authority's end; the process looks at nobody after it. None: no end.",
    )
    paused: bool = Field(
        False, description="Start without looking: a pause outlives the process it was asked of."
    )
