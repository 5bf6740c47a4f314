"""``uv run trials …``, ``./scripts/trials …`` or ``python -m tests.trials …``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # where the folder itself is run

from tests.trials.cli import main

if __name__ == "__main__":
    sys.exit(main())
