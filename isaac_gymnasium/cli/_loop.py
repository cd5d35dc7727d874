"""One training run: metrics, progress bar, checkpoints, and a clean end."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from tqdm import tqdm

from isaac_gymnasium.cli._checkpoint import save_checkpoint
from isaac_gymnasium.cli._processes import any_process, is_first
from isaac_gymnasium.cli._recorder import RecordTraining
from isaac_gymnasium.cli._run_folder import RunFolder
from isaac_gymnasium.integrations.trainer import Trainer

_SECOND_SIGNAL_AFTER = 2.0


def train(
    trainer: Trainer[Any],
    env: RecordTraining,
    path: Path,
    run: RunFolder | None,
    *,
    seconds: float,
) -> signal.Signals | None:
    """Train to the end, or until a signal asks to stop; a checkpoint is written in both cases.

    Args:
        trainer: the algorithm, changed in place.
        env: the environment it steps.
        path: the run folder.
        run: gets one row of metrics for each update; None in all processes but the first.
        seconds: time between two checkpoints.

    Returns:
        The signal that ended the training; None where it ran to its end.

    Raises:
        FloatingPointError: a loss is no longer finite; the last checkpoint stays.
    """
    total = trainer.config.timesteps
    saved_at = reported_at = time.perf_counter()
    steps = trainer.timesteps
    with (
        closing(
            tqdm(initial=steps, total=total, unit="step", unit_scale=True, disable=not is_first())
        ) as bar,
        _signals() as received,
    ):

        def on_update(metrics: dict[str, float]) -> bool:
            nonlocal saved_at, reported_at, steps
            _refuse_divergence(metrics)
            now = time.perf_counter()
            speed = (trainer.timesteps - steps) / (now - reported_at)
            metrics = env.fetch() | metrics | {"time/steps_per_second": speed}
            steps, reported_at = trainer.timesteps, now
            if run is not None:
                run.write_metrics(steps, metrics)
                _show(bar, steps, metrics)
            stop, save = any_process(bool(received), now - saved_at >= seconds)
            if save and not stop:
                save_checkpoint(path, trainer, env)
                saved_at = time.perf_counter()
            return not stop

        trainer.learn(on_update)
        save_checkpoint(path, trainer, env)
    return received[0] if received else None


@contextmanager
def _signals() -> Iterator[list[signal.Signals]]:
    """Collects SIGINT and SIGTERM; a second one, some time later, has its usual effect at once.

    Not immediately: with torchrun a Ctrl-C arrives twice, from the terminal and from torchrun.
    """
    received: list[signal.Signals] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    first_at = math.inf

    def receive(number: int, frame: FrameType | None) -> None:
        nonlocal first_at
        if not received:
            first_at = time.monotonic()
            received.append(signal.Signals(number))
        elif time.monotonic() - first_at > _SECOND_SIGNAL_AFTER:
            signal.signal(number, before[signal.Signals(number)])
            signal.raise_signal(number)

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
