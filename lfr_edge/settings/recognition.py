"""How faces are found, embedded and compared, and with whom."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import Field, model_validator

from lfr_edge.settings.section import Fraction, Seconds, Section

MOST_RECOGNISERS: Final = 64


class ModelSettings(Section):
    """Which networks run, and on what."""

    pack: str = Field("default", title="Pack", description="Name of an installed model pack.")
    store: Path = Field(Path("var/models"), title="Store", description="Folder of installed packs.")
    licence_reference: str | None = Field(
        None,
        title="Licence reference",
        description="Reference of the licence that permits operational use, where the pack's own does not.",
    )
    purpose: Literal["operational", "evaluation"] = Field(
        "operational",
        title="Purpose",
        description="'evaluation' covers demonstration, training and tests; 'operational' is a deployment.",
    )
    providers: tuple[Literal["cpu", "cuda", "tensorrt"], ...] = Field(
        ("cpu",),
        min_length=1,
        title="Providers",
        description="ONNX Runtime providers, in order of preference.",
    )
    allow_cpu: bool = Field(
        False,
        title="Allow CPU",
        description="Continue on the CPU when a wanted provider is missing (said loudly).",
    )
    threads: int = Field(
        0,
        ge=0,
        le=256,
        title="Threads",
        description="Inference threads of all recognisers together; 0 takes the cgroup quota.",
    )
    recognisers: int = Field(
        0,
        ge=0,
        le=MOST_RECOGNISERS,
        title="Recognisers",
        description="Sealed processes that share the cameras out, each with the networks and the list to itself. 0: one"
        " for each camera as far as there are threads; with a GPU one.",
    )
    graph: Literal["plain", "pixels", "frames"] = Field(
        "plain",
        title="Work in the graph",
        description="What the networks' graphs do besides: 'pixels' normalises and decodes boxes, 'frames' also colour"
        " and resizing. A GPU gains, a CPU does not. Other than 'plain' needs lfr-edge models build-engines.",
    )
    align_in_graph: bool = Field(
        False,
        title="Alignment in the graph",
        description="Cut all faces of a frame out on the device. For a GPU with many faces a frame.",
    )
    detector_batch: int = Field(
        8,
        ge=1,
        le=32,
        title="Detector batch",
        description="Most frames of several cameras in one run of the detector on a GPU. A CPU takes one by one.",
    )
    device_buffers: bool = Field(
        True,
        title="Buffers on the device",
        description="Keep the graphs' inputs and outputs in the GPU's memory. No effect on a CPU.",
    )
    cuda_graphs: bool = Field(
        False,
        title="CUDA graphs",
        description="Record each shape's launches once and replay them. Needs 'Buffers on the device'.",
    )
    channels_last: bool = Field(
        False,
        title="Channels last",
        description="Let the CUDA provider lay images out as NHWC; with half precision often faster.",
    )

    @model_validator(mode="after")
    def _together(self) -> ModelSettings:
        if self.cuda_graphs and not (self.device_buffers and self.graph != "plain"):
            raise ValueError("cuda_graphs needs device_buffers = true and graph = 'pixels' or 'frames'")
        if self.align_in_graph and self.graph != "frames":
            raise ValueError("align_in_graph needs graph = 'frames'")
        return self


class VisionSettings(Section):
    """What counts as a face worth a probe."""

    min_score: Fraction = Field(0.6, title="Detector score", description="Lowest detector score of a face.")
    min_eye_px: float = Field(
        12.0,
        ge=4,
        le=400,
        title="Inter-eye distance",
        description="Smallest distance between the eyes in pixels for a probe.",
    )
    min_quality: Fraction = Field(0.1, title="Quality", description="Lowest quality of a probe, 0 to 1.")
    embeddings_per_track: int = Field(
        24,
        ge=1,
        le=64,
        title="Embeddings a track",
        description="Most embeddings one passage may cost; the best shots are fused.",
    )
    track_lost_s: Seconds = Field(
        0.6,
        title="Track end",
        description="Seconds without a detection after which a passage ends and is erased.",
    )


class MatchingSettings(Section):
    """When a similarity becomes an alert."""

    threshold: float | None = Field(
        None,
        ge=-1,
        le=1,
        title="Threshold",
        description="Cosine similarity at which an alert is raised. Empty: the pack's calibrated value for this list.",
    )
    calibration: Path | None = Field(
        None,
        title="Calibration",
        description="File of measured thresholds. Empty: the ones that came with this program.",
    )
    target_fpir: float = Field(
        0.01,
        gt=0,
        lt=1,
        title="Target FPIR",
        description="Share of passages of people not listed that may raise an alert; chooses the calibrated threshold.",
    )
    agreement: int = Field(
        2, ge=1, le=20, title="Agreement", description="Looks of one passage that must agree before an alert."
    )
    margin: float = Field(
        0.0,
        ge=0,
        le=1,
        title="Margin",
        description="Least lead of the best entry over the runner-up (cosine).",
    )
    drift_baseline: Path | None = Field(
        None,
        title="Drift baseline",
        description="File of what each camera usually sees. Empty: the first 1,000 passages of each deployment.",
    )
    cooldown_s: Seconds = Field(
        60.0,
        title="Cool-down",
        description="Seconds in which one person raises at most one alert per camera.",
    )


class WatchlistSettings(Section):
    path: Path = Field(
        Path("var/watchlist.sealed"),
        title="Sealed list",
        description="The encrypted watchlist of this deployment.",
    )
    key_file: Path | None = Field(
        None,
        title="Key file",
        description="File with the list's key on a medium that the deployment officer takes away.",
    )
