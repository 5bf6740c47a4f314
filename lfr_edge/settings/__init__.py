"""The one settings tree, read from one TOML file; every field has a title, a description, a unit and a range.

pydantic stands here, at the border; ``extra="forbid"`` turns a misspelt key into an error instead of a silent
default. Secrets are not kept in this file: a camera's password is read from ``password_file``.
"""

from __future__ import annotations

from lfr_edge.settings.cameras import CameraSettings
from lfr_edge.settings.deployment import DeploymentSettings, RetentionSettings
from lfr_edge.settings.outside import AnchoringSettings, IntegrationSettings, SystemSettings, WebhookSettings
from lfr_edge.settings.people import ConsoleSettings, DeskSettings, NoticeSettings
from lfr_edge.settings.recognition import MatchingSettings, ModelSettings, VisionSettings, WatchlistSettings
from lfr_edge.settings.section import Fraction, Identifier, Seconds, Section
from lfr_edge.settings.tree import Settings, load_settings

__all__ = [
    "AnchoringSettings",
    "CameraSettings",
    "ConsoleSettings",
    "DeploymentSettings",
    "DeskSettings",
    "Fraction",
    "Identifier",
    "IntegrationSettings",
    "MatchingSettings",
    "ModelSettings",
    "NoticeSettings",
    "RetentionSettings",
    "Seconds",
    "Section",
    "Settings",
    "SystemSettings",
    "VisionSettings",
    "WatchlistSettings",
    "WebhookSettings",
    "load_settings",
]
