"""What a GPU gives, option by option. One part a run, one JSON line a part; gpu.sh runs them all.

    python -m benchmarks.gpu floor --provider cuda
    python -m benchmarks.gpu cameras --provider cuda --cameras 64 --recognisers 1 4 8
    python -m benchmarks.gpu options --quick          (a slice, on the CPU)

Without --pack the networks have random weights (SCRFD-10G's and IResNet-50's architecture): times only, and the line
says so. Where the wanted provider is missing a part fails; it never measures the CPU in its place.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks import _line
from benchmarks._gpu_cameras import cameras, prepare
from benchmarks._gpu_decode import decode
from benchmarks._gpu_parts import Bench, align, floor, options, prove
from benchmarks._random_networks import NOTE, RandomPack, random_pack
from benchmarks._side_by_side import ChildError, Prepare
from lfr_edge.errors import LfrError
from lfr_edge.models.store import ModelStore, Pack
from lfr_edge.vision.twins.device import device_of

PARTS: Final[dict[str, Callable[[Bench], dict[str, Any]]]] = {
    "floor": floor,
    "options": options,
    "align": align,
    "prove": prove,
    "cameras": cameras,
    "decode": decode,
}


def main(argv: list[str] | None = None) -> int:
    parser = _line.parser(__doc__)
    parser.set_defaults(pack="")
    parser.add_argument("part", choices=(*PARTS, "all"), help="what to measure")
    parser.add_argument("--provider", choices=("cpu", "cuda", "tensorrt"), default="cpu")
    parser.add_argument(
        "--precision", choices=("fp32", "fp16"), default="fp32", help="of the random networks"
    )
    parser.add_argument("--store", type=Path, default=Path("var/models"), help="where --pack is installed")
    parser.add_argument(
        "--cameras", type=_line.at_least_one, nargs="+", metavar="N",
        help="of the part cameras (default: 1 8 16 32 64; quick: 1 2)",
    )  # fmt: skip
    parser.add_argument(
        "--recognisers", type=_line.at_least_one, nargs="+", default=(1,), metavar="N",
        help="processes on the one card that share those cameras out (default: 1)",
    )  # fmt: skip
    args = parser.parse_args(argv)
    args.cameras = args.cameras or ((1, 2) if args.quick else (1, 8, 16, 32, 64))
    if max(args.recognisers) > max(args.cameras):
        parser.error("a recogniser without a camera has nothing to do: --cameras is less than --recognisers")
    pack, weights = _pack(_about(args)), args.pack or NOTE
    failed = [
        part
        for part in (PARTS if args.part == "all" else (args.part,))
        if not _run(part, args, pack, weights)
    ]
    return 1 if failed else 0


def child(about: dict[str, Any]) -> Prepare:
    """One recogniser of several in the part cameras: :func:`~benchmarks._side_by_side.side_by_side` starts it."""
    silent = _line.Report("gpu_cameras", argparse.Namespace(json=True, quick=about["quick"]))
    engines = Path(about["engines"])
    engines.mkdir()
    return prepare(
        Bench(_pack(about), about["provider"], about["threads"], engines, silent, quick=about["quick"])
    )


def _about(args: argparse.Namespace) -> dict[str, Any]:
    """What another process needs to open the same networks in the same way."""
    names = ("pack", "precision", "provider", "threads", "quick")
    return {name: getattr(args, name) for name in names} | {"store": str(args.store.absolute())}


def _pack(about: dict[str, Any]) -> Pack | RandomPack:
    if about["pack"]:
        return ModelStore(Path(about["store"])).load(about["pack"])
    return random_pack(small=about["quick"], half=about["precision"] == "fp16")


def _run(part: str, args: argparse.Namespace, pack: Pack | RandomPack, weights: str) -> bool:
    """One part and its line; False where it could not be measured."""
    report = _line.Report(f"gpu_{part}", args)
    with tempfile.TemporaryDirectory(prefix="lfr-engines-") as scratch:
        bench = Bench(
            pack, args.provider, args.threads, Path(scratch), report, quick=args.quick, about=_about(args),
            cameras=tuple(args.cameras), recognisers=tuple(args.recognisers),
        )  # fmt: skip
        try:
            figures = PARTS[part](bench)
        except LfrError as error:
            print(f"gpu {part}: {error.diagnostics()}", file=sys.stderr)
            return False
        except ChildError as error:
            print(f"gpu {part}: {error}", file=sys.stderr)
            return False
    about = {"weights": weights, "device": device_of(args.provider).to_json()}
    report.emit(about | figures, precision=pack.manifest.precision)
    return True


if __name__ == "__main__":
    sys.exit(main())
