"""Plain network → its fast twin: the work around a network, written into its graph.

A *twin* gives the same answers as the plain path and takes raw bytes: ``pixels`` begins at the uint8 picture that
the plain path would normalise, ``frames`` at the camera's own I420 planes (colour conversion and resizing are then
part of the graph, too). A detector's twin also decodes its boxes. :mod:`.pixels` is what stands before the network,
:mod:`.boxes` what stands after it, :mod:`.twin` joins them, :mod:`.aligner` cuts faces out on the device, and
:mod:`.half` writes a network in half precision.

A twin is derived from verified bytes each time a pack is opened and is never read from a file: nobody can put
another one in its place. Nothing here runs a network; the vision room compares twin and plain path.
"""

from __future__ import annotations

from lfr_edge.models.fuse.aligner import aligner
from lfr_edge.models.fuse.boxes import COLUMNS, MOST_CANDIDATES
from lfr_edge.models.fuse.half import HalfPack, half_pack
from lfr_edge.models.fuse.twin import Entry, twin_of

__all__ = ["COLUMNS", "MOST_CANDIDATES", "Entry", "HalfPack", "aligner", "half_pack", "twin_of"]
