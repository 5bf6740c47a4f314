"""The whole tree, read from one file."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import Field, ValidationError, field_validator, model_validator

from lfr_edge.errors import ConfigError
from lfr_edge.settings.cameras import CameraSettings
from lfr_edge.settings.deployment import DeploymentSettings, RetentionSettings
from lfr_edge.settings.outside import AnchoringSettings, IntegrationSettings
from lfr_edge.settings.people import ConsoleSettings, DeskSettings, NoticeSettings
from lfr_edge.settings.recognition import MatchingSettings, ModelSettings, VisionSettings, WatchlistSettings
from lfr_edge.settings.section import Section


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
            hint="lfr-edge setup writes one; deploy/lfr.toml is an example",
        ) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(
            "config_syntax", f"{path}, line {line}: this is not UTF-8", hint="save the file as UTF-8"
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
