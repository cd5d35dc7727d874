"""What ovphysx keeps once a process: schemas, threads, logging; and its GPU buffer sizes."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import re
import warnings
from pathlib import Path
from typing import Any

import torch

from isaac_gymnasium.engines.base import EngineError
from isaac_gymnasium.locks import turns

logger = logging.getLogger("isaac_gymnasium.physx")

lock = turns()
"""Held around every call of ovphysx: a second thread's meanwhile fails, or never returns."""

_started_in: int | None = None
_OVERFLOW = re.compile(
    r"overflow|capacity|needs? to be increased|buffer (?:is )?too small|miss interactions", re.I
)
overflow_messages: list[str] = []
"""Buffer overflows that PhysX logged and nobody has reported yet."""


class _NativeFilter(logging.Filter):
    """Collects overflows; lets errors through and everything else only when asked to be verbose."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if _OVERFLOW.search(message):
            overflow_messages.append(message)
            return False
        if record.levelno < logging.ERROR:
            record.levelno, record.levelname = logging.DEBUG, "DEBUG"
            return logger.isEnabledFor(logging.DEBUG)
        return True


_native_logger = logging.getLogger("isaac_gymnasium.physx.native")
_native_logger.addFilter(_NativeFilter())


def start(num_envs: int, device: torch.device) -> Any:
    """Starts ovphysx in this process where it has not been, and returns a new `PhysX`.

    Raises:
        EngineError: If ovphysx is missing or cannot be loaded, or this process was forked from
            one that runs it.
    """
    global _started_in
    if _started_in not in (None, os.getpid()):
        raise EngineError(
            "PhysX was started before this process was forked, and does not survive a fork; "
            "start worker processes with the 'spawn' method"
        )
    try:
        import ovphysx
        import ovstage
        from ovphysx.samples.python_samples.schema_support import physx_schema_paths
        from ovphysx.types import ConfigKey, GlobalConfigKey, LogLevel
    except ImportError as error:
        raise EngineError(
            f"engine 'physx' needs ovphysx ({error}): pip install \"isaac-gymnasium[physx]\""
        ) from error
    if _started_in is None:
        try:
            ovphysx.set_global_config(GlobalConfigKey.DEFAULT_LOG_OUTPUT, False)
        except Exception as error:
            raise EngineError(
                f"ovphysx could not be loaded: {error}. On Linux it needs the system libraries "
                "libGL.so.1 and libX11.so.6 (Debian and Ubuntu: apt-get install libgl1 libx11-6)"
            ) from error
        ovphysx.set_global_config(GlobalConfigKey.LOG_LEVEL, int(LogLevel.WARNING))
        schemas = [*map(str, physx_schema_paths()), str(ovphysx.newton_schema_root())]
        ovstage.population.register_usd_schemas(schemas)
        if not torch.cuda.is_available():
            ovphysx.PhysX.set_cpu_mode(True)
        _started_in = os.getpid()
        atexit.register(_remove_shared_memory, _started_in)
    if device.type == "cpu":
        try:
            ovphysx.set_global_config(GlobalConfigKey.NUM_THREADS, num_threads(num_envs))
        except RuntimeError:
            logger.info("the number of PhysX threads stays as the first environment set it")
    with warnings.catch_warnings():
        # DirectGPU is switched on by a setting that only this deprecated argument reaches.
        warnings.simplefilter("ignore", DeprecationWarning)
        gpu = torch.cuda.is_available()
        overrides = {"/physics/suppressReadback": True} if gpu else None
        physx = ovphysx.PhysX(
            config=ovphysx.PhysXConfig(carbonite_overrides=overrides) if gpu else None
        )
    if device.type == "cuda":
        physx.set_config(ConfigKey.ACTIVE_CUDA_GPUS, str(device.index or 0))
    ovphysx.enable_python_logging(_native_logger.name, min_severity=LogLevel.WARNING)
    return physx


def _remove_shared_memory(pid: int) -> None:
    """Removes what ovphysx leaves in shared memory at the end of this process.

    Not that of others which have been killed: behind a shared `/dev/shm` they may be alive in
    another container, whose process numbers mean nothing here.
    """
    if os.getpid() != pid:
        return
    for kind in ("", "sem."):
        with contextlib.suppress(OSError):
            Path(f"/dev/shm/{kind}carb-RStringInternals-{pid}").unlink(missing_ok=True)


def num_threads(num_envs: int) -> int:
    """PhysX worker threads on the CPU: none for few environments, else one a core.

    Handing work to threads costs more than it saves below about a hundred small scenes.
    """
    if num_envs < 128:
        return 0
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def gpu_capacities(num_envs: int, contacts_per_env: int, num_colliders: int) -> dict[str, int]:
    """Buffer sizes of a GPU scene; PhysX drops contacts, and only logs it, when one is too small.

    Args:
        num_envs: Number of environments.
        contacts_per_env: Largest expected number of contact points in one environment.
        num_colliders: Colliding shapes in one environment.
    """

    def at_least(floor: int, wanted: int) -> int:
        return max(floor, 1 << (wanted - 1).bit_length())

    return {
        "gpuMaxRigidContactCount": at_least(1 << 20, 4 * num_envs * contacts_per_env),
        "gpuMaxRigidPatchCount": at_least(1 << 18, num_envs * contacts_per_env // 2),
        "gpuFoundLostPairsCapacity": at_least(1 << 20, 8 * num_envs * num_colliders),
        "gpuTotalAggregatePairsCapacity": at_least(1 << 20, 8 * num_envs * num_colliders),
        "gpuFoundLostAggregatePairsCapacity": at_least(1 << 20, 1024 * num_envs),
        "gpuCollisionStackSize": 1 << 26,
        "gpuHeapCapacity": 1 << 26,
        "gpuTempBufferCapacity": 1 << 24,
        "gpuMaxNumPartitions": 8,
    }
