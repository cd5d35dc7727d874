"""The checker passes what is sound and catches each break at exactly the point meant."""

from __future__ import annotations

import gymnasium as gym
import pytest
import torch
from broken_envs import BROKEN
from gymnasium.spaces import Box
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space
from sound_env import Sound

from isaac_gymnasium.contract import Report, check_vector_env
from isaac_gymnasium.contract.checker import _CHECKS

MODES = ("SameStep", "NextStep", "Disabled")
ONLY_IN = {
    "SameStep": {"final_obs", "final_info", "same_step_reset"},
    "NextStep": {"next_step_reset", "next_step_ignores_actions", "next_step_after_mask"},
    "Disabled": {"refuses_ended"},
}

# Breaks that show as an error in the environment.
RAISING = {
    "FailsAtTheSixthStep",
    "NoList",
    "NoneInListRefused",
    "TensorsOnly",
    "NumpyMasksOnly",
    "BuffersOfInferenceMode",
    "ClosesOnce",
    "OneProcessOneLife",
}


class Endless(Sound):
    """Nothing terminates; a long time limit does the rest."""

    count = 0

    def is_over(self):
        over = torch.zeros(self.num_envs, dtype=torch.bool)
        return over, self.length >= self.max_episode_steps

    def step(self, actions):
        type(self).count += 1
        return super().step(actions)


def names(report: Report, status: str) -> set[str]:
    return {point.name for point in report.points if point.status == status}


def of_other_modes(mode: str) -> set[str]:
    return set().union(*(points for other, points in ONLY_IN.items() if other != mode))


class TestSound:
    @pytest.mark.parametrize("mode", MODES)
    def test_passes_every_point_that_its_mode_has(self, mode):
        env = gym.make_vec("Sound-v0", num_envs=4, autoreset_mode=mode)
        report = check_vector_env(env, forbid_host_reads=True)
        report.raise_for_failures()
        no_sync = {"no_host_sync"} if mode == "Disabled" else set()
        assert names(report, "n/a") == of_other_modes(mode) | no_sync
        assert len(report.points) == len(_CHECKS)

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_passes_with_any_seed(self, mode, seed):
        check_vector_env(
            lambda autoreset_mode=mode: Sound(autoreset_mode=autoreset_mode), seed=seed
        ).raise_for_failures()

    def test_its_rollout_has_episodes_that_terminate_and_that_are_truncated(self):
        """Otherwise the breaks below would not be caught for the reason meant."""
        env, seen = Sound(), torch.zeros(2, dtype=torch.bool)
        env.action_space.seed(0)
        env.reset(seed=0)
        for _ in range(18):
            _, _, *flags, _ = env.step(env.action_space.sample())
            seen |= torch.stack([flag.any() for flag in flags])
        assert seen.all()

    def test_reading_tensors_on_the_cpu_is_no_synchronisation(self):
        _, reads = BROKEN["no_host_sync: ReadsANumber"]
        point = check_vector_env(lambda **kwargs: reads(**kwargs))["no_host_sync"]
        assert (point.status, point.reason) == (
            "n/a",
            "the tensors are on the cpu, where reading one is free",
        )


@pytest.mark.parametrize("broken", BROKEN)
def test_a_break_fails_exactly_the_point_meant(broken):
    mode, cls = BROKEN[broken]

    def make(autoreset_mode: str = mode) -> VectorEnv:
        return cls(autoreset_mode=autoreset_mode)

    report = check_vector_env(make, forbid_host_reads=True)
    point = broken.partition(":")[0]
    assert names(report, "fail") == {point}, str(report)
    # Caught for what it is, not by an error that follows from it.
    assert (report[point].expected == "no error") == (cls.__name__ in RAISING), report[point]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_rewards_on_another_device_are_caught():
    class Scattered(Sound):
        def step(self, actions):
            obs, reward, *rest = super().step(actions)
            return obs, reward.cuda(), *rest

    report = check_vector_env(lambda **kwargs: Scattered(**kwargs))
    assert names(report, "fail") == {"one_device"}
    assert report["one_device"].got == "cuda:0"


def test_every_point_has_a_break():
    points = {check.name for check in _CHECKS}
    assert points - {broken.partition(":")[0] for broken in BROKEN} == {"spec", "spec_json"}


class TestSpec:
    def test_a_spec_that_makes_other_spaces_is_caught(self):
        report = check_vector_env(gym.make_vec("GrowingBounds-v0", num_envs=4))
        assert names(report, "fail") == {"spec"}
        assert "needs the point spec" in report["spec_json"].reason

    def test_a_spec_that_json_cannot_hold_is_caught(self):
        env = gym.make_vec("Sound-v0", num_envs=4, device=torch.device("cpu"))
        assert names(check_vector_env(env), "fail") == {"spec_json"}


class TestWithoutAFactory:
    def test_points_that_need_a_twin_are_not_applicable_and_say_why(self):
        report = check_vector_env(Sound())
        report.raise_for_failures()
        reason = "the environment has no spec to make it again from; pass a factory"
        missing = {point.name for point in report.points if point.reason == reason}
        assert missing == {
            "metadata_per_instance",
            "outputs_owned",
            "true_successor",
            "close",
            "refuses_after_close",
            "recreation",
        }

    def test_the_environment_stays_open_and_usable(self):
        env = gym.make_vec("Sound-v0", num_envs=4)
        check_vector_env(env).raise_for_failures()
        env.reset(seed=0)
        env.step(env.action_space.sample())

    def test_a_wrapped_environment_is_not_confused_with_what_its_spec_makes(self):
        class Wrapper(gym.vector.VectorWrapper):
            pass

        report = check_vector_env(Wrapper(gym.make_vec("Sound-v0", num_envs=4)))
        report.raise_for_failures()
        assert "a wrapped environment" in report["true_successor"].reason
        assert report["spec"].status == "n/a"


class TestFactory:
    def test_everything_made_is_closed(self):
        made = []

        def make(**kwargs: str) -> VectorEnv:
            made.append(Sound(**kwargs))
            return made[-1]

        check_vector_env(make)
        assert len(made) > 10
        assert all(env.closed for env in made)

    def test_a_factory_of_one_mode_leaves_out_the_twins_of_others(self):
        report = check_vector_env(lambda: Sound())
        report.raise_for_failures()
        for name in ("metadata_per_instance", "true_successor"):
            assert "no twin can be made with autoreset_mode=" in report[name].reason

    def test_a_factory_that_ignores_the_mode_is_noticed(self):
        report = check_vector_env(lambda **kwargs: Sound())
        assert "has the mode <AutoresetMode.SAME_STEP" in report["true_successor"].reason

    def test_a_class_is_a_factory(self):
        check_vector_env(Sound).raise_for_failures()

    def test_a_factory_that_fails_is_reported(self):
        def make(**kwargs: str) -> VectorEnv:
            raise OSError("no simulator here")

        report = check_vector_env(make)
        assert names(report, "fail") == {"runs"}
        assert report["runs"].got == "OSError: no simulator here"
        assert "OSError: no simulator here" in report.subject
        assert len(names(report, "n/a")) == len(_CHECKS) - 1

    def test_what_is_no_vector_environment_is_refused(self):
        with pytest.raises(TypeError, match=r"must be a gymnasium\.vector\.VectorEnv .* got int"):
            check_vector_env(3)
        report = check_vector_env(lambda: 3)
        assert report["runs"].got == "TypeError: the factory must make a VectorEnv, got int"


class TestBounds:
    @pytest.mark.parametrize("mode", MODES)
    def test_the_number_of_steps_is_bounded_where_no_episode_ends(self, mode):
        Endless.count = 0
        report = check_vector_env(
            lambda autoreset_mode=mode: Endless(4, autoreset_mode, max_episode_steps=10**9),
            steps=20,
        )
        report.raise_for_failures()
        assert Endless.count < 20 * 20
        for name in (*ONLY_IN[mode], "true_successor"):
            assert report[name].reason.startswith("no episode ended within 20 steps"), name
        assert "max_episode_steps is 1000000000" in report["truncation"].reason

    def test_an_end_in_the_last_step_has_no_step_after_it(self):
        report = check_vector_env(
            lambda autoreset_mode="NextStep": Endless(4, autoreset_mode, max_episode_steps=9),
            steps=9,
        )
        report.raise_for_failures()
        for name in ("next_step_reset", "next_step_ignores_actions"):
            assert report[name].reason == "the first episode ended with the last step"
        assert report["truncation"].status == "pass"

    def test_a_single_action_cannot_be_replaced_by_another(self):
        class OneAction(Sound):
            def __init__(self, **kwargs):
                super().__init__(**kwargs)
                self.single_action_space = Box(0.5, 0.5, (1,))
                self.action_space = batch_space(self.single_action_space, 4)

        report = check_vector_env(
            lambda autoreset_mode="NextStep": OneAction(autoreset_mode=autoreset_mode)
        )
        report.raise_for_failures()
        point = report["next_step_ignores_actions"]
        assert point.reason == "the action space has one action only"

    @pytest.mark.parametrize(
        ("length", "where"), [(1, "in the first step"), (2, "within two steps")]
    )
    def test_episodes_too_short_for_a_reset_in_their_middle(self, length, where):
        report = check_vector_env(lambda **kwargs: Sound(max_episode_steps=length, **kwargs))
        report.raise_for_failures()
        assert report["reset_mask_isolated"].reason == f"an episode ended {where}"

    def test_a_time_limit_that_no_episode_reaches(self):
        class Brief(Sound):
            def is_over(self):
                return self.length >= 3, torch.zeros(self.num_envs, dtype=torch.bool)

        report = check_vector_env(Brief)
        report.raise_for_failures()
        assert report["truncation"].reason == "every episode terminated before its step 8"

    def test_observations_that_never_change_are_not_held_against_the_reset(self):
        class Blind(Sound):
            def observe(self):
                return torch.zeros(self.num_envs, 2)

        reports = [
            check_vector_env(lambda autoreset_mode=mode: Blind(4, autoreset_mode)) for mode in MODES
        ]
        for report in reports:
            report.raise_for_failures()
            assert report["reset_mask"].reason == "the observations do not change in a few steps"
        assert reports[0]["same_step_reset"].reason == "every episode ended where it had begun"

    def test_an_environment_without_chance_need_not_differ_between_seeds(self):
        class Determined(Sound):
            def draw(self):
                return 0.1 * self.index.float()

        report = check_vector_env(Determined)
        report.raise_for_failures()
        assert report["seeds_differ"].reason == "nothing in the environment is random"
        assert report["rows_differ"].reason == "the starts are not random"

    def test_a_spec_may_say_that_nothing_is_reproducible(self):
        env = gym.make_vec("Sound-v0", num_envs=4)
        env.spec.nondeterministic = True
        report = check_vector_env(env)
        report.raise_for_failures()
        assert "is nondeterministic" in report["reproducible"].reason

    def test_steps_must_be_positive(self):
        with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
            check_vector_env(Sound, steps=0)

    def test_the_default_covers_an_episode(self):
        report = check_vector_env(lambda **kwargs: Sound(max_episode_steps=30, **kwargs))
        assert report["final_obs"].status == "pass"


class TestOneEnvironment:
    @pytest.mark.parametrize("mode", MODES)
    def test_passes_what_does_not_take_two(self, mode):
        report = check_vector_env(
            lambda autoreset_mode=mode: Sound(num_envs=1, autoreset_mode=autoreset_mode)
        )
        report.raise_for_failures()
        alone = {
            point.name for point in report.points if point.reason == "there is one environment"
        }
        assert alone == {"rows_differ", "reset_mask", "reset_mask_isolated"}


class TestReport:
    def test_the_table_names_every_point_and_what_went_wrong(self):
        _, cls = BROKEN["rewards: ColumnOfRewards"]
        report = check_vector_env(lambda **kwargs: cls(**kwargs))
        text = str(report)
        assert text.startswith("ColumnOfRewards(num_envs=4), SameStep, torch tensors on cpu\n")
        assert "1 failed" in text
        assert "FAIL  rewards " in text
        message = "expected an array of numbers of shape (4,); got a torch.float32 tensor"
        assert message in " ".join(text.split())
        assert all(point.name in text for point in report.points)
        assert max(map(len, text.splitlines())) <= 100

    def test_raise_for_failures_names_the_failures(self):
        _, cls = BROKEN["rewards: ColumnOfRewards"]
        report = check_vector_env(lambda **kwargs: cls(**kwargs))
        assert not report.passed
        with pytest.raises(AssertionError, match=r"(?s)breaks the contract.*rewards: expected"):
            report.raise_for_failures()

    def test_nothing_is_raised_where_all_is_well(self):
        report = check_vector_env(Sound)
        assert report.passed
        assert report.failures == ()
        report.raise_for_failures()

    def test_an_unknown_point_is_a_key_error(self):
        with pytest.raises(KeyError, match="weather"):
            check_vector_env(Sound)["weather"]

    def test_requirements_fit_in_their_line(self):
        for check in _CHECKS:
            assert 0 < len(check.requirement) <= 67, check.name
