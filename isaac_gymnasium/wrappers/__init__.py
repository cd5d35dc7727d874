"""Torch-native wrappers of vector environments, named as in `gymnasium.wrappers.vector`.

They keep tensors on their device and never make the host wait for it in a step, and they are right
in every autoreset mode and under partial resets, `final_obs` included::

    from isaac_gymnasium import wrappers

    envs = wrappers.NormalizeReward(wrappers.NormalizeObservation(envs))
    state = envs.state_dict()           # of the whole stack
    envs.update_running_mean = False    # freeze the statistics, for evaluation
"""

from isaac_gymnasium.wrappers.actions import ClipAction, RescaleAction, TransformAction
from isaac_gymnasium.wrappers.base import TorchWrapper
from isaac_gymnasium.wrappers.conversion import ToDevice, TorchToNumpy
from isaac_gymnasium.wrappers.episode_statistics import RecordEpisodeStatistics
from isaac_gymnasium.wrappers.history import DelayObservation, FrameStackObservation
from isaac_gymnasium.wrappers.kinds import (
    TorchActionWrapper,
    TorchObservationWrapper,
    TorchRewardWrapper,
)
from isaac_gymnasium.wrappers.noise import NoiseAction, NoiseObservation
from isaac_gymnasium.wrappers.normalize_observation import NormalizeObservation
from isaac_gymnasium.wrappers.normalize_reward import NormalizeReward
from isaac_gymnasium.wrappers.observations import (
    DtypeObservation,
    FilterObservation,
    FlattenObservation,
    RescaleObservation,
    TransformObservation,
)
from isaac_gymnasium.wrappers.record_video import RecordVideo
from isaac_gymnasium.wrappers.rewards import ClipReward, ScaleReward, TransformReward
from isaac_gymnasium.wrappers.sticky_action import StickyAction
from isaac_gymnasium.wrappers.time_aware import TimeAwareObservation

__all__ = [
    "ClipAction",
    "ClipReward",
    "DelayObservation",
    "DtypeObservation",
    "FilterObservation",
    "FlattenObservation",
    "FrameStackObservation",
    "NoiseAction",
    "NoiseObservation",
    "NormalizeObservation",
    "NormalizeReward",
    "RecordEpisodeStatistics",
    "RecordVideo",
    "RescaleAction",
    "RescaleObservation",
    "ScaleReward",
    "StickyAction",
    "TimeAwareObservation",
    "ToDevice",
    "TorchActionWrapper",
    "TorchObservationWrapper",
    "TorchRewardWrapper",
    "TorchToNumpy",
    "TorchWrapper",
    "TransformAction",
    "TransformObservation",
    "TransformReward",
]
