"""What the record keeps of an authority: what the published tables, the verifier and an auditor ask of it.

The document itself stays with the force; its SHA-256 ties the entry to it. No name of a person is copied: of the
Authorising Officer the rank, of the commanders nothing.
"""

from __future__ import annotations

from typing import Final

from lfr_edge.audit.event import SYSTEM, Actor, Event
from lfr_edge.deployment.authority import SignedAuthority
from lfr_edge.deployment.authority.terms import Assessment
from lfr_edge.deployment.authority.words import use_cases

_PROSE_MAX: Final = 500  # characters of a text that the record repeats; the whole is in the document


def authorised(signed: SignedAuthority, actor: Actor = SYSTEM) -> Event:
    """The entry ``deployment.authorised``; again for each extension, which is a new authority."""
    terms = signed.authority
    assessed = terms.assessments
    data: dict[str, object] = {
        "sha256": signed.sha256,
        "key_id": signed.key_id,
        "operation": terms.operation,
        "purpose": terms.purpose,
        "use_case": use_cases()[terms.use_case].title,
        "policy": terms.policy_paragraph[:_PROSE_MAX],
        "legal_basis": terms.legal_basis[:_PROSE_MAX],
        "location": terms.place.name[:_PROSE_MAX],
        "radius_m": terms.place.radius_m,
        "starts_s": terms.start_ns // 10**9,
        "ends_s": terms.end_ns // 10**9,
        "cameras": len(terms.cameras),
        "categories": list(terms.watchlist.categories),
        "maximum_size": terms.watchlist.maximum_size,
        "under_18s": "yes, with a reason on file" if terms.watchlist.under_18 else "no",
        "threshold_floor_e4": round(terms.threshold.floor * 10_000),
        "alert_images_h": terms.retention.alert_images_h,
        "ao_rank": str(terms.officer.rank).replace("_", " "),
        "urgent": terms.urgent is not None,
        "dpia": _filed(assessed.dpia),
        "eia": _filed(assessed.eia),
        "cia": _filed(assessed.cia),
        "apd": _filed(assessed.apd),
    }
    return Event("deployment.authorised", actor, data=data)


def _filed(assessment: Assessment) -> str:
    return f"{assessment.reference}, version {assessment.version}"[:_PROSE_MAX]
