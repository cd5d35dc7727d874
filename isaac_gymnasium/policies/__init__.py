"""Policies in small files: those that come with the package, and those you pack yourself.

A file holds the actor's layers and the normalisation around them, nothing else of the training, and
says what it was trained on. It is a compressed NumPy archive without pickles, and using it takes no
RL library. Those of the package are named `<ID>.npz` and stand beside this module::

    from isaac_gymnasium.policies import load_policy

    policy = load_policy("IsaacCartpole-v0", device=envs.device)
    obs, reward, terminated, truncated, info = envs.step(policy(obs))
"""

from __future__ import annotations

import importlib.resources
import io
import json
import math
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium.spaces import Box
from torch import nn

from isaac_gymnasium.atomic import replacing
from isaac_gymnasium.integrations.image_encoder import ImageEncoder
from isaac_gymnasium.integrations.trainer import Policy

__all__ = ["SIZE_LIMIT", "load_policy", "pack_policy", "read_about", "shipped_policies"]

SIZE_LIMIT = 300_000
"""Bytes that a packed policy may take."""

SUFFIX = ".npz"
_FORMAT = 1
_LAYERS: dict[str, type[nn.Module]] = {
    "images": ImageEncoder,
    "linear": nn.Linear,
    "elu": nn.ELU,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "hardtanh": nn.Hardtanh,
}
_BUFFERS = ("mean", "std", "low", "high")
# A row of weights is stored as float16 or, where that is too large, as int8 with a scale. Fewer
# values of these take less room once they are compressed.
_LARGEST = {"int8": 127, "int6": 31, "int4": 7}
_ENCODINGS = ("float16", *_LARGEST)


def shipped_policies() -> dict[str, Path]:
    """The files of the policies that come with the package, by environment ID."""
    folder = Path(str(importlib.resources.files(__name__)))
    return {file.stem: file for file in sorted(folder.glob(f"*{SUFFIX}"))}


def load_policy(name: str | Path, *, device: str | torch.device = "cpu") -> Policy:
    """A policy from a file, as a module from observations (N, O) to actions (N, A).

    Args:
        name: an environment ID for the policy that comes with the package, or a file's path.
        device: where to put it.

    Raises:
        ValueError: there is no such policy, or the file does not hold one.
    """
    path = Path(name)
    if not path.is_file():
        shipped = shipped_policies()
        if str(name) not in shipped:
            raise ValueError(
                f"there is neither a file {name} nor a policy of that name in the package, "
                f"which has {', '.join(shipped) or 'none'}"
            )
        path = shipped[str(name)]
    about, arrays = _read(path)
    return _build(about, arrays).to(device)


def read_about(path: Path) -> dict[str, Any]:
    """What a file says of its policy: what was given to `pack_policy`, and how it is stored.

    Raises:
        ValueError: the file does not hold a policy.
    """
    return _read(path)[0]


def pack_policy(policy: Policy, path: Path, about: Mapping[str, Any]) -> None:
    """Write a policy to a small file, replacing it in one move.

    Weights are rounded to float16, or to eight, six or four bits where that would be too large;
    evaluate what comes out.

    Args:
        policy: of `Linear` layers in a row with activations between them; where observations hold
            images, an `ImageEncoder` comes first.
        path: the file, which ends in `.npz`.
        about: what to say of it; plain values, as JSON has them.

    Raises:
        ValueError: the policy has other parts, numbers that are not finite, or too many of them.
    """
    if path.suffix != SUFFIX:
        raise ValueError(f"a packed policy must end in {SUFFIX}, got {path}")
    names = {kind: name for name, kind in _LAYERS.items()}
    layers = [part for part in _leaves(policy.network) if not isinstance(part, nn.Identity)]
    unknown = sorted({type(layer).__name__ for layer in layers if type(layer) not in names})
    if unknown:
        raise ValueError(
            f"a packed policy has the layers {', '.join(_LAYERS)}, got {', '.join(unknown)}"
        )
    widths = [layer.in_features for layer in layers if isinstance(layer, nn.Linear)]
    images = [layer.shapes for layer in layers if isinstance(layer, ImageEncoder)]
    if images:
        widths[0] = sum(math.prod(shape) for shape in images[0])
    stored = {
        **about,
        "format": _FORMAT,
        "observations": widths[0],
        "images": images[0] if images else None,
        "actions": policy.low.numel(),
        "layers": [names[type(layer)] for layer in layers],
        "clip": policy.clip if np.isfinite(policy.clip) else None,
        "squash": policy.squash,
    }
    exact = _arrays(policy, layers, None)
    if not all(np.isfinite(array).all() for array in exact.values()):
        raise ValueError("the policy holds numbers that are not finite")
    _compare(policy, _build(stored, exact), widths[0])
    for encoding in _ENCODINGS:
        data = _bytes({**stored, "encoding": encoding}, _arrays(policy, layers, encoding))
        if len(data) <= SIZE_LIMIT:
            break
    else:
        raise ValueError(f"the policy takes {len(data)} bytes, of {SIZE_LIMIT} allowed")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        unfinished.write_bytes(data)


def _leaves(module: nn.Module) -> list[nn.Module]:
    """Parts without parts in order, an `ImageEncoder` as one."""
    if isinstance(module, ImageEncoder) or not list(module.children()):
        return [module]
    return [leaf for child in module.children() for leaf in _leaves(child)]


def _weighted(layers: Iterable[nn.Module]) -> Iterator[tuple[str, nn.Linear | nn.Conv2d]]:
    """What has weights, and how a file names it."""
    for index, layer in enumerate(layers):
        for name, part in layer.named_modules(prefix=str(index)):
            if isinstance(part, (nn.Linear, nn.Conv2d)):
                yield name, part


def _arrays(
    policy: Policy, layers: list[nn.Module], encoding: str | None
) -> dict[str, npt.NDArray[Any]]:
    arrays = {name: getattr(policy, name).cpu().numpy() for name in _BUFFERS}
    for key, layer in _weighted(layers):
        weight = layer.weight.detach().cpu().numpy()
        if encoding is not None and encoding in _LARGEST:
            largest = np.abs(weight).max(tuple(range(1, weight.ndim)), keepdims=True)
            scale = np.maximum(largest, 1e-30) / _LARGEST[encoding]
            arrays[f"{key}.scale"] = scale.astype(np.float32)
            weight = np.rint(weight / scale).astype(np.int8)
        elif encoding == "float16":
            weight = weight.astype(np.float16)
        arrays[f"{key}.weight"] = weight
        bias = layer.bias
        arrays[f"{key}.bias"] = (
            np.zeros(len(weight), np.float32) if bias is None else bias.detach().cpu().numpy()
        )
    return arrays


def _bytes(about: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    file = io.BytesIO()
    # As bytes, since an array of text would take four for each letter.
    text = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    np.savez_compressed(file, about=text, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        about: dict[str, Any] = json.loads(arrays.pop("about").tobytes())
    except (AttributeError, EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a packed policy: {error}") from error
    if about.get("format") != _FORMAT:
        raise ValueError(f"{path} must have the format {_FORMAT}, got {about.get('format')!r}")
    return about, arrays


def _build(about: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Policy:
    layers: list[nn.Module] = []
    for index, name in enumerate(about["layers"]):
        if name == "linear":
            rows, columns = arrays[f"{index}.weight"].shape
            layers.append(nn.Linear(columns, rows))
        elif name == "images":
            layers.append(ImageEncoder.of_shapes(about["images"]))
        else:
            layers.append(_LAYERS[name]())
    for key, layer in _weighted(layers):
        weight = arrays[f"{key}.weight"].astype(np.float32) * arrays.get(f"{key}.scale", 1.0)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight))
            assert layer.bias is not None
            layer.bias.copy_(torch.from_numpy(arrays[f"{key}.bias"]))
    clip = float("inf") if about["clip"] is None else about["clip"]
    return Policy(
        nn.Sequential(*layers),
        Box(arrays["low"], arrays["high"]),
        mean=torch.from_numpy(arrays["mean"]),
        std=torch.from_numpy(arrays["std"]),
        clip=clip,
        squash=about["squash"],
    )


def _compare(policy: Policy, built: Policy, width: int) -> None:
    """Refuse a network that is more than its layers in a row."""
    generator = torch.Generator().manual_seed(0)
    observations = torch.randn(64, width, generator=generator).to(policy.mean.device)
    if any(isinstance(part, ImageEncoder) for part in policy.network.modules()):
        observations *= 255  # what differs less makes no image
    observations = policy.mean + policy.std * observations
    with torch.no_grad():
        expected, got = policy(observations), built.to(observations.device)(observations)
    if not torch.allclose(expected, got, atol=1e-4):
        raise ValueError("the policy is more than its layers in a row, and cannot be packed")
