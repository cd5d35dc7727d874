"""Newton's solver Steel: reduced coordinates and Gauss-Seidel, in the same order every time.

It is for those who need the same bits again on a GPU, whatever else runs beside; MuJoCo's solver
adds in the order in which threads arrive. Newton calls it experimental.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from isaac_gymnasium.engines.base import EngineError
from isaac_gymnasium.engines.newton.collisions import Collisions
from isaac_gymnasium.engines.newton.contacts import SteelContacts

if TYPE_CHECKING:
    from isaac_gymnasium.engines.newton.engine import NewtonEngine

_ITERATIONS = 12


class Steel:
    """Steps the worlds of an engine with Steel.

    Attributes:
        solver: Newton's own object.
        overflow: (N,) int32, 1 where constraints have been dropped since the last reset.
        lost: The bit that means so.
    """

    lost = 1

    def __init__(self, engine: NewtonEngine) -> None:
        self._engine = engine
        newton, wp, world, model = engine._newton, engine._wp, engine.world, engine.model
        on_cuda = engine.device.type == "cuda"
        contacts = max(min(engine.scene.settings.contacts_per_env, world.most_contacts), 1)
        # Before the solver: it takes its own buffers' size from the model.
        self._collisions = Collisions(engine, contacts, deterministic=True)
        self.found = self._collisions.found
        friction = max([0.0, *world.builder.joint_friction]) > 0.0
        if friction and not on_cuda:
            raise EngineError(
                "deterministic=True: Newton's solver Steel knows friction of joints on CUDA only"
            )
        self.solver = newton.solvers.SolverSteel(
            model,
            iterations=_ITERATIONS,
            # Drives as PhysX has them: what they end up with is limited.
            drive_mode="rows",
            enable_joint_limits=True,
            enable_joint_velocity_limits=True,
            enable_joint_friction=friction,
            # Three rows a contact, and a drive, two limits and friction for every joint.
            articulation_constraint_max=3 * contacts + 4 * world.builder.joint_dof_count,
            free_body_constraint_max=3 * contacts,
            warn_constraint_overflow=False,
            deterministic=wp.DeterministicMode.RUN_TO_RUN,
        )
        kinds = {self.solver.ObservableKind.CONTACT_F}
        self.observed = self.solver.observables(kinds, contacts=self.found)
        self._overflow_flags: Tensor = wp.to_torch(self.solver.constraint_overflow)
        self._gravity: Tensor = wp.to_torch(model.gravity)
        self._weightless = engine.array("gravcomp", of=model.mujoco)
        self.changed()

    @property
    def overflow(self) -> Tensor:
        """(N,) int32 flags."""
        return self._overflow_flags[: self._engine.num_envs].to(torch.int32) | self._collisions.lost

    def step(self) -> None:
        """One physics step."""
        engine = self._engine
        self._collisions.find()
        self.solver.step(
            engine.state,
            engine.state,
            engine.control,
            self.found,
            engine.dt,
            observables=self.observed,
        )

    def changed(self) -> None:
        """Holds up what gravity does not pull, which Steel knows nothing of."""
        engine = self._engine
        share = self._weightless * engine.array("body_mass")
        gravity = self._gravity[: engine.num_envs].unsqueeze(1)
        engine.lasting_force[..., :3] = -share.unsqueeze(-1) * gravity
        engine._body_f.copy_(engine.lasting_force)

    def contacts(self, bodies: Sequence[str], filters: Sequence[str]) -> SteelContacts:
        """Contact forces on bodies."""
        return SteelContacts(self._engine, self, bodies, filters)

    @contextlib.contextmanager
    def looking_at_nothing(self) -> Iterator[None]:
        """While within, a step launches every kernel and asks for no result of any."""
        yield
