"""``lfr-edge models build-engines`` and ``half``: networks made ready for a GPU, and compared before they may run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lfr_edge.cli.steps import steps

if TYPE_CHECKING:
    from lfr_edge.models.store import Pack
    from lfr_edge.vision.twins.options import Acceleration

# The vision room is imported by the functions that need it: --help stays quick.

_SIDES: Final = (640, 1280)
_STEPS: Final = 6  # of one build, with two detector sizes

BUILD_EPILOG: Final = """\
examples:
  lfr-edge models build-engines --config lfr.toml
  lfr-edge models build-engines default --provider cuda --graph frames --cuda-graphs --detector-batch 16
  lfr-edge models build-engines default --graph pixels            on the CPU, to try it out

Derives the graphs that do more than the network, runs them at every size and batch they will have, compares faces and
templates with the plain path on drawn faces (boxes within 1 pixel, cosine 0.999), and keeps the outcome for this
pack, configuration, card, driver and runtime. Anything else is refused at the start: build again after a change.
"""
HALF_EPILOG: Final = """\
examples:
  lfr-edge models half default --name default-fp16
  lfr-edge calibrate drift faces --against default-fp16
  lfr-edge calibrate faces faces --pack default-fp16 --out calibration.json

Half precision is a pack of its own: no threshold, sealed list or authority of the first one fits it. It is installed
only where its faces and templates are near the first one's on drawn faces; what that means for real ones, and the
thresholds, 'calibrate' measures.
"""


def add_arguments(build: argparse.ArgumentParser, half: argparse.ArgumentParser) -> None:
    build.add_argument("name", nargs="?", default="default", help="pack (default: default)")
    build.add_argument(
        "--config", type=Path, metavar="FILE", help="take pack, store and options from [models]"
    )
    build.add_argument("--provider", choices=("cpu", "cuda", "tensorrt"), default="cpu", help="what runs it")
    build.add_argument(
        "--graph", choices=("pixels", "frames"), default="pixels", help="as models.graph (default: pixels)"
    )
    build.add_argument("--align-in-graph", action="store_true", help="as models.align_in_graph")
    build.add_argument("--detector-batch", type=int, default=8, metavar="N", help="as models.detector_batch")
    build.add_argument("--cuda-graphs", action="store_true", help="as models.cuda_graphs")
    build.add_argument("--channels-last", action="store_true", help="as models.channels_last")
    build.add_argument(
        "--side", type=int, action="append", metavar="PX", help="detector size; may be repeated (640, 1280)"
    )
    build.set_defaults(run=_build)
    half.add_argument("pack", nargs="?", default="default", help="pack to convert (default: default)")
    half.add_argument("--name", required=True, help="name of the new pack")
    half.set_defaults(run=_half)


def prove_on_cpu(pack: Pack, store: Path) -> dict[str, str]:
    """Both twins of a pack that has just come in, compared with its plain path: 'proved', or the error's code.

    The pack stays installed either way: the plain path needs no twin.
    """
    from lfr_edge.errors import LfrError
    from lfr_edge.vision.twins.options import ENGINES, Acceleration
    from lfr_edge.vision.twins.stack import build_twins

    outcome: dict[str, str] = {}
    for graph in ("pixels", "frames"):
        try:
            build_twins(pack, Acceleration(graph=graph, engines=store / ENGINES), sides=_SIDES[:1])
            outcome[graph] = "proved"
        except LfrError as error:
            outcome[graph] = error.code
    return outcome


def _build(args: argparse.Namespace) -> int:
    from lfr_edge.errors import ConfigError
    from lfr_edge.models.store import ModelStore
    from lfr_edge.settings import load_settings
    from lfr_edge.vision.twins.options import ENGINES, Acceleration
    from lfr_edge.vision.twins.stack import build_twins

    sides = tuple(args.side or _SIDES)
    if args.config is None:
        store, name, provider, threads = args.store, args.name, args.provider, 0
        acceleration = Acceleration(
            graph=args.graph,
            align_in_graph=args.align_in_graph,
            detector_batch=args.detector_batch,
            cuda_graphs=args.cuda_graphs,
            channels_last=args.channels_last,
            engines=store / ENGINES,
        )
    else:
        settings = load_settings(args.config)
        models = settings.models
        store, name, provider, threads = models.store, models.pack, models.providers[0], models.threads
        acceleration = Acceleration.of(models, store)
        sides = tuple(sorted({camera.detector_side for camera in settings.cameras})) or sides
    if acceleration.graph == "plain":
        raise ConfigError(
            "config_no_engines",
            f"{args.config}: models.graph is 'plain', which needs no engines",
            hint="set models.graph = 'pixels' or 'frames' first; see docs/how-to/use-a-gpu.md",
        )
    pack = ModelStore(store).load(name)
    with steps(_STEPS + len(sides) - len(_SIDES)) as step:
        folder, proof = build_twins(
            pack, acceleration, provider=provider, threads=threads, sides=sides, progress=step
        )
    _print(args, folder, acceleration, proof.to_json())
    return 0


def _print(args: argparse.Namespace, folder: Path, acceleration: Acceleration, proof: dict[str, Any]) -> None:
    record = json.loads((folder / "engine.json").read_text(encoding="utf-8"))
    if args.json:
        print(json.dumps({"path": str(folder), **record}, indent=2))
        return
    device = record["key"]["device"]
    print(
        f"built for {device['provider']} {device['name']} {device['driver']} in {record['took_s']} s: {folder}"
    )
    print(f"  graph    {acceleration.graph}, {len(record['files'])} compiled files")
    print(
        f"  compared {proof['faces']} drawn faces: boxes within {proof['pixels']:.2f} px, cosine {proof['cosine']}"
    )


def _half(args: argparse.Namespace) -> int:
    from lfr_edge.errors import VisionError
    from lfr_edge.models.fuse import half_pack
    from lfr_edge.models.store import ModelStore, check_name
    from lfr_edge.vision.sessions import Runtime
    from lfr_edge.vision.twins.proof import HALF_COSINE, HALF_PIXELS, compare
    from lfr_edge.vision.twins.stack import plain_parts

    check_name(args.name)
    store = ModelStore(args.store)
    with steps(4) as step:
        step("converting")
        pack = store.load(args.pack)
        half = half_pack(pack, args.name)
        step("comparing on drawn faces")
        runtime = Runtime()
        proof = compare(plain_parts(pack, runtime), plain_parts(half, runtime))
        if fault := proof.fault(least_cosine=HALF_COSINE, most_pixels=HALF_PIXELS):
            raise VisionError(
                "vision_half_drifts",
                f"{args.pack} is not the same in half precision: {fault}",
                hint="use the pack as it is; on a GPU its convolutions run in TF32",
            )
        step("installing")
        installed = store.install(half.manifest, half.contents)
    if args.json:
        print(
            json.dumps(
                {"path": str(installed.path), "fingerprint": installed.fingerprint, "drift": proof.to_json()}
            )
        )
        return 0
    print(f"{installed.name}   {installed.path}\n  fingerprint  {installed.fingerprint}")
    print(
        f"  compared     {proof.faces} drawn faces: boxes within {proof.pixels:.2f} px, cosine {proof.cosine}"
    )
    print(f"  next         lfr-edge calibrate drift FACES --against {installed.name}, then calibrate it anew")
    return 0
