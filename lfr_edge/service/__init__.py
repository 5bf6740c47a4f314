"""The supervisor: the one place where the rooms are wired."""

from lfr_edge.service.service import Service

__all__ = ["Service"]
