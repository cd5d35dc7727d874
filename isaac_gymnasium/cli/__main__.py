"""``python -m isaac_gymnasium.cli``."""

import sys

from isaac_gymnasium.cli import main

sys.exit(main())
