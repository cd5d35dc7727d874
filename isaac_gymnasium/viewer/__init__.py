"""A live view in the browser: robots moving, play and pause, plots, sliders, and time travel."""

from isaac_gymnasium.viewer.viewer import Viewer

__all__ = ["Viewer"]
