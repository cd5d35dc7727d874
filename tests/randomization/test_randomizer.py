"""Numbers that are drawn when they should be, reproducibly, and for nobody else."""

from __future__ import annotations

import json
from typing import Any

import gymnasium as gym
import pytest
import torch
from bench import CUBE_MASS, N, make, play
from tape import NoWaiting

import isaac_gymnasium
import isaac_gymnasium.registration
from isaac_gymnasium import randomization as rnd
from isaac_gymnasium.contract import check_vector_env
from isaac_gymnasium.randomization.presets import ROBOTS

MASS = {"target": "mass", "body": "Cube", "range": (0.5, 2.0), "when": "reset"}
EVERYTHING = {
    "mass": MASS,
    "friction": {"target": "friction", "body": "Cube", "range": (0.5, 2.0)},
    "strength": {
        "target": "actuator_strength",
        "body": "Slider",
        "range": (0.5, 1),
        "when": "reset",
    },
    "push": {"target": "push", "body": "Cube", "range": (-0.2, 0.2), "interval_s": 0.15},
    "stiffness": {
        "target": "joint_stiffness",
        "body": "Slider",
        "range": (0.5, 2.0),
        "when": "interval",
        "interval_s": 0.2,
    },
    "delay": {"target": "action_delay", "range": (0, 2)},
    "noise": {"target": "observation_noise", "distribution": "normal", "range": (0, 0.1)},
    "bias": {"target": "observation_bias", "range": (-0.1, 0.1)},
    "shake": {"target": "action_noise", "range": (-0.1, 0.1)},
    "start": {"target": "initial_joint_position", "body": "Slider", "range": (-0.1, 0.1)},
}


def step(env: Any, action: float = 0.0) -> Any:
    return env.step(torch.full((env.num_envs, 1), action))


def test_a_seed_is_a_rollout_whatever_the_number_of_environments() -> None:
    one, twin, four = (make(EVERYTHING, num_envs=n, start=0.3) for n in (8, 8, 4))
    first = play(one, 30, 0.5)
    values = one.randomization.values
    assert torch.equal(play(twin, 30, 0.5), first)
    assert torch.equal(play(one, 30, 0.5), first), "seeded anew"
    assert torch.equal(play(four, 30, 0.5), first[:, :4])
    assert torch.equal(four.randomization.values["mass"], values["mass"][:4])
    assert not torch.equal(play(one, 30, 0.5, seed=1), first)
    for env in (one, twin, four):
        env.close()


def test_without_terms_nothing_changes() -> None:
    env, plain = make({}), make("none")
    assert torch.equal(play(env, 20, 0.5), play(plain, 20, 0.5))
    assert env.randomization.values == {}
    assert env.get_state().keys() == plain.get_state().keys()
    env.close(), plain.close()


@pytest.mark.parametrize("mode", ["SameStep", "NextStep", "Disabled"])
def test_numbers_change_when_they_should(mode: str) -> None:
    terms = {
        "once": {**MASS, "when": "construction"},
        "episode": {"target": "friction", "body": "Cube", "range": (0.5, 2), "when": "reset"},
        "now_and_then": {
            "target": "restitution",
            "body": "Cube",
            "range": (0, 1),
            "when": "interval",
            "interval_s": 0.1,
        },
    }
    env = make(terms, max_episode_steps=10, autoreset_mode=mode)
    env.reset(seed=0)
    seen = [env.randomization.values]
    changes: dict[str, list[int]] = {name: [] for name in terms}
    for k in range(1, 25):
        ended = (lambda r: r[2] | r[3])(step(env))
        if mode == "Disabled" and bool(ended.any()):
            env.reset(options={"reset_mask": ended})
        seen.append(env.randomization.values)
        for name in terms:
            if not torch.equal(seen[-1][name], seen[-2][name]):
                changes[name].append(k)
    assert changes["once"] == []
    assert changes["episode"] == ([11, 22] if mode == "NextStep" else [10, 20])
    assert changes["now_and_then"] == [6, 12, 18, 24]
    env.reset(seed=1)
    assert not torch.equal(env.randomization.values["once"], seen[0]["once"])
    env.close()


def test_a_partial_reset_draws_for_those_alone() -> None:
    env, twin = make(EVERYTHING), make(EVERYTHING)
    play(env, 7), play(twin, 7)
    before = env.randomization.values
    mask = torch.arange(N) < 3
    env.reset(options={"reset_mask": mask})
    after = env.randomization.values
    assert not torch.equal(after["mass"][:3], before["mass"][:3])
    assert torch.equal(after["mass"][3:], before["mass"][3:])
    assert torch.equal(after["friction"], before["friction"]), "drawn with the seed"
    for _ in range(15):
        mine, other = step(env, 0.3), step(twin, 0.3)
        for a, b in zip(mine[:4], other[:4], strict=True):
            assert torch.equal(a[4:], b[4:]), "the block of four that was left alone"
    env.close(), twin.close()


def test_a_state_holds_the_numbers_and_brings_them_back() -> None:
    env = make(EVERYTHING, height=3.0, max_episode_steps=20)
    play(env, 13, 0.3)
    state = env.get_state()
    assert {"randomization/values/mass", "randomization/history"} <= state.keys()
    values = env.randomization.values
    first = torch.stack([step(env, 0.3)[0] for _ in range(25)])
    assert not torch.equal(env.randomization.values["mass"], values["mass"])
    env.set_state(state)
    assert all(torch.equal(env.randomization.values[k], v) for k, v in values.items())
    mass = env.task.cube.get_property("mass").view(-1)
    assert torch.allclose(mass, values["mass"][:, 0])
    assert torch.equal(torch.stack([step(env, 0.3)[0] for _ in range(25)]), first)
    other = make(EVERYTHING, height=3.0, max_episode_steps=20)
    other.set_state(state)
    assert torch.equal(torch.stack([step(other, 0.3)[0] for _ in range(25)]), first)
    other.fork(2)
    assert torch.equal(
        other.task.cube.get_property("mass"),
        other.task.cube.get_property("mass")[:1].expand(N),
    )
    env.close(), other.close()


def test_only_what_changed_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    env = make({"mass": MASS, "friction": EVERYTHING["friction"]})
    env.reset(seed=0)
    written: list[tuple[str, list[bool]]] = []
    original = type(env.task.cube).set_property

    def watch(body: Any, name: str, values: Any, mask: Any = None) -> None:
        written.append((name, mask.tolist()))
        original(body, name, values, mask)

    monkeypatch.setattr(type(env.task.cube), "set_property", watch)
    step(env)
    assert written == []
    mask = torch.arange(N) == 5
    env.reset(options={"reset_mask": mask})
    assert written == [("mass", mask.tolist()), ("inertia", mask.tolist())]
    env.close()


def test_what_an_engine_refused_once_is_written_with_the_next_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    env = make({"mass": MASS})
    original = type(env.task.cube).set_property

    def refuse(*_: Any) -> None:
        monkeypatch.setattr(type(env.task.cube), "set_property", original)
        raise RuntimeError("not now")

    env.reset(seed=0)
    monkeypatch.setattr(type(env.task.cube), "set_property", refuse)
    with pytest.raises(RuntimeError, match="not now"):
        env.reset()
    step(env)
    wanted = CUBE_MASS * env.randomization.values["mass"][:, 0]
    torch.testing.assert_close(env.task.cube.get_property("mass"), wanted)
    env.close()


WHERE = {
    "mass": ("Cube", "mass"),
    "inertia": ("Slider", "inertia"),
    "center_of_mass": ("Cube", "center_of_mass"),
    "friction": ("Cube", "material"),
    "joint_stiffness": ("Slider", "dof_stiffness"),
    "joint_damping": ("Slider", "dof_damping"),
    "joint_armature": ("Slider", "dof_armature"),
    "joint_friction": ("Slider", "dof_friction"),
    "joint_limits": ("Slider", "dof_limits"),
    "effort_limit": ("Slider", "dof_max_effort"),
    "velocity_limit": ("Slider", "dof_max_velocity"),
}


@pytest.mark.parametrize("cuda_graphs", [True, False])
def test_properties_drawn_at_resets_are_in_force_32_steps_later_and_no_step_waits_for_them(
    device: torch.device, engine_name: str, cuda_graphs: bool
) -> None:
    if device.type == "cpu" and cuda_graphs:
        pytest.skip("the CPU records nothing")
    adds = {"center_of_mass", "joint_damping", "joint_armature", "joint_friction"}
    terms: dict[str, Any] = {
        target: {
            "target": target,
            "body": body,
            "range": (0.01, 0.02) if target in adds else (0.5, 0.9),
            "operation": "additive" if target in adds else "scale",
            "when": "reset",
        }
        for target, (body, _) in WHERE.items()
    }
    others = ("push", "delay", "noise", "bias", "shake", "start")
    terms |= {name: EVERYTHING[name] for name in others}
    terms["jolt"] = {**EVERYTHING["push"], "body": "Slider"}
    if engine_name == "newton":
        terms["gravity"] = {"target": "gravity", "range": (0.5, 0.9), "when": "reset"}
    env = make(terms, engine_name, device=device, max_episode_steps=7, cuda_graphs=cuda_graphs)
    bodies = {body.name: body for body in env.engine.bodies()}

    def first(target: str) -> torch.Tensor:
        body, what = WHERE[target]
        return bodies[body].get_property(what).reshape(N, -1)[:, 0]

    nominal = {target: first(target) for target in WHERE}
    env.reset(seed=0)
    actions = torch.zeros(N, 1, device=env.device)
    for _ in range(10):
        env.step(actions)
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(50):
            env.step(actions)
    finally:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    env.max_episode_steps = 1000
    for _ in range(33):
        env.step(actions)
    values = {name: drawn.cpu() for name, drawn in env.randomization.values.items()}
    for target in WHERE:
        drawn = values[target][:, 0]
        assert drawn.unique().numel() == N
        wanted = nominal[target] + drawn if target in adds else nominal[target] * drawn
        torch.testing.assert_close(first(target), wanted, rtol=1e-5, atol=1e-7, msg=target)
    env.close()


def test_what_a_step_draws_it_draws_without_waiting() -> None:
    jolt = {**EVERYTHING["push"], "body": "Slider"}
    kinds = {
        "choice": {**MASS, "distribution": "choice", "range": (1, 2, 3)},
        "normal": {**MASS, "distribution": "normal", "range": (1.0, 0.1)},
        "log_uniform": {**MASS, "distribution": "log_uniform"},
    }
    env = make({**EVERYTHING, **kinds, "jolt": jolt}, max_episode_steps=3)
    env._always_restarts = True  # as on a GPU
    env.reset(seed=0)
    step(env)
    draws = env.randomization
    with NoWaiting():
        for _ in range(4):
            env._act_now()
            env.engine.step()
            env._judge_now()
            env._observe_now()
        before = env.task.slider.dof_vel.clone()
        draws._draw_due(list(draws._steps))
    assert torch.equal(env.task.slider.dof_vel, before + draws.values["jolt"])
    env.close()


def test_actions_arrive_late() -> None:
    term = {"target": "action_delay", "distribution": "choice", "range": (0, 1, 3)}
    env = make({"it": term}, stiffness=0.0)
    env.reset(seed=0)
    delay = env.randomization.values["it"][:, 0]
    assert set(delay.tolist()) == {0.0, 1.0, 3.0}
    moving = torch.stack([step(env, 1.0)[0][:, 1] > 0 for _ in range(5)])
    assert torch.equal(5.0 - moving.sum(0), delay)
    env.reset(options={"reset_mask": torch.ones(N, dtype=torch.bool)})
    assert not bool((step(env, 0.0)[0][:, 1] > 0).any()), "a reset forgets what was on its way"
    env.close()


def test_a_delay_that_was_drawn_stays_when_its_range_moves() -> None:
    env = make({"it": {"target": "action_delay", "range": (0, 3)}}, stiffness=0.0)
    env.reset(seed=0)
    delay = env.randomization.values["it"][:, 0]
    assert float(delay.max()) == 3.0
    env.randomization.set_range("it", 0, 1)
    with pytest.raises(ValueError, match=r"range must end at 3 steps at most.*got \(2, 4\)"):
        env.randomization.set_range("it", 2, 4)
    assert env.randomization.ranges["it"] == (0.0, 1.0)
    moving = torch.stack([step(env, 1.0)[0][:, 1] > 0 for _ in range(5)])
    assert torch.equal(5.0 - moving.sum(0), delay)
    env.close()


@pytest.mark.parametrize(
    ("range", "likely"), [((0, 2), [0, 1, 2]), ((1, 3), [1, 2, 3]), ((2, 2), [2])]
)
def test_each_whole_delay_of_a_uniform_range_is_as_likely(range: Any, likely: list[int]) -> None:
    from isaac_gymnasium.random import RandomStreams
    from isaac_gymnasium.randomization.draw import Draw

    rng = RandomStreams(9000, "cpu")
    draw = Draw(rnd.Term(target="action_delay", range=range), 1, torch.ones(9000))
    rng.begin(0)
    draw.values.copy_(draw.sample(rng))
    steps, counts = draw.whole_steps().unique(return_counts=True)
    assert steps.tolist() == likely
    assert float((counts / 9000 * len(likely) - 1.0).abs().max()) < 0.06


def test_actions_are_biased_and_noisy_but_stay_within_bounds() -> None:
    terms = {
        "bias": {"target": "action_bias", "range": (0.1, 0.2)},
        "noise": {"target": "action_noise", "range": (-0.05, 0.05)},
    }
    env = make(terms, stiffness=0.0)
    env.reset(seed=0)
    seen = torch.stack([step(env, 0.5) and env._actions[:, 0].clone() for _ in range(40)])
    assert float((seen.mean(0) - 0.5 - env.randomization.values["bias"][:, 0]).abs().max()) < 0.02
    assert float(seen.std(0).min()) > 0.015
    step(env, 1.0)
    assert float(env._actions.max()) <= 1.0
    env.close()


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_observations_are_noisy_and_final_ones_too(mode: str) -> None:
    terms = {
        "noise": {"target": "observation_noise", "distribution": "normal", "range": (0, 0.5)},
        "bias": {"target": "observation_bias", "range": (-1, 1), "when": "construction"},
    }
    env = make(terms, max_episode_steps=10, autoreset_mode=mode)
    plain = make("none", max_episode_steps=10, autoreset_mode=mode)
    difference = play(env, 40) - play(plain, 40)
    bias = env.randomization.values["bias"]
    assert bias.shape == (N, 4)
    rest = difference - bias
    assert 0.45 < float(rest.std()) < 0.55
    assert abs(float(rest.mean())) < 0.05
    assert rest.unique().numel() > 0.9 * rest.numel(), "new in every step, for every component"
    if mode == "SameStep":
        env.reset(seed=0)
        for k in range(10):
            obs, _, _, _, info = step(env)
            same = torch.equal(info["final_obs"], obs)
            assert same == (k < 9), "the same state is seen the same way"
    env.close(), plain.close()


def test_info_tells_the_numbers_on_request() -> None:
    env = make({"terms": {"mass": MASS}, "in_info": True}, max_episode_steps=5)
    _, info = env.reset(seed=0)
    assert torch.equal(info["randomization"]["mass"], env.randomization.values["mass"])
    kept = info["randomization"]["mass"].clone()
    for _ in range(6):
        info2 = step(env)[4]
    assert not torch.equal(info2["randomization"]["mass"], kept)
    assert torch.equal(info["randomization"]["mass"], kept), "a copy"
    env.close()


def test_terms_on_the_same_motors_act_on_efforts_one_after_the_other() -> None:
    motors = {"target": "actuator_strength", "body": "Slider", "when": "reset"}
    terms = {"tired": {**motors, "range": (0.5, 0.5)}, "old": {**motors, "range": (0.8, 1.0)}}
    env = make(terms)
    env.reset(seed=0)
    both = 0.5 * env.randomization.values["old"]
    assert torch.equal(env.task.slider.effort_scale, both)
    torch.testing.assert_close(
        env.task.slider.get_property("dof_stiffness"), env.task.stiffness * both
    )
    env.close()


def test_a_curriculum_moves_ranges() -> None:
    env = make({"mass": MASS})
    env.reset(seed=0)
    assert env.randomization.ranges["mass"] == (0.5, 2.0)
    env.randomization.set_range("mass", 4.0, 5.0)
    env.reset()
    values = env.randomization.values["mass"]
    assert 4.0 <= float(values.min()) <= float(values.max()) < 5.0
    with pytest.raises(KeyError, match=r"no term 'mas', have \['mass'\]"):
        env.randomization.set_range("mas", 1.0, 2.0)
    with pytest.raises(ValueError, match="a lower and an upper bound"):
        env.randomization.set_range("mass", 2.0, 1.0)
    env.close()


def test_ranges_widen_with_success_and_narrow_with_failure() -> None:
    plan = {
        "terms": {"mass": MASS},
        "adaptive": {"target": 0.75, "step": 0.1, "start": 0.5},
    }
    env = make(plan, max_episode_steps=2, stiffness=0.0)
    env.reset(seed=0)
    factor = env.randomization.values["mass"]
    assert float(factor.min()) >= 0.75 and float(factor.max()) <= 1.5
    right = torch.where(torch.arange(N) % 2 == 0, 1.0, -1.0).unsqueeze(-1)
    for _ in range(2):
        env.step(right)
    level = env.randomization.level
    torch.testing.assert_close(level, torch.where(torch.arange(N) % 2 == 0, 0.6, 0.2))
    for _ in range(8):
        env.step(right)
    torch.testing.assert_close(level, torch.where(torch.arange(N) % 2 == 0, 1.0, 0.0))
    env.reset()
    assert torch.equal(env.randomization.values["mass"][1::2], torch.ones(N // 2, 1))
    assert env.randomization.values["mass"][::2].unique().numel() == N // 2
    assert torch.equal(env.get_state()["randomization/level"], level)
    env.close()


def test_what_is_shared_is_the_same_for_all() -> None:
    term = {"target": "mass", "body": "Cube", "range": (0.5, 2.0)}
    env = make(
        {
            "all": {**term, "shared": True},
            "each": {"target": "friction", "body": "Cube", "range": (0.5, 2.0)},
            "links": {"target": "mass", "body": "Slider", "range": (0.5, 2.0)},
            "together": {**term, "body": "Slider", "together": True},
        }
    )
    env.reset(seed=0)
    values = env.randomization.values
    assert values["all"].unique().numel() == 1
    assert values["each"].unique().numel() == N
    assert values["links"].unique().numel() == 2 * N
    assert torch.equal(values["together"][:, 0], values["together"][:, 1])
    env.close()


def test_what_is_shared_stays_so_when_some_are_given_a_seed() -> None:
    env = make({"all": {**MASS, "when": "construction", "shared": True}})
    env.reset(seed=0)
    before = env.randomization.values["all"]
    env.reset(seed=5, options={"reset_mask": torch.arange(N) < 3})
    assert torch.equal(env.randomization.values["all"], before)
    env.reset(seed=5)
    after = env.randomization.values["all"]
    assert after.unique().numel() == 1 and not torch.equal(after, before)
    env.close()


@pytest.mark.parametrize(
    ("distribution", "range", "moments"),
    [
        ("uniform", (1.0, 3.0), (2.0, 4 / 12)),
        ("log_uniform", (0.1, 10.0), (9.9 / 4.6052, 6.235)),
        ("normal", (1.5, 0.2), (1.5, 0.04)),
        ("choice", (1.0, 2.0, 6.0), (3.0, 14 / 3)),
    ],
)
def test_distributions(distribution: str, range: tuple[float, ...], moments: Any) -> None:
    from isaac_gymnasium.random import RandomStreams
    from isaac_gymnasium.randomization.draw import Draw

    rng = RandomStreams(20_000, "cpu")
    term = rnd.Term(
        target="friction", body="Cube", range=range, distribution=distribution, when="reset"
    )
    draw = Draw(term, 2, torch.ones(20_000))
    rng.begin(0)
    values = draw.sample(rng)
    assert abs(float(values.mean()) - moments[0]) < 0.03 * moments[0]
    assert abs(float(values.var()) - moments[1]) < 0.05 * moments[1]
    if distribution != "normal":
        assert min(range) <= float(values.min()) and float(values.max()) <= max(range)


@pytest.mark.parametrize("id", sorted(isaac_gymnasium.registration.registered_tasks()))
def test_every_task_has_a_default(id: str) -> None:
    if not id.startswith("Isaac"):
        pytest.skip("registered by another test")
    env: Any = gym.make_vec(id, num_envs=2, device="cpu", randomization="default")
    env.reset(seed=0)
    values = env.randomization.values
    assert any(name.endswith("/mass") for name in values)
    models = {robot.model for robot in env.engine.scene.robots.values()}
    assert models <= set(ROBOTS), "every robot of this package has a preset of its own"
    walks = bool(models & {"ant", "anymal", "go2", "humanoid"})
    assert ("Robot/push" in env.randomization.plan.terms) == walks
    if id == "IsaacQuadcopter-v0":
        assert bool(((values["Quadcopter/mass"] - 1.0).abs() <= 0.1).all())
    assert any(t.target == "observation_noise" for t in env.randomization.plan.terms.values())
    for _ in range(3):
        obs = env.step(torch.zeros(env.action_space.shape))[0]
    parts = obs.values() if isinstance(obs, dict) else [obs]
    assert all(bool(part.isfinite().all()) for part in parts)
    env.close()


def test_the_contract_holds_with_everything_randomised() -> None:
    terms = {"mass": {**MASS, "body": "Robot", "names": ["pole"]}} | {
        name: EVERYTHING[name] for name in ("delay", "noise", "bias", "shake")
    }
    env = gym.make_vec(
        "IsaacCartpole-v0", num_envs=4, max_episode_steps=10, device="cpu", randomization=terms
    )
    assert json.loads(env.spec.to_json())["kwargs"]["randomization"]["delay"]["range"] == [0, 2]
    check_vector_env(env).raise_for_failures()
    env.close()


BAD = [
    ({"x": {"target": "mas", "range": (1, 2)}}, "randomization 'x': target must be one of mass, "),
    ({"x": {"target": "mass", "range": (1, 2)}}, "mass: body must be the name of a body, got ''"),
    ({"x": {**MASS, "body": "Cub"}}, r"'x': body must be one of \['Cube', 'Slider'\], got 'Cub'"),
    ({"x": {**MASS, "names": ["a"]}}, "mass: Cube is one body, names must be None"),
    ({"x": {**MASS, "range": (2, 1)}}, r"range must be a lower and an upper bound, got \(2.0, 1.0"),
    ({"x": {**MASS, "range": (-1, 1)}}, "must not be negative to scale by"),
    ({"x": {**MASS, "range": (0, float("nan"))}}, "range must be finite"),
    ({"x": {**MASS, "when": "step"}}, r"when must be one of \('construction', 'reset', 'interval'"),
    ({"x": {**MASS, "shared": True}}, "what is shared must be drawn at"),
    ({"x": {**MASS, "distribution": "beta"}}, "distribution must be one of .*, got 'beta'"),
    ({"x": {**MASS, "mean": 1}}, "randomization 'x' has no 'mean'; it has: target, range"),
    ({"x": 3}, "randomization 'x' must be a dict, got 3"),
    ({"x": {**MASS, "range": 3}}, "randomization 'x': mass: range must be numbers, got 3"),
    ({"x": {**MASS, "range": "12"}}, "randomization 'x': mass: range must be numbers, got '12'"),
    ({"x": {**MASS, "names": 3}}, "randomization 'x': mass: names must be strings or None, got 3"),
    ({"x": {**MASS, "interval_s": "1"}}, "mass: interval_s must be positive, got '1'"),
    ({"terms": 3}, "randomization: terms must be a dict, got 3"),
    ({"terms": {}, "adaptive": 3}, "adaptive must be an Adaptive, a dict or None, got 3"),
    (
        {"x": {"target": "action_noise", "names": "slide", "range": (0, 1)}},
        r"action_noise: names must be None, got \('slide',\)",
    ),
    (
        {"x": {"target": "push", "body": "Cube", "names": "x", "range": (0, 1)}},
        "push: Cube moves as a whole, names must be None",
    ),
    (
        {
            "x": {
                "target": "joint_limits",
                "body": "Slider",
                "operation": "absolute",
                "range": (0, 1),
            }
        },
        "joint_limits: operation must be 'scale' or 'additive', got 'absolute'",
    ),
    (
        {
            "x": {
                "target": "actuator_strength",
                "body": "Slider",
                "operation": "additive",
                "range": (0, 1),
            }
        },
        "actuator_strength: operation must be 'scale', got 'additive'",
    ),
    ({"terms": {}, "infos": True}, "randomization has no 'infos'; it has: terms, in_info"),
    ({"x": {"target": "joint_damping", "body": "Cube", "range": (1, 2)}}, "Cube is no robot"),
    (
        {"x": {"target": "joint_damping", "body": "Slider", "names": "a", "range": (1, 2)}},
        r"Slider: no degree of freedom named 'a', have \['slide'\]",
    ),
    (
        {"x": {"target": "initial_position", "body": "Slider", "range": (0, 1)}},
        "initial_position: Slider is bolted to the world",
    ),
    ({"terms": {}, "adaptive": {"target": 1.0}}, r"adaptive: target must be in \(0, 1\), got 1.0"),
    (
        {"x": {"target": "friction", "body": "Slider", "range": (1, 2)}},
        "'x': Slider has no material, since nothing of it collides",
    ),
    ("defaults", "randomization must be 'none' or 'default', got 'defaults'"),
    (3, "randomization must be 'none', 'default', a dict or a Randomization, got 3"),
]


@pytest.mark.parametrize(("given", "message"), BAD)
def test_what_makes_no_sense_is_one_clear_error(given: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make(given)


def test_noise_keeps_the_type_of_halves() -> None:
    env = make("none")
    plan = rnd.parse({"noise": {"target": "observation_noise", "range": (0.5, 1.0)}})
    parts = (env.engine, env.rng, env.episode_length)
    box = gym.spaces.Box(-1.0, 1.0, (3,), "float16")
    seen = rnd.Randomizer(plan, *parts, box, 1, 0.02).observe(torch.zeros(N, 3).half())
    assert seen.dtype == torch.float16
    assert float(seen.min()) >= 0.5
    env.close()


def test_images_beside_floats_stay_as_they_are() -> None:
    space = gym.spaces.Dict(
        {
            "image": gym.spaces.Box(0, 255, (2, 2), "uint8"),
            "vector": gym.spaces.Box(-1.0, 1.0, (3,)),
        }
    )
    env = make("none")
    plan = rnd.parse({"noise": {"target": "observation_noise", "range": (0.5, 1.0)}})
    parts = (env.engine, env.rng, env.episode_length)
    randomizer = rnd.Randomizer(plan, *parts, space, 1, 0.02)
    obs = {"image": torch.ones(N, 2, 2, dtype=torch.uint8), "vector": torch.zeros(N, 3)}
    seen = randomizer.observe(obs)
    assert seen["image"] is obs["image"]
    assert float(seen["vector"].min()) >= 0.5
    only_image = rnd.Randomizer(plan, *parts, space["image"], 1, 0.02)
    assert only_image.observe(obs["image"]) is obs["image"]
    named = rnd.parse({"noise": {"target": "observation_noise", "range": (0, 1), "names": "image"}})
    with pytest.raises(ValueError, match="image must be floats"):
        rnd.Randomizer(named, *parts, space, 1, 0.02)
    env.close()
