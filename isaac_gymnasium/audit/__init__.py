"""Whether success is what a task's reward pays most for."""

from isaac_gymnasium.audit.report import Audit, TermShare, audit
from isaac_gymnasium.audit.rollout import Rollout, roll
from isaac_gymnasium.audit.scripts import SCRIPTS, Script

__all__ = ["SCRIPTS", "Audit", "Rollout", "Script", "TermShare", "audit", "roll"]
