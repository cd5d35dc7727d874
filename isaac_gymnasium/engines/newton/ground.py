"""Ground that is a triangle mesh, as a field of heights.

MuJoCo's solver knows convex meshes only, and takes a mesh that is not convex for its hull. Ground
seen from above has one height for every place; what overhangs is filled in, and what is vertical
leans by less than a sample.
"""

from __future__ import annotations

from typing import Any

_SPACING = 0.047
"""Distance of the samples, m: finer than feet. Walls of a terrain stand at round numbers, and must
not fall on samples: whether those are above or below would be a matter of rounding."""
_MOST_SAMPLES = 8192
_DEPTH = 10.0
"""How far the ground reaches down below its lowest height, m."""


def turn_into_heights(builder: Any, device: str) -> None:
    """Makes the one shape of a builder, a mesh, a field of heights of the same material."""
    import newton
    import numpy as np
    import warp as wp

    (shape,) = range(builder.shape_count)
    mesh, place = builder.shape_source[shape], wp.transform(builder.shape_transform[shape])
    turn = np.array(wp.quat_to_matrix(place.q)).reshape(3, 3)
    points = (np.asarray(mesh.vertices) * builder.shape_scale[shape]) @ turn.T + np.array(place.p)
    solid = wp.Mesh(
        points=wp.array(points, dtype=wp.vec3, device=device),
        indices=wp.array(np.asarray(mesh.indices).flatten(), dtype=wp.int32, device=device),
    )
    heights, place = newton.Heightfield.create_from_mesh(
        solid, _SPACING, max_cells_per_axis=_MOST_SAMPLES
    )
    builder.shape_type[shape] = newton.GeoType.HFIELD
    builder.shape_source[shape] = heights
    builder.shape_transform[shape] = place
    builder.shape_scale[shape] = wp.vec3(1.0, 1.0, 1.0)
    builder.custom_attributes["mujoco:hfield_base"].values = {shape: _DEPTH}
