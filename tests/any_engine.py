"""The engine of tests to which any will do: physx where it is installed, which compiles nothing."""

from isaac_gymnasium.engines import available_engines

ENGINE = "physx" if "physx" in available_engines() else "auto"
