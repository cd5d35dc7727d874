"""What Newton's collision pipeline has found beyond its buffers, as one Warp kernel."""

from __future__ import annotations

import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.kernel
def keep_to_buffers(
    most_contacts: wp.int32,
    triangles: wp.array(dtype=wp.int32),
    most_triangles: wp.int32,
    contacts: wp.array(dtype=wp.int32),
    lost: wp.array(dtype=wp.int32),
):
    lost[0] = wp.where(contacts[0] > most_contacts or triangles[0] > most_triangles, 1, 0)
    contacts[0] = wp.min(contacts[0], most_contacts)
