"""The networks that an evaluation runs: which were asked for, and how a result names them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, get_args

from lfr_edge.cli.evaluation_inputs import add_whole
from lfr_edge.cli.packs import add_pack, box_of
from lfr_edge.errors import EvaluationError
from lfr_edge.models.store import ModelStore, Pack
from lfr_edge.settings import ModelSettings, VisionSettings
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.sessions import Provider
from lfr_edge.vision.twins.options import Acceleration


def add_pack_arguments(parser: argparse.ArgumentParser) -> None:
    add_pack(parser)
    add_whole(parser, "--threads", 0, 1024, default=0, help="0 takes what the machine grants")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def add_providers(parser: argparse.ArgumentParser, name: str, of: str) -> None:
    parser.add_argument(
        name,
        nargs="+",
        choices=get_args(Provider),
        default=["cpu"],
        metavar="NAME",
        help=f"cpu, cuda or tensorrt, in order of preference, {of} (default: cpu)",
    )


def runs_of(
    args: argparse.Namespace, name: str = "", providers: Sequence[Provider] = ("cpu",)
) -> ModelSettings:
    """What is to run: the configuration's, or what the arguments say."""
    box = box_of(args)
    return box.models if box else ModelSettings(
        pack=name or args.pack, store=args.store, providers=tuple(providers), threads=args.threads
    )  # fmt: skip


def open_pack(
    args: argparse.Namespace,
    name: str = "",
    providers: Sequence[Provider] = ("cpu",),
    *,
    threads: int | None = None,
) -> tuple[Pack, VisionStack, dict[str, Any]]:
    """The pack, its networks, and how both are named in a result: with ``--config``, exactly as the service has them.

    `threads` instead of those that were asked for: a share of them.

    Raises:
        EvaluationError: ``pack_missing``. VisionError, ModelError: as :meth:`VisionStack.open`.
    """
    box = box_of(args)
    runs = runs_of(args, name, providers)
    store, wanted = ModelStore(runs.store), runs.pack
    if wanted not in store.names():
        raise EvaluationError(
            "pack_missing",
            f"the pack {wanted!r} is not installed in {runs.store}",
            hint=f"lfr-edge models pull {wanted} --store {runs.store}",
        )
    pack = store.load(wanted)
    vision = VisionStack.open(
        pack,
        providers=runs.providers,
        threads=runs.threads if threads is None else threads,
        allow_cpu=runs.allow_cpu,
        min_score=(box.vision if box else VisionSettings()).min_score,
        acceleration=Acceleration.of(runs, runs.store),
    )
    model = {
        "pack": pack.name,
        "version": pack.manifest.version,
        "fingerprint": pack.fingerprint,
        "networks": [network.id for network in pack.manifest.networks],
        "dimension": vision.dimension,
        "provider": "cpu" if vision.degraded else runs.providers[0],
        "precision": pack.precision,
        "graph": "plain" if vision.degraded else runs.graph,
    }
    return pack, vision, model
