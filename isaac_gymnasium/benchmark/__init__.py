"""Speed of environments, measured so that anyone can repeat it.

Every case (one ID, engine, device and number of environments) runs in a process of its own, which
makes times from the start of the process and figures of memory honest. The command is
``isaac-gymnasium benchmark``.
"""

from isaac_gymnasium.benchmark.case import Case, Result
from isaac_gymnasium.benchmark.report import draw, hardware, save, table
from isaac_gymnasium.benchmark.runner import CaseFailed, measure

__all__ = ["Case", "CaseFailed", "Result", "draw", "hardware", "measure", "save", "table"]
