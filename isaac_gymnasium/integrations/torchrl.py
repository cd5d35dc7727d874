"""TorchRL: an `EnvBase` with specs, partial resets, seeds and true last observations.

TorchRL's own `GymWrapper` also takes the bare environment, but loses the last observations of dict
spaces, cannot reset by mask on a GPU, and reads a final observation for each environment in turn.

    env = TorchRLEnv(gym.make_vec("IsaacCartpole-v0", num_envs=256, autoreset_mode="Disabled"))
    collector = Collector(env, policy, frames_per_batch=4096, total_frames=400_000)
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import torch
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv

from isaac_gymnasium.integrations._requirements import needs_extra, require_autoreset
from isaac_gymnasium.wrappers import ToDevice, TorchWrapper

with needs_extra("TorchRL", "torchrl"):
    from tensordict import TensorDict, TensorDictBase
    from torchrl.data import Bounded, Categorical, Composite, TensorSpec, Unbounded
    from torchrl.envs import EnvBase

__all__ = ["TorchRLEnv"]

_RESERVED = frozenset({"action", "done", "next", "reward", "terminated", "truncated", "_reset"})


class TorchRLEnv(EnvBase):
    """An environment of this package as TorchRL expects it, with batch size (N,).

    Observations are under `observation`, or under the keys of a dict observation; the privileged
    state, where the task has one, is under `state`. `reward`, `done`, `terminated` and `truncated`
    have shape (N, 1). TorchRL resets the environments that have ended, by mask, so that `next`
    always holds what truly followed the action.

    Args:
        env: An environment from `gymnasium.make_vec`, possibly within wrappers, in the autoreset
            mode `Disabled`.
        seed: Of the first reset; later ones are set by `set_seed`.
        device: Where results are wanted; the device of the environment by default.

    Raises:
        ValueError: If the environment is in another autoreset mode, or a key of its observations
            means something else to TorchRL.
        TypeError: If a space holds anything but boxes.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        *,
        seed: int | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        require_autoreset(
            env,
            AutoresetMode.DISABLED,
            "TorchRLEnv",
            "TorchRL itself resets the environments that have ended",
        )
        wrapped = TorchWrapper(env)
        if device is not None and torch.device(device) != wrapped.device:
            wrapped = ToDevice(wrapped, device)
        super().__init__(device=wrapped.device, batch_size=torch.Size([wrapped.num_envs]))
        self._env = wrapped
        self._seed = seed
        self._last: dict[str, Any] = {}
        rows = self.batch_size
        observations = self._with_state(
            wrapped.single_observation_space, wrapped.state_space, "space"
        )
        if names := _RESERVED & set(observations):
            raise ValueError(f"TorchRL has another use for the observation {sorted(names)[0]!r}")
        self.observation_spec = Composite(
            {key: _spec(space, rows, self.device) for key, space in observations.items()},
            shape=rows,
            device=self.device,
        )
        self.action_spec = _spec(wrapped.single_action_space, rows, self.device)
        self.reward_spec = Unbounded((*rows, 1), device=self.device)
        flag = Categorical(2, (*rows, 1), device=self.device, dtype=torch.bool)
        self.done_spec = Composite(
            {name: flag.clone() for name in ("done", "terminated", "truncated")},
            shape=rows,
            device=self.device,
        )

    def _reset(self, tensordict: TensorDictBase | None = None, **kwargs: Any) -> TensorDictBase:
        mask = None if tensordict is None else tensordict.get("_reset", None)
        if mask is None or bool(mask.all()):
            obs, _ = self._env.reset(seed=self._seed, **kwargs)
            self._seed = None
        elif bool(mask.any()):
            options = {**(kwargs.pop("options", None) or {}), "reset_mask": mask.view(-1)}
            obs, _ = self._env.reset(options=options, **kwargs)
        else:
            return self._tensordict(self._last)
        return self._tensordict(self._observe(obs))

    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        if (partial := tensordict.get("_step", None)) is not None and not bool(partial.all()):
            raise ValueError(
                "the environments share one simulation and step together: break_when_all_done and "
                "other partial steps cannot be had"
            )
        obs, reward, terminated, truncated, _ = self._env.step(tensordict.get("action"))
        flags = {
            "done": terminated | truncated,
            "terminated": terminated,
            "truncated": truncated,
        }
        columns = {name: value.unsqueeze(-1) for name, value in flags.items()}
        return self._tensordict({**self._observe(obs), "reward": reward.unsqueeze(-1), **columns})

    def _set_seed(self, seed: int | None) -> None:
        """Sets the seed of the next reset of all environments."""
        self._seed = seed

    def close(self, *, raise_if_closed: bool = True) -> None:
        """Closes the environment."""
        if not self.is_closed:
            self._env.close()
        super().close(raise_if_closed=raise_if_closed)

    def _observe(self, obs: Any) -> dict[str, Any]:
        state = None if self._env.state_space is None else self._env.state()
        self._last = self._with_state(obs, state, "observation")
        return self._last

    @staticmethod
    def _with_state(obs: Any, state: Any, what: str) -> dict[str, Any]:
        if isinstance(obs, (dict, gym.spaces.Dict)):
            named = dict(obs.items())
        else:
            named = {"observation": obs}
        if state is not None:
            if "state" in named:
                raise ValueError(f"the {what} 'state' collides with the privileged state")
            named["state"] = state
        return named

    def _tensordict(self, values: dict[str, Any]) -> TensorDictBase:
        return TensorDict(values, batch_size=self.batch_size, device=self.device)


def _spec(space: gym.Space[Any], rows: torch.Size, device: torch.device) -> TensorSpec:
    """What TorchRL knows about the values (N, ...) of a space."""
    if isinstance(space, gym.spaces.Dict):
        specs = {key: _spec(sub, rows, device) for key, sub in space.items()}
        return Composite(specs, shape=rows, device=device)
    if not isinstance(space, Box):
        raise TypeError(f"TorchRLEnv needs spaces of boxes, got {space}")
    low, high = (
        torch.from_numpy(bound).to(device).expand(*rows, *space.shape)
        for bound in (space.low, space.high)
    )
    if not space.is_bounded("both"):
        return Unbounded(low.shape, device=device, dtype=low.dtype)
    return Bounded(low, high, low.shape, device=device, dtype=low.dtype)
