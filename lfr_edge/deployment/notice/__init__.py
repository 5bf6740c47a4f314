"""What the public is told: where, when, why, whom, for how long, and whom to ask. Never anything about a person."""

from lfr_edge.deployment.notice.notice import Notice, notice_of
from lfr_edge.deployment.notice.poster import SIZES, Size, poster

__all__ = ["SIZES", "Notice", "Size", "notice_of", "poster"]
