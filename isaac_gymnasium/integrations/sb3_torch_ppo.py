"""`TorchPPO`: Stable-Baselines3's PPO with its data on the device.

    envs = gymnasium.make_vec("IsaacCartpole-v0", num_envs=4096)
    model = TorchPPO("MlpPolicy", envs, n_steps=16, batch_size=8192).learn(10_000_000)
    model.save("cartpole")

Collecting, the bootstrap of truncated episodes, advantages and minibatches are tensor operations;
in SB3's own PPO each of them goes through NumPy, the bootstrap one environment at a time. On CUDA
acting and each minibatch are one launch, and losses are fetched once an update.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from torch import Tensor
from torch.distributions import Distribution
from torch.nn import functional

from isaac_gymnasium.graph import Graph
from isaac_gymnasium.integrations.sb3 import Sb3VecEnv, TensorStep
from isaac_gymnasium.tree import tree_map

# isort: split
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import DictRolloutBuffer, RolloutBuffer
from stable_baselines3.common.vec_env import VecTransposeImage

from isaac_gymnasium.integrations._torch_rollout_buffer import TorchRolloutBuffer

__all__ = ["TorchPPO", "TorchRolloutBuffer"]

_LOGGED = (
    "entropy_loss",
    "policy_gradient_loss",
    "value_loss",
    "approx_kl",
    "clip_fraction",
    "loss",
    "explained_variance",
    "std",
)
_RECORDINGS = ("_explore", "_minibatches", "_rates")
"""Made anew by every model."""


class TorchPPO(PPO):
    """SB3's PPO on tensors: the same arguments, learning and files.

    `env` is an `Sb3VecEnv`, or a vector environment that returns tensors, possibly within this
    package's wrappers: `NormalizeObservation` and `NormalizeReward` stand in for SB3's
    `VecNormalize`. SB3's own wrappers work on NumPy and are refused; the transposition of images
    that SB3 adds itself is done on tensors.

    Callbacks find in `locals` what they find in SB3's PPO. `infos` and all arrays among them are
    fetched from the device when a callback looks at them. What is known of the episodes reaches
    `ep_info_buffer` at the end of a rollout, and final observations are kept until then.

    Files written by `save` load with `stable_baselines3.PPO.load` and the other way round.
    """

    rollout_buffer: TorchRolloutBuffer
    rollout_buffer_class: Any
    _last_obs: Any
    _last_episode_starts: Any

    @staticmethod
    def _wrap_env(env: Any, verbose: int = 0, monitor_wrapper: bool = True) -> Any:
        if isinstance(env, VectorEnv):
            env = Sb3VecEnv(env)
        inner = env.venv if isinstance(env, VecTransposeImage) else env
        if not isinstance(inner, Sb3VecEnv):
            raise TypeError(
                "TorchPPO needs an Sb3VecEnv or a gymnasium.vector.VectorEnv that returns tensors, "
                f"got {type(inner).__name__}; in place of SB3's wrappers use those of "
                "isaac_gymnasium.wrappers within the Sb3VecEnv"
            )
        return PPO._wrap_env(env, verbose, monitor_wrapper)

    def _setup_model(self) -> None:
        if self.rollout_buffer_class in (None, RolloutBuffer, DictRolloutBuffer):
            self.rollout_buffer_class = TorchRolloutBuffer
        elif not issubclass(self.rollout_buffer_class, TorchRolloutBuffer):
            raise TypeError(
                "rollout_buffer_class must be a subclass of TorchRolloutBuffer, got "
                f"{self.rollout_buffer_class.__name__}"
            )
        super()._setup_model()
        self._explore = Graph(self._explore_now, self.device, enabled=not self.use_sde)
        self._minibatches: dict[int, Graph[Tensor]] = {}
        self._rates: dict[int, Tensor] = {}

    def _maybe_recommend_cpu(self, mlp_class_name: str = "") -> None:
        """SB3 advises against a GPU for small networks, since its data are in NumPy."""

    def _excluded_save_params(self) -> list[str]:
        # SB3's own PPO is to load the file, also where there is no such device.
        excluded: list[str] = super()._excluded_save_params()
        if self.rollout_buffer_class is TorchRolloutBuffer:
            excluded.append("rollout_buffer_class")
        return [*excluded, "_last_obs", "_last_episode_starts", *_RECORDINGS]

    def get_parameters(self) -> dict[str, Any]:
        """The weights and the optimiser's state, as SB3's own PPO takes them on any device."""
        parameters: dict[str, Any] = super().get_parameters()
        for state in parameters.values():
            for group in state.get("param_groups", ()):
                if isinstance(group["lr"], Tensor):
                    group |= {"lr": float(group["lr"]), "capturable": False, "fused": None}
        return parameters

    def set_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Takes over weights and the optimiser's state; see SB3."""
        super().set_parameters(*args, **kwargs)
        self._forget()

    def _forget(self) -> None:
        """Drops what was recorded with tensors that have been replaced."""
        if hasattr(self, "_explore"):
            self._explore.forget()
            self._minibatches.clear()

    def collect_rollouts(
        self,
        env: Sb3VecEnv | VecTransposeImage,
        callback: Any,
        rollout_buffer: TorchRolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Fills the buffer with the policy's experience.

        Returns:
            False if the callback ended the training.
        """
        assert self._last_obs is not None, "reset the environment first"
        venv: Sb3VecEnv = env.unwrapped
        prepare, within_bounds = self._prepare(env), self._within_bounds()
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        steps: list[TensorStep] = []
        callback.on_rollout_start()
        for n_steps in range(n_rollout_steps):
            if self.use_sde and (
                n_steps == 0 or (self.sde_sample_freq > 0 and n_steps % self.sde_sample_freq == 0)
            ):
                self.policy.reset_noise(env.num_envs)
            obs, starts = (
                self._on_device(self._last_obs),
                self._on_device(self._last_episode_starts),
            )
            actions, values, log_probs = self._explore(*_leaves(obs))
            clipped = within_bounds(actions)
            step = venv.step_tensors(clipped.to(venv.device))
            steps.append(step)
            self.num_timesteps += env.num_envs
            self._last_obs, self._last_episode_starts = prepare(step.obs), step.ended
            callback.update_locals(
                {
                    "self": self,
                    "env": env,
                    "callback": callback,
                    "rollout_buffer": rollout_buffer,
                    "n_rollout_steps": n_rollout_steps,
                    "n_steps": n_steps,
                    "obs_tensor": obs,
                    "actions": _Fetched(partial(_to_numpy, actions)),
                    "clipped_actions": _Fetched(partial(_to_numpy, clipped)),
                    "values": values,
                    "log_probs": log_probs,
                    **_HostStep(env, step).locals(),
                }
            )
            if not callback.on_step():
                self._record_episodes(venv, steps)
                return False
            reward = self._on_device(step.reward)
            rollout_buffer.add(obs, actions, reward, starts, values, log_probs)
        with torch.no_grad():
            self._bootstrap(rollout_buffer, steps, prepare)
            last_values = self.policy.predict_values(self._on_device(self._last_obs))
            rollout_buffer.compute_returns_and_advantage(
                last_values, self._on_device(self._last_episode_starts)
            )
        self._record_episodes(venv, steps)
        callback.update_locals({"values": last_values})
        callback.on_rollout_end()
        return True

    def _explore_now(self, *leaves: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        with torch.no_grad(), _unvalidated():
            acted: tuple[Tensor, Tensor, Tensor] = self.policy(self._tree(leaves))
        return acted

    def _tree(self, leaves: tuple[Tensor, ...]) -> Any:
        """Observations of their leaves, in the order of `_leaves`."""
        space = self.observation_space
        if isinstance(space, spaces.Dict):
            return dict(zip(sorted(space.keys()), leaves, strict=True))
        return leaves[0]

    # ------------------------------------------------------------------ learning

    def train(self) -> None:
        """Learns from the rollout; as SB3's own, whose losses and logs these are."""
        if not self._recordable():
            super().train()
            return
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        self._keep_in_place(self.policy.optimizer)
        progress = self._current_progress_remaining
        clips: dict[str, float | None] = {"clip_range": self.clip_range(progress)}
        if self.clip_range_vf is not None:
            clips["clip_range_vf"] = self.clip_range_vf(progress)
        limits = [
            torch.tensor(clips[name], device=self.device) if name in clips else None
            for name in ("clip_range", "clip_range_vf")
        ]
        buffer = self.rollout_buffer
        size = buffer.buffer_size * buffer.n_envs
        numbers = []
        for _ in range(self.n_epochs):
            order = torch.randperm(size, device=self.device)
            for rows in order.split(self.batch_size):
                minibatch = self._minibatches.setdefault(
                    len(rows), Graph(self._learn_now, torch.device(self.device))
                )
                numbers.append(minibatch(rows, *limits).clone())
            self._n_updates += 1
        self._log(torch.stack(numbers), clips)

    def _recordable(self) -> bool:
        """Whether learning is the same operations in every minibatch, known in advance."""
        return (
            self.target_kl is None
            and not self.use_sde
            and type(self.rollout_buffer) is TorchRolloutBuffer
            and type(self.policy.optimizer) in (torch.optim.Adam, torch.optim.AdamW)
        )

    def _keep_in_place(self, optimizer: torch.optim.Optimizer) -> None:
        """Lets the optimiser work without the host, on a learning rate that keeps its tensor."""
        if torch.device(self.device).type != "cuda":
            return
        for index, group in enumerate(optimizer.param_groups):
            rate = self._rates.setdefault(index, torch.zeros((), device=self.device))
            rate.fill_(group["lr"])
            if group["lr"] is not rate and not group["capturable"]:
                self._forget()
            group["lr"], group["capturable"] = rate, True
            group["fused"] = not group["foreach"]  # one launch
            for parameter in group["params"]:
                state = optimizer.state.get(parameter, {})
                if "step" in state:
                    state["step"] = state["step"].to(self.device)

    def _learn_now(self, rows: Tensor, clip_range: Tensor, clip_range_vf: Tensor | None) -> Tensor:
        """One step of gradient descent on the samples (B,) given by index."""
        data = self.rollout_buffer.samples(rows)
        actions = data.actions
        if isinstance(self.action_space, spaces.Discrete):
            actions = actions.long().flatten()
        with _unvalidated():
            values, log_prob, entropy = self.policy.evaluate_actions(data.observations, actions)
        values = values.flatten()
        advantages = data.advantages
        if self.normalize_advantage and len(rows) > 1:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        log_ratio = log_prob - data.old_log_prob
        ratio = log_ratio.exp()
        clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
        policy_loss = -torch.min(advantages * ratio, advantages * clipped).mean()
        if clip_range_vf is not None:
            change = (values - data.old_values).clamp(-clip_range_vf, clip_range_vf)
            values = data.old_values + change
        value_loss = functional.mse_loss(data.returns, values)
        entropy_loss = log_prob.mean() if entropy is None else -entropy.mean()
        loss = policy_loss + self.ent_coef * entropy_loss + self.vf_coef * value_loss
        self.policy.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
        self.policy.optimizer.step()
        with torch.no_grad():
            divergence = ((ratio - 1) - log_ratio).mean()
            outside = ((ratio - 1).abs() > clip_range).float().mean()
            return torch.stack(
                (entropy_loss, policy_loss, value_loss, divergence, outside, loss)
            ).detach()

    def _log(self, numbers: Tensor, clips: dict[str, float | None]) -> None:
        """Fetches what there is to tell, all at once, and logs it under SB3's names."""
        values, returns = (self.rollout_buffer.tensors[name] for name in ("values", "returns"))
        unexplained = (returns - values).var(correction=0) / returns.var(correction=0)
        means = numbers.mean(0)
        # SB3 logs the divergence of the last pass, and the loss of its last minibatch.
        means[3] = numbers[-(len(numbers) // self.n_epochs) :, 3].mean()
        means[5] = numbers[-1, 5]
        fetched = torch.cat((means, (1.0 - unexplained).reshape(1)))
        if hasattr(self.policy, "log_std"):
            fetched = torch.cat((fetched, self.policy.log_std.detach().exp().mean().reshape(1)))
        told = fetched.tolist()
        if not all(map(math.isfinite, told[:6])):
            raise ValueError(f"training diverged: the loss became {told[5]}")
        for name, value in zip(_LOGGED, told, strict=False):
            self.logger.record(f"train/{name}", value)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        for name, clip in clips.items():
            self.logger.record(f"train/{name}", clip)

    # ------------------------------------------------------------------ parts of collecting

    def _prepare(self, env: Any) -> Callable[[Any], Any]:
        """What makes the policy's observations of the environment's."""
        if not isinstance(env, VecTransposeImage) or env.skip:
            return self._on_device
        keys = getattr(env, "image_space_keys", None)

        def prepare(obs: Any) -> Any:
            obs = self._on_device(obs)
            if keys is None:
                return obs.movedim(-1, 1)
            return {k: leaf.movedim(-1, 1) if k in keys else leaf for k, leaf in obs.items()}

        return prepare

    def _on_device(self, tree: Any) -> Any:
        return tree_map(lambda leaf: torch.as_tensor(leaf).to(self.device), tree)

    def _within_bounds(self) -> Callable[[Tensor], Tensor]:
        """What makes the environment's actions of the policy's."""
        if not isinstance(self.action_space, spaces.Box):
            return lambda actions: actions
        low, high = map(self._on_device, (self.action_space.low, self.action_space.high))
        if self.policy.squash_output:
            return lambda actions: low + 0.5 * (actions + 1.0) * (high - low)
        return lambda actions: actions.clamp(low, high)

    def _bootstrap(
        self, buffer: TorchRolloutBuffer, steps: list[TensorStep], prepare: Callable[[Any], Any]
    ) -> None:
        """Adds the value of what would have followed to the rewards that a time limit cut off."""
        truncated = self._on_device(torch.stack([step.truncated for step in steps]))
        counts = truncated.sum(1).tolist()
        if not any(counts):
            return
        times, rows = truncated.nonzero(as_tuple=True)
        finals = [
            tree_map(lambda leaf, rows=some: leaf[rows], prepare(step.final_obs))
            for step, some in zip(steps, rows.split(counts), strict=True)
            if len(some)
        ]
        values = self.policy.predict_values(tree_map(lambda *leaves: torch.cat(leaves), *finals))
        buffer.tensors["rewards"][times, rows] += self.gamma * values.flatten()

    def _record_episodes(self, venv: Sb3VecEnv, steps: list[TensorStep]) -> None:
        """Tells SB3's logging of the episodes that ended, in the order in which they did."""
        tensors = [torch.stack([s.ended for s in steps]), torch.stack([s.episode for s in steps])]
        success = [s for s in map(venv.success, steps) if s is not None]
        if len(success) == len(steps):
            tensors.append(torch.stack(success))
        ended, episode, *successes = venv.fetch(tensors)
        for t, k in np.argwhere(ended)[-self._stats_window_size :]:
            r, length = round(float(episode[t, 0, k]), 6), int(episode[t, 1, k])
            self.ep_info_buffer.append({"r": r, "l": length, "t": round(steps[t].seconds, 6)})
            self.ep_success_buffer.extend(bool(array[t, k]) for array in successes)


def _leaves(obs: Any) -> list[Tensor]:
    return [obs[key] for key in sorted(obs)] if isinstance(obs, dict) else [obs]


@contextlib.contextmanager
def _unvalidated() -> Iterator[None]:
    """Keeps torch's distributions from looking at their arguments, for which the host would wait.

    A policy that has become NaN is noticed by its losses.
    """
    before = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(before)


def _to_numpy(tensor: Tensor) -> np.ndarray:
    array: np.ndarray = tensor.cpu().numpy()
    return array


class _Fetched:
    """Behaves as the array, list or dict that it fetches when first looked at."""

    def __init__(self, fetch: Callable[[], Any]) -> None:
        self._fetch = fetch

    @cached_property
    def _value(self) -> Any:
        return self._fetch()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._value, dtype=dtype)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._value, name)

    def __getitem__(self, key: Any) -> Any:
        return self._value[key]

    def __len__(self) -> int:
        return len(self._value)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._value)


class _HostStep:
    """A step as SB3's own PPO sees it, fetched once if a callback asks for any part of it."""

    def __init__(self, env: Any, step: TensorStep) -> None:
        self._env, self._step = env, step

    @cached_property
    def parts(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        self._env.unwrapped.pending = self._step
        parts: tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]] = self._env.step_wait()
        return parts

    def locals(self) -> dict[str, _Fetched]:
        names = ("new_obs", "rewards", "dones", "infos")
        return {name: _Fetched(partial(self._part, i)) for i, name in enumerate(names)}

    def _part(self, index: int) -> Any:
        return self.parts[index]
