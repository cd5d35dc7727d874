"""What happens to an environment whose physics has exploded: found on the device, ended, reported.

Whether an environment holds a number that is not finite is found out within the step, and without
the host. It ends the episode like a failure does. The last frames of such an environment are kept
until the host has written them to a file: on the CPU at once, on CUDA when a copy that nobody waits
for has said that there is something to write.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from isaac_gymnasium.engines.base import Engine
from isaac_gymnasium.nan_report import NanReport
from isaac_gymnasium.tree import over_rows

logger = logging.getLogger("isaac_gymnasium.nan")

MODES = ("reset", "raise", "off")
FRAMES = 32
"""Steps that are kept of every environment."""
_POLL_STEPS = 16
_MOST_REPORTS = 8


class NanError(RuntimeError):
    """An environment has exploded; the message says which and names the report."""


class NanGuard:
    """Watches the environments of one loop.

    Args:
        mode: `"reset"`, `"raise"` or `"off"`.
        engine: The engine, with the scene running.
        actions: (N, A) buffer of the actions.
        episode_length: (N,) int64, steps since the last reset.
        description: What a report says of the task, to make the environment again.
        folder: Where reports go.
        lasts: Whether what has exploded may outlast the step, as it does unless that resets it.

    Raises:
        ValueError: If there is no such mode.
    """

    def __init__(
        self,
        mode: str,
        engine: Engine,
        actions: Tensor,
        episode_length: Tensor,
        description: dict[str, Any],
        folder: str | Path,
        *,
        lasts: bool = True,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"nan_guard must be one of {MODES}, got {mode!r}")
        self.mode = mode
        self._engine, self._actions, self._episode_length = engine, actions, episode_length
        self._description, self._folder = description, Path(folder)
        self._written = 0
        n, device = engine.num_envs, engine.device
        # What is not finite now and has not been reset, and what nobody has reported yet.
        self._lasts = lasts
        self._exploded = torch.zeros(n, dtype=torch.bool, device=device)
        self._bad_actions = self._exploded.clone()
        self._frozen = self._exploded.clone()
        self._zero = torch.zeros((), device=device)
        bodies = [] if mode == "off" else engine.bodies()
        self._quantities = [(body, quantity) for body in bodies for quantity in body.moving]
        self._strays = None if mode == "off" else engine.catch_strays()
        widths = [body._get(quantity)[0].numel() for body, quantity in self._quantities]
        self._widths = [actions[0].numel(), 1, *widths]
        frames = 0 if mode == "off" else FRAMES
        # One slot more than frames: there goes, again and again, what follows an explosion.
        self._ring = torch.zeros(frames + 1, n, sum(self._widths), device=device)
        self._next = torch.zeros(n, dtype=torch.int64, device=device)
        self._steps = 0
        self._sent: tuple[Tensor, torch.cuda.Event] | None = None

    # ------------------------------------------------------------------ within a recorded step

    def take_actions(self) -> None:
        """Replaces actions that are NaN by 0; their environments end in this step."""
        if self.mode != "off":
            nan = self._actions.isnan()
            torch.any(nan, -1, out=self._bad_actions)
            self._actions.masked_fill_(nan, 0.0)

    def judge(self, observations: Any, reward: Tensor, ignored: Tensor | None) -> Tensor:
        """(N,) bool: exploded in this step. Keeps the frame.

        Args:
            observations: (N, ...) of the state the step led to, or a dict of them.
            reward: (N,) sum of the terms.
            ignored: (N,) bool, environments that are about to be reset anyway, if any.
        """
        parts = observations.values() if isinstance(observations, dict) else [observations]
        # One number that is not finite makes a sum that is none either. Halves are summed as
        # floats: an image of them comes to more than they can hold.
        total = reward
        for part in parts:
            if part.is_floating_point():
                dtype = torch.promote_types(part.dtype, torch.float32)
                total = total + part.flatten(1).sum(-1, dtype=dtype)
        bad = (0.0 * total) != 0.0  # unless it is finite, the product is NaN
        bad |= self._bad_actions
        if self._strays is not None:
            bad |= self._strays
        if ignored is not None:
            bad &= ~ignored
        self._keep_frame()
        self._frozen |= bad
        if self._lasts:
            self._exploded |= bad
        return bad

    def _keep_frame(self) -> None:
        states = [body._get(quantity).flatten(1) for body, quantity in self._quantities]
        if self._strays is not None:  # What they held is gone.
            states = [x.masked_fill(self._strays.unsqueeze(-1), torch.nan) for x in states]
            self._strays.zero_()
        row = torch.cat((self._actions, self._episode_length.unsqueeze(-1).float(), *states), -1)
        slot = self._next.remainder(len(self._ring)).view(1, -1, 1)
        self._ring.scatter_(0, slot.expand(1, *row.shape), row.unsqueeze(0))
        self._next += ~self._frozen

    def clean(self, tree: Any, bad: Tensor | None = None) -> Any:
        """The tree with 0 in the rows of environments that have exploded and not been reset.

        Args:
            tree: Tensors (N, ...), or a dict of them.
            bad: (N,) bool, what has exploded in this step, before any reset within it.
        """
        if self.mode == "off" or (bad is None and not self._lasts):
            return tree
        if isinstance(tree, dict):
            return {key: self.clean(value, bad) for key, value in tree.items()}
        if not tree.is_floating_point() or not tree.dim():
            return tree
        # One launch on a GPU, where masked_fill is two.
        return torch.where(
            over_rows(self._exploded if bad is None else bad, tree), self._zero, tree
        )

    def begin(self, mask: Tensor) -> None:
        """Takes note that the environments in the (N,) mask have been reset."""
        if self._lasts:
            self._exploded.masked_fill_(mask, False)

    # ------------------------------------------------------------------ outside of it

    def react(self) -> None:
        """After a step: reports what there is to report.

        Raises:
            NanError: In the mode `"raise"`, if something has exploded.
        """
        if self.mode == "off":
            return
        if self._engine.device.type == "cpu":
            if bool(self._frozen.any()):
                self._report()
            return
        self._steps += 1
        if self._steps % _POLL_STEPS:
            return
        if self._sent is not None:
            found, event = self._sent
            event.synchronize()  # recorded many steps ago
            if bool(found):
                self._report()
        target = torch.empty((), dtype=torch.bool, pin_memory=True)
        target.copy_(self._frozen.any(), non_blocking=True)
        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(self._engine.device))
        self._sent = target, event

    def _report(self) -> None:
        rows = self._frozen.nonzero().flatten().tolist()
        paths = []
        for row in rows:
            if self._written < _MOST_REPORTS:
                self._written += 1
                paths.append(self._report_of(row).save(self._folder))
        self._frozen.zero_()
        self._sent = None
        message = (
            f"{len(rows)} of {self._engine.num_envs} environments held numbers that are not "
            f"finite, the first is {rows[0]}"
        )
        if paths:
            message += f"; see isaac-gymnasium replay {paths[0]}"
        if self.mode == "raise":
            raise NanError(message)
        logger.warning("%s; they have been ended", message)

    def _report_of(self, row: int) -> NanReport:
        slot = int(self._next[row])
        order = [(slot + 1 + k) % len(self._ring) for k in range(FRAMES)]
        frames = self._ring[order, row].cpu()
        steps = frames[:, self._widths[0]].tolist()
        # Only what leads up to the end: this episode, as far as the ring goes back.
        first = len(steps) - 1
        while first > 0 and 0 < steps[first - 1] == steps[first] - 1:
            first -= 1
        actions, _, *states = frames[first:].split(self._widths, dim=-1)
        origin = self._engine.env_origins[row].cpu()
        named = {}
        for (body, quantity), values in zip(self._quantities, states, strict=True):
            if quantity in ("pose", "root_pose"):
                values = torch.cat((values[:, :3] - origin, values[:, 3:]), dim=-1)
            named[f"{body.name}/{quantity}"] = values.contiguous()
        return NanReport(
            **self._description,
            env=row,
            first_step=int(steps[first]),
            actions=actions.contiguous(),
            states=named,
        )
