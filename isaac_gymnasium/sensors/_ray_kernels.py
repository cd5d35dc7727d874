"""Rays against one triangle mesh, through Warp's bounding volume hierarchy."""

from __future__ import annotations

import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.kernel
def cast_rays(
    mesh: wp.uint64,
    origins: wp.array(dtype=wp.vec3),
    directions: wp.array(dtype=wp.vec3),
    reach: float,
    distances: wp.array(dtype=wp.float32),
    normals: wp.array(dtype=wp.vec3),
):
    """Distance along each ray to the mesh, and the normal there; `reach` and zero where none is."""
    ray = wp.tid()
    distances[ray] = reach
    normals[ray] = wp.vec3(0.0, 0.0, 0.0)
    # A ray that is nowhere would be held against every triangle, which takes seconds.
    if not (wp.isfinite(origins[ray]) and wp.isfinite(directions[ray])):
        return
    hit = wp.mesh_query_ray(mesh, origins[ray], directions[ray], reach)
    if hit.result:
        distances[ray] = hit.t
        normals[ray] = wp.normalize(hit.normal)
