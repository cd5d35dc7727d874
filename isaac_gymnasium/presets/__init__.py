"""Presets: the settings that a task trains well with, by algorithm and library.

A preset is a mapping, for the tasks of this package in a file `<ID>.yaml` beside this module::

    ppo:                       # for every library's PPO
      num_envs: 4096
      learning_rate: 1.0e-3
      cpu: {num_envs: 256}     # where the environments run on a CPU
    skrl:
      ppo: {shared_network: true}   # for this library alone

Keys are fields of the dataclasses in `isaac_gymnasium.presets.configs`. A setting for every library
may be one that only some of them have; one that none has is an error. What a preset does not say
is the dataclass's default. Tasks of your own give theirs to `isaac_gymnasium.register`.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from isaac_gymnasium.presets.configs import PpoConfig, SacConfig, Td3Config, TrainConfig

__all__ = ["ALGORITHMS", "add_preset", "find_preset", "preset"]

ConfigT = TypeVar("ConfigT", bound=TrainConfig)

ALGORITHMS: dict[str, type[TrainConfig]] = {
    "ppo": PpoConfig,
    "sac": SacConfig,
    "td3": Td3Config,
}
"""Algorithms, each with what the settings of every library's have in common."""

# Of a task without a preset, on a CPU.
_CPU_DEFAULTS = {
    "ppo": {"num_envs": 256, "timesteps": 5_000_000},
    "sac": {"num_envs": 64, "timesteps": 500_000, "batch_size": 256},
    "td3": {"num_envs": 64, "timesteps": 500_000, "batch_size": 256},
}

_added: dict[str, Mapping[str, Any]] = {}


def add_preset(task_id: str, values: Mapping[str, Any] | str | Path) -> None:
    """Give a task a preset; the last one given counts.

    Args:
        task_id: environment ID.
        values: the preset, or the path of a YAML file that holds it.

    Raises:
        TypeError: it has a key that means nothing, or a value of another type.
        ValueError: the file cannot be read, or is not YAML.
    """
    given: Any = values
    if isinstance(values, (str, Path)):
        try:
            given = yaml.safe_load(Path(values).read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ValueError(f"{values} is not a preset in YAML: {error}") from error
    _check(task_id, given)
    _added[task_id] = given


def find_preset(task_id: str) -> Mapping[str, Any] | None:
    """The preset of a task, None if it has none.

    Args:
        task_id: environment ID, with or without the `module:` in front.
    """
    name = task_id.rpartition(":")[2]
    if name in _added:
        return _added[name]
    file = importlib.resources.files(__name__).joinpath(f"{name}.yaml")
    if "/" in name or not file.is_file():
        return None
    shipped: Mapping[str, Any] = yaml.safe_load(file.read_text())
    _check(name, shipped)
    _added[name] = shipped
    return shipped


def preset(
    task_id: str, config: type[ConfigT], *, library: str = "skrl", cpu: bool = False
) -> ConfigT:
    """The settings of a task for an algorithm.

    Args:
        task_id: environment ID, with or without the `module:` in front.
        config: the dataclass of the settings, which says the algorithm.
        library: whose algorithm it is.
        cpu: whether the environments run on a CPU.

    Raises:
        TypeError: the task's preset file is wrong.
    """
    algorithm = _algorithm(config)
    found = find_preset(task_id) or {}
    common = found.get(algorithm, {})
    own = found.get(library, {}).get(algorithm, {})
    known = config.names()
    values = {key: value for key, value in common.items() if key in known}
    values |= {key: value for key, value in own.items() if key != "cpu"}
    if cpu:
        cpu_values = common.get("cpu", {} if common or own else _CPU_DEFAULTS[algorithm])
        values |= {key: value for key, value in cpu_values.items() if key in known}
        values |= own.get("cpu", {})
    return config.from_dict(values)


def _algorithm(config: type[TrainConfig]) -> str:
    for name, base in ALGORITHMS.items():
        if issubclass(config, base):
            return name
    raise TypeError(f"{config.__name__} belongs to none of the algorithms {', '.join(ALGORITHMS)}")


def _check(task_id: str, values: Any) -> None:
    """Refuse a preset with a key that no configuration has."""
    where = f"preset of {task_id}"
    for key, section in _items(where, values):
        if key in ALGORITHMS:
            _check_settings(f"{where}: {key}", key, section)
            continue
        # Every other key is a library's name; which there are is no business of this floor.
        for algorithm, settings in _items(f"{where}: {key}", section):
            if algorithm not in ALGORITHMS:
                raise TypeError(
                    f"{where}: {key} must be an algorithm ({', '.join(ALGORITHMS)}) or a library "
                    f"with algorithms in it, got {algorithm!r} there"
                )
            _check_settings(f"{where}: {key}: {algorithm}", algorithm, settings)


def _check_settings(where: str, algorithm: str, settings: Any) -> None:
    known = {name for config in _family(ALGORITHMS[algorithm]) for name in config.names()}
    given = dict(_items(where, settings))
    given |= dict(_items(f"{where}: cpu", given.pop("cpu", {})))
    unknown = [name for name in given if name not in known]
    if unknown:
        raise TypeError(
            f"{where} has no setting {', '.join(map(repr, unknown))}; "
            f"it has: {', '.join(sorted(known))}"
        )


def _items(where: str, values: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(values, Mapping):
        raise TypeError(f"{where} must be a mapping, got {values!r}")
    yield from values.items()


def _family(config: type[TrainConfig]) -> Iterator[type[TrainConfig]]:
    yield config
    for subclass in config.__subclasses__():
        yield from _family(subclass)
