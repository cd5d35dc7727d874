"""What a robot can sense: contacts and the time between them, acceleration and turning, images."""

from isaac_gymnasium.sensors.camera import Camera
from isaac_gymnasium.sensors.contact import ContactSensor
from isaac_gymnasium.sensors.imu import Imu

__all__ = ["Camera", "ContactSensor", "Imu"]
