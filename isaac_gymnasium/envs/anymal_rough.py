"""`IsaacAnymalRough-v0`: walk over rough ground with the velocity that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from isaac_gymnasium.envs._rough import RoughVelocityTask
from isaac_gymnasium.envs.anymal import Anymal


@dataclass(kw_only=True)
class AnymalRough(RoughVelocityTask, Anymal):
    """An ANYmal C walks over rough ground with the velocity that is asked for.

    ## Description
    The robot of `IsaacAnymal-v0` on generated terrain: stairs, boxes, noise and slopes, up and
    down, on tiles of 8 m in rows of rising difficulty. It feels the ground by a scan of heights.
    With the curriculum, an episode that leads off its tile makes the next one start a level
    higher, one that covers less than half of the way asked for a level lower; beyond the highest
    level lies any level. Turning is commanded through a heading, so that who follows gets off the
    tile. Follows Isaac Lab's rough velocity task for this robot (terrain, scan, weights, headings);
    it differs else as `IsaacAnymal-v0` does from its flat one, and in that an episode of less than
    half a second changes no level.

    ## Action Space
    `Box(-1, 1, (12,))`: as in `IsaacAnymal-v0`.

    ## Observation Space
    `Box(-inf, inf, (235,))`: the 48 numbers of `IsaacAnymal-v0` (the commanded turning is half of
    the angle left to the heading, within `max_turn`), then the height of the base above the ground
    minus 0.5 m at 17 x 11 points (forward -0.8 to 0.8 m, sideways -0.5 to 0.5 m, turned with the
    base's heading), clipped to ±1 m.

    ## Rewards
    As in `IsaacAnymal-v0`, without its `tilt`; each times the step's 0.02 s, with the same e and w:
    * `track_velocity`: exp(-e^2 / 0.25)
    * `track_turn`: 0.5 exp(-w^2 / 0.25)
    * `bounce`: -2 times the squared vertical velocity
    * `sway`: -0.05 times the squared roll and pitch rates
    * `torque`: -2.5e-5 times the sum of squared joint torques
    * `acceleration`: -2.5e-7 times the sum of squared joint accelerations
    * `jerk`: -0.04 times the squared change of the action
    * `fall`: -100 in the step that terminates
    * `air_time`: 0.5 times, for each foot that lands, its time in the air minus 0.5 s while
      the command asks to walk
    * `contacts`: -1 for each thigh that touches anything

    ## Starting State
    On the middle of a tile, heading anywhere; else as in `IsaacAnymal-v0`. Environments are spread
    over the kinds of terrain. After a seed, levels are drawn from the lowest `first_levels`.

    ## Episode End
    As in `IsaacAnymal-v0`; walking off the terrain's edge is a fall. `info["level"]`: the level of
    the tile.

    ## Arguments
    * `levels`, `tiles`: rows and columns of the terrain
    * `first_levels`: of how many levels, from the easiest on, episodes start after a seed
    * `curriculum`: whether levels follow success; without, they stay
    * `terrain_seed`: seed of the terrain
    * `action_scale`: rad per unit of action
    * `max_forward`, `max_sideways`, `max_turn`: half widths of the uniform commands, m/s and rad/s
    * `command_interval_s`: time between two commands, s
    * `standing_share`: share of commands that are to stand still
    * `joint_noise`: half width of the initial noise, rad

    ## Version History
    * v0: initial version
    """

    weights: ClassVar[Mapping[str, float]] = {
        name: weight for name, weight in Anymal.weights.items() if name != "tilt"
    }
