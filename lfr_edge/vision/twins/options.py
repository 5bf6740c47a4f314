"""Which fast twins are wanted, and how a device runs them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from lfr_edge.settings import ModelSettings
from lfr_edge.vision.sessions import Provider

ENGINES: Final = ".engines"  # in the store of packs: what was proved and built for this box


@dataclass(frozen=True, slots=True)
class Acceleration:
    """As configured in ``[models]``; the default is the plain path and nothing else."""

    graph: Literal["plain", "pixels", "frames"] = "plain"
    align_in_graph: bool = False
    detector_batch: int = 1  # most frames of several cameras in one run
    device_buffers: bool = True
    cuda_graphs: bool = False
    channels_last: bool = False
    engines: Path | None = None  # folder of what was proved; None: nothing was

    @staticmethod
    def of(settings: ModelSettings, store: Path) -> Acceleration:
        return Acceleration(
            graph=settings.graph,
            align_in_graph=settings.align_in_graph,
            detector_batch=settings.detector_batch,
            device_buffers=settings.device_buffers,
            cuda_graphs=settings.cuda_graphs,
            channels_last=settings.channels_last,
            engines=store / ENGINES,
        )

    def to_json(self) -> dict[str, Any]:
        """Everything that changes what runs on the device."""
        fields = asdict(self)
        del fields["engines"]
        return fields

    def tuning(self, cache: Path | None, *, half: bool) -> dict[Provider, dict[str, str]]:
        """The providers' own options. `cache` is where TensorRT keeps its engines."""
        graphs = "1" if self.cuda_graphs else "0"
        cuda = {
            "cudnn_conv_algo_search": "EXHAUSTIVE",  # once for each shape of the ladder, while warming
            "cudnn_conv_use_max_workspace": "1",
            "enable_cuda_graph": graphs,
            "prefer_nhwc": "1" if self.channels_last else "0",
        }
        tensorrt = {"trt_cuda_graph_enable": graphs, "trt_fp16_enable": "1" if half else "0"}
        if cache is not None:
            tensorrt |= {
                "trt_engine_cache_enable": "1",
                "trt_engine_cache_path": str(cache),
                "trt_timing_cache_enable": "1",
                "trt_timing_cache_path": str(cache),
            }
        return {"cuda": cuda, "tensorrt": tensorrt}
