"""skrl's PPO without a wait for the device in its rollout, and recorded as CUDA graphs.

skrl's own PPO asks at every step whether an episode was cut, tracks rewards on the host, and
launches some three hundred small kernels a mini-batch: the GPU waits for the host. Here acting,
bootstrapping, the preparation of an update and each mini-batch are one launch, and the host
fetches losses once an update.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from skrl import config as skrl_config
from skrl.agents.torch.ppo import PPO as SkrlPPO
from skrl.agents.torch.ppo.ppo import compute_gae
from skrl.memories.torch import RandomMemory
from skrl.resources.preprocessors.torch import RunningStandardScaler
from skrl.resources.schedulers.torch import KLAdaptiveLR
from torch import Tensor, nn
from torch.nn import functional

from isaac_gymnasium.graph import Graph
from isaac_gymnasium.integrations.trainer import process_count
from isaac_gymnasium.tree import copy_all

__all__ = ["GraphedPPO", "RolloutMemory", "Scaler"]

_LOSSES = ("Policy loss", "Value loss", "Entropy loss")


class Scaler(RunningStandardScaler):
    """skrl's running statistics in tensors that stay, so that a CUDA graph sees them change.

    With several processes each batch is that of all of them together. skrl averages gradients over
    processes but leaves each with statistics of its own: equal weights would then mean another
    policy in each.
    """

    def _parallel_variance(self, mean: Tensor, var: Tensor, count: int) -> None:
        kept = dict(self.named_buffers())
        batch = (mean, var, count) if process_count() == 1 else _of_all_processes(mean, var, count)
        super()._parallel_variance(*batch)
        for name, buffer in kept.items():
            buffer.copy_(getattr(self, name))
            setattr(self, name, buffer)


class RolloutMemory(RandomMemory):
    """skrl's random memory, keeping a step of all environments in few launches."""

    memory_index: int
    filled: bool

    def add_samples(self, **tensors: Tensor | None) -> None:
        """Keeps a step: tensors (N, ...) by name; skrl's own takes other shapes too."""
        given = {name: t for name, t in tensors.items() if t is not None and name in self.tensors}
        copy_all((self.tensors[name][self.memory_index] for name in given), given.values())
        self.memory_index += 1
        if self.memory_index == self.memory_size:
            self.memory_index, self.filled = 0, True


def _of_all_processes(mean: Tensor, var: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, variance and number of the samples of all processes, from those of this one.

    Variances are those of torch.var: sums of squared deviations over the number less 1.
    """
    mean, var = mean.double(), var.double()
    squares = var * (count - 1) + mean.square() * count
    sums = torch.stack((torch.full_like(mean, count), mean * count, squares))
    torch.distributed.all_reduce(sums)
    counts, total, squares = sums
    mean = total / counts
    var = (squares - total * mean) / (counts - 1)
    return mean, var.clamp(min=0.0), counts.flatten()[0]


class GraphedPPO(SkrlPPO):
    """skrl's PPO with the same settings, its work on the device as few launches.

    It differs from skrl's in two things. The statistics of observations are brought up to date
    once an update, from all its steps, instead of mini-batch by mini-batch in the first pass.
    Mini-batches are of one size; where they cannot be, each pass leaves out a few random steps.

    Args:
        **kwargs: as for skrl's PPO. Preprocessors must keep their tensors, as `Scaler` does.

    Raises:
        ValueError: `mixed_precision` or `kl_threshold` (ending a pass early) is set.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in ("mixed_precision", "kl_threshold"):
            if getattr(self.cfg, name):
                raise ValueError(f"{name} must not be set: it cannot be part of a CUDA graph")
        self._device = torch.device(self.device)
        self.optimizer = _Adam(
            self._parameters(),
            lr=torch.tensor(self.cfg.learning_rate[0], device=self._device),
            capturable=self._device.type == "cuda",
            fused=self._device.type == "cuda" or None,
        )
        self.checkpoint_modules["optimizer"] = self.optimizer
        schedule = self.cfg.learning_rate_scheduler[0]
        if schedule is not None:
            settings = self.cfg.learning_rate_scheduler_kwargs[0]
            self.scheduler: Any = schedule(self.optimizer, **settings)

    def init(self, *, trainer_cfg: dict[str, Any] | None = None) -> None:
        """Make memory and graphs."""
        super().init(trainer_cfg=trainer_cfg)
        self._explore = Graph(self._explore_now, self._device)
        self._bootstrap = Graph(self._bootstrap_now, self._device)
        self._prepare = Graph(self._prepare_now, self._device)
        self._learn = Graph(self._learn_now, self._device)
        self._losses = torch.zeros(len(_LOSSES), device=self._device)
        self._kl = torch.zeros((), device=self._device)
        self._scaled = {
            name: torch.zeros_like(self.memory.tensors_view[name])
            for name in ("observations", "states")
            if name in self.memory.tensors_view
        }

    def forget_graphs(self) -> None:
        """Drops the recordings; what is called again is recorded anew.

        Of several processes each has to, before `torch.distributed.destroy_process_group`: NCCL
        waits for graphs that hold its work, for ever.
        """
        for graph in (self._explore, self._bootstrap, self._prepare, self._learn):
            graph.forget()

    # ------------------------------------------------------------------ the rollout

    def act(
        self, observations: Tensor, states: Tensor | None, *, timestep: int, timesteps: int
    ) -> tuple[Tensor, dict[str, Any]]:
        """Actions (N, A) with exploration; valid until the next call."""
        if not self.training:
            acted: tuple[Tensor, dict[str, Any]] = super().act(
                observations, states, timestep=timestep, timesteps=timesteps
            )
            return acted
        actions, outputs, self._current_values = self._explore(observations, states)
        self._current_log_prob = outputs["log_prob"]
        return actions, outputs

    @torch.no_grad()
    def _explore_now(
        self, observations: Tensor, states: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        inputs = self._scale(observations, states)
        actions, outputs = self.policy.act(inputs, role="policy")
        return actions, outputs, self._value_of(inputs)

    def record_transition(
        self,
        *,
        observations: Tensor,
        states: Tensor | None,
        actions: Tensor,
        rewards: Tensor,
        next_observations: Tensor,
        next_states: Tensor | None,
        terminated: Tensor,
        truncated: Tensor,
        infos: dict[str, Any],
        timestep: int,
        timesteps: int,
    ) -> None:
        """Keep a transition; what skrl documents, but rewards are not tracked."""
        if not self.training:
            return
        self._current_next_observations = next_observations
        self._current_next_states = next_states
        if self.cfg.rewards_shaper is not None:
            rewards = self.cfg.rewards_shaper(rewards, timestep, timesteps)
        if self.cfg.time_limit_bootstrap:
            rewards = self._bootstrap(next_observations, next_states, rewards, truncated)
        self.memory.add_samples(
            observations=observations,
            states=states,
            actions=actions,
            rewards=rewards,
            terminated=terminated,
            truncated=truncated,
            log_prob=self._current_log_prob,
            values=self._current_values,
        )

    @torch.no_grad()
    def _bootstrap_now(
        self,
        next_observations: Tensor,
        next_states: Tensor | None,
        rewards: Tensor,
        truncated: Tensor,
    ) -> Tensor:
        values = self._value_of(self._scale(next_observations, next_states))
        discount: float = self.cfg.discount_factor
        return rewards + discount * values * truncated

    # ------------------------------------------------------------------ the update

    def update(self, *, timestep: int, timesteps: int) -> None:
        """Learn from the rollout in memory."""
        passes, parts = self.cfg.learning_epochs, self.cfg.mini_batches
        self._prepare(self._current_next_observations, self._current_next_states)
        steps = self.memory.memory_size * self.memory.num_envs
        size = steps // parts
        self._losses.zero_()
        for _ in range(passes):
            self._kl.zero_()
            order = torch.randperm(steps, device=self._device)
            for indexes in order[: size * parts].view(parts, size):
                self._learn(indexes)
            self._adapt_learning_rate(self._kl / parts)
        self._report(passes * parts)

    @torch.no_grad()
    def _prepare_now(self, next_observations: Tensor, next_states: Tensor | None) -> None:
        """Returns, advantages, and everything on its scale."""
        memory, cfg = self.memory, self.cfg
        last_values = self._value_of(self._scale(next_observations, next_states))
        values = memory.get_tensor_by_name("values")
        returns, advantages = compute_gae(
            rewards=memory.get_tensor_by_name("rewards"),
            terminated=memory.get_tensor_by_name("terminated"),
            truncated=memory.get_tensor_by_name("truncated"),
            values=values,
            last_values=last_values,
            discount_factor=cfg.discount_factor,
            lambda_coefficient=cfg.gae_lambda,
            time_limit_bootstrap=cfg.time_limit_bootstrap,
        )
        scale_value = self._value_preprocessor
        memory.set_tensor_by_name("values", scale_value(values, train=True))
        memory.set_tensor_by_name("returns", scale_value(returns, train=True))
        memory.set_tensor_by_name("advantages", advantages)
        seen = memory.tensors_view
        scaled = self._scale(seen["observations"], seen.get("states"), train=True)
        for name, kept in self._scaled.items():
            kept.copy_(scaled[name])

    def _learn_now(self, indexes: Tensor) -> None:
        """One step of gradient descent on the (B,) steps given by index."""
        cfg = self.cfg
        seen = {
            name: self.memory.tensors_view[name][indexes]
            for name in ("actions", "log_prob", "values", "returns", "advantages")
        }
        inputs: dict[str, Any] = {name: kept[indexes] for name, kept in self._scaled.items()}
        inputs.setdefault("states", None)
        _, outputs = self.policy.act({**inputs, "taken_actions": seen["actions"]}, role="policy")
        log_ratio = outputs["log_prob"] - seen["log_prob"]
        ratio = log_ratio.exp()
        clipped = ratio.clip(1.0 - cfg.ratio_clip, 1.0 + cfg.ratio_clip)
        policy_loss = -torch.min(seen["advantages"] * ratio, seen["advantages"] * clipped).mean()
        if cfg.entropy_loss_scale:
            entropy = self.policy.get_entropy(role="policy").mean()
            entropy_loss = -cfg.entropy_loss_scale * entropy
        else:
            entropy_loss = torch.zeros_like(policy_loss)
        values, _ = self.value.act(inputs, role="value")
        if cfg.value_clip > 0:
            change = (values - seen["values"]).clip(-cfg.value_clip, cfg.value_clip)
            values = seen["values"] + change
        value_loss = cfg.value_loss_scale * functional.mse_loss(seen["returns"], values)

        self.optimizer.zero_grad(set_to_none=True)
        (policy_loss + entropy_loss + value_loss).backward()
        if skrl_config.torch.is_distributed:
            for model in dict.fromkeys((self.policy, self.value)):
                model.reduce_parameters()
        if cfg.grad_norm_clip > 0:
            nn.utils.clip_grad_norm_(self._parameters(), cfg.grad_norm_clip)
        self.optimizer.step()
        with torch.no_grad():
            self._kl += ((ratio - 1.0) - log_ratio).mean()
            self._losses += torch.stack((policy_loss, value_loss, entropy_loss))

    @torch.no_grad()
    def _adapt_learning_rate(self, kl: Tensor) -> None:
        """What skrl's scheduler does, without asking the device for the divergence."""
        rule = self.scheduler
        if rule is None:
            return
        if not isinstance(rule, KLAdaptiveLR):
            rule.step()
            return
        if skrl_config.torch.is_distributed:
            torch.distributed.all_reduce(kl, op=torch.distributed.ReduceOp.SUM)
            kl = kl / skrl_config.torch.world_size
        for group in self.optimizer.param_groups:
            rate = group["lr"]
            lower = (rate / rule._lr_factor).clamp(min=rule.min_lr)
            higher = (rate * rule._lr_factor).clamp(max=rule.max_lr)
            small = kl < rule.kl_threshold / rule._kl_factor
            large = kl > rule.kl_threshold * rule._kl_factor
            rate.copy_(torch.where(large, lower, torch.where(small, higher, rate)))

    def _report(self, mini_batches: int) -> None:
        deviation = self.policy.distribution(role="policy").stddev.mean()
        rate = torch.as_tensor(self.optimizer.param_groups[0]["lr"], device=self._device)
        numbers = torch.stack((*(self._losses / mini_batches), deviation.detach(), rate)).tolist()
        *losses, deviation, rate = numbers
        for name, loss in zip(_LOSSES, losses, strict=True):
            if name != "Entropy loss" or self.cfg.entropy_loss_scale:
                self.track_data(f"Loss / {name}", loss)
        self.track_data("Policy / Standard deviation", deviation)
        if self.scheduler is not None:
            self.track_data("Learning / Learning rate", rate)

    # ------------------------------------------------------------------ parts of both

    def _scale(
        self, observations: Tensor, states: Tensor | None, *, train: bool = False
    ) -> dict[str, Any]:
        return {
            "observations": self._observation_preprocessor(observations, train=train),
            "states": self._state_preprocessor(states, train=train),
        }

    def _value_of(self, inputs: dict[str, Any]) -> Tensor:
        """(N, 1) values on the scale of rewards."""
        values, _ = self.value.act(inputs, role="value")
        scaled: Tensor = self._value_preprocessor(values, inverse=True)
        return scaled

    def _parameters(self) -> list[nn.Parameter]:
        models = dict.fromkeys((self.policy, self.value))
        return list(itertools.chain.from_iterable(model.parameters() for model in models))


class _Adam(torch.optim.Adam):
    """Adam whose way of working stays that of this device whatever checkpoint it takes over."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over moments, counts and the learning rate."""
        kept = ("lr", "capturable", "fused")
        own = [{name: group[name] for name in kept} for group in self.param_groups]
        super().load_state_dict(state_dict)
        for group, before in zip(self.param_groups, own, strict=True):
            with torch.no_grad():
                before["lr"].copy_(torch.as_tensor(group["lr"]))
            group.update(before)
            for parameter in group["params"]:
                counted = self.state.get(parameter, {}).get("step")
                if counted is not None:
                    device = parameter.device if group["capturable"] else torch.device("cpu")
                    self.state[parameter]["step"] = counted.to(device)
