"""What there is to see in a scene, read from its USD stage as plain data.

Primitives stay primitives; meshes are triangles. Everything hangs on a body and is given in that
body's frame, or in the environment's frame where nothing moves it, so that a picture needs no more
than the poses of the bodies.

This module imports `pxr`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pxr import Gf, Usd, UsdGeom, UsdPhysics, UsdShade

from isaac_gymnasium.scene.builder import ENV_0, GROUND_COLOR, MARKERS
from isaac_gymnasium.scene.model import IDENTITY, ORIGIN, Quat, Vec3

KINDS = ("box", "sphere", "capsule", "cylinder", "cone", "plane", "mesh")
"""In the order in which the kernels number them."""
DEFAULT_COLOR: Vec3 = (0.7, 0.7, 0.72)
_AXES = {
    "X": Gf.Rotation(Gf.Vec3d(0, 0, 1), Gf.Vec3d(1, 0, 0)),
    "Y": Gf.Rotation(Gf.Vec3d(0, 0, 1), Gf.Vec3d(0, 1, 0)),
}


@dataclass(frozen=True, kw_only=True)
class Drawable:
    """One thing that a ray can hit.

    Attributes:
        kind: One of `KINDS`.
        body: Path of what it hangs on, below the environment; empty if nothing moves it.
        label: What segmentation calls it.
        shared: Whether it stands in the world, once for all environments.
        marker: Whether it is part of a marker, whose name is then `body`.
        size: Box: half edges. Sphere: radius. Capsule, cylinder and cone: radius and half length
            along z. Plane: half edges, the normal being z. Mesh: nothing.
        scale: Per axis, where the primitive is squeezed beyond its size.
        position: Of its centre, in the body's frame, m.
        orientation: xyzw.
        box: Lowest and highest corner, environment frame, where the scene puts it, m.
        color: Linear RGB.
        points: (V, 3) vertices of a mesh, about its centre, m.
        triangles: (F, 3) their indices.
        radius: Of the sphere about its centre that holds it, m.
    """

    kind: str
    body: str
    label: str
    shared: bool
    marker: bool = False
    size: Vec3 = ORIGIN
    scale: Vec3 = (1.0, 1.0, 1.0)
    position: Vec3 = ORIGIN
    orientation: Quat = IDENTITY
    box: tuple[Vec3, Vec3] = (ORIGIN, ORIGIN)
    color: Vec3 = DEFAULT_COLOR
    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.float32))
    triangles: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.int32))
    radius: float = math.inf


def read_drawables(stage: Usd.Stage) -> list[Drawable]:
    """Everything visible in environment 0 and in the world around the environments.

    What is invisible, meant as a guide, or of a kind that cannot be drawn is left out.
    """
    found: list[Drawable] = []
    world = stage.GetPrimAtPath("/World")
    cache = UsdGeom.XformCache()
    prims = iter(Usd.PrimRange(world, Usd.TraverseInstanceProxies()))
    for prim in prims:
        if str(prim.GetPath()) == MARKERS:
            continue  # a guide, and shown all the same
        if prim.IsA(UsdGeom.Imageable) and _hidden(UsdGeom.Imageable(prim)):
            prims.PruneChildren()
        elif prim.IsA(UsdGeom.Gprim):
            found += _read_gprim(prim, cache)
    return found


def _hidden(prim: UsdGeom.Imageable) -> bool:
    if prim.GetVisibilityAttr().Get() == UsdGeom.Tokens.invisible:
        return True
    # The purpose that is written at the prim itself: what lies below it is pruned with it.
    return prim.GetPurposeAttr().Get() in (UsdGeom.Tokens.guide, UsdGeom.Tokens.proxy)


def _read_gprim(prim: Usd.Prim, cache: UsdGeom.XformCache) -> Iterator[Drawable]:
    kind, size, turn = _primitive(prim)
    if not kind:
        return
    path = str(prim.GetPath())
    marker = path.startswith(f"{MARKERS}/")
    shared = not (marker or path.startswith(f"{ENV_0}/"))
    owner = _owner(prim)
    if marker:
        name = path.removeprefix(f"{MARKERS}/").split("/")[0]
        owner = prim.GetStage().GetPrimAtPath(f"{MARKERS}/{name}")
    pose = cache.GetLocalToWorldTransform(prim)
    frame = None if shared else owner or prim.GetStage().GetPrimAtPath(ENV_0)
    above = Gf.Matrix4d(1.0)
    if frame is not None:
        # Bodies have poses without scale: what a body is scaled by belongs to its shapes.
        above = cache.GetLocalToWorldTransform(frame).RemoveScaleShear()
        pose = pose * above.GetInverse()
    body = ""
    if owner and not shared:
        body = str(owner.GetPath()).removeprefix(f"{ENV_0}/").removeprefix(f"{MARKERS}/")
    label = body or path.removeprefix(f"{ENV_0}/").removeprefix("/World/").split("/")[0]
    common: dict[str, Any] = {"body": body, "label": label, "shared": shared, "marker": marker}
    if kind == "mesh":
        yield from _read_mesh(UsdGeom.Mesh(prim), pose, above, common)
        return
    placed = Gf.Matrix4d(turn, Gf.Vec3d(0.0)) * pose
    position, orientation, scale = _decompose(placed)
    placed = placed.RemoveScaleShear()
    if kind in ("box", "plane"):
        size = (size[0] * scale[0], size[1] * scale[1], size[2] * scale[2])
        scale = (1.0, 1.0, 1.0)
    radius = _bounding_radius(kind, size) * max(scale)
    box = _box(_extremes(kind, size, scale) @ np.array(placed * above))
    if kind == "plane" and min(size[:2]) >= 50.0:
        size, radius = (math.inf, math.inf, 0.0), math.inf
    yield Drawable(
        kind=kind,
        size=size,
        scale=scale,
        position=position,
        orientation=orientation,
        box=box,
        color=_color(prim),
        radius=radius,
        **common,
    )


def _primitive(prim: Usd.Prim) -> tuple[str, Vec3, Gf.Rotation]:
    """Kind, size, and the turn of z to the axis it is authored about; an empty kind if unknown."""
    upright = Gf.Rotation(Gf.Vec3d(0, 0, 1), 0.0)

    def get(name: str) -> Any:
        return prim.GetAttribute(name).Get()

    if prim.IsA(UsdGeom.Cube):
        return "box", (0.5 * get("size"),) * 3, upright
    if prim.IsA(UsdGeom.Sphere):
        return "sphere", (get("radius"), 0.0, 0.0), upright
    for schema, kind in (
        (UsdGeom.Capsule, "capsule"),
        (UsdGeom.Cylinder, "cylinder"),
        (UsdGeom.Cone, "cone"),
    ):
        if prim.IsA(schema):
            turn = _AXES.get(get("axis"), upright)
            return kind, (get("radius"), 0.5 * get("height"), 0.0), turn
    if prim.IsA(UsdGeom.Plane):
        turn = _AXES.get(get("axis"), upright)
        return "plane", (0.5 * get("width"), 0.5 * get("length"), 0.0), turn
    if prim.IsA(UsdGeom.Mesh):
        return "mesh", ORIGIN, upright
    return "", ORIGIN, upright


def _extremes(kind: str, size: Vec3, scale: Vec3) -> np.ndarray:
    """(8, 4) homogeneous corners of the box about a primitive, in its own frame."""
    half = {
        "sphere": (size[0],) * 3,
        "capsule": (size[0], size[0], size[0] + size[1]),
        "cylinder": (size[0], size[0], size[1]),
        "cone": (size[0], size[0], size[1]),
    }.get(kind, size)
    corners: np.ndarray = np.ones((8, 4))
    corners[:, :3] = np.array(list(itertools.product((-1.0, 1.0), repeat=3))) * half * scale
    return corners


def _box(points: np.ndarray) -> tuple[Vec3, Vec3]:
    low, high = points[:, :3].min(0), points[:, :3].max(0)
    return (tuple(low.tolist()), tuple(high.tolist()))


def _bounding_radius(kind: str, size: Vec3) -> float:
    match kind:
        case "sphere":
            return size[0]
        case "capsule":
            return size[0] + size[1]
        case _:
            return math.hypot(*size)


def _owner(prim: Usd.Prim) -> Usd.Prim | None:
    """The rigid body or link that carries a prim along."""
    while prim and not prim.IsPseudoRoot():
        if prim.HasAPI(UsdPhysics.RigidBodyAPI):
            return prim
        prim = prim.GetParent()
    return None


def _decompose(matrix: Gf.Matrix4d) -> tuple[Vec3, Quat, Vec3]:
    rows = np.array(matrix)
    scale = np.linalg.norm(rows[:3, :3], axis=1)
    rotation = Gf.Matrix4d(matrix.RemoveScaleShear()).ExtractRotationQuat().GetNormalized()
    x, y, z = rotation.GetImaginary()
    return (
        (float(rows[3, 0]), float(rows[3, 1]), float(rows[3, 2])),
        (x, y, z, rotation.GetReal()),
        (float(scale[0]), float(scale[1]), float(scale[2])),
    )


# ---------------------------------------------------------------------- meshes


def _read_mesh(
    mesh: UsdGeom.Mesh, pose: Gf.Matrix4d, above: Gf.Matrix4d, common: dict[str, Any]
) -> Iterator[Drawable]:
    """A mesh, in one part for each material it is made of."""
    points = np.array(mesh.GetPointsAttr().Get() or [], dtype=np.float64).reshape(-1, 3)
    counts = np.array(mesh.GetFaceVertexCountsAttr().Get() or [], dtype=np.int64)
    indices = np.array(mesh.GetFaceVertexIndicesAttr().Get() or [], dtype=np.int64)
    if not len(points) or not len(indices):
        return
    points = np.c_[points, np.ones(len(points))] @ np.array(pose)
    triangles, faces = _triangulate(counts, indices)
    whole = _color(mesh.GetPrim())
    rest = np.ones(len(counts), dtype=bool)
    parts = []
    for subset in UsdShade.MaterialBindingAPI(mesh.GetPrim()).GetMaterialBindSubsets():
        chosen = np.zeros(len(counts), dtype=bool)
        chosen[np.array(subset.GetIndicesAttr().Get() or [], dtype=np.int64)] = True
        rest &= ~chosen
        parts.append((chosen, _material_color(subset.GetPrim()) or whole))
    for chosen, color in [*parts, (rest, whole)]:
        used, inverse = np.unique(triangles[chosen[faces]], return_inverse=True)
        if not len(used):
            continue
        corners = points[used, :3]
        center = (corners.min(0) + corners.max(0)) / 2
        position = (float(center[0]), float(center[1]), float(center[2]))
        yield Drawable(
            kind="mesh",
            position=position,
            box=_box(np.c_[corners, np.ones(len(corners))] @ np.array(above)),
            color=color,
            points=(corners - center).astype(np.float32),
            triangles=inverse.reshape(-1, 3).astype(np.int32),
            radius=float(np.linalg.norm(corners - center, axis=1).max()),
            **common,
        )


def _triangulate(counts: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (T, 3) as fans of each face, and the face (T,) that each is from."""
    starts = np.cumsum(counts) - counts
    fans = np.maximum(counts - 2, 0)
    faces = np.repeat(np.arange(len(counts)), fans)
    step = np.arange(len(faces)) - np.repeat(np.cumsum(fans) - fans, fans)
    first = starts[faces]
    corners = np.stack((first, first + step + 1, first + step + 2), axis=1)
    return indices[corners], faces


# ---------------------------------------------------------------------- colours


def _color(prim: Usd.Prim) -> Vec3:
    authored = UsdGeom.Gprim(prim).GetDisplayColorAttr().Get()
    if authored:
        mean = np.mean(np.array(authored, dtype=np.float64), axis=0)
        return (float(mean[0]), float(mean[1]), float(mean[2]))
    if prim.IsA(UsdGeom.Plane):
        return _material_color(prim) or GROUND_COLOR
    return _material_color(prim) or DEFAULT_COLOR


def _material_color(prim: Usd.Prim) -> Vec3 | None:
    """The diffuse colour of a bound preview surface or of an MDL material."""
    material = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()[0]
    if not material:
        return None
    for child in Usd.PrimRange(material.GetPrim()):
        for name in ("diffuseColor", "diffuse_color_constant"):
            shader = UsdShade.Shader(child)
            color = shader.GetInput(name).Get() if shader and shader.GetInput(name) else None
            if color is not None:
                return (float(color[0]), float(color[1]), float(color[2]))
    return None
