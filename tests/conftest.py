from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from isaac_gymnasium.engines import available_engines

sys.path.insert(0, str(Path(__file__).parent))  # tests import `tape` and others from here

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(params=["cpu", pytest.param("cuda:0", marks=[pytest.mark.gpu, needs_cuda])])
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.param)


@pytest.fixture
def physics() -> None:
    """Skips a test that needs an engine, whichever `auto` takes, where there is none."""
    if not available_engines():
        pytest.skip("needs an engine")


@pytest.fixture(params=available_engines())
def engine_name(request: pytest.FixtureRequest) -> str:
    """Each installed engine in turn."""
    return request.param
