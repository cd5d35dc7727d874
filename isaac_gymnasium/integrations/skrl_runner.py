"""skrl's Runner, whose agents see how an episode really ended."""

from __future__ import annotations

from typing import Any

from isaac_gymnasium.integrations.skrl import TrueSuccessorMixin

from skrl.agents.torch import Agent  # isort: skip -- after ours, which mind the processes
from skrl.utils.runner.torch import Runner as SkrlRunner  # isort: skip

__all__ = ["Runner"]


class Runner(SkrlRunner):
    """`skrl.utils.runner.torch.Runner` with `TrueSuccessorMixin` in front of its agents.

    Args:
        env: a `SkrlWrapper`, or what skrl's `wrap_env` makes of an environment.
        cfg: skrl's configuration, for instance read from YAML.
    """

    def _component(self, name: str) -> Any:
        component = super()._component(name)
        if isinstance(component, type) and issubclass(component, Agent):
            return type(component.__name__, (TrueSuccessorMixin, component), {})
        return component
