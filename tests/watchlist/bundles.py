"""Small signed bundles of drawn squares, by the product's own writer."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pictures_for_tests import png

from lfr_edge.watchlist.bundle import Label, read_unsigned, write_bundle
from lfr_edge.watchlist.bundle.signature import key_id

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
TRUSTED = {key_id(PUBLIC): PUBLIC}
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
LABEL = Label("L-1", "OP-2026-117", "Example Constabulary", "operational", NOW)
HEAD = (
    "reference,category,response,images,image_source,image_taken,date_of_birth,legal_basis,holding_statement,"
    "reason,originating_officer,review_date,under_18_authority,consent_reference"
)


def row(reference: str, images: str, **changes: str) -> str:
    values = {
        "reference": reference,
        "category": "wanted_by_court",
        "response": "amber",
        "images": images,
        "image_source": "custody",
        "image_taken": "2025-08-14",
        "date_of_birth": "1988-02-29",
        "legal_basis": "Bail Act 1976 s7",
        "holding_statement": "custody image",
        "reason": "warrant",
        "originating_officer": "DC 1123",
        "review_date": "2026-12-31",
        "under_18_authority": "",
        "consent_reference": "",
    } | changes
    return ",".join(values[name] for name in HEAD.split(","))


def folder_list(folder: Path, people: int = 3, *rows: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(people):
        (folder / f"{number}.png").write_bytes(png(8, 8, number))
    lines = rows or tuple(row(f"W-{number}", f"{number}.png") for number in range(people))
    (folder / "watchlist.csv").write_text("\n".join([HEAD, *lines]) + "\n", encoding="utf-8")
    return folder


def good_bundle(folder: Path, name: str = "good.zip", people: int = 3) -> Path:
    """A signed bundle beside the list it was made of."""
    found = read_unsigned(folder_list(folder / "list", people), "operational", today=NOW.date())
    write_bundle(folder / name, found, LABEL, KEY)
    return folder / name
