"""Model card, and annexes to the DPIA and the appropriate policy document, out of what the machine really runs.

Settings, pack manifests and calibrations in; no sentence here repeats a number by hand, so that paper and system
cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lfr_edge.deployment.keeping.retention import retention_section
from lfr_edge.deployment.report.document import Document, Fact, Section, Table
from lfr_edge.deployment.report.wording import NOT_RECORDED
from lfr_edge.matching.threshold import Calibration
from lfr_edge.models.manifest import NetworkManifest
from lfr_edge.models.store import Pack
from lfr_edge.settings import Section as SettingsSection
from lfr_edge.settings import Settings

REFUSED: Final = (
    "search or replay of people who raised no alert", "identifiers for unknown persons", "tracking across cameras",
    "inference of age, sex, ethnicity or emotion", "learning from passers-by",
    "automatic dispatch, or any action without a human decision",
)  # fmt: skip
_PERMISSION: Final = {
    "yes": "permitted",
    "no": "not permitted",
    "with_reference": "permitted with a licence reference",
}


def model_card(settings: Settings, pack: Pack, calibrations: Sequence[Calibration]) -> Document:
    """What the networks are, where they come from, how they were measured here and what is not known."""
    networks = pack.manifest.networks
    mine = [item for item in calibrations if item.fingerprint == pack.fingerprint]
    return Document(
        title="Model card",
        subtitle=f"Pack {pack.manifest.name} {pack.manifest.version} · {settings.site}",
        sections=(
            Section("The pack", (pack.manifest.description,), facts=(
                Fact("Fingerprint", pack.fingerprint, "of the manifest; every template and threshold is bound to it"),
                Fact("Precision", pack.precision, "of the embedders, as the manifest says; thresholds are bound to it"),
                Fact("Purpose configured", settings.models.purpose, "'operational' needs a licence that permits it"),
                Fact("Providers", ", ".join(settings.models.providers), "in order of preference"),
                Fact("Licence reference", settings.models.licence_reference or "none", ""),
            )),
            *(_network(network) for network in networks),
            _measured(mine),
            Section("Limits", (
                "A cosine of this pack means nothing for another pack. A threshold is valid for the list size that it"
                " was measured for, and for smaller ones.",
                "Error rates by ethnicity, sex or age are not in this card unless a table above gives them: without a"
                " sample that is large enough, the answer is that it cannot be told.",
            )),
        ),
    )  # fmt: skip


def dpia_annex(settings: Settings, pack: Pack) -> Document:
    """Technical annex to a data protection impact assessment."""
    return Document(
        title="Technical annex to the data protection impact assessment",
        subtitle=f"{settings.site} · generated from the configuration",
        sections=(
            retention_section(settings, "What is processed, where and for how long"),
            Section("How many people may be affected", (
                "Every face in a camera's picture is processed; the log counts detections, passages, probes and"
                " recognition opportunities, and the erasure of each template.",
            ), facts=_cameras(settings)),
            Section("When a face becomes an alert", facts=_matching(settings)),
            Section("Risks that the design removes: no code exists for", (", ".join(REFUSED) + ".",)),
            Section("Networks", facts=tuple(
                Fact(network.id, f"{network.task}, {_PERMISSION[network.licence.operational_use]}",
                     f"{network.licence.name}; sha256 {network.sha256}") for network in pack.manifest.networks
            )),
            Section("The configuration in force", tables=(_configuration(settings),)),
        ),
    )  # fmt: skip


def apd_annex(settings: Settings) -> Document:
    """Annex to the appropriate policy document that sensitive processing needs (DPA 2018, section 42)."""
    return Document(
        title="Annex to the appropriate policy document",
        subtitle=f"{settings.site} · generated from the configuration",
        sections=(
            retention_section(settings),
            Section("Data protection principles, and what enforces them", facts=(
                Fact("Lawful and fair", "authority before recognition", "the record opens with site and purpose"),
                Fact("Specified purpose", settings.models.purpose, "a pack without permission stops the start"),
                Fact("Adequate, not excessive", f"{len(settings.cameras)} camera(s), one list",
                     "only passages that reach the threshold leave the sealed process"),
                Fact("Accurate", f"{settings.matching.agreement} looks of a passage must agree",
                     "and a person decides with reasons"),
                Fact("Kept no longer than needed", f"{settings.retention.alert_images_h:g} h", "keys destroyed"),
                Fact("Secure", _secure(settings), "templates at rest are encrypted; every access is in the signed log"),
            )),
            Section("Logging under section 62", (
                "Collection, alteration, consultation, disclosure, combination and erasure are entries of the signed"
                " log. Consultation and disclosure carry person, time and justification.",
            )),
        ),
    )  # fmt: skip


def _network(network: NetworkManifest) -> Section:
    size = f"{network.input.width or 'any'} × {network.input.height or 'any'}"
    facts = (
        Fact("Task", network.task, network.family),
        Fact("File", network.file, f"sha256 {network.sha256}, {network.size:,} bytes"),
        Fact("Licence", network.licence.name, network.licence.note),
        Fact("Operational use", _PERMISSION[network.licence.operational_use], "as the pack's manifest says"),
        Fact("Source", network.source, f"before conversion: sha256 {network.source_sha256 or NOT_RECORDED}"),
        Fact("Training data", network.training_data, "as the publisher says"),
        Fact(
            "Input",
            f"{size}, {network.input.colour}",
            f"(x − {network.input.mean:g}) / {network.input.scale:g}",
        ),
        Fact("Embedding", f"{network.dimension} numbers" if network.dimension else "none", "L2-normalised"),
    )
    return Section(f"Network {network.id}", facts=facts)


def _measured(calibrations: Sequence[Calibration]) -> Section:
    rows = tuple(
        (
            f"{item.list_size:,}",
            f"{100 * item.target_fpir:g} %",
            f"{item.threshold:.4f}",
            f"{item.low:.4f} to {item.high:.4f}",
            f"{item.impostors:,}",
            f"{item.people:,}",
            f"{item.provider} {item.precision}",
            item.measured.isoformat(),
            item.material,
        )
        for item in calibrations
    )
    columns = (
        "List", "FPIR", "Threshold", "95 % interval", "Searches", "People", "Run on", "Measured", "Material"
    )  # fmt: skip
    if not rows:
        return Section("Measured operating points", ("None: no calibration belongs to this pack.",))
    table = Table("Thresholds by list size and target FPIR", columns, rows, frozenset({0, 1, 2, 4, 5}))
    text = "FPIR: the share of passages of people not listed that raise an alert. NOT a verification rate."
    return Section("Measured operating points", (text,), tables=(table,))


def _cameras(settings: Settings) -> tuple[Fact, ...]:
    return tuple(
        Fact(camera.id, camera.url.split(":", 1)[0] if ":" in camera.url else "file", "a source, by its kind")
        for camera in settings.cameras
    ) or (Fact("Cameras", "none configured"),)


def _matching(settings: Settings) -> tuple[Fact, ...]:
    matching = settings.matching
    chosen = (
        f"{matching.threshold:g}" if matching.threshold is not None else "calibrated for the list's length"
    )
    return (
        Fact("Threshold", chosen, "cosine similarity"),
        Fact(
            "Target FPIR", f"{100 * matching.target_fpir:g} %", "passages of people not listed that may alert"
        ),
        Fact("Agreement", f"{matching.agreement} looks", "of one passage"),
        Fact("Margin", f"{matching.margin:g}", "least lead over the runner-up"),
        Fact("Cool-down", f"{matching.cooldown_s:g} s", "one alert per person and camera in this time"),
        Fact("Smallest face", f"{settings.vision.min_eye_px:g} px", "between the eyes"),
    )


def _secure(settings: Settings) -> str:
    return (
        "TLS on the console"
        if settings.console.tls_certificate
        else "console on this machine's loopback only"
    )


def _configuration(settings: Settings) -> Table:
    """Every field with its description; addresses and file paths stay on the box."""
    rows: list[tuple[str, str, str]] = []
    for name, section in settings:
        if isinstance(section, SettingsSection):
            for field, value in section:
                about = type(section).model_fields[field]
                if not _is_place(field):
                    rows.append((f"{name}.{field}", _shown(value), about.description or ""))
    return Table("Settings", ("Field", "Value", "Meaning"), tuple(rows))


def _is_place(field: str) -> bool:
    return field in {"store", "path", "key_file", "calibration", "host", "port", "tls_certificate", "tls_key"}


def _shown(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
