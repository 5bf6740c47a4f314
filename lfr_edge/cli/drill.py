"""``lfr-edge drill``: make and check a pack of known-answer cases from pictures of consenting staff."""

from __future__ import annotations

import argparse
import os
import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lfr_edge.errors import AlertError

if TYPE_CHECKING:
    from lfr_edge.vision.faces import Float32Array
    from lfr_edge.vision.pipeline import VisionStack

_EPILOG: Final = """\
examples:
  lfr-edge drill make staff/ drills/          one folder per person: two pictures or more, and consent.txt
  lfr-edge drill check drills/

consent.txt holds the reference under which the person's signed consent is filed, in its first line. A person without
it is refused. The pack then goes into the [desk] section: drill_pack = "drills", drills_per_hour = 2.
"""
_CONSENT: Final = "consent.txt"
# About what a street camera gives (docs/accuracy.md): a drill is no easier than the street.
_PROBE_EYE_PX: Final = 30.0
_CLEAR_SCORE: Final = 0.7  # of the detector; what is below may be a face in the background, or none
_KINDS: Final = frozenset({".jpg", ".jpeg", ".png"})


@dataclass(frozen=True, slots=True)
class _Person:
    consent: str
    candidate: bytes  # as the list shows it
    probes: tuple[bytes, ...]  # other pictures, as the street shows them
    template: Float32Array  # of the candidate picture; nothing of it is written


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "drill",
        help="make and check known-answer alerts of consenting staff",
        description="Make and check a pack of known-answer alerts, from pictures of consenting staff only.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    make = actions.add_parser("make", help="cut the pictures as the desk shows them and choose look-alikes")
    make.add_argument("staff", type=Path, metavar="STAFF", help="folder with one folder per person")
    make.add_argument("out", type=Path, metavar="PACK", help="folder to make")
    make.add_argument("--pack", default="default", metavar="NAME", help="model pack (default: default)")
    make.add_argument("--store", type=Path, default=Path("var/models"), metavar="DIR", help="folder of packs")
    make.set_defaults(run=_make)
    check = actions.add_parser("check", help="read a pack as the service would")
    check.add_argument("pack", type=Path, metavar="PACK", help="folder of the drill pack")
    check.set_defaults(run=_check)


def _check(args: argparse.Namespace) -> int:
    from lfr_edge.alerts.drills import read_drill_pack
    from lfr_edge.alerts.factors import Answer

    cases = read_drill_pack(args.pack)
    same = sum(case.truth is Answer.SAME_PERSON for case in cases)
    print(f"{len(cases)} cases: {same} same person, {len(cases) - same} different persons")
    return 0


def _make(args: argparse.Namespace) -> int:
    from lfr_edge.models.store import ModelStore
    from lfr_edge.vision.pipeline import VisionStack

    folders = (
        sorted(folder for folder in args.staff.iterdir() if folder.is_dir()) if args.staff.is_dir() else []
    )
    if len(folders) < 2:
        raise _refused(args.staff, "at least two people are needed, one folder each")
    vision = VisionStack.open(ModelStore(args.store).load(args.pack))
    people = [_person(vision, folder) for folder in folders]
    args.out.mkdir(mode=0o700, parents=True)
    cases = [*_same(people), *_look_alikes(people)]
    random.SystemRandom().shuffle(cases)  # a case's number says nothing about its answer
    text = ['format = "lfr-edge drill pack 1"']
    for number, (probe, candidate, truth, consents) in enumerate(cases, 1):
        _write(args.out / f"probe-{number:03d}.jpg", probe)
        _write(args.out / f"candidate-{number:03d}.jpg", candidate)
        quoted = ", ".join(f'"{consent}"' for consent in consents)
        text.append(
            f'\n[[case]]\nname = "case-{number:03d}"\nprobe = "probe-{number:03d}.jpg"\n'
            f'candidate = "candidate-{number:03d}.jpg"\ntruth = "{truth}"\nconsent = [{quoted}]'
        )
    _write(args.out / "pack.toml", ("\n".join(text) + "\n").encode())
    args.pack = args.out
    return _check(args)


def _person(vision: VisionStack, folder: Path) -> _Person:
    """Raises AlertError ``drill_person_refused``: no consent, too few pictures, or not one face in one."""
    from lfr_edge.vision.letterbox import shrink
    from lfr_edge.vision.pixels import face_picture

    try:
        consent = (folder / _CONSENT).read_text(encoding="utf-8").splitlines()[0].strip()
    except (OSError, ValueError, IndexError):
        consent = ""
    if not consent or not consent.isprintable() or '"' in consent or "\\" in consent or len(consent) > 80:
        raise _refused(folder, f"{_CONSENT} names no consent")
    pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in _KINDS)
    if len(pictures) < 2:
        raise _refused(folder, "two pictures are needed, taken on different days")
    portraits = []
    for path in pictures:
        portrait = vision.look(path.read_bytes())
        faces = [face for face in portrait.found if face.score >= _CLEAR_SCORE]
        if len(faces) != 1 or faces[0] is not portrait.found[0]:
            raise _refused(path, f"{len(faces)} clear faces are in the picture")
        portraits.append(portrait)
    first, *others = portraits
    probes = []
    for portrait in others:
        still = portrait.picture
        scale = min(1.0, _PROBE_EYE_PX / portrait.found[0].eye_px)
        small = shrink(still.pixels, max(64, round(portrait.width * scale)))
        found = small.shape[1] / portrait.width
        points = (still.faces.points[0] + 0.5) * found - 0.5
        probes.append(face_picture(small, points.astype(still.faces.points.dtype)))
    candidate = face_picture(first.picture.pixels, first.picture.faces.points[0])
    return _Person(consent, candidate, tuple(probes), vision.templates(first, 0)[0])


_Made = tuple[bytes, bytes, str, tuple[str, ...]]


def _same(people: list[_Person]) -> list[_Made]:
    return [(person.probes[0], person.candidate, "same_person", (person.consent,)) for person in people]


def _look_alikes(people: list[_Person]) -> list[_Made]:
    """For each person the colleague who resembles them most: a false alert shows people who look alike."""
    made: list[_Made] = []
    for person in people:
        others = [one for one in people if one is not person]
        nearest = max(others, key=lambda one: float(person.template @ one.template))
        made.append(
            (nearest.probes[0], person.candidate, "different_person", (person.consent, nearest.consent))
        )
    return made


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def _refused(where: Path, why: str) -> AlertError:
    return AlertError(
        "drill_person_refused",
        f"{where}: {why}",
        hint="only pictures of staff who agreed in writing may become drills; lfr-edge drill --help",
    )
