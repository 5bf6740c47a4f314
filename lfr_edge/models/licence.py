"""The licence gate: whether a pack may be used for what is about to be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lfr_edge.errors import ModelError
from lfr_edge.models.store import Pack
from lfr_edge.sentences import listed, say

Purpose = Literal["operational", "evaluation"]


@dataclass(frozen=True, slots=True)
class Permission:
    """Under what a pack runs; the notices belong on the page, in the log and in the report."""

    purpose: Purpose
    licence_reference: str | None
    notices: tuple[str, ...]  # one sentence a network that a reader must know about; may be empty


def require_permission(pack: Pack, purpose: Purpose, licence_reference: str | None = None) -> Permission:
    """Refuse an operational use that the licence of any network in the pack does not cover.

    ``evaluation`` (demonstration, training of staff, tests, measurements) is open to every pack and is said so.

    Raises:
        ModelError: ``model_licence_forbids`` or ``model_licence_reference_missing``.
    """
    reference = (licence_reference or "").strip() or None
    if purpose == "evaluation":
        notices = tuple(
            f"{network.id} ({network.licence.name}): evaluation only, not for operational use"
            for network in pack.manifest.networks
            if network.licence.operational_use == "no"
            or (network.licence.operational_use == "with_reference" and reference is None)
        )
        return Permission(purpose, reference, notices)
    forbidden = [n for n in pack.manifest.networks if n.licence.operational_use == "no"]
    if forbidden:
        raise ModelError(
            "model_licence_forbids",
            say(
                "pack {name!r} may not be used operationally: {networks}",
                name=pack.name,
                networks=listed(
                    (say("{id} is under {licence}", id=n.id, licence=n.licence.name) for n in forbidden), "; "
                ),
            ),
            hint='install a pack that the force has licensed; this one serves with models.purpose = "evaluation"',
        )
    bound = [n for n in pack.manifest.networks if n.licence.operational_use == "with_reference"]
    if bound and reference is None:
        raise ModelError(
            "model_licence_reference_missing",
            say(
                "pack {name!r} needs a licence reference for operational use: {networks}",
                name=pack.name,
                networks=", ".join(f"{n.id} ({n.licence.name})" for n in bound),
            ),
            hint="set models.licence_reference to the licence or approval that covers this use, "
            'or models.purpose = "evaluation"',
        )
    notices = tuple(f"{n.id} ({n.licence.name}): used under {reference}" for n in bound)
    return Permission(purpose, reference, notices)
