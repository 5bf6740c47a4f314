"""``lfr-edge audit``: the commands live in the audit room, so that they also run without the rest."""

from __future__ import annotations

from lfr_edge.audit.commands import register

__all__ = ["register"]
