"""Warp, the language Newton's kernels are written in: its import, and the kernels' compilation.

A scene needs about a hundred small modules of kernels. Warp compiles each when it is first
launched, one after the other, and keeps the result in a folder. Here they are listed first, by a
run in which nothing is launched, and then compiled side by side with a progress bar.
"""

from __future__ import annotations

import ast
import concurrent.futures
import contextlib
import functools
import importlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from tqdm import tqdm

from isaac_gymnasium._warp import import_warp
from isaac_gymnasium.engines.base import EngineError
from isaac_gymnasium.locks import turns

logger = logging.getLogger("isaac_gymnasium.newton")

cpu_lock = turns()
"""Held while kernels run on the CPU: they share one arena, and Warp ends the process when those of
two threads overfill it."""

_PATIENCE = 600.0
"""s; how long to wait for another process that compiles."""

_ALWAYS = (
    "newton._src.solvers.mujoco.kernels",
    "newton._src.sim.articulation",
    "mujoco_warp._src.forward",
    "mujoco_warp._src.set_const",
    "mujoco_warp._src.smooth",
    "mujoco_warp._src.passive",
    "mujoco_warp._src.derivative",
    "newton._src.geometry.bvh",
)
"""Modules of kernels that take longest, longest first. One that a release renames or drops is
compiled when it is first used, like the many that are not listed."""


@functools.cache
def import_newton() -> tuple[Any, Any]:
    """Warp and Newton, quiet.

    Raises:
        EngineError: If Newton or its MuJoCo solver is missing.
    """
    try:
        # First: torch's streams can be told to Warp only once it has looked for devices.
        warp = import_warp()
        import newton

        importlib.import_module("mujoco_warp")
    except ImportError as error:
        raise EngineError(
            f"engine 'newton' needs newton with its simulators ({error}): "
            'pip install "isaac-gymnasium[newton]"'
        ) from error
    return warp, newton


def preload(device: str) -> None:
    """Compiles and loads the kernels that every scene needs before it can be stepped."""
    warp, _ = import_newton()
    wanted: dict[tuple[Any, int | None], Any] = {}
    for name in _ALWAYS:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
            module = warp.get_module(name)
            block_dim = 1 if device == "cpu" else module.options["block_dim"]
            wanted[(module, block_dim)] = warp.get_device(device)
    _load(wanted, "model")


def compile_kernels(run: Callable[[], None]) -> None:
    """Compiles and loads all the kernels that a function launches, and launches none of them.

    Args:
        run: Launches kernels, and looks at no result of theirs.
    """
    warp, _ = import_newton()
    try:
        with _naming(warp), _listing(warp) as wanted:
            run()
    except Exception as error:
        # It stands on Warp's inside; without it kernels are compiled as they are launched.
        logger.debug("Newton's kernels cannot be listed: %s", error)
        return
    _load(wanted, "physics step")


def _load(wanted: dict[tuple[Any, int | None], Any], purpose: str) -> None:
    new = {key: device for key, device in wanted.items() if not _is_cached(*key, device)}
    if new:
        _compile(new, purpose)
    for (module, block_dim), device in wanted.items():
        module.load(device, block_dim)


def _is_cached(module: Any, block_dim: int | None, device: Any) -> bool:
    warp, _ = import_newton()
    try:
        folder: Path = Path(warp.config.kernel_cache_dir) / module.get_module_identifier(block_dim)
        name: str = module._get_compile_output_name(device, block_dim=block_dim)
        return bool((folder / name).is_file())
    except AttributeError:  # a Warp that is put together differently
        return False


def _compile(modules: dict[tuple[Any, int | None], Any], purpose: str) -> None:
    bar = tqdm(
        total=len(modules),
        desc=f"Newton compiles its kernels, once ({purpose})",
        unit="module",
        file=sys.stderr,
        mininterval=0.5 if sys.stderr.isatty() else 10.0,
        leave=False,
    )
    # Warp looks again for each module whether it is there, as it is after another process' turn.
    with bar, _turn(), concurrent.futures.ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as pool:
        work = [
            pool.submit(module.load, device, block_dim)
            for (module, block_dim), device in modules.items()
        ]
        for done in concurrent.futures.as_completed(work):
            done.result()
            bar.update()


@contextlib.contextmanager
def _naming(warp: Any) -> Iterator[None]:
    """Within, Warp names a kernel without writing the code of the functions that it calls.

    Names are made of sources. Where MuJoCo Warp puts a kernel together from a list of functions,
    Warp yet writes the kernel's code to see which they are, and then that of all they call: for
    boxes against boxes alone a fifth of what it takes to make an environment.
    """
    builder = importlib.import_module(warp.Module.__module__).ModuleBuilder
    build = builder.build_function

    def build_or_pass(self: Any, function: Any) -> None:
        # Without a target there is nothing but names to be had.
        if self.target is not None or not _is_named_by_source(function):
            build(self, function)
            return
        code = function.adj.tree.body[0]
        body, code.body = code.body, []
        try:
            build(self, function)
        finally:
            code.body = body

    builder.build_function = build_or_pass
    try:
        yield
    finally:
        builder.build_function = build


def _is_named_by_source(function: Any) -> bool:
    """Whether a function returns nothing, and nothing in it is open until its code is written."""
    returned = (node.value for node in ast.walk(function.adj.tree) if isinstance(node, ast.Return))
    if any(value is not None for value in returned):
        return False
    seen, todo = {function}, [function]
    while todo:
        code = todo.pop().adj
        if code.has_unresolved_static_expressions:
            return False
        called = {f for f in code.get_references()[2] if not f.is_builtin()} - seen
        seen |= called
        todo += called
    return True


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """Has processes that share a cache compile in turns, so that each kernel is compiled once."""
    warp, _ = import_newton()
    lock = FileLock(Path(warp.config.kernel_cache_dir) / "isaac_gymnasium.lock")
    try:
        lock.acquire(timeout=_PATIENCE)
    except (OSError, NotImplementedError, Timeout) as error:
        logger.info("Newton's kernels are compiled beside other processes: %s", error)
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _listing(warp: Any) -> Iterator[dict[tuple[Any, int | None], Any]]:
    """Devices by the modules that would be loaded and by their block dimensions.

    A kernel whose module is not loaded is not launched. Other threads launch theirs meanwhile.
    """
    wanted: dict[tuple[Any, int | None], Any] = {}
    thread = threading.get_ident()
    load, block_size = warp.Module.load, warp.get_suggested_block_size

    def note(module: Any, device: Any, block_dim: int | None = None, **kwargs: Any) -> Any:
        if threading.get_ident() != thread:
            return load(module, device, block_dim, **kwargs)
        wanted[(module, block_dim)] = device
        return None

    def guess(*args: Any) -> Any:
        return (256, 1) if threading.get_ident() == thread else block_size(*args)

    warp.Module.load, warp.get_suggested_block_size = note, guess
    try:
        yield wanted
    finally:
        warp.Module.load, warp.get_suggested_block_size = load, block_size
