"""Contacts found by Newton's own collision pipeline instead of a solver's.

MuJoCo's solver knows convex meshes only, and ground as a field of heights. Of a ball that is a
millimetre into the riser of a step, it says there that it is as deep as the step is high, and
pushes it up: legged robots were thrown about. Newton touches the triangles themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from isaac_gymnasium.engines.newton.engine import NewtonEngine

_FEWEST_TRIANGLES = 1 << 14
_MOST_SORTED_TRIANGLES = (1 << 20) - 1
"""As many as Newton can tell apart where it has to sort them."""


class Collisions:
    """The contacts of all worlds, in buffers that they share.

    Args:
        engine: The engine whose worlds they are.
        contacts: Contacts of one world that there is room for.
        deterministic: Find them in the same order every time.

    Attributes:
        found: Newton's own object, filled by `find`.
        lost: (1,) int32, 1 where the buffers did not hold all that was there.
    """

    def __init__(self, engine: NewtonEngine, contacts: int, *, deterministic: bool = False) -> None:
        from isaac_gymnasium.engines.newton import _collision_kernel

        self._engine, self._kernel = engine, _collision_kernel.keep_to_buffers
        wp, model = engine._wp, engine.model
        self._most = model.rigid_contact_max = contacts * engine.num_envs
        # A leg that lies on the ground is near a dozen triangles, and seldom many do.
        triangles = max(_FEWEST_TRIANGLES, self._most)
        if deterministic:
            triangles = min(triangles, _MOST_SORTED_TRIANGLES)
        self._pipeline = engine._newton.CollisionPipeline(
            model,
            broad_phase="explicit",
            rigid_contact_max=self._most,
            max_triangle_pairs=triangles,
            deterministic=deterministic,
            # It would print in every step.
            verify_buffers=False,
        )
        self.found = self._pipeline.contacts()
        self._lost = wp.zeros(1, dtype=wp.int32, device=model.device)
        self.lost: Tensor = wp.to_torch(self._lost)
        near = self._pipeline.narrow_phase.triangle_pairs_count
        # None where no shape is a mesh.
        self._triangles = self._lost if near is None else near
        self._most_triangles = triangles

    def find(self) -> None:
        """Finds the contacts of the engine's state."""
        engine = self._engine
        self._pipeline.collide(engine.state, self.found, dt=engine.dt)
        engine._wp.launch(
            self._kernel,
            dim=1,
            inputs=[self._most, self._triangles, self._most_triangles],
            outputs=[self.found.rigid_contact_count, self._lost],
            device=engine.model.device,
        )
