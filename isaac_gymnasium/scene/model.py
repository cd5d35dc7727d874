"""What a scene is made of, as plain data: shapes, materials, links, joints, robots.

Nothing here imports USD or an engine, so a robot module can be read, tested and printed without
either. `isaac_gymnasium.scene.builder` writes this data as USD.

Units: metres, kilograms, seconds, radians. Quaternions are xyzw.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Literal

Vec3 = tuple[float, float, float]
Quat = tuple[float, float, float, float]

IDENTITY: Quat = (0.0, 0.0, 0.0, 1.0)
ORIGIN: Vec3 = (0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Material:
    """A contact material.

    Attributes:
        static_friction: Coulomb coefficient at rest.
        dynamic_friction: Coulomb coefficient while sliding.
        restitution: 0 (no bounce) to 1.
        combine: How two materials in contact make one coefficient. Where the two differ, PhysX
            takes the stronger of the two modes (average < min < multiply < max).
    """

    static_friction: float = 0.8
    dynamic_friction: float = 0.8
    restitution: float = 0.0
    combine: Literal["average", "min", "multiply", "max"] = "average"

    def __post_init__(self) -> None:
        """Refuses coefficients out of range and unknown modes."""
        for name, most in (
            ("static_friction", math.inf),
            ("dynamic_friction", math.inf),
            ("restitution", 1.0),
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0.0 <= value <= most):
                wanted = "in [0, 1]" if most == 1.0 else "non-negative and finite"
                raise ValueError(f"{name} must be {wanted}, got {value}")
        if self.combine not in (modes := ("average", "min", "multiply", "max")):
            raise ValueError(f"combine must be one of {modes}, got {self.combine!r}")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One primitive, placed in the frame of the body that owns it.

    Use the constructors `box`, `sphere`, `capsule` and `cylinder`.

    Attributes:
        kind: Which primitive.
        size: Box: the three edge lengths. Sphere: (radius,). Capsule and cylinder:
            (radius, length) along the shape's z axis, the capsule's caps not counted.
        position: In the body's frame.
        orientation: In the body's frame, xyzw.
        color: Linear RGB in [0, 1].
        material: Contact material, or None for the scene's default.
        collides: Whether it takes part in collisions.
        contact_offset: Distance at which contacts start to be generated.
    """

    kind: Literal["box", "sphere", "capsule", "cylinder"]
    size: tuple[float, ...]
    position: Vec3 = ORIGIN
    orientation: Quat = IDENTITY
    color: Vec3 = (0.7, 0.7, 0.72)
    material: Material | None = None
    collides: bool = True
    contact_offset: float = 0.01

    def __post_init__(self) -> None:
        """Refuses sizes that are not positive and finite."""
        wanted = {"box": 3, "sphere": 1, "capsule": 2, "cylinder": 2}[self.kind]
        if len(self.size) != wanted or not all(math.isfinite(s) and s > 0 for s in self.size):
            raise ValueError(
                f"a {self.kind} takes {wanted} positive, finite lengths, got {self.size}"
            )

    @property
    def volume(self) -> float:
        """Volume in cubic metres."""
        match self.kind:
            case "box":
                return self.size[0] * self.size[1] * self.size[2]
            case "sphere":
                return 4.0 / 3.0 * math.pi * self.size[0] ** 3
            case "capsule":
                r, length = self.size
                return math.pi * r * r * length + 4.0 / 3.0 * math.pi * r**3
            case _:
                r, length = self.size
                return math.pi * r * r * length


def box(size: Vec3, **where: object) -> Shape:
    """A box with the given edge lengths; `where` are the other fields of `Shape`."""
    return Shape(kind="box", size=size, **where)  # type: ignore[arg-type]


def sphere(radius: float, **where: object) -> Shape:
    """A sphere; `where` are the other fields of `Shape`."""
    return Shape(kind="sphere", size=(radius,), **where)  # type: ignore[arg-type]


def capsule(radius: float, length: float, **where: object) -> Shape:
    """A capsule along z, `length` between the centres of its caps."""
    return Shape(kind="capsule", size=(radius, length), **where)  # type: ignore[arg-type]


def cylinder(radius: float, length: float, **where: object) -> Shape:
    """A cylinder along z."""
    return Shape(kind="cylinder", size=(radius, length), **where)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Inertial:
    """Mass properties of a body.

    Attributes:
        mass: In kg.
        center_of_mass: In the body's frame.
        inertia: About the centre of mass, axes of the body's frame:
            (ixx, iyy, izz, ixy, ixz, iyz) in kg m^2.
    """

    mass: float
    center_of_mass: Vec3 = ORIGIN
    inertia: tuple[float, float, float, float, float, float]

    def __post_init__(self) -> None:
        """Refuses a mass that is not positive and numbers that are not finite."""
        if not (math.isfinite(self.mass) and self.mass > 0):
            raise ValueError(f"mass must be positive and finite, got {self.mass}")
        for name in ("center_of_mass", "inertia"):
            if not all(map(math.isfinite, getattr(self, name))):
                raise ValueError(f"{name} must be finite, got {getattr(self, name)}")


def box_inertial(mass: float, size: Vec3, center: Vec3 = ORIGIN) -> Inertial:
    """Mass properties of a homogeneous box."""
    x, y, z = (s * s for s in size)
    k = mass / 12.0
    diagonal = (k * (y + z), k * (x + z), k * (x + y))
    return Inertial(mass=mass, center_of_mass=center, inertia=(*diagonal, 0.0, 0.0, 0.0))


@dataclass(frozen=True, kw_only=True)
class Link:
    """A rigid link of a robot.

    Attributes:
        name: Unique in the robot.
        inertial: Mass properties.
        shapes: What is seen and what collides.
    """

    name: str
    inertial: Inertial
    shapes: tuple[Shape, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Joint:
    """A joint between two links.

    The child's frame coincides with the joint's frame when the joint's position is zero (the
    convention of URDF).

    Attributes:
        name: Unique in the robot; the name of its degree of freedom.
        kind: `fixed` has no degree of freedom.
        parent: Name of the parent link.
        child: Name of the child link.
        position: Joint frame in the parent's frame.
        orientation: Joint frame in the parent's frame, xyzw.
        axis: Unit vector in the joint frame.
        limits: Lower and upper position, rad or m.
        effort_limit: Largest drive torque or force, N m or N.
        velocity_limit: Largest speed, rad/s or m/s.
        stiffness: Drive gain on position, N m/rad or N/m.
        damping: Drive gain on velocity, N m s/rad or N s/m.
        armature: Rotor inertia seen at the joint, kg m^2 or kg.
        default: Position the robot is authored at and resets to.
    """

    name: str
    kind: Literal["revolute", "prismatic", "fixed"]
    parent: str
    child: str
    position: Vec3 = ORIGIN
    orientation: Quat = IDENTITY
    axis: Vec3 = (0.0, 0.0, 1.0)
    limits: tuple[float, float] = (-math.inf, math.inf)
    effort_limit: float = math.inf
    velocity_limit: float = math.inf
    stiffness: float = 0.0
    damping: float = 0.0
    armature: float = 0.0
    default: float = 0.0

    def __post_init__(self) -> None:
        """Refuses axes that are not unit vectors and defaults outside the limits."""
        if not math.isclose(math.hypot(*self.axis), 1.0, rel_tol=1e-6):
            raise ValueError(f"joint {self.name}: axis must be a unit vector, got {self.axis}")
        if not self.limits[0] <= self.default <= self.limits[1]:
            raise ValueError(
                f"joint {self.name}: default {self.default} lies outside limits {self.limits}"
            )


RESERVED_LINK_NAMES = ("joints", "fixed_base")
"""Names of the prims that stand beside the links of a robot."""


@dataclass(frozen=True, kw_only=True)
class Robot:
    """A tree of links and joints.

    Attributes:
        links: The first one is the root.
        joints: Every link but the root is the child of exactly one of them.
        fixed_base: Whether the root link is bolted to the world.
        self_collisions: Whether links of this robot collide with each other.
        disable_gravity: Leaves gravity out for every link, as an arm's own gravity compensation
            does.
        position_iterations: Solver iterations on positions.
        velocity_iterations: Solver iterations on velocities. One is enough to make PhysX report
            speeds of what fingers hold still.
        max_depenetration_velocity: Fastest push out of a penetration, m/s.
        model: What it is a model of, such as `"franka"`; `randomization.presets` goes by it.
    """

    links: tuple[Link, ...]
    joints: tuple[Joint, ...] = ()
    fixed_base: bool = True
    self_collisions: bool = False
    disable_gravity: bool = False
    position_iterations: int = 8
    velocity_iterations: int = 0
    max_depenetration_velocity: float = 5.0
    model: str = ""
    by_child: dict[str, Joint] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Checks that names are unique and that the joints form one tree."""
        names = [link.name for link in self.links]
        if not names:
            raise ValueError("robot: it needs at least one link")
        for what, found in (("link", names), ("joint", [j.name for j in self.joints])):
            twice = {n for n in found if found.count(n) > 1}
            if twice:
                raise ValueError(f"robot: {what} names must be unique, got twice: {sorted(twice)}")
            for name in found:
                if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
                    raise ValueError(
                        f"robot: {name!r} is not a valid {what} name (letters, digits, underscores)"
                    )
        for name in RESERVED_LINK_NAMES:
            if name in names:
                raise ValueError(f"robot: {name!r} cannot be a link's name, it is taken")
        by_child: dict[str, Joint] = {}
        for joint in self.joints:
            for end in (joint.parent, joint.child):
                if end not in names:
                    raise ValueError(f"joint {joint.name}: no link named {end!r}, have {names}")
            if joint.child in by_child:
                raise ValueError(
                    f"joint {joint.name}: link {joint.child} already hangs on "
                    f"{by_child[joint.child].name}"
                )
            by_child[joint.child] = joint
        reached = {names[0]}
        while more := {j.child for j in self.joints if j.parent in reached} - reached:
            reached |= more
        loose = [n for n in names if n not in reached]
        if loose or names[0] in by_child:
            raise ValueError(
                f"robot: the joints must form one tree from {names[0]}, loose: {loose}"
            )
        object.__setattr__(self, "by_child", by_child)

    @property
    def dof_joints(self) -> tuple[Joint, ...]:
        """The joints that move, in the order they are listed."""
        return tuple(joint for joint in self.joints if joint.kind != "fixed")


@dataclass(frozen=True, kw_only=True)
class PhysicsSettings:
    """Settings of the physics scene, all authored so that no engine falls back on its own default.

    Attributes:
        gravity: Acceleration along world z, m/s^2.
        bounce_threshold: Approach speeds below this do not bounce, m/s.
        friction_offset_threshold: Contacts farther apart than this carry no friction, m.
        friction_correlation_distance: Contacts closer than this share one friction anchor, m.
        contacts_per_env: Expected largest number of contact points in one environment; the GPU
            buffers are sized from it.
    """

    gravity: float = -9.81
    bounce_threshold: float = 0.2
    friction_offset_threshold: float = 0.04
    friction_correlation_distance: float = 0.025
    contacts_per_env: int = 64
