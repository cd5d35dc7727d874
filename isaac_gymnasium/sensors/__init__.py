"""What a robot can feel: contacts and the time between them, acceleration and turning."""

from isaac_gymnasium.sensors.contact import ContactSensor
from isaac_gymnasium.sensors.imu import Imu

__all__ = ["ContactSensor", "Imu"]
