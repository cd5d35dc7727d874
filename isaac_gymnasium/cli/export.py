"""``isaac-gymnasium export``: the policy of a run as a file that needs nothing of this package."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro
from torch import nn

from isaac_gymnasium.atomic import replacing
from isaac_gymnasium.cli._errors import UserError
from isaac_gymnasium.cli._policy import find_policy, trained_policy

_FILES = {"torchscript": "policy.pt", "onnx": "policy.onnx"}


@dataclass(kw_only=True)
class Export:
    """Write the policy of a run, with its normalisation, as TorchScript and ONNX.

    Both map observations (N, O), as the environment gives them, to actions (N, A) without
    exploration, on the CPU and for any N.
    """

    policy: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """Folder of a run, a packed policy, or an environment ID: the latest run in runs/<ID>, else the
    policy that comes with the package."""
    format: Literal["torchscript", "onnx"] | None = None
    """Which file to write; both by default. ONNX needs the extra export."""
    output: Path | None = None
    """Folder of policy.pt and policy.onnx; the run's by default, . for a packed policy."""
    engine: str | None = None
    """Physics engine that the environment is made with; by default the one of the training."""

    def run(self) -> int:
        """Write the files and print their paths."""
        formats = [self.format] if self.format else list(_FILES)
        if "onnx" in formats and not _can_write_onnx():
            raise UserError(
                "ONNX needs onnx and onnxscript: pip install isaac-gymnasium[export], or give "
                "--format torchscript"
            )
        source = find_policy(self.policy)
        home = source.path if source.path.is_dir() else Path()
        output = home if self.output is None else self.output
        with trained_policy(source, num_envs=2, device="cpu", engine=self.engine) as trained:
            observations, _ = trained.env.reset(seed=0)
            output.mkdir(parents=True, exist_ok=True)
            for name in formats:
                path = output / _FILES[name]
                write = export_torchscript if name == "torchscript" else export_onnx
                with replacing(path) as unfinished:
                    write(trained.policy, observations, unfinished)
                print(f"{name}: {path}")
        return 0


def export_torchscript(policy: nn.Module, observations: torch.Tensor, path: Path) -> None:
    """Write a policy for `torch.jit.load`.

    Args:
        policy: from observations (N, O) to actions (N, A).
        observations: (N, O), an example.
        path: the file.
    """
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(policy, (observations,))
        torch.jit.save(traced, str(path))


def export_onnx(policy: nn.Module, observations: torch.Tensor, path: Path) -> None:
    """Write a policy as ONNX, with the input `observations` and the output `actions`.

    Args:
        policy: from observations (N, O) to actions (N, A).
        observations: (N, O) with N > 1, an example.
        path: the file.
    """
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of torch about itself
        torch.onnx.export(
            policy,
            (observations,),
            str(path),
            dynamo=True,
            input_names=["observations"],
            output_names=["actions"],
            dynamic_shapes=({0: torch.export.Dim("num_envs")},),
            external_data=False,
            verbose=False,
        )


def _can_write_onnx() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("onnx", "onnxscript"))
