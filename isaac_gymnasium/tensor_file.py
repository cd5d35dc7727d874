"""Files of tensors that users pass around: whole or not there, and nothing in them is executed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from isaac_gymnasium.atomic import replacing


def write(content: Mapping[str, Any], path: Path) -> None:
    """Writes tensors, numbers, words and containers of them, in one move.

    Args:
        content: What to write, with what `read` asks for under `"format"`.
        path: Where to; a file of the name is replaced.
    """
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        torch.save(dict(content), file)


def read(path: str | Path, kind: str, *, format: str) -> dict[str, Any]:
    """What `write` wrote, on the CPU.

    Args:
        path: The file.
        kind: What it should hold, for the messages.
        format: What it should have under `"format"`, which is not returned.

    Raises:
        ValueError: If there is no such file, or it holds something else.
    """
    try:
        content: Any = torch.load(path, weights_only=True, map_location="cpu")
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such file") from None
    except Exception as error:  # torch raises half a dozen kinds for a damaged file
        raise ValueError(f"{path} is no {kind}: {type(error).__name__}") from error
    if not isinstance(content, dict) or content.pop("format", None) != format:
        raise ValueError(f"{path} is no {kind} of the format {format}")
    return content
