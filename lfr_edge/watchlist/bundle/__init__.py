"""Lists from outside: the signed bundle, and what else can be turned into one."""

from lfr_edge.watchlist.bundle.archive import Limits
from lfr_edge.watchlist.bundle.formats import read_list, read_unsigned
from lfr_edge.watchlist.bundle.mapped import read_mapped
from lfr_edge.watchlist.bundle.mapping import Mapping, read_mapping
from lfr_edge.watchlist.bundle.read import read_bundle
from lfr_edge.watchlist.bundle.write import Label, write_bundle

__all__ = [
    "Label",
    "Limits",
    "Mapping",
    "read_bundle",
    "read_list",
    "read_mapped",
    "read_mapping",
    "read_unsigned",
    "write_bundle",
]
