"""The mutation program's copy of the room stays whole: its tests find all that they import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.audit.mutation import OTHER_PROGRAMS, lay_out


def test_every_test_of_the_room_can_be_collected_in_the_copy(tmp_path: Path) -> None:
    lay_out(tmp_path)
    line = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests/audit"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    here = {path.name for path in Path(__file__).parent.glob("test_*.py")} - {*OTHER_PROGRAMS}
    assert {path.name for path in (tmp_path / "tests" / "audit").glob("test_*.py")} == here
