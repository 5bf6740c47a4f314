"""Why, where and when: the authority of one deployment (Written Authority Document), enforced.

Pure: nothing here reads anything but the file it is given, and every clock is handed in.
"""

from lfr_edge.deployment.authority.clauses import RULES, Clause, clauses, refuse, threshold_change
from lfr_edge.deployment.authority.document import (
    Document,
    SignedAuthority,
    draft,
    read_authority,
    read_document,
    schema,
)
from lfr_edge.deployment.authority.facts import Facts
from lfr_edge.deployment.authority.terms import Authority, Cancellation, Confirmation
from lfr_edge.deployment.authority.window import Window

__all__ = [
    "RULES", "Authority", "Cancellation", "Clause", "Confirmation", "Document", "Facts", "SignedAuthority", "Window",
    "clauses", "draft", "read_authority", "read_document", "refuse", "schema", "threshold_change",
]  # fmt: skip
