"""Headless pictures of a scene: ray casting on NVIDIA Warp, on CPU or CUDA."""

from isaac_gymnasium.rendering.renderer import Images, Light, Renderer, RenderingError
from isaac_gymnasium.rendering.view import Lens, look_at

__all__ = ["Images", "Lens", "Light", "Renderer", "RenderingError", "look_at"]
