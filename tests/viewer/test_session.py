"""Playing, pushing and time travel, without a browser."""

import gymnasium as gym
import pytest
import torch

import isaac_gymnasium  # noqa: F401 (registers the IDs)

pytest.importorskip("viser")

from isaac_gymnasium.viewer.session import Session


@pytest.fixture
def session(request):
    id = getattr(request, "param", "IsaacCartpole-v0")
    env = gym.make_vec(id, num_envs=3, device="cpu")
    yield Session(env, seconds=1.0)
    env.close()


def futures(session, steps=8):
    """Poses of the next steps with fixed actions."""
    session.source = "sliders"
    session.sliders.fill_(0.4)
    poses = []
    for _ in range(steps):
        session.step()
        poses.append(session.moments[-1].poses)
    return torch.stack(poses)


def test_steps_are_remembered_for_the_seconds_asked_for(session):
    assert session.source == "random" and session.step_count == 0
    first = session.moments[0].poses
    for _ in range(20):
        session.step()
    assert session.step_count == 20 and len(session.moments) == 21
    assert torch.equal(session.moments[0].poses, first)
    assert not torch.equal(session.moments[-1].poses, first)
    for _ in range(200):
        session.step()
    kept = session.moments[-1].step - session.moments[session.reachable()].step
    assert 1.0 / session.step_dt <= kept + 1 and len(session.moments) < 100


@pytest.mark.parametrize("back", [1, 7, 10, 13])
def test_going_back_brings_back_the_same_future(session, back):
    for _ in range(25):
        session.step()
    wanted = session.moments[-1 - back]
    index = len(session.moments) - 1 - back
    session.go_back(index)
    assert session.step_count == 25 - back and session.moments[-1] is wanted
    once = futures(session)
    session.go_back(len(session.moments) - 1 - 8)
    assert torch.equal(futures(session), once)
    assert session.step_count == 25 - back + 8


def test_going_back_takes_back_a_push_and_a_reset(session):
    for _ in range(5):
        session.step()
    before = session.moments[-1].poses
    session.step()
    session.push()
    pushed = futures(session, 4)
    session.go_back(6)
    assert torch.equal(futures(session, 4), pushed)
    session.reset()
    session.step()
    session.go_back(5)
    assert torch.allclose(session.moments[-1].poses, before, atol=1e-6)


@pytest.mark.parametrize("session", ["IsaacCartpole-v0", "IsaacAnt-v0"], indirect=True)
def test_a_push_changes_where_things_go(session):
    session.source = "zero"
    for _ in range(3):
        session.step()
    session.push()
    pushed = futures(session, 5)
    session.go_back(0)
    session.source = "zero"
    for _ in range(3):
        session.step()
    assert (futures(session, 5) - pushed).abs().max() > 0.01


def test_what_is_too_old_is_refused(session):
    for _ in range(200):
        session.step()
    assert session.reachable() > 0
    with pytest.raises(IndexError, match="too old"):
        session.go_back(session.reachable() - 1)
    session.go_back(session.reachable())


def test_sources_choose_the_actions(session):
    seen = []
    step = session.env.step
    session.env.step = lambda actions: seen.append(actions.clone()) or step(actions)
    session.policy = lambda observations: torch.full((3, 1), 0.25)
    for session.source in ("policy", "zero", "sliders", "random", "random"):
        session.sliders.fill_(0.5)
        session.step()
    assert [float(actions[0, 0]) for actions in seen[:3]] == [0.25, 0.0, 0.5]
    assert not torch.equal(seen[3], seen[4])
    assert len(seen[3].unique()) == 3
    session.policy, session.source = None, "policy"
    with pytest.raises(ValueError, match="no policy"):
        session.step()


def test_numbers_for_the_plots_are_those_of_the_step(session):
    session.source = "zero"
    step = session.env.step
    rewards = []

    def noted(actions):
        result = step(actions)
        rewards.append(float(result[1].mean()))
        return result

    session.env.step = noted
    for _ in range(3):
        session.step()
    values = [moment.values for moment in list(session.moments)[1:]]
    assert [one["reward"] for one in values] == pytest.approx(rewards)
    terms = [name for name in values[0] if name.startswith("reward/")]
    assert terms
    assert sum(values[0][name] for name in terms) == pytest.approx(rewards[0], abs=1e-5)


def test_other_environments_and_modes_are_refused():
    other = gym.make_vec("CartPole-v1", num_envs=2)
    with pytest.raises(TypeError, match="environments of this package"):
        Session(other)
    other.close()
    env = gym.make_vec("IsaacCartpole-v0", num_envs=2, device="cpu", autoreset_mode="Disabled")
    with pytest.raises(ValueError, match="needs autoreset_mode='SameStep', got 'Disabled'"):
        Session(env)
    env.close()
