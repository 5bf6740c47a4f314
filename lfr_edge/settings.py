"""The one settings tree, read from one TOML file; every field has a title, a description, a unit and a range.

pydantic stands here, at the border; ``extra="forbid"`` turns a misspelt key into an error instead of a silent
default. Secrets are not kept in this file: a camera's password is read from ``password_file``.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lfr_edge.errors import ConfigError

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class CameraSettings(Section):
    """One camera, or a recorded file or folder that stands in for one."""

    id: Identifier = Field(title="Camera", description="Short name used in logs, on pages and in the record.")
    url: str = Field(
        title="Address",
        description="rtsp://, rtsps://, a video file or a folder of images. Put no password here.",
    )
    username: str | None = Field(None, title="User name", description="For Digest or Basic authentication.")
    password_file: Path | None = Field(
        None, title="Password file", description="File whose first line is the camera's password."
    )
    transport: Literal["tcp", "udp"] = Field("tcp", title="Transport", description="RTP transport.")
    ca_file: Path | None = Field(
        None, title="CA file", description="Certificates that may sign an rtsps camera's certificate (PEM)."
    )
    realtime: bool = Field(
        True,
        title="Real-time pace",
        description="Files and folders only: play at recorded pace, not at full speed.",
    )
    loop: bool = Field(False, title="Loop", description="Files and folders only: start again at the end.")
    open_timeout_s: Seconds = Field(
        5.0, title="Open timeout", description="Seconds to wait for the first answer."
    )
    read_timeout_s: Seconds = Field(
        3.0, title="Read timeout", description="Seconds without data that end a stream."
    )
    stall_s: Seconds = Field(
        3.0,
        title="Frame-age deadline",
        description="Seconds without a new frame after which the reader is replaced.",
    )
    grace_s: Seconds = Field(
        90.0,
        title="Start-up grace",
        description="Seconds a rebooting camera is given before it counts as failed.",
    )
    max_frame_age_s: Seconds = Field(
        2.0, title="Oldest frame", description="A frame older than this many seconds is never matched."
    )
    detector_side: int = Field(
        1280,
        ge=320,
        le=3840,
        multiple_of=32,
        title="Detector size",
        description="Longest side in pixels of the picture the detector sees. Faces under about 50 px need 1280.",
    )


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
        0, ge=0, le=256, title="Threads", description="Inference threads; 0 takes the cgroup quota."
    )


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


class ConsoleSettings(Section):
    host: str = Field("127.0.0.1", title="Address", description="Address the console listens on.")
    port: int = Field(8443, ge=0, le=65535, title="Port", description="0 takes a free port.")
    tls_certificate: Path | None = Field(
        None, title="Certificate", description="PEM; without it loopback only."
    )
    tls_key: Path | None = Field(None, title="Private key", description="PEM key of the certificate.")
    tls_client_ca: Path | None = Field(
        None,
        title="Laptops' authority",
        description="PEM; only laptops with a certificate from it are let in (lfr-edge tls issue --client).",
    )
    dns_name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")] | None = Field(
        None,
        title="DNS name",
        description="Name by which people open the console. With it, passkeys; without it, passwords only.",
    )
    idle_logout_s: Seconds = Field(1800.0, title="Idle sign-out", description="Seconds without use.")
    session_s: Seconds = Field(
        43_200.0, title="Longest session", description="Seconds from sign-in to sign-out."
    )

    @model_validator(mode="after")
    def _tls_off_loopback(self) -> ConsoleSettings:
        if self.host not in {"127.0.0.1", "::1", "localhost"} and not (self.tls_certificate and self.tls_key):
            raise ValueError("an address that others can reach needs tls_certificate and tls_key")
        if self.dns_name not in {None, "localhost"} and not self.tls_certificate:
            raise ValueError(
                "browsers keep passkeys for a dns_name over TLS only: tls_certificate and tls_key"
            )
        return self


class WebhookSettings(Section):
    """Somebody else's system that is told what happens."""

    id: Identifier = Field(title="Receiver", description="Short name used in logs and in the record.")
    url: str = Field(
        pattern=r"^https?://[^\s@]{1,500}$",
        title="Address",
        description="https://, or http:// on the loopback. Put no password here.",
    )
    secret_file: Path = Field(
        title="Secret",
        description="File with the signing secret: at least 32 characters, shared with the receiver.",
    )
    events: tuple[str, ...] = Field(
        ("alert.decided", "alert.outcome"),
        min_length=1,
        title="Events",
        description="What is told: alert.offered, alert.decided, alert.expired, alert.outcome. Nothing else leaves.",
    )
    biometrics: bool = Field(
        False,
        title="With pictures",
        description="Send both pictures of an alert that was referred. Each sending is on record as a disclosure.",
    )
    ca_file: Path | None = Field(
        None, title="CA file", description="Certificates that may sign the receiver's certificate (PEM)."
    )


class SystemSettings(Section):
    """A command-and-control system that reads the event stream."""

    id: Identifier = Field(title="System", description="Short name used in logs and in the record.")
    token_file: Path = Field(
        title="Token", description="File with the system's bearer token: at least 32 characters."
    )
    events: tuple[str, ...] = Field(
        ("alert.decided", "alert.outcome"),
        min_length=1,
        title="Events",
        description="What it may read: alert.offered, alert.decided, alert.expired, alert.outcome, status.",
    )


class IntegrationSettings(Section):
    """Who else learns of alerts. Nobody, unless named here."""

    allowed_hosts: tuple[str, ...] = Field(
        (), title="Allowed hosts", description="Host names, besides the loopback, that webhooks may go to."
    )
    webhooks: tuple[WebhookSettings, ...] = Field(
        (), title="Webhooks", description="One [[integrations.webhooks]] table each."
    )
    systems: tuple[SystemSettings, ...] = Field(
        (), title="Systems", description="One [[integrations.systems]] table each."
    )

    @model_validator(mode="after")
    def _named_once_and_known(self) -> IntegrationSettings:
        known = {"alert.offered", "alert.decided", "alert.expired", "alert.outcome"}
        for group, may in ((self.webhooks, known), (self.systems, known | {"status"})):
            if len({one.id for one in group}) != len(group):
                raise ValueError("two receivers have the same id")
            for one in group:
                if unknown := set(one.events) - may:
                    raise ValueError(f"{one.id}: there is no event {', '.join(sorted(unknown))}")
        return self


class AnchoringSettings(Section):
    """Signed heads held outside the box, sent whenever there is a network. Only origin, size and root leave."""

    witness_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s@]{1,500}$",
        title="Witness",
        description="Address of the force's witness (lfr-edge audit witness serve).",
    )
    witness_key: Path | None = Field(
        None, title="Witness's key", description="File with the witness's public key (vkey)."
    )
    stamp_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s@]{1,500}$",
        title="Time stamps",
        description="Address of a time-stamp authority (RFC 3161), beside the witness or instead of it.",
    )
    every_s: Seconds = Field(
        300.0, title="Interval", description="Seconds between two deliveries while the network is there."
    )

    @model_validator(mode="after")
    def _with_its_key(self) -> AnchoringSettings:
        if (self.witness_url is None) != (self.witness_key is None):
            raise ValueError("witness_url and witness_key need each other")
        return self


class RetentionSettings(Section):
    """Maxima of the law (domain.md 3); configuration may only shorten them."""

    alert_images_h: float = Field(
        24.0, gt=0, le=24 * 31, title="Alert images", description="Hours until an alert's images are erased."
    )
    hold_days: int = Field(
        92,
        ge=1,
        le=366,
        title="Holds",
        description="Most days for which one hold (evidence, complaint, disclosure) keeps an alert's images.",
    )
    register_days: int = Field(
        365,
        ge=1,
        le=6 * 366,
        title="Register",
        description="Days for which 'was I on a list?' can be answered: a keyed code of each reference, and the date.",
    )


class DeskSettings(Section):
    """How people decide alerts, and how the deciding is tested."""

    looks: Literal[1, 2] = Field(
        1, title="Looks", description="Independent looks that an alert needs: one person, or two."
    )
    looks_by_category: dict[str, Literal[1, 2]] = Field(
        default_factory=dict,
        title="Looks by category",
        description="Looks for single watchlist categories, by category code, where they differ.",
    )
    disagreement: Literal["third_look", "not_referred"] = Field(
        "not_referred",
        title="Disagreement",
        description="Two looks that differ: a third person looks, or the alert is closed as not referred.",
    )
    reassign_s: Seconds = Field(
        15.0, title="Pass on", description="Seconds until another operator is asked to look."
    )
    escalate_s: Seconds = Field(
        30.0, title="Escalate", description="Seconds until everybody at the desk is called."
    )
    expire_s: Seconds = Field(
        600.0, title="Expire", description="Seconds after which an alert nobody looked at ends unreviewed."
    )
    max_open: int = Field(
        40,
        ge=1,
        le=200,
        title="Open alerts",
        description="Alerts the desk shows at once; more are held back.",
    )
    drill_pack: Path | None = Field(
        None,
        title="Drill pack",
        description="Folder of known-answer cases made of pictures of consenting staff. Empty: no drills.",
    )
    drills_per_hour: float = Field(
        0.0,
        ge=0,
        le=60,
        title="Drills an hour",
        description="Known-answer alerts mixed in, on average; they come at random moments. 0: none.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> DeskSettings:
        if not self.reassign_s < self.escalate_s < self.expire_s:
            raise ValueError("reassign_s, escalate_s and expire_s must rise")
        if self.drills_per_hour and self.drill_pack is None:
            raise ValueError("drills_per_hour needs a drill_pack")
        return self


class DeploymentSettings(Section):
    """Who and what must be there before anybody is looked at."""

    autostart: bool = Field(
        False,
        title="Start by itself",
        description="Start at once, without authority and without people. Only where models.purpose is"
        " 'evaluation'.",
    )
    authority: Path | None = Field(
        None,
        title="Authority",
        description="The signed authority of the next deployment. Empty: the deployment officer brings it on the"
        " Deployment page.",
    )
    place: str = Field(
        "", max_length=200, title="Place", description="Where the box stands, as the authority names it."
    )
    latitude: float | None = Field(
        None, ge=-90, le=90, title="Latitude", description="Degrees north (WGS 84) where the box stands."
    )
    longitude: float | None = Field(
        None, ge=-180, le=180, title="Longitude", description="Degrees east (WGS 84) where the box stands."
    )
    destroy_list: bool = Field(
        True,
        title="Destroy the list",
        description="Destroy the sealed list and its key file at the end of the deployment. False only where"
        " models.purpose is 'evaluation'.",
    )
    import_copies: tuple[Path, ...] = Field(
        (),
        title="Import copies",
        description="Files or folders on the medium that brought the list, erased at the end where the officer asks.",
    )
    briefing: Path | None = Field(
        None,
        title="Briefing",
        description="Text file that operators and officer acknowledge before a start. Empty: the briefing that came"
        " with this program.",
    )


class NoticeSettings(Section):
    """What the public is told besides the authority: the page /notice and the poster."""

    force: str = Field(
        "", max_length=120, title="Force", description="Who is responsible, as the public knows it."
    )
    contact: str = Field(
        "",
        max_length=200,
        title="Contact",
        description="Whom to ask or complain to: a telephone number, an address, an e-mail address.",
    )
    url: str = Field(
        "",
        max_length=200,
        pattern=r"^(https://[^\s]+)?$",
        title="Web page",
        description="Where the force publishes more (https); the poster's code leads there.",
    )


class Settings(Section):
    """The whole configuration file."""

    site: str = Field(
        "unnamed van", min_length=1, max_length=80, title="Site", description="Shown on pages and reports."
    )
    data: Path = Field(
        Path("var"), title="Data", description="Folder of alerts, accounts and keys of this box."
    )
    audit: Path = Field(
        Path("audit_logs/var"), title="Audit logs", description="Folder of the append-only logs."
    )
    cameras: tuple[CameraSettings, ...] = Field(
        (), title="Cameras", description="One [[cameras]] table each."
    )
    models: ModelSettings = Field(default_factory=ModelSettings, title="Networks")
    vision: VisionSettings = Field(default_factory=VisionSettings, title="Vision")
    matching: MatchingSettings = Field(default_factory=MatchingSettings, title="Matching")
    watchlist: WatchlistSettings = Field(default_factory=WatchlistSettings, title="Watchlist")
    console: ConsoleSettings = Field(default_factory=ConsoleSettings, title="Console")
    integrations: IntegrationSettings = Field(default_factory=IntegrationSettings, title="Integrations")
    anchoring: AnchoringSettings = Field(default_factory=AnchoringSettings, title="Heads outside the box")
    retention: RetentionSettings = Field(default_factory=RetentionSettings, title="Retention")
    notice: NoticeSettings = Field(default_factory=NoticeSettings, title="Public notice")
    deployment: DeploymentSettings = Field(default_factory=DeploymentSettings, title="Deployment")
    desk: DeskSettings = Field(default_factory=DeskSettings, title="Desk")

    @model_validator(mode="after")
    def _people_start(self) -> Settings:
        if self.deployment.autostart and self.models.purpose != "evaluation":
            raise ValueError(
                "deployment.autostart needs models.purpose = 'evaluation': people start a deployment"
            )
        if not self.deployment.destroy_list and self.models.purpose != "evaluation":
            raise ValueError("deployment.destroy_list = false needs models.purpose = 'evaluation'")
        return self

    @field_validator("cameras")
    @classmethod
    def _distinct(cls, cameras: tuple[CameraSettings, ...]) -> tuple[CameraSettings, ...]:
        names = [camera.id for camera in cameras]
        if len(set(names)) != len(names):
            raise ValueError("two cameras have the same id")
        return cameras


def load_settings(path: Path) -> Settings:
    """Read and check the configuration. Relative paths count from the file's own folder.

    Raises:
        ConfigError: ``config_missing``, ``config_syntax`` or ``config_invalid``; the message names the field.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            "config_missing",
            f"{path}: {error.strerror}",
            hint="give the file with --config; deploy/lfr.toml is an example",
        ) from None
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            "config_syntax", f"{path}: {error}", hint="the file is TOML; see deploy/lfr.toml"
        ) from None
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        # The input is left out: it may hold an address with a password that somebody put there.
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)]
        raise ConfigError(
            "config_invalid",
            f"{path}: " + "; ".join(lines),
            hint="see docs/reference/configuration.md for every field",
        ) from None
    return _anchored(settings, path.parent.resolve())


def _anchored(section: Section, root: Path) -> Settings:
    """The same tree with every relative path counted from `root`."""

    def anchor(value: object) -> object:
        if isinstance(value, Path):
            return root / value
        if isinstance(value, Section):
            return value.model_copy(
                update={name: anchor(getattr(value, name)) for name in type(value).model_fields}
            )
        if isinstance(value, tuple):
            return tuple(anchor(item) for item in value)
        return value

    anchored = anchor(section)
    assert isinstance(anchored, Settings)
    return anchored
