"""What a robot can sense: contacts and air times, acceleration and turning, images, distances."""

from isaac_gymnasium.sensors.camera import Camera
from isaac_gymnasium.sensors.contact import ContactSensor
from isaac_gymnasium.sensors.imu import Imu
from isaac_gymnasium.sensors.ray_caster import HeightScan, RayCaster, lidar_directions

__all__ = [
    "Camera",
    "ContactSensor",
    "HeightScan",
    "Imu",
    "RayCaster",
    "lidar_directions",
]
