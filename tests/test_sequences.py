"""Any sequence of calls: outputs keep their shapes, episodes their rules, rows their borders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from isaac_gymnasium.envs.cartpole import Cartpole  # noqa: E402
from isaac_gymnasium.vector_env import IsaacVectorEnv  # noqa: E402

LIMIT = 6
MODES = list(AutoresetMode)
N = 4

calls = st.lists(
    st.one_of(
        st.tuples(st.just("step"), st.floats(-2, 2, width=32), st.booleans()),
        st.tuples(st.just("reset"), st.lists(st.booleans(), min_size=N, max_size=N)),
        st.tuples(st.just("seed"), st.integers(0, 2**63 - 1)),
        st.tuples(st.just("save")),
        st.tuples(st.just("restore"), st.lists(st.booleans(), min_size=N, max_size=N)),
        st.tuples(st.just("fork"), st.integers(-N, N - 1)),
    ),
    max_size=25,
)
quick = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module", params=MODES, ids=lambda mode: mode.value)
def env(request: pytest.FixtureRequest) -> Any:
    made = IsaacVectorEnv(
        Cartpole, N, device="cpu", autoreset_mode=request.param, max_episode_steps=LIMIT
    )
    yield made
    made.close()


class Expected:
    """What the contract says of episode lengths, kept by hand."""

    def __init__(self) -> None:
        self.lengths = np.zeros(N, int)
        self.ended = np.zeros(N, bool)

    def copy(self) -> Expected:
        other = Expected()
        other.lengths, other.ended = self.lengths.copy(), self.ended.copy()
        return other


@quick
@given(sequence=calls)
def test_any_sequence_of_calls_keeps_the_rules(env: Any, sequence: list[Any]) -> None:
    mode = env.autoreset_mode
    obs = env.reset(seed=0)[0]
    expected, saved = Expected(), None
    for name, *arguments in sequence:
        before = obs.clone()
        if name == "step":
            value, as_numpy = arguments
            actions = torch.full((N, 1), value)
            given = actions.numpy().astype(np.float64) if as_numpy else actions
            if mode == AutoresetMode.DISABLED and expected.ended.any():
                with pytest.raises(ValueError, match="have ended"):
                    env.step(given)
                continue
            obs, reward, terminated, truncated, _ = env.step(given)
            assert bool((actions == value).all()), "actions are not changed"
            restarted = expected.ended if mode == AutoresetMode.NEXT_STEP else np.zeros(N, bool)
            expected.lengths = np.where(restarted, 0, expected.lengths + 1)
            ended = (terminated | truncated).numpy()
            assert not bool((terminated & truncated).any())
            assert (truncated.numpy() <= (expected.lengths == LIMIT)).all()
            assert (ended >= (expected.lengths == LIMIT)).all()
            assert not (ended & restarted).any()
            assert (reward.numpy()[restarted] == 0).all()
            expected.ended = ended.copy()
            if mode == AutoresetMode.SAME_STEP:
                expected.lengths[ended], expected.ended[:] = 0, False
            assert reward.shape == (N,) and reward.dtype == torch.float32
        elif name == "reset":
            mask = np.array(arguments[0])
            if not mask.any():
                with pytest.raises(ValueError, match="at least one"):
                    env.reset(options={"reset_mask": mask})
                continue
            obs = env.reset(options={"reset_mask": mask})[0]
            assert torch.equal(obs[~mask], before[~mask])
            expected.lengths[mask], expected.ended[mask] = 0, False
        elif name == "seed":
            obs = env.reset(seed=arguments[0])[0]
            assert torch.equal(env.reset(seed=arguments[0])[0], obs)
            expected = Expected()
        elif name == "save":
            saved = env.get_state(), obs.clone(), expected.copy()
        elif name == "restore" and saved is not None and any(arguments[0]):
            mask = np.array(arguments[0])
            obs = env.set_state(saved[0], mask)
            assert torch.equal(obs[mask], saved[1][mask])
            assert torch.equal(obs[~mask], before[~mask])
            expected.lengths[mask] = saved[2].lengths[mask]
            expected.ended[mask] = saved[2].ended[mask]
        elif name == "fork":
            source = arguments[0]
            obs = env.fork(source)
            assert torch.equal(obs, before[source].expand_as(obs))
            expected.lengths[:] = expected.lengths[source]
            expected.ended[:] = expected.ended[source]
        assert obs.shape == (N, 4) and bool(obs.isfinite().all())
        assert env.episode_length_buf.tolist() == expected.lengths.tolist()


@quick
@given(
    shape=st.lists(st.integers(0, 5), max_size=3).filter(lambda shape: shape != [N, 1]),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.float16]),
)
def test_actions_of_any_other_shape_are_refused(env: Any, shape: Any, dtype: Any) -> None:
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions must have shape \(4, 1\), got \("):
        env.step(torch.zeros(shape, dtype=dtype))
    assert env.step(torch.zeros(N, 1, dtype=dtype))[0].dtype == torch.float32
