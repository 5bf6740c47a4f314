"""What people see of it: the console, the desk, the public notice."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from lfr_edge.settings.section import Seconds, Section


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
