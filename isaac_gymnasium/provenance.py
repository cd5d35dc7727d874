"""What a result depends on besides its settings: versions, the state of a checkout, GPUs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

PACKAGES = (
    "isaac-gymnasium",
    "gymnasium",
    "numpy",
    "torch",
    "skrl",
    "stable-baselines3",
    "rsl-rl-lib",
    "rl-games",
    "ovphysx",
    "newton",
    "warp-lang",
    "usd-core",
    "isaacsim",
)
"""Distributions that results depend on."""


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Versions of those distributions that are installed, by name."""
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_state(folder: Path) -> dict[str, Any] | None:
    """The `commit` of the repository that a folder is in, and whether it has `changed` since.

    None where there is no repository, or no git.
    """

    def ask(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "changed": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def gpus() -> list[str]:
    """Names of the CUDA devices that torch sees."""
    return [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
