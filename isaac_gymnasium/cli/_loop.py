"""One training run: metrics, progress bar, checkpoints, and a clean end."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import FrameType
from typing import Any, NoReturn

from tqdm import tqdm

from isaac_gymnasium.cli._checkpoint import save_checkpoint
from isaac_gymnasium.cli._recorder import RecordTraining
from isaac_gymnasium.cli._run_folder import RunFolder
from isaac_gymnasium.integrations.trainer import Trainer

CHECKPOINT_SECONDS = 60.0


def train(trainer: Trainer[Any], env: RecordTraining, run: RunFolder) -> signal.Signals | None:
    """Train to the end, or until a signal asks to stop; a checkpoint is written in both cases.

    Args:
        trainer: the algorithm, changed in place.
        env: the environment it steps.
        run: gets one row of metrics for each update, and a checkpoint every minute.

    Returns:
        The signal that ended the training; None where it ran to its end.

    Raises:
        FloatingPointError: a loss is no longer finite; the last checkpoint stays.
    """
    total = trainer.config.timesteps
    saved_at = reported_at = time.perf_counter()
    steps = trainer.timesteps
    with (
        closing(tqdm(initial=steps, total=total, unit="step", unit_scale=True)) as bar,
        _signals() as received,
    ):

        def on_update(metrics: dict[str, float]) -> bool:
            nonlocal saved_at, reported_at, steps
            _refuse_divergence(metrics)
            now = time.perf_counter()
            speed = (trainer.timesteps - steps) / (now - reported_at)
            metrics = env.fetch() | metrics | {"time/steps_per_second": speed}
            steps, reported_at = trainer.timesteps, now
            run.write_metrics(steps, metrics)
            _show(bar, steps, metrics)
            if now - saved_at > CHECKPOINT_SECONDS:
                save_checkpoint(run.path, trainer, env)
                saved_at = now
            return not received

        trainer.learn(on_update)
        save_checkpoint(run.path, trainer, env)
    return received[0] if received else None


@contextmanager
def _signals() -> Iterator[list[signal.Signals]]:
    """Collects SIGINT and SIGTERM; a second one has its usual effect at once."""
    received: list[signal.Signals] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(signal.Signals(number))
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in numbers:
        signal.signal(number, receive)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _refuse_divergence(metrics: dict[str, float]) -> None:
    losses = {name: value for name, value in metrics.items() if name.startswith("loss/")}
    if not all(map(math.isfinite, losses.values())):
        raise FloatingPointError(f"training diverged: {losses}")


def _show(bar: tqdm[NoReturn], steps: int, metrics: dict[str, float]) -> None:
    bar.update(steps - bar.n)
    if not math.isnan(metrics.get("episode/return", math.nan)):
        shown = {"return": f"{metrics['episode/return']:.1f}"}
        if "episode/success" in metrics:
            shown["success"] = f"{100 * metrics['episode/success']:.0f} %"
        bar.set_postfix(shown, refresh=False)
