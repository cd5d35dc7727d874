"""What holds for environments of torch tensors."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from isaac_gymnasium.contract.case import Case
from isaac_gymnasium.contract.verdict import Failed, NotApplicable, require_same_outcome

# Operations whose result, or the shape of whose result, the host has to wait for on a GPU.
_WAITING = {
    "_local_scalar_dense",
    "equal",
    "masked_select",
    "nonzero",
    "_unique2",
    "unique_consecutive",
    "unique_dim",
}


def no_host_sync(case: Case) -> None:
    """`step` does not make the host wait for the device."""
    if case.device is None:
        raise NotApplicable("the environment returns NumPy arrays")
    if case.mode == AutoresetMode.DISABLED:
        raise NotApplicable("without autoreset, step has to look whether an episode has ended")
    watch: Callable[[], contextlib.AbstractContextManager[Any]]
    if case.device.type == "cuda":
        watch = _cuda_sync_is_an_error
    elif case.forbid_host_reads:
        watch = _HostReadIsAnError
    else:
        raise NotApplicable(f"the tensors are on the {case.device.type}, where reading one is free")
    with case.spare() as env:
        # Compilers and caches may synchronise once.
        case.play(env)
        env.reset(seed=case.seed)
        for batch in [case.native(batch) for batch in case.actions]:
            with watch():
                env.step(batch)


def grad_modes(case: Case) -> None:
    """`no_grad` and `inference_mode` may come and go between calls."""
    if case.device is None:
        raise NotApplicable("the environment returns NumPy arrays")
    modes = (
        torch.inference_mode,
        contextlib.nullcontext,
        torch.no_grad,
        torch.inference_mode,
        torch.no_grad,
    )
    for first in range(2):
        contexts = modes[first:] + modes[:first]
        outcomes = case.outcomes(case.env, contexts=contexts)
        for index, (expected, outcome) in enumerate(zip(case.rollout, outcomes, strict=False)):
            where = "as without no_grad and inference_mode"
            require_same_outcome(expected.core, outcome.core, index, where)


@contextlib.contextmanager
def _cuda_sync_is_an_error() -> Iterator[None]:
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


class _HostReadIsAnError(TorchDispatchMode):
    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        indices = args[1] if name in ("index", "index_put", "index_put_") else ()
        by_mask = any(isinstance(i, Tensor) and i.dtype == torch.bool for i in indices)
        if name in _WAITING or by_mask:
            what = f"{name} with a mask" if by_mask else name
            raise Failed("no operation that waits for a GPU", f"the torch operation {what}")
        return func(*args, **(kwargs or {}))
