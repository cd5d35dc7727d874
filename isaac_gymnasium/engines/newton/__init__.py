"""Engine `newton`: the pip package `newton` with its MuJoCo solver, on CPU or CUDA.

Every environment is a world of its own, so all of them stand at the origin and none can touch
another. The tensors handed out are the simulation's own arrays wherever the order of joints and
links allows it (which is that of PhysX): a read costs nothing, and a write is in the state at once.
What follows from the state is brought up to date for the written worlds alone.

What MuJoCo's solver does not know: speed limits of joints without a drive, damping of free bodies,
a static friction apart from the dynamic one. Frictions that are combined by an average or a product
get the nearest of the two (`friction`). Nor does it know ground that is a mesh: there Newton finds
the contacts (`collisions`).
"""

from isaac_gymnasium.engines.newton.engine import NewtonEngine

__all__ = ["NewtonEngine"]
