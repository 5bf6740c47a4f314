"""1080p H.264 decoded by the processor and by the card (NVDEC through PyAV), one stream and several at once."""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from benchmarks._gpu_parts import Bench
from lfr_edge.capture.hardware import nvdec_fault
from lfr_edge.capture.reader import open_reader
from lfr_edge.capture.source import SourceSpec
from lfr_edge.clock import SystemClock

_SECONDS: Final = 4


def decode(bench: Bench) -> dict[str, Any]:
    """Pictures a second of all streams together, and CPU seconds for a picture, for each decoder."""
    fault = nvdec_fault()
    decoders = ["software"] + ([] if fault else ["nvdec"])
    rows = []
    with tempfile.TemporaryDirectory(prefix="lfr-decode-") as scratch:
        clip = _clip(Path(scratch) / "street.mp4", 10 if bench.quick else 25 * _SECONDS)
        for decoder in decoders:
            for streams in (1,) if bench.quick else (1, 4, 16):
                rows.append({"decoder": decoder, "streams": streams, **_timed(clip, decoder, streams)})
                bench.report.say(str(rows[-1]))
    return {"decoders": rows, "nvdec": fault or "present"}


def _timed(clip: Path, decoder: str, streams: int) -> dict[str, float]:
    def read(_stream: int) -> int:
        spec = SourceSpec(kind="file", url=str(clip), realtime=False, decoder=decoder)  # type: ignore[arg-type]
        with open_reader(spec, SystemClock()) as reader:
            return sum(1 for _ in reader.pictures())

    with ThreadPoolExecutor(streams) as pool:
        cpu, wall = time.process_time(), time.perf_counter()
        pictures = sum(pool.map(read, range(streams)))  # raises what a stream raised
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {
        "pictures": pictures,
        "pictures_per_s": round(pictures / wall, 1),
        "cpu_ms_each": round(1000 * cpu / max(1, pictures), 2),
    }


def _clip(path: Path, pictures: int) -> Path:
    """A drawn street that moves a little, 4 Mbit/s, a key picture every two seconds."""
    import av
    import numpy as np

    from lfr_edge.vision.twins.drawn import drawn_street

    street = drawn_street()
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=25, options={"g": "50", "bf": "0", "preset": "veryfast"}
        )
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        stream.bit_rate = 4_000_000
        for number in range(pictures):
            moved = np.ascontiguousarray(np.roll(street, 3 * number, axis=1))
            frame = av.VideoFrame.from_ndarray(moved, format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
