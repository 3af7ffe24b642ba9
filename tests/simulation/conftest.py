"""Makes what the worlds are made of importable, as it is for `python tests/simulation`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
