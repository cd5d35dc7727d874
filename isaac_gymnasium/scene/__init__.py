"""Scenes: plain data (`model`) and the builder that writes it as USD (`builder`)."""

from isaac_gymnasium.scene.inertia import capsule_between, shapes_inertial
from isaac_gymnasium.scene.model import (
    Inertial,
    Joint,
    Link,
    Material,
    PhysicsSettings,
    Robot,
    Shape,
    box,
    box_inertial,
    capsule,
    cylinder,
    sphere,
)
from isaac_gymnasium.scene.viewpoint import Viewpoint

__all__ = [
    "Inertial",
    "Joint",
    "Link",
    "Material",
    "PhysicsSettings",
    "Robot",
    "Shape",
    "Viewpoint",
    "box",
    "box_inertial",
    "capsule",
    "capsule_between",
    "cylinder",
    "shapes_inertial",
    "sphere",
]
