"""``uv run trials …``, ``python -m trials …`` or ``./scripts/trials …``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # uv runs the folder: its parent is the checkout

from trials.cli import main

if __name__ == "__main__":
    sys.exit(main())
