from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

KIT = Path(__file__).parent / "kit"
ROOTS = ("kit_world", "kit_render", "isaacsim", "omni", "carb", "usdrt")


def kit_modules() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] in ROOTS]


@pytest.fixture(scope="module", params=["6.0"])
def kit(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The stand-in's world, with Kit running in this process, as in its script editor.

    PhysX and USD may have been imported by other tests, so the application is not started by
    the adapter here; `test_process.py` does that in processes of its own, mostly as version 5.1.
    """
    pytest.importorskip("ovphysx")
    assert not kit_modules()
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(KIT))
    patch.setenv("KIT_STANDIN_VERSION", request.param)
    import kit_world

    kit_world.WORLD.shared_process = True
    from isaacsim import SimulationApp

    SimulationApp({"headless": True})
    import omni.kit.app

    assert omni.kit.app.get_app().is_running()
    from isaac_gymnasium.engines import _isaacsim_app

    _isaacsim_app.start()
    assert not _isaacsim_app.owns_app()
    yield kit_world.WORLD
    from isaac_gymnasium.engines.isaacsim import IsaacSimEngine

    left = IsaacSimEngine._open_engine
    if left is not None:
        left.close()
    for name in kit_modules():
        del sys.modules[name]
    patch.undo()
