"""Tables that people fill in: CSV, columns by name."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lfr_edge.errors import EvaluationError


@contextmanager
def open_table(
    path: Path, code: str, hint: str, columns: Sequence[str] | None = None
) -> Iterator[csv.DictReader[str]]:
    """Rows as they stand in the file, a byte order mark aside: what a spreadsheet writes. `columns`: just these.

    Raises:
        EvaluationError: `code`, for a file that cannot be read, is no strict CSV, or of which the block said what is
            wrong by a ValueError.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            if columns is not None and list(rows.fieldnames or ()) != list(columns):
                raise ValueError(f"the first line must be {','.join(columns)}")
            yield rows
    except OSError as error:
        raise EvaluationError(code, f"{path}: {error.strerror}", hint=hint) from None
    except (ValueError, csv.Error) as error:
        raise EvaluationError(code, f"{path}: {error}", hint=hint) from None
