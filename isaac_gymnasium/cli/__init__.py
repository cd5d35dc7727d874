"""The command ``isaac-gymnasium``: list, train, evaluate."""

from isaac_gymnasium.cli._main import main

__all__ = ["main"]
