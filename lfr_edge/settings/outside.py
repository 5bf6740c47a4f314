"""Who else is told: other systems, and those who hold the record's heads."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from lfr_edge.settings.section import Identifier, Seconds, Section


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
