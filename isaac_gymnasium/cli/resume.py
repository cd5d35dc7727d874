"""``isaac-gymnasium resume``: go on with a run from its last checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Annotated

import tyro

from isaac_gymnasium.cli._checkpoint import read_checkpoint
from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.cli._run_folder import find_run, read_config, write_config
from isaac_gymnasium.cli._trainer import find_config
from isaac_gymnasium.cli.train import run_training


@dataclass(kw_only=True)
class Resume:
    """Go on with a run that was interrupted or killed, from its last checkpoint.

    Weights, optimiser, statistics, counters, random numbers and, where they can tell it, the
    environments' state are those of the checkpoint.
    """

    run_dir: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """Folder of the run, or an environment ID for the latest one in runs/<ID>."""
    timesteps: int | None = None
    """Environment steps of the whole training, if other than the run's, to train on."""
    device: str | None = None
    """auto, cpu or cuda:0; the run's by default."""

    def run(self) -> int:
        """Train, evaluate, print one line each."""
        folder = find_run(self.run_dir)
        settings = read_config(folder)
        checkpoint = read_checkpoint(folder)
        agent = find_config(settings["library"], settings["algorithm"]).from_dict(settings["agent"])
        if self.timesteps is not None:
            agent = replace(agent, timesteps=self.timesteps)
        if "timesteps" not in checkpoint:
            raise UserError(
                f"{folder} was made by another version of this package: it can be evaluated, but "
                "not resumed"
            )
        done = checkpoint["timesteps"]
        if done >= agent.timesteps:
            raise UserError(
                f"{folder} has done {done} environment steps of {agent.timesteps}; "
                "give --timesteps to train on"
            )
        if self.device is not None:
            settings["device"] = self.device
        # So that the next resume goes on to the same end.
        write_config(folder, {**settings, "agent": asdict(agent)})
        return run_training(settings, agent, folder, checkpoint=checkpoint)
