"""Scenes: plain data (`model`) and the builder that writes it as USD (`builder`)."""

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

__all__ = [
    "Inertial",
    "Joint",
    "Link",
    "Material",
    "PhysicsSettings",
    "Robot",
    "Shape",
    "box",
    "box_inertial",
    "capsule",
    "cylinder",
    "sphere",
]
