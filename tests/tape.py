"""Stand-ins for CUDA graphs, and for its detector of waiting, where there is no GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves


class Tape(TorchDispatchMode):
    """A CUDA graph for the CPU.

    While capturing it notes every operation with the tensors it works on, refuses to look at
    values, and lets nothing be changed. A replay repeats the operations on the same memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self._operations: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []
        self._before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def call(self, function: Callable[[], None], changes: list[Tensor]) -> None:
        """Notes work that torch does not see, and does it; `changes` is all that it writes to."""
        with _disable_current_modes():
            for tensor in changes:
                storage = tensor.untyped_storage()
                self._before.setdefault(storage.data_ptr(), (storage, storage.clone()))
        function()
        self._operations.append((lambda: function(), (), {}, None))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("operation not permitted when stream is capturing")
        for k, argument in enumerate(func._schema.arguments):
            if argument.alias_info is not None and argument.alias_info.is_write:
                written = args[k] if k < len(args) else kwargs.get(argument.name)
                for tensor in (leaf for leaf in tree_leaves(written) if leaf is not None):
                    storage = tensor.untyped_storage()
                    self._before.setdefault(storage.data_ptr(), (storage, storage.clone()))
        result = func(*args, **kwargs)
        self._operations.append((func, args, kwargs, result))
        return result

    def end(self) -> None:
        for storage, before in self._before.values():
            storage.copy_(before)
        self._before.clear()

    def replay(self) -> None:
        for func, args, kwargs, result in self._operations:
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class NoWaiting(TorchDispatchMode):
    """Refuses what makes the host wait for a GPU, or the other way round.

    It finds values that are looked at, tensors made of numbers of Python's, and what takes the
    rows of a mask, since it has to know how many there are.
    """

    _REFUSED = (
        torch.ops.aten._local_scalar_dense.default,
        torch.ops.aten.nonzero.default,
        torch.ops.aten.masked_select.default,
    )

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        indexes = func in (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default)
        masks = indexes and any(i is not None and i.dtype == torch.bool for i in args[1])
        # A single number goes along with the launch of what uses it.
        made = func is torch.ops.aten.lift_fresh.default and args[0].dim()
        if masks or made or func in self._REFUSED:
            raise RuntimeError(f"{func} would wait")
        return func(*args, **(kwargs or {}))
