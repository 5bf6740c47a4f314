"""The main job from end to end, with nothing but this package and the package registries.

A clip is made, a real RTSP server plays it to the real service, the sought person's picture is enrolled and
sealed as any list is, and what comes out is judged by what must hold: the sought person raised an alert, nobody
else did, every other template was erased, and the log verifies.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import secrets
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from lfr_edge.alerts.material import AlertMaterial
from lfr_edge.audit.event import SYSTEM
from lfr_edge.audit.verify import verify
from lfr_edge.demo.clip import PUBLIC_BOXES, write_clip
from lfr_edge.demo.officers import LATITUDE, LONGITUDE, PLACE, begin
from lfr_edge.errors import CameraError, LfrError
from lfr_edge.models.fetch import cache_folder, fetch_member
from lfr_edge.models.recipes import pull
from lfr_edge.models.store import ModelStore, Pack
from lfr_edge.service import Service
from lfr_edge.service.view import View
from lfr_edge.settings import Settings
from lfr_edge.vision.faces import Float32Array
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.pixels import decode_image
from lfr_edge.watchlist.container import seal
from lfr_edge.watchlist.enrol import enrol_list
from lfr_edge.watchlist.folder import survey
from lfr_edge.watchlist.keys import new_key, write_key_file

REFERENCE: Final = "DEMO-0001"
ASTRONAUT_SHA256: Final = "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"
GROUP_SHA256: Final = "47f682e945b659f93a9e490b9c9c4a2a864abe64dace9e1a2893845ddfd69489"
_CLIP_VERSION: Final = 1  # counts changes of demo/clip.py that change the picture
_LIVE_TIMEOUT_S: Final = 30.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DemoOptions:
    folder: Path  # of this run: list, log, alerts; private
    seconds: float | None  # None: until `until` is set
    port: int = 0
    cameras: int = 1
    pack: str = "default"
    control: bool = False  # withdraw the sought person first: a run that passes then would prove nothing


async def run_demo(
    options: DemoOptions, say: Say, *, until: asyncio.Event, ready: Callable[[Service], None]
) -> dict[str, Any]:
    """Prepare, run, stop and judge. Returns the report; its ``passed`` says whether everything held.

    Raises:
        LfrError: something that is needed cannot be had (no network for the first fetch, for example).
    """
    store = ModelStore(cache_folder() / "models")
    pack = await asyncio.to_thread(_pack, store, options.pack, say)
    sought, public = await asyncio.to_thread(_photographs, say)
    clip = await asyncio.to_thread(_clip, sought, public, say)
    vision = await asyncio.to_thread(VisionStack.open, pack)
    settings = await asyncio.to_thread(_enrol, options, store, pack, vision, sought, say)
    async with _street(clip, options) as urls:
        cameras = [camera | {"url": url} for camera, url in zip(settings["cameras"], urls, strict=True)]
        service = Service(Settings.model_validate(settings | {"cameras": cameras}))
        say("starting cameras, recogniser, desk and console")
        await service.start()
        faces: list[bytes] = []
        try:
            await _live(service)
            say("two invented officers authorise, propose, approve and start")
            await begin(service)
            if options.control:
                await View(service).withdraw(REFERENCE, SYSTEM, "control of the demonstration")
            ready(service)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(options.seconds):
                    await until.wait()
            faces = await _faces_of_alerts(service)
        finally:
            say("ending the deployment and checking the record")
            await service.stop(why="end of the demonstration")
    cast = await asyncio.to_thread(_templates, vision, sought, public)
    shown = await asyncio.to_thread(lambda: [is_sought(vision, cast, face) for face in faces])
    return await asyncio.to_thread(_judge, service, pack, shown)


def _pack(store: ModelStore, name: str, say: Say) -> Pack:
    try:
        return store.load(name)
    except LfrError:
        say(f"fetching the networks of pack '{name}' (once)")
        return pull(store, name, say)


def _photographs(say: Say) -> tuple[bytes, bytes]:
    return (
        fetch_member("pypi", "scikit-image", None, "skimage/data/astronaut.png", ASTRONAUT_SHA256, say),
        fetch_member("pypi", "insightface", "2.1", "insightface/data/images/t1.jpg", GROUP_SHA256, say),
    )


def _clip(sought: bytes, public: bytes, say: Say) -> Path:
    """The clip, from the cache where this version of it was made before."""
    digest = hashlib.sha256(sought + public + bytes([_CLIP_VERSION])).hexdigest()[:16]
    path = cache_folder() / "demo" / f"street-{digest}.mp4"
    if not path.exists():
        say("painting a street with seven people (once)")
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{secrets.token_hex(4)}.mp4")
        try:
            write_clip(fresh, decode_image(sought), decode_image(public))
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
    return path


def _enrol(
    options: DemoOptions, store: ModelStore, pack: Pack, vision: VisionStack, sought: bytes, say: Say
) -> dict[str, Any]:
    """Seal a list of one, the way any list is sealed, and say where everything lies."""
    say("enrolling the sought person")
    bundle = options.folder / "bundle"
    bundle.mkdir()
    (bundle / "portrait.png").write_bytes(sought)
    (bundle / "watchlist.csv").write_text(
        "reference,category,response,images,image_source\n"
        f"{REFERENCE},missing_person,amber,portrait.png,published\n",
        encoding="utf-8",
    )
    key, key_file = new_key(), options.folder / "list.key"
    write_key_file(key_file, key)
    sealed = options.folder / "list.sealed"
    seal(
        sealed,
        enrol_list(survey(bundle), vision),
        key=key,
        fingerprint=pack.fingerprint,
        dimension=vision.dimension,
    )
    password = options.folder / "camera.password"
    password.touch(0o600)
    password.write_text(secrets.token_urlsafe(12) + "\n", encoding="ascii")
    camera = {"username": "van", "password_file": password}
    return {
        "site": "Demonstration",
        "data": options.folder / "data",
        "audit": options.folder / "audit",
        "cameras": [camera | {"id": f"cam{number}"} for number in range(1, options.cameras + 1)],
        "models": {"pack": pack.name, "store": store.root, "purpose": "evaluation"},
        "watchlist": {"path": sealed, "key_file": key_file},
        "console": {"port": options.port},
        "deployment": {"place": PLACE, "latitude": LATITUDE, "longitude": LONGITUDE},
    }


@contextlib.asynccontextmanager
async def _street(clip: Path, options: DemoOptions) -> AsyncIterator[list[str]]:
    """The cameras: an RTSP server in a process of its own, so that its work is not counted as ours."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lfr_edge.demo.rtsp_server", *[str(clip)] * options.cameras),
        *("--username", "van", "--password-file", str(options.folder / "camera.password"), "--until-eof"),
        start_new_session=True,  # Ctrl-C is for the demonstration, which ends its cameras last
        stdin=asyncio.subprocess.PIPE,  # ends with this process, however that ends
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line:
            raise CameraError("camera_demo_failed", "the demonstration's RTSP server did not start")
        yield list(json.loads(line)["urls"])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _live(service: Service) -> None:
    """Wait until every camera gives pictures."""
    try:
        async with asyncio.timeout(_LIVE_TIMEOUT_S):
            while any(camera.state != "live" for camera in service.run.cameras.statuses):  # noqa: ASYNC110 - their own processes
                await asyncio.sleep(0.1)
    except TimeoutError:
        why = "; ".join(filter(None, (camera.error_message for camera in service.run.cameras.statuses)))
        raise CameraError(
            "camera_demo_failed",
            f"no picture from the demonstration's cameras after {_LIVE_TIMEOUT_S:g} s: {why or 'no reason given'}",
            hint="lfr-edge doctor shows what this machine lacks",
        ) from None


def _templates(vision: VisionStack, sought: bytes, public: bytes) -> Float32Array:
    """(7, dimension) everybody who walks past; the sought person is row 0."""
    rows = []
    for photograph, people in ((sought, 1), (public, len(PUBLIC_BOXES))):
        portrait = vision.look(photograph)
        rows += [vision.templates(portrait, face) for face in range(min(people, len(portrait.found)))]
    return np.concatenate(rows)


def is_sought(vision: VisionStack, cast: Float32Array, face: bytes) -> bool:
    """Whether the picture of an alert shows the sought person rather than one of the public.

    The list has one entry, so an alert's reference says nothing about who raised it; the picture does.
    """
    portrait = vision.look(face)
    return bool(portrait.found) and int(np.argmax(cast @ vision.templates(portrait, 0)[0])) == 0


def _judge(service: Service, pack: Pack, shown: list[bool]) -> dict[str, Any]:
    """`shown`: whether each alert's picture shows the sought person."""
    totals, counts = service.run.warden.totals, service.run.counts_at_end
    assert counts is not None, "the desk has closed"
    report = verify(service.run.session.log.folder)
    dropped = sum(int(camera["dropped"]) for camera in service.run.warden.pulse.get("cameras", {}).values())
    balanced = totals["probes"] == totals["processed"] == totals["erased"] + totals["retained"]
    checks = {
        "sought_person_raised_an_alert": any(shown),
        "nobody_else_did": all(shown) and len(shown) == counts.raised,
        "ledger_exact": balanced and totals["held"] == 0,
        "log_verifies": report.intact,
        "nothing_failed": not service.run.failed.is_set(),
    }
    return {
        "passed": all(checks.values()),
        "checks": checks,
        "frames": totals["frames"],
        "frames_dropped": dropped,
        "faces_detected": totals["faces"],
        "probes": totals["probes"],
        "erased": totals["erased"],
        "retained": totals["retained"],
        "alerts": counts.raised,
        "suppressed": service.run.warden.suppressed,
        "undecided": counts.undecided,
        "latency_ms": service.run.latencies.summary(),
        "audit": {
            "entries": service.run.session.log.size,
            "verdict": "intact" if report.intact else report.verdict,
            "reservations": [reservation.code for reservation in report.reservations],
        },
        "threshold": service.run.threshold,
        "models": [
            {"name": n.id, "task": n.task, "licence": n.licence.name, "sha256": n.sha256}
            for n in pack.manifest.networks
        ],
    }


async def _faces_of_alerts(service: Service) -> list[bytes]:
    """The probe picture of every alert, seen while the list is unsealed: its key opens them, and dies with it."""
    await View(service).pause(SYSTEM, "end of the demonstration")
    run = service.run
    await run.hits.settled()
    assert run.listing is not None, "a running deployment has a list"
    material = AlertMaterial(
        run.session.folder / "material", run.listing.material_key(run.session.deployment.id)
    )
    try:
        return [material.read(token).probe_jpeg for token in sorted(material.tokens())]
    finally:
        material.close()
