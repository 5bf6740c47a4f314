"""When the van looks, for whom, and how long anything is kept."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from lfr_edge.settings.section import Section


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
