"""Nothing of a participant stays longer than they agreed to: one person's lines, or everybody's, with a receipt."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from lfr_edge.audit.disk import write_new
from lfr_edge.errors import EvaluationError
from lfr_edge.watchlist.destroy import destroy_file

PERSONAL: Final = ("participants.csv", "passages.csv", "sheets.html")
RECEIPTS: Final = "deleted.json"


def delete_everybody(folder: Path, now: datetime) -> dict[str, Any]:
    """Destroy every file that names a participant. Plan and result stay: they name nobody.

    Raises:
        EvaluationError: ``fieldtest_nothing_to_delete``. WatchlistError: a file could not be overwritten.
    """
    found = [folder / name for name in PERSONAL if (folder / name).exists()]
    if not found:
        raise EvaluationError(
            "fieldtest_nothing_to_delete",
            f"{folder} holds no participants",
            hint="its deleted.json says when they were deleted; without one it is not the folder of a test",
        )
    files = [{"file": path.name, "sha256": _digest(path), "bytes": destroy_file(path)} for path in found]
    return _receipt(folder, {"at": now.isoformat(timespec="seconds"), "what": "everybody", "files": files})


def delete_participant(folder: Path, code: str, now: datetime) -> dict[str, Any]:
    """Take one person out of every table; the old files are overwritten and the printed sheets destroyed.

    Raises:
        EvaluationError: ``fieldtest_participant_unknown``.
    """
    files = []
    for name, column in (("participants.csv", "code"), ("passages.csv", "participant")):
        path = folder / name
        if not path.exists():
            continue
        kept, lines = _without(path, column, code)
        if lines:
            files.append({"file": name, "lines": lines, "sha256_before": _digest(path)})
            destroy_file(path)
            write_new(path, kept.encode())
    if not files:
        raise EvaluationError(
            "fieldtest_participant_unknown",
            f"{code!a} takes no part in {folder}",
            hint="see participants.csv",
        )
    sheets = folder / "sheets.html"
    if sheets.exists():
        files.append({"file": sheets.name, "sha256": _digest(sheets), "bytes": destroy_file(sheets)})
    # The receipt does not name whom it is about: it would be what was to be deleted.
    return _receipt(
        folder, {"at": now.isoformat(timespec="seconds"), "what": "one participant", "files": files}
    )


def _without(path: Path, column: str, code: str) -> tuple[str, int]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    at = rows[0].index(column)
    kept = [rows[0], *(row for row in rows[1:] if len(row) <= at or row[at].strip() != code)]
    out = io.StringIO(newline="")
    csv.writer(out).writerows(kept)
    return out.getvalue(), len(rows) - len(kept)


def _receipt(folder: Path, receipt: dict[str, Any]) -> dict[str, Any]:
    path = folder / RECEIPTS
    earlier: list[Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    write_new(path, (json.dumps([*earlier, receipt], indent=2) + "\n").encode())
    return receipt


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
