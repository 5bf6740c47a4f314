"""One setup under way: its draft, and what terminal and page both do with it."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lfr_edge.capture.probe import ProbeReport, probe_camera
from lfr_edge.capture.source import parse_address
from lfr_edge.clock import Clock
from lfr_edge.errors import CameraError, ConfigError
from lfr_edge.models.store import ModelStore
from lfr_edge.recogniser.shares import how_many
from lfr_edge.sentences import say
from lfr_edge.settings import CameraSettings, Settings
from lfr_edge.setup.answers import Draft
from lfr_edge.setup.capacity import MOST, Speed, Verdict, judge
from lfr_edge.setup.certificate import certificate_trouble
from lfr_edge.setup.finding import Finding
from lfr_edge.setup.neighbours import Neighbours
from lfr_edge.setup.speed import measure
from lfr_edge.setup.storage import examine_storage
from lfr_edge.setup.time_source import examine_clock
from lfr_edge.setup.write import SECRETS, Written, keep_password, write_box
from lfr_edge.vision.threads import available_cpus
from lfr_edge.vision.twins.options import Acceleration

SIDES: Final = (640, 960, 1280)  # of the detector; the cameras' own are measured besides
_BUSY: Final = 0.1  # share of the machine from which a measurement says more about the neighbours
_BUSY_LOAD: Final = 0.5  # of each processor, where the kernel does not count shares


@dataclass(frozen=True, slots=True)
class CameraAnswer:
    """A camera as somebody typed it. **Lifetime:** the password goes to its file at once."""

    id: str
    url: str
    username: str = ""
    password: str = ""
    transport: str = "tcp"
    detector_side: int = 1280


@dataclass(frozen=True, slots=True)
class Measured:
    speeds: tuple[Speed, ...]
    load: float  # one-minute load of each processor when the measurement began
    others: float | None  # part of the machine that other programs used meanwhile, 0 to 1

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return tuple(map(judge, self.speeds))

    @property
    def disturbed(self) -> bool:
        return self.load > _BUSY_LOAD if self.others is None else self.others > _BUSY

    @property
    def circumstances(self) -> str:
        """How loaded the box was, whatever the verdict: a figure without it cannot be compared."""
        used = (
            say("load {load:.1f} a processor when it began", load=self.load)
            if self.others is None
            else say("other programs used {percent:.0f} % of this box meanwhile", percent=100 * self.others)
        )
        if not self.disturbed:
            return used
        return say("{used}: the figures are too low; measure again when nothing else runs", used=used)


class Preparation:
    """**Thread rule:** one caller at a time; :meth:`measure`, :meth:`checks` and :meth:`write` block."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Go on with the draft beside `path`, or begin with the configuration that is there.

        Raises:
            ConfigError: ``setup_draft_damaged``, ``config_syntax``.
        """
        self.path = path.absolute()
        self.clock = clock
        self.draft = Draft.beside(self.path)
        self.resumed = self.draft.begun
        self.decoding: list[float] = []  # of a core, by the cameras probed so far
        if not self.resumed and self.path.exists():
            self.draft.answers = self.draft.answers.model_copy(update={"configuration": _raw(self.path)})

    @property
    def settings(self) -> Settings:
        """The configuration as it stands; relative paths count from its folder. Raises ConfigError."""
        return self.draft.answers.settings()

    def at(self, path: Path) -> Path:
        return self.path.parent / path

    def change(self, **fields: Any) -> None:
        """Set fields of the configuration; a table's as a mapping, which is merged. Kept at once, or not at all.

        Raises:
            ConfigError: ``setup_configuration_invalid``.
        """
        before = self.draft.answers
        self.draft.configure(**fields)
        try:
            self.draft.answers.settings()
        except ConfigError:
            self.draft.keep(**before.model_dump())
            raise

    def add_camera(self, answer: CameraAnswer) -> CameraSettings:
        """Put a camera into the draft, in place of one with the same id; its password into a file.

        Raises:
            CameraError: ``camera_address_invalid``, ``camera_not_found``.
            ConfigError: ``setup_configuration_invalid``.
        """
        _, url, username, password = parse_address(answer.url)
        raw: dict[str, Any] = {"id": answer.id, "url": url}
        if answer.username or username:
            raw["username"] = answer.username or username
        if answer.transport != "tcp":
            raw["transport"] = answer.transport
        if answer.detector_side != CameraSettings.model_fields["detector_side"].default:
            raw["detector_side"] = answer.detector_side
        secret = answer.password or password
        if secret:
            raw["password_file"] = f"{SECRETS}/{answer.id}.password"
        others = [c for c in self.draft.answers.configuration.get("cameras", ()) if c.get("id") != answer.id]
        before = self.draft.answers
        try:
            self.draft.answers = before.model_copy(
                update={"configuration": {**before.configuration, "cameras": [*others, raw]}}
            )
            camera = next(camera for camera in self.settings.cameras if camera.id == answer.id)
        except ConfigError:
            self.draft.answers = before
            raise
        if secret:
            keep_password(self.path.parent / SECRETS, answer.id, secret)
        self.draft.keep()
        return self._anchored(camera)

    def remove_camera(self, camera: str) -> None:
        """Take it out of the draft, and its password off the disk unless the configuration in force needs it."""
        cameras = self.draft.answers.configuration.get("cameras", ())
        self.draft.configure(cameras=[one for one in cameras if one.get("id") != camera])
        in_force = _raw(self.path).get("cameras", ()) if self.path.exists() else ()
        secret = f"{SECRETS}/{camera}.password"
        if secret not in {one.get("password_file") for one in in_force}:
            self.at(Path(secret)).unlink(missing_ok=True)

    def certificate_trouble(self) -> str:
        """Why the console could not show its certificate; empty where it can, or has none."""
        console = self.settings.console
        if console.tls_certificate is None or console.tls_key is None:
            return ""
        return certificate_trouble(self.at(console.tls_certificate), self.at(console.tls_key))

    async def probe(self, camera: CameraSettings, *, seconds: float) -> ProbeReport:
        """Watch a camera as a deployment would. Raises CameraError."""
        report = await probe_camera(
            camera, self.clock, seconds=seconds, min_eye_px=self.settings.vision.min_eye_px
        )
        if report.cores is not None and report.fps:
            self.decoding.append(report.cores)
        return report

    def cameras(self) -> tuple[CameraSettings, ...]:
        return tuple(map(self._anchored, self.settings.cameras))

    def checks(self) -> Iterator[Finding]:
        """The clock, and the disk that the box will rest on."""
        yield from examine_clock()
        yield from examine_storage(self.at(self.settings.data))

    def measure(self, seconds: float, tell: Callable[[str], None] = lambda _: None) -> Measured:
        """How many cameras this box serves with the configured pack, at each detector size.

        Raises:
            ModelError: no such pack. VisionError: it does not run as configured.
        """
        models = self.settings.models
        sides: Sequence[int] = sorted({*SIDES, *(camera.detector_side for camera in self.settings.cameras)})
        load = os.getloadavg()[0] / (os.cpu_count() or 1)
        pack = ModelStore(self.at(models.store)).load(models.pack)
        neighbours = Neighbours()
        speeds = measure(
            pack, sides, providers=models.providers, threads=models.threads, allow_cpu=models.allow_cpu,
            recognisers=how_many(models, MOST, cpus=available_cpus(), list_bytes=0),
            acceleration=Acceleration.of(models, self.at(models.store)),
            seconds=seconds, decoding=max(self.decoding, default=None), say=tell,
        )  # fmt: skip
        return Measured(speeds, load, neighbours.share())

    def write(self, *, replace: bool = False, owner: str | None = None) -> Written:
        """The box, and no draft any more. Raises as :func:`write_box`."""
        written = write_box(self.draft.answers, self.path, self.clock, replace=replace, owner=owner)
        self.draft.discard()
        return written

    def _anchored(self, camera: CameraSettings) -> CameraSettings:
        files = {name: getattr(camera, name) for name in ("password_file", "ca_file")}
        return camera.model_copy(update={name: file and self.at(file) for name, file in files.items()})


def packs_here(data: str) -> str:
    """Folder of the installed networks: of the release that this program belongs to, otherwise below `data`."""
    release = Path(sys.prefix).parent  # …/slots/a, of which …/current is the name that stays
    if release.parent.name == "slots":
        release = release.parent.parent / "current"
    packs = release / "models"
    return str(packs) if any(packs.glob("*/pack.json")) else f"{data}/models"


def describe(report: ProbeReport) -> str:
    """One line on what a camera sends."""
    text = say(
        "{codec} {width} × {height}, {fps:.1f} pictures a second, first after {first:.1f} s",
        codec=report.codec, width=report.width, height=report.height, fps=report.fps, first=report.first_frame_s,
    )  # fmt: skip
    enough = [size for size in report.faces if size.enough]
    if enough:
        return f"{text}; faces are large enough where the picture shows up to {enough[-1].view_m:g} m"
    return f"{text}; no face in it would be large enough"


def warning(report: ProbeReport) -> str:
    if report.frozen:
        return "the pictures are all the same"
    return f"{report.decode_errors} damaged pictures" if report.decode_errors else ""


def require_stream(url: str) -> None:
    """Refuse what is no address before anything is asked. Raises CameraError."""
    if not url.strip():
        raise CameraError("camera_address_invalid", "no address was given", hint="rtsp://host:554/path")
    parse_address(url)


def _raw(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            "config_syntax", say("{path}: {error}", path=path, error=error), hint="move the file aside"
        ) from None
