"""The ray caster: one thread a pixel, on CPU or CUDA, for one picture as for thousands.

A picture shows a run of environments (one for a camera's image, many for an overview), each with
the same shapes at poses of its own, and the shapes of the world, once. A ray first asks which
environments' bounding spheres it meets, then which shapes', and only then intersects. Primitives
are met analytically, meshes through Warp's bounding volume hierarchy. Images of one environment ask
less: masks made beforehand tell which shapes the rays of a tile of pixels can meet at all, and
which can stand between the sun and a cell of the plane across its rays.

The formulas for rays against boxes, capsules, cylinders and cones are the textbook ones: a quadric
cut by two planes.
"""

from __future__ import annotations

import warp as wp

wp.set_module_options({"enable_backward": False})

BOX = wp.constant(0)
SPHERE = wp.constant(1)
CAPSULE = wp.constant(2)
CYLINDER = wp.constant(3)
CONE = wp.constant(4)
PLANE = wp.constant(5)
MESH = wp.constant(6)
MISS = wp.constant(1.0e30)
TIE = wp.constant(1.0e-5)
TILE_WIDTH = wp.constant(8)
TILE_HEIGHT = wp.constant(4)
SUN_CELLS = wp.constant(16)
EVERY = wp.constant(wp.int64(-1))
SLACK = wp.constant(1.0e-4)


@wp.struct
class Shapes:
    """S shapes: markers, from `first` on those of an environment, from `environment` on others.

    Where markers are not to be seen, `first` is their number and otherwise 0.
    """

    kind: wp.array(dtype=wp.int32)
    frame: wp.array(dtype=wp.int32)
    label: wp.array(dtype=wp.int32)
    pose: wp.array(dtype=wp.transform)
    size: wp.array(dtype=wp.vec3)
    inverse_scale: wp.array(dtype=wp.vec3)
    color: wp.array(dtype=wp.vec3)
    radius: wp.array(dtype=wp.float32)
    mesh: wp.array(dtype=wp.uint64)
    first: int
    environment: int
    count: int


@wp.struct
class Placed:
    """S shapes of each of K environments, as they stand in the picture.

    `spheres` (x, y, z, radius) hold a shape each, `bounds` all that is an environment's own.
    """

    poses: wp.array2d(dtype=wp.transform)
    spheres: wp.array2d(dtype=wp.vec4)
    bounds: wp.array(dtype=wp.vec4)


@wp.struct
class Masks:
    """Which shapes of its environment an image's rays may meet: bit s % 64 for shape s.

    `seen` (I, tiles) through a tile, `shading` (I, SUN_CELLS ** 2) on the way to the sun. Neither
    is used where `there` is 0.
    """

    there: int
    seen: wp.array2d(dtype=wp.int64)
    shading: wp.array2d(dtype=wp.int64)


@wp.struct
class Look:
    """Light, and how pictures are made; `sun` is the unit direction towards it."""

    sun: wp.vec3
    sun_color: wp.vec3
    sky: wp.vec3
    horizon: wp.vec3
    bounce: wp.vec3
    checker: float
    shadows: int
    samples: int


@wp.struct
class Lens:
    """A pinhole: tangents of half the fields of view, and the nearest depth that is seen."""

    tan_x: float
    tan_y: float
    near: float
    width: int
    height: int


@wp.struct
class Hit:
    """The nearest shape on a ray: how far, which one, in which environment's place."""

    distance: float
    shape: int
    place: int


# ---------------------------------------------------------------------- one ray, one shape


@wp.func
def meet_box(size: wp.vec3, o: wp.vec3, d: wp.vec3):
    t_in = float(-MISS)
    t_out = float(MISS)
    for axis in range(3):
        if wp.abs(d[axis]) > 1.0e-9:
            a = (-size[axis] - o[axis]) / d[axis]
            b = (size[axis] - o[axis]) / d[axis]
            t_in = wp.max(t_in, wp.min(a, b))
            t_out = wp.min(t_out, wp.max(a, b))
        elif wp.abs(o[axis]) > size[axis]:
            t_out = -MISS
    if t_in > t_out:
        return MISS
    return t_in


@wp.func
def meet_sphere(center: wp.vec3, radius: float, o: wp.vec3, d: wp.vec3):
    # About the point of the ray nearest to the centre, which loses no digits from afar.
    a = wp.dot(d, d)
    to = center - o
    b = wp.dot(to, d) / a
    off = to - b * d
    rest = radius * radius - wp.dot(off, off)
    if rest < 0.0:
        return MISS
    return b - wp.sqrt(rest / a)


@wp.func
def meet_tube(radius: float, half: float, o: wp.vec3, d: wp.vec3):
    # The mantle of a cylinder along z.
    a = d[0] * d[0] + d[1] * d[1]
    if a < 1.0e-12:
        return MISS
    b = -(o[0] * d[0] + o[1] * d[1]) / a
    x = o[0] + b * d[0]
    y = o[1] + b * d[1]
    rest = radius * radius - x * x - y * y
    if rest < 0.0:
        return MISS
    t = b - wp.sqrt(rest / a)
    if wp.abs(o[2] + t * d[2]) > half:
        return MISS
    return t


@wp.func
def meet_disc(radius: float, z: float, o: wp.vec3, d: wp.vec3):
    if wp.abs(d[2]) < 1.0e-9:
        return MISS
    t = (z - o[2]) / d[2]
    x = o[0] + t * d[0]
    y = o[1] + t * d[1]
    if x * x + y * y > radius * radius:
        return MISS
    return t


@wp.func
def meet_capsule(radius: float, half: float, o: wp.vec3, d: wp.vec3):
    t = meet_tube(radius, half, o, d)
    for side in range(2):
        z = half * (1.0 - 2.0 * float(side))
        cap = meet_sphere(wp.vec3(0.0, 0.0, z), radius, o, d)
        # The half of the sphere within the tube is no surface.
        if (o[2] + cap * d[2]) * (1.0 - 2.0 * float(side)) >= half:
            t = wp.min(t, cap)
    return t


@wp.func
def meet_cone(radius: float, half: float, o: wp.vec3, d: wp.vec3):
    # The apex stands at z = half.
    k = radius / (2.0 * half)
    oz = half - o[2]
    a = d[0] * d[0] + d[1] * d[1] - k * k * d[2] * d[2]
    b = o[0] * d[0] + o[1] * d[1] + k * k * oz * d[2]
    c = o[0] * o[0] + o[1] * o[1] - k * k * oz * oz
    t = float(MISS)
    root = b * b - a * c
    if root >= 0.0 and wp.abs(a) > 1.0e-12:
        s = wp.sqrt(root)
        near = wp.min((-b - s) / a, (-b + s) / a)
        far = wp.max((-b - s) / a, (-b + s) / a)
        if wp.abs(o[2] + near * d[2]) <= half:
            t = near
        elif wp.abs(o[2] + far * d[2]) <= half:
            t = far
    # A disc is met from below only: from above, the mantle is met first.
    if d[2] > 0.0:
        t = wp.min(t, meet_disc(radius, -half, o, d))
    return t


@wp.func
def meet(
    kind: int, size: wp.vec3, mesh: wp.uint64, o: wp.vec3, d: wp.vec3, near: float, most: float
):
    """Distance, in lengths of d, at which a ray from outside enters a shape; else MISS."""
    t = float(MISS)
    if kind == BOX:
        t = meet_box(size, o, d)
    elif kind == SPHERE:
        t = meet_sphere(wp.vec3(), size[0], o, d)
    elif kind == CAPSULE:
        t = meet_capsule(size[0], size[1], o, d)
    elif kind == CYLINDER:
        t = meet_tube(size[0], size[1], o, d)
        t = wp.min(t, meet_disc(size[0], -wp.sign(d[2]) * size[1], o, d))
    elif kind == CONE:
        t = meet_cone(size[0], size[1], o, d)
    elif kind == PLANE:
        if wp.abs(d[2]) > 1.0e-9:
            t = -o[2] / d[2]
            if wp.abs(o[0] + t * d[0]) > size[0] or wp.abs(o[1] + t * d[1]) > size[1]:
                t = MISS
    else:
        found = wp.mesh_query_ray(mesh, o + near * d, d, most)
        if found.result:
            t = near + found.t
    return t


@wp.func
def normal_at(kind: int, size: wp.vec3, mesh: wp.uint64, o: wp.vec3, d: wp.vec3, t: float):
    """Outward normal, in the shape's frame, where a ray enters it."""
    p = o + t * d
    n = wp.vec3(0.0, 0.0, 1.0)
    if kind == BOX:
        x = wp.abs(p[0]) - size[0]
        y = wp.abs(p[1]) - size[1]
        z = wp.abs(p[2]) - size[2]
        if x >= y and x >= z:
            n = wp.vec3(wp.sign(p[0]), 0.0, 0.0)
        elif y >= z:
            n = wp.vec3(0.0, wp.sign(p[1]), 0.0)
        else:
            n = wp.vec3(0.0, 0.0, wp.sign(p[2]))
    elif kind == SPHERE:
        n = p
    elif kind == CAPSULE:
        n = wp.vec3(p[0], p[1], p[2] - wp.clamp(p[2], -size[1], size[1]))
    elif kind == CYLINDER:
        n = wp.vec3(p[0], p[1], 0.0)
        if size[1] - wp.abs(p[2]) < size[0] - wp.sqrt(p[0] * p[0] + p[1] * p[1]):
            n = wp.vec3(0.0, 0.0, wp.sign(p[2]))
    elif kind == CONE:
        k = size[0] / (2.0 * size[1])
        n = wp.vec3(p[0], p[1], k * k * (size[1] - p[2]))
        if p[2] + size[1] < 1.0e-5 * size[1]:
            n = wp.vec3(0.0, 0.0, -1.0)
    elif kind == MESH:
        # From just before the hit: what a near plane cuts off must not come back.
        found = wp.mesh_query_ray(mesh, o + 0.999 * t * d, d, t)
        if found.result:
            n = found.normal
    return n


# ---------------------------------------------------------------------- one ray, all shapes


@wp.func
def beyond(sphere: wp.vec4, o: wp.vec3, d: wp.vec3, most: float):
    """Whether a ray of unit direction misses a sphere, or meets it no nearer than `most`."""
    to = wp.vec3(sphere[0], sphere[1], sphere[2]) - o
    radius = sphere[3]
    along = wp.dot(to, d)
    squared = wp.dot(to, to)
    # Rounding grows with the distance: rather test a shape too many.
    gap = squared - along * along - radius * radius - 1.0e-6 * squared
    return gap > 0.0 or along < -radius or along - radius > most


@wp.func
def has(mask: wp.int64, s: int):
    return ((mask >> wp.int64(s & 63)) & wp.int64(1)) != wp.int64(0)


@wp.func
def sun_axes(sun: wp.vec3):
    """Two axes across the sun's rays."""
    aside = wp.vec3(0.0, 0.0, 1.0)
    if wp.abs(sun[2]) > 0.9:
        aside = wp.vec3(1.0, 0.0, 0.0)
    u = wp.normalize(wp.cross(sun, aside))
    return u, wp.cross(sun, u)


@wp.func
def sun_cell(bound: wp.vec4, sun: wp.vec3, p: wp.vec3):
    """Where a point's way to the sun crosses a board that holds an environment's bounding sphere.

    Ways beside the board have that of its edge: they miss the sphere and all that is in it.
    """
    u, v = sun_axes(sun)
    q = p - wp.vec3(bound[0], bound[1], bound[2])
    half = 0.5 * float(SUN_CELLS)
    scale = half / wp.max(bound[3], 1.0e-6)
    last = float(SUN_CELLS - 1)
    x = int(wp.clamp(wp.dot(q, u) * scale + half, 0.0, last))
    y = int(wp.clamp(wp.dot(q, v) * scale + half, 0.0, last))
    return y * SUN_CELLS + x


@wp.func
def local_ray(shapes: Shapes, s: int, at: wp.transform, o: wp.vec3, d: wp.vec3):
    q = wp.transform_get_rotation(at)
    k = shapes.inverse_scale[s]
    origin = wp.cw_mul(wp.quat_rotate_inv(q, o - wp.transform_get_translation(at)), k)
    return origin, wp.cw_mul(wp.quat_rotate_inv(q, d), k)


@wp.func
def nearest(
    shapes: Shapes,
    placed: Placed,
    first: int,
    count: int,
    o: wp.vec3,
    d: wp.vec3,
    near: float,
    any_hit: int,
    mask: wp.int64,
):
    hit = Hit()
    hit.distance = MISS
    hit.shape = -1
    hit.place = first
    # The world's shapes come last, as if they were one environment more.
    for k in range(count + 1):
        place = first + k
        begin = shapes.first
        end = shapes.environment
        bits = mask
        skip = bool(False)
        if k == count:
            bits = EVERY
            place = first
            begin = shapes.environment
            end = shapes.count
        else:
            skip = bits == wp.int64(0) or beyond(placed.bounds[place], o, d, hit.distance)
        if not skip:
            for s in range(begin, end):
                if has(bits, s) and not beyond(placed.spheres[place, s], o, d, hit.distance):
                    kind = shapes.kind[s]
                    # The ground throws no shadow.
                    if any_hit == 0 or kind != PLANE:
                        lo, ld = local_ray(shapes, s, placed.poses[place, s], o, d)
                        t = meet(kind, shapes.size[s], shapes.mesh[s], lo, ld, near, hit.distance)
                        # Where surfaces coincide, the first shape is seen, not a speckle of both.
                        if t > near and t < (1.0 - TIE) * hit.distance:
                            hit.distance = t
                            hit.shape = s
                            hit.place = place
                            if any_hit == 1:
                                return hit
    return hit


@wp.func
def surface_normal(shapes: Shapes, placed: Placed, hit: Hit, o: wp.vec3, d: wp.vec3):
    """Unit normal that looks towards the ray's origin."""
    s = hit.shape
    at = placed.poses[hit.place, s]
    lo, ld = local_ray(shapes, s, at, o, d)
    local = normal_at(shapes.kind[s], shapes.size[s], shapes.mesh[s], lo, ld, hit.distance)
    n = wp.quat_rotate(wp.transform_get_rotation(at), wp.cw_mul(local, shapes.inverse_scale[s]))
    n = wp.normalize(n)
    if wp.dot(n, d) > 0.0:
        n = -n
    return n


# ---------------------------------------------------------------------- colour


@wp.func
def sky_color(look: Look, d: wp.vec3):
    return wp.lerp(look.horizon, look.sky, wp.clamp(1.6 * d[2], 0.0, 1.0))


@wp.func
def checker_color(look: Look, color: wp.vec3, p: wp.vec3, footprint: float):
    """A checker board whose squares fade where they are no larger than a pixel."""
    cell = wp.floor(p[0] / look.checker) + wp.floor(p[1] / look.checker)
    light = 2.0 * (cell - 2.0 * wp.floor(0.5 * cell)) - 1.0
    contrast = 0.14 * wp.clamp(1.5 - 2.0 * footprint / look.checker, 0.0, 1.0)
    return (1.0 + contrast * light) * color


@wp.func
def encode(linear: float):
    """Linear light to sRGB in [0, 255], with highlights that do not burn out at once."""
    c = linear
    if c > 0.8:
        c = 0.8 + 0.2 * (1.0 - wp.exp(-(c - 0.8) / 0.2))
    if c <= 0.0031308:
        c = 12.92 * c
    else:
        c = 1.055 * wp.pow(c, 1.0 / 2.4) - 0.055
    return 255.0 * wp.clamp(c, 0.0, 1.0)


@wp.func
def shade(
    shapes: Shapes,
    placed: Placed,
    masks: Masks,
    first: int,
    count: int,
    look: Look,
    sun: wp.vec3,
    hit: Hit,
    o: wp.vec3,
    d: wp.vec3,
    pixel: float,
):
    if hit.shape < 0:
        return sky_color(look, d)
    s = hit.shape
    n = surface_normal(shapes, placed, hit, o, d)
    p = o + hit.distance * d
    albedo = shapes.color[s]
    ground = shapes.kind[s] == PLANE
    if ground:
        grazing = wp.max(wp.abs(wp.dot(n, d)), 1.0e-4)
        albedo = checker_color(look, albedo, p, pixel * hit.distance / grazing)
    facing = wp.dot(n, sun)
    direct = float(0.0)
    gloss = float(0.0)
    if facing > 0.0:
        direct = facing
        if look.shadows == 1:
            start = p + (1.0e-4 + 1.0e-5 * hit.distance) * n
            mask = wp.int64(EVERY)
            # Several samples see several points of the sun, which the board is not made for.
            if masks.there == 1 and look.samples == 1:
                mask = masks.shading[first, sun_cell(placed.bounds[first], sun, start)]
            shadow = nearest(shapes, placed, first, count, start, sun, 1.0e-5, 1, mask)
            if shadow.shape >= 0:
                direct = 0.0
        if direct > 0.0 and not ground:
            half = wp.normalize(sun - d)
            gloss = 0.25 * wp.pow(wp.max(wp.dot(n, half), 0.0), 40.0)
    ambient = wp.lerp(look.bounce, look.sky, 0.5 * n[2] + 0.5)
    color = wp.cw_mul(albedo, ambient + direct * look.sun_color) + gloss * look.sun_color
    if ground:
        # The ground has no edge: far away it turns into the horizon.
        haze = 1.0 - wp.clamp((wp.abs(d[2]) - 0.01) / 0.09, 0.0, 1.0)
        color = wp.lerp(color, look.horizon, haze * haze)
    return color


# ---------------------------------------------------------------------- kernels


@wp.func
def ray_through(lens: Lens, column: float, row: float):
    """A ray through a point of the picture, in the camera's frame and as long as its depth is 1."""
    x = (2.0 * column / float(lens.width) - 1.0) * lens.tan_x
    y = (2.0 * row / float(lens.height) - 1.0) * lens.tan_y
    return wp.vec3(x, y, 1.0)


@wp.func
def replace(poses: wp.array(dtype=wp.transform), i: int, pose: wp.transform):
    """Writes a pose; whether it is another than before."""
    before = poses[i]
    poses[i] = pose
    differs = bool(False)
    for c in range(7):
        differs = differs or pose[c] != before[c]
    return differs


@wp.kernel
def place_shapes(
    shapes: Shapes,
    frames: wp.array2d(dtype=wp.transform),
    offsets: wp.array(dtype=wp.vec3),
    world_offsets: wp.array(dtype=wp.vec3),
    environments: int,
    cameras: wp.array(dtype=wp.transform),
    placed: Placed,
    placed_cameras: wp.array(dtype=wp.transform),
    changed: wp.array(dtype=wp.int32),
):
    """Poses of shapes in the picture, from those of bodies (K, F) in their environments.

    Marks the images in which anything, or the camera, stands elsewhere than the last time.
    """
    k, s = wp.tid()
    image = k // environments
    at = shapes.pose[s]
    offset = world_offsets[k]
    if s < shapes.environment:
        at = frames[k, shapes.frame[s]] * at
        offset = offsets[k]
    at = wp.transform(wp.transform_get_translation(at) + offset, wp.transform_get_rotation(at))
    p = wp.transform_get_translation(at)
    placed.spheres[k, s] = wp.vec4(p[0], p[1], p[2], shapes.radius[s])
    if replace(placed.poses[k], s, at):
        changed[image] = 1
    if s == 0 and k % environments == 0 and replace(placed_cameras, image, cameras[image]):
        changed[image] = 1


@wp.kernel
def bound_environments(shapes: Shapes, placed: Placed):
    """A sphere (x, y, z, radius) about everything in an environment."""
    k = wp.tid()
    center = wp.vec3()
    own = float(shapes.environment - shapes.first)
    for s in range(shapes.first, shapes.environment):
        center += wp.transform_get_translation(placed.poses[k, s]) / own
    radius = float(-1.0)
    for s in range(shapes.first, shapes.environment):
        away = wp.length(wp.transform_get_translation(placed.poses[k, s]) - center)
        radius = wp.max(radius, away + shapes.radius[s])
    placed.bounds[k] = wp.vec4(center[0], center[1], center[2], radius)


@wp.kernel
def mask_tiles(
    shapes: Shapes,
    placed: Placed,
    cameras: wp.array(dtype=wp.transform),
    changed: wp.array(dtype=wp.int32),
    lens: Lens,
    masks: Masks,
):
    """Which shapes' spheres touch the cone about a tile of pixels."""
    image, tile = wp.tid()
    if changed[image] == 0:
        return
    tiles = (lens.width + TILE_WIDTH - 1) // TILE_WIDTH
    row = float(tile // tiles * TILE_HEIGHT)
    column = float(tile % tiles * TILE_WIDTH)
    middle = wp.normalize(
        ray_through(lens, column + 0.5 * float(TILE_WIDTH), row + 0.5 * float(TILE_HEIGHT))
    )
    cosine = float(1.0)
    for corner in range(4):
        x = column + float(corner % 2 * TILE_WIDTH)
        y = row + float(corner // 2 * TILE_HEIGHT)
        cosine = wp.min(cosine, wp.dot(middle, wp.normalize(ray_through(lens, x, y))))
    sine = wp.sqrt(wp.max(1.0 - cosine * cosine, 0.0))
    o = wp.transform_get_translation(cameras[image])
    axis = wp.transform_vector(cameras[image], middle)
    mask = wp.int64(0)
    for s in range(shapes.first, shapes.environment):
        sphere = placed.spheres[image, s]
        to = wp.vec3(sphere[0], sphere[1], sphere[2]) - o
        along = wp.dot(to, axis)
        off = wp.length(to - along * axis)
        if off * cosine - along * sine <= sphere[3] + SLACK * wp.length(to):
            mask = mask | (wp.int64(1) << wp.int64(s & 63))
    masks.seen[image, tile] = mask


@wp.kernel
def mask_sun(
    shapes: Shapes,
    placed: Placed,
    changed: wp.array(dtype=wp.int32),
    suns: wp.array(dtype=wp.vec3),
    masks: Masks,
):
    """Which shapes' spheres touch the rays of the sun through a cell; see `sun_cell`."""
    image, cell = wp.tid()
    if changed[image] == 0:
        return
    bound = placed.bounds[image]
    edge = 2.0 * wp.max(bound[3], 1.0e-6) / float(SUN_CELLS)
    x = edge * (float(cell % SUN_CELLS) + 0.5 - 0.5 * float(SUN_CELLS))
    y = edge * (float(cell // SUN_CELLS) + 0.5 - 0.5 * float(SUN_CELLS))
    u, v = sun_axes(wp.normalize(suns[wp.min(image, suns.shape[0] - 1)]))
    mask = wp.int64(0)
    for s in range(shapes.first, shapes.environment):
        sphere = placed.spheres[image, s]
        to = wp.vec3(sphere[0] - bound[0], sphere[1] - bound[1], sphere[2] - bound[2])
        away = wp.length(wp.vec2(wp.dot(to, u) - x, wp.dot(to, v) - y))
        # Half the diagonal of the cell, and what rounding may add.
        if away <= sphere[3] + 0.7072 * edge + SLACK * (1.0 + bound[3]):
            mask = mask | (wp.int64(1) << wp.int64(s & 63))
    masks.shading[image, cell] = mask


# With all the registers it asks for, too few threads would run to hide what each waits for.
@wp.kernel(cuda_max_registers=64)
def cast_rays(
    shapes: Shapes,
    placed: Placed,
    masks: Masks,
    environments: int,
    cameras: wp.array(dtype=wp.transform),
    changed: wp.array(dtype=wp.int32),
    first_band: int,
    lens: Lens,
    look: Look,
    suns: wp.array(dtype=wp.vec3),
    sun_tints: wp.array(dtype=wp.vec3),
    sky_tints: wp.array(dtype=wp.vec3),
    rgb: wp.array(dtype=wp.uint8, ndim=4),
    depth: wp.array(dtype=wp.float32, ndim=3),
    segmentation: wp.array(dtype=wp.int32, ndim=3),
    normals: wp.array(dtype=wp.vec3, ndim=3),
    want_rgb: int,
    want_depth: int,
    want_segmentation: int,
    want_normals: int,
):
    """Pixels of images that each show a run of environments; see `Renderer.render`."""
    # A tile of neighbours meets few shapes, which is what threads in lockstep are fast with.
    band, tile, pixel_in_tile = wp.tid()
    bands = (lens.height + TILE_HEIGHT - 1) // TILE_HEIGHT
    image = (first_band + band) // bands
    row = (first_band + band) % bands * TILE_HEIGHT + pixel_in_tile // TILE_WIDTH
    column = tile * TILE_WIDTH + pixel_in_tile % TILE_WIDTH
    if changed[image] == 0 or row >= lens.height or column >= lens.width:
        return
    # One light for every image, or one for all.
    lit = wp.min(image, suns.shape[0] - 1)
    own = Look()
    own.sun = wp.normalize(suns[lit])
    own.sun_color = wp.cw_mul(look.sun_color, sun_tints[lit])
    own.sky = wp.cw_mul(look.sky, sky_tints[lit])
    own.horizon = wp.cw_mul(look.horizon, sky_tints[lit])
    own.bounce = wp.cw_mul(look.bounce, sky_tints[lit])
    own.checker = look.checker
    own.shadows = look.shadows
    own.samples = look.samples
    camera = cameras[image]
    o = wp.transform_get_translation(camera)
    first = image * environments
    pixel = 2.0 * lens.tan_y / float(lens.height)
    mask = wp.int64(EVERY)
    if masks.there == 1:
        tiles = (lens.width + TILE_WIDTH - 1) // TILE_WIDTH
        mask = masks.seen[image, (first_band + band) % bands * tiles + tile]
    color = wp.vec3()
    for sample in range(look.samples * look.samples):
        u = (float(sample % look.samples) + 0.5) / float(look.samples)
        v = (float(sample // look.samples) + 0.5) / float(look.samples)
        ray = ray_through(lens, float(column) + u, float(row) + v)
        stretch = wp.length(ray)
        d = wp.transform_vector(camera, ray / stretch)
        hit = nearest(shapes, placed, first, environments, o, d, lens.near * stretch, 0, mask)
        if want_rgb == 1:
            # The sun is a small disc: each sample sees another point of it.
            sun = own.sun
            if look.samples > 1:
                sun = wp.normalize(sun + 0.03 * wp.vec3(u - 0.5, v - 0.5, u - v))
            seen = shade(shapes, placed, masks, first, environments, own, sun, hit, o, d, pixel)
            color += wp.vec3(encode(seen[0]), encode(seen[1]), encode(seen[2]))
        if want_depth == 1:
            if hit.shape >= 0:
                depth[image, row, column] = hit.distance / stretch
            else:
                depth[image, row, column] = wp.inf
        if want_segmentation == 1:
            label = int(0)
            if hit.shape >= 0:
                label = shapes.label[hit.shape]
            segmentation[image, row, column] = label
        if want_normals == 1:
            n = wp.vec3()
            if hit.shape >= 0:
                n = surface_normal(shapes, placed, hit, o, d)
            normals[image, row, column] = n
    if want_rgb == 1:
        color = color / float(look.samples * look.samples)
        for c in range(3):
            rgb[image, row, column, c] = wp.uint8(int(color[c] + 0.5))
