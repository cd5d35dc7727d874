"""Stand-in for the pip package `isaacsim`."""

import os

from kit_world import WORLD

if os.environ.get("KIT_STANDIN_LICENCE") == "ask" and input("Accept? (Yes/No) ") != "Yes":
    raise SystemExit("not accepted")


class SimulationApp:
    DEFAULT_LAUNCHER_CONFIG = {  # noqa: RUF012
        "headless": True,
        "fast_shutdown": True,
        "physics_gpu": 0,
    }

    def __init__(self, launch_config: dict = None, experience: str = "") -> None:
        self.config = self.DEFAULT_LAUNCHER_CONFIG
        self.config.update(launch_config or {})
        WORLD.start(self)

    def update(self) -> None:
        WORLD.update()

    def is_running(self) -> bool:
        return WORLD.running

    if WORLD.version.startswith("5."):

        def close(self, wait_for_replicator=True, skip_cleanup=False) -> None:
            WORLD.close(0)

    else:

        def close(
            self,
            wait_for_replicator: bool = True,
            skip_cleanup: bool = False,
            exit_code: int = 0,
        ) -> None:
            WORLD.close(exit_code)
