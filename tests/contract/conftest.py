"""Let tests import ``sound_env`` from here, and specs name it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
