"""The command line, on an environment without physics wherever physics is not the point."""

import csv
import dataclasses
import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch

import isaac_gymnasium  # noqa: F401 -- registers the IDs
from isaac_gymnasium.cli import main

pytest.importorskip("skrl")

from isaac_gymnasium.cli import _episodes, train
from isaac_gymnasium.cli._environment import parse_keywords
from isaac_gymnasium.cli._main import _join_env_options
from isaac_gymnasium.cli._run_folder import RunFolder
from isaac_gymnasium.presets import CPU_PRESETS, PRESETS, PpoConfig, ppo_preset

TOY = Path(__file__).parents[1] / "integrations" / "toy_env.py"
SHORT = ["--num-envs", "8", "--timesteps", "240", "--rollouts", "10", "--hidden-sizes", "8"]
EVALUATION = r"evaluation: return -?\d+\.\d ± \d+\.\d, success \d+\.\d %, length \d+\.\d \(\d+ epis"


@pytest.fixture(autouse=True)
def user_directory(tmp_path, monkeypatch):
    """A directory of a user's own, holding ``toy_env.py`` and nothing else."""
    shutil.copy(TOY, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "toy_env", raising=False)
    return tmp_path


@pytest.fixture
def run(user_directory, capsys):
    """The folder of a short finished run."""
    assert main(["train", "toy_env:Toy-v0", *SHORT, "--run-dir", "run", "--seed", "5"]) == 0
    capsys.readouterr()
    return user_directory / "run"


def rows(folder):
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


class TestTrain:
    def test_run_folder_has_its_default_place_and_the_evaluation_its_line(self, capsys):
        assert main(["train", "toy_env:Toy-v0", *SHORT, "--seed", "7"]) == 0
        assert re.search(EVALUATION + r"odes\)\n$", capsys.readouterr().out)
        (folder,) = Path("runs/Toy-v0").iterdir()
        assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-seed7", folder.name)

    def test_run_folder_is_complete(self, run):
        config = json.loads((run / "config.json").read_text())
        assert config["task"] == "toy_env:Toy-v0"
        assert config["ppo"]["num_envs"] == 8
        assert config["ppo"]["seed"] == 5
        assert config["versions"]["torch"] == torch.__version__
        assert (run / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
        assert list(run.glob("events.out.tfevents.*"))
        assert not list(run.glob("*.tmp"))

    def test_metrics_have_a_row_for_each_update(self, run):
        table = rows(run)
        assert [int(row["environment_steps"]) for row in table] == [80, 160, 240]
        assert {
            "episode/return",
            "episode/length",
            "episode/success",
            "reward/near",
            "time/steps_per_second",
            "Loss / Policy loss",
        } <= set(table[0])
        assert 8 <= float(table[-1]["episode/length"]) <= 10

    def test_checkpoint_loads_without_unpickling_code(self, run):
        state = torch.load(run / "checkpoint.pt", weights_only=True)
        assert {"policy", "value", "optimizer", "observation_preprocessor"} <= set(state)

    def test_same_seed_trains_the_same_policy(self, run):
        main(["train", "toy_env:Toy-v0", *SHORT, "--run-dir", "again", "--seed", "5"])
        first, again = (
            torch.load(folder / "checkpoint.pt", weights_only=True)["policy"]
            for folder in (run, run.parent / "again")
        )
        assert all(torch.equal(first[name], again[name]) for name in first)

    def test_interruption_leaves_a_checkpoint(self, monkeypatch, capsys):
        written = []

        def interrupt(*arguments):
            if written:
                raise KeyboardInterrupt
            written.append(arguments)

        monkeypatch.setattr(train, "_show", interrupt)
        assert main(["train", "toy_env:Toy-v0", *SHORT, "--run-dir", "run"]) == 130
        assert "interrupted; checkpoint: run/checkpoint.pt" in capsys.readouterr().out
        assert main(["evaluate", "run", "--episodes", "2"]) == 0

    def test_diverged_training_does_not_replace_the_checkpoint(self, monkeypatch):
        saved = []
        monkeypatch.setattr(RunFolder, "save_checkpoint", lambda self, agent: saved.append(1))
        with pytest.raises(FloatingPointError, match="diverged"):
            main(["train", "toy_env:Toy-v0", *SHORT, "--reward-scale", "nan"])
        assert not saved

    def test_help_shows_the_preset_of_the_task(self, capsys):
        with pytest.raises(SystemExit):
            main(["train", "IsaacCartpole-v0", "--device", "cpu", "--help"])
        envs = CPU_PRESETS["IsaacCartpole-v0"]["num_envs"]
        assert re.search(rf"--num-envs INT[^-]*\(default: {envs}\)", capsys.readouterr().out)

    def test_settings_override_the_preset(self, monkeypatch):
        monkeypatch.setitem(PRESETS, "Toy-v0", PpoConfig(mini_batches=3, discount=0.5))
        main(["train", "toy_env:Toy-v0", *SHORT, "--run-dir", "run", "--discount", "0.7"])
        ppo = json.loads(Path("run/config.json").read_text())["ppo"]
        assert (ppo["mini_batches"], ppo["discount"]) == (3, 0.7)

    @pytest.mark.parametrize(
        "words", [["--env", "max_episode_steps=4"], ["--env.max-episode-steps", "4"]]
    )
    def test_environment_arguments_reach_the_environment(self, words, capsys):
        assert main(["train", "toy_env:Toy-v0", *SHORT, "--run-dir", "run", *words]) == 0
        assert float(rows(Path("run"))[-1]["episode/length"]) <= 4
        assert json.loads(Path("run/config.json").read_text())["env"] == {"max_episode_steps": 4}


class TestEvaluate:
    def test_repeats_what_training_reported(self, run, capsys):
        main(["train", "toy_env:Toy-v0", *SHORT, "--run-dir", "again", "--seed", "5"])
        reported = capsys.readouterr().out.splitlines()[-1]
        assert main(["evaluate", str(run), "--episodes", "8"]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == reported

    def test_episodes_and_environment_arguments(self, run, capsys):
        assert main(["evaluate", str(run), "--episodes", "3", "--env", "max_episode_steps=4"]) == 0
        assert "length 3.0 (3 episodes)" in capsys.readouterr().out


class ScriptedEnv:
    """Environment k has episodes of k + 1 steps; every step of the n-th episode pays 10 ** n."""

    num_envs, max_episode_steps, device = 4, 4, torch.device("cpu")
    unwrapped = property(lambda self: self)

    def reset(self, seed):
        self.seed, self.t, self.n = seed, torch.zeros(4), torch.zeros(4)
        return torch.zeros(4, 1), {}

    def state(self):
        return None

    def step(self, actions):
        self.t += 1
        rewards = 10.0**self.n
        ended = self.t > torch.arange(4)
        success = ended & (self.n == 0) & (torch.arange(4) % 2 == 0)
        extras = {"success": success, "fell": ~success, "distance": self.t - 0.5}
        self.n += ended
        self.t[ended] = 0
        info = {"final_info": extras, "log": {"reward/a": rewards.mean()}}
        flags = torch.zeros(4, dtype=torch.bool)
        return torch.zeros(4, 1), rewards[:, None], ended[:, None], flags[:, None], info


class TestEpisodes:
    def test_evaluation_counts_the_first_episode_of_each_environment(self):
        env = ScriptedEnv()
        result = _episodes.evaluate(env, lambda observations, states: observations, seed=11)
        assert env.seed == 11
        assert result.returns.tolist() == result.lengths.tolist() == [1, 2, 3, 4]
        assert result.successes.tolist() == [True, False, True, False]
        assert result.extras["distance"].tolist() == [0.5, 1.5, 2.5, 3.5]
        assert str(result) == (
            "return 2.5 ± 1.1, success 50.0 %, length 2.5, fell 50.0 %, distance 2 (4 episodes)"
        )

    def test_statistics_are_means_over_ended_episodes_and_over_steps(self):
        env, statistics = ScriptedEnv(), _episodes.EpisodeStatistics(4, torch.device("cpu"))
        env.reset(seed=0)
        statistics.update(*env.step(None)[1:])
        statistics.update(*env.step(None)[1:])
        # Ended: environment 0 twice (returns 1 and 10), environment 1 once (2 steps, return 2).
        assert statistics.fetch() == pytest.approx(
            {
                "episode/return": 13 / 3,
                "episode/length": 4 / 3,
                "episode/success": 1 / 3,
                "episode/fell": 2 / 3,
                "episode/distance": (0.5 + 0.5 + 1.5) / 3,
                "reward/a": (1 + 13 / 4) / 2,
            }
        )
        statistics.update(*env.step(None)[1:])
        # Ended: environment 0 (return 100) and environment 2, whose return spans both fetches.
        assert statistics.fetch()["episode/return"] == pytest.approx((100 + 3) / 2)

    def test_no_ended_episode_is_nan(self):
        statistics = _episodes.EpisodeStatistics(4, torch.device("cpu"))
        no = torch.zeros(4, 1, dtype=torch.bool)
        statistics.update(torch.ones(4, 1), no, no, {"final_info": {}})
        assert str(statistics.fetch()["episode/return"]) == "nan"


class TestMistakes:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["train", "Nope-v0"], r"unknown environment 'Nope-v0'; known: .*IsaacCartpole-v0"),
            (["train", "nowhere:Toy-v0"], "no module 'nowhere'"),
            (["train", "toy_env:Toy-v0", "--env", "typo=1"], "typo"),
            (["train", "toy_env:Toy-v0", "--env", "typo"], "--env expects KEY=VALUE, got 'typo'"),
            (["train", "toy_env:Toy-v0", "--env", "autoreset_mode=Disabled"], "SameStep"),
            (["train", "toy_env:Toy-v0", "--run-dir", "."], "is not empty"),
            (["train", "toy_env:Toy-v0", "--num-envs", "0"], "num_envs must be at least 1, got 0"),
            (["evaluate", "."], "not a run folder: it has no config.json"),
        ],
    )
    def test_one_line_and_status_2(self, words, message, capsys):
        assert main(words) == 2
        error = capsys.readouterr().err
        assert re.fullmatch(rf"isaac-gymnasium: .*{message}.*\n", error)

    @pytest.mark.parametrize("words", [["train"], ["train", "Toy-v0", "--typo", "1"], ["fly"], []])
    def test_words_that_do_not_parse(self, words, capsys):
        with pytest.raises(SystemExit) as exit_:
            main(words)
        assert exit_.value.code == 2
        assert capsys.readouterr().err

    def test_missing_skrl_names_the_extra(self, monkeypatch, capsys):
        monkeypatch.delitem(sys.modules, "isaac_gymnasium.integrations.skrl")
        monkeypatch.setitem(sys.modules, "skrl.agents.torch.ppo", None)
        assert main(["train", "toy_env:Toy-v0"]) == 2
        assert "pip install isaac-gymnasium[skrl]" in capsys.readouterr().err

    def test_defects_in_a_users_task_keep_their_traceback(self, monkeypatch):
        def defect(*arguments, **keywords):
            raise ValueError("a defect of the user's own")

        monkeypatch.setattr("gymnasium.make_vec", defect)
        with pytest.raises(ValueError, match="a defect of the user's own"):
            main(["train", "toy_env:Toy-v0"])

    def test_defects_in_a_users_module_keep_their_traceback(self, user_directory):
        (user_directory / "broken.py").write_text("import not_installed_anywhere\n")
        with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
            main(["train", "broken:Toy-v0"])


class TestPresets:
    def test_unknown_settings_list_the_valid_ones(self):
        with pytest.raises(TypeError, match=r"unknown PPO setting 'typo'; valid: num_envs, .*seed"):
            PpoConfig.from_dict({"typo": 1})
        with pytest.raises(TypeError, match="unknown PPO setting 'typo'"):
            ppo_preset("IsaacCartpole-v0", typo=1)

    def test_settings_survive_json(self):
        config = ppo_preset("IsaacFrankaCube-v0", seed=3)
        text = json.dumps(dataclasses.asdict(config))
        assert PpoConfig.from_dict(json.loads(text)) == config

    def test_a_preset_of_the_users_own_holds_on_a_cpu_too(self, monkeypatch):
        monkeypatch.setitem(PRESETS, "Mine-v0", PpoConfig(num_envs=7))
        assert ppo_preset("mine:Mine-v0", cpu=True).num_envs == 7
        assert ppo_preset("Other-v0", cpu=True).num_envs < ppo_preset("Other-v0").num_envs

    def test_iterations_reach_the_timesteps(self):
        assert PpoConfig(num_envs=10, rollouts=10, timesteps=100).iterations == 1
        assert PpoConfig(num_envs=10, rollouts=10, timesteps=101).iterations == 2

    @pytest.mark.parametrize("cpu", [False, True])
    @pytest.mark.parametrize("name", sorted({*PRESETS, *CPU_PRESETS, "Other-v0"}))
    def test_every_preset_is_consistent(self, name, cpu):
        ppo_preset(name, cpu=cpu).check()
        assert ppo_preset(f"module:{name}", cpu=cpu) == ppo_preset(name, cpu=cpu)


def test_environment_words():
    assert _join_env_options(["--env.a", "1", "--env.b=2", "--env", "c=3", "--num-envs", "4"]) == [
        *("--env", "a=1", "--env", "b=2", "--env", "c=3", "--num-envs", "4")
    ]
    assert parse_keywords(
        ["a=1", "b=0.5", "c=(1, 2)", "d=true", "e=None", "f=SameStep", "g=x=y"]
    ) == {
        "a": 1,
        "b": 0.5,
        "c": (1, 2),
        "d": True,
        "e": None,
        "f": "SameStep",
        "g": "x=y",
    }


OWN_TASK = """
from dataclasses import dataclass
import isaac_gymnasium
from isaac_gymnasium.envs.cartpole import Cartpole
from isaac_gymnasium.presets import PRESETS, PpoConfig

@dataclass(kw_only=True)
class Mine(Cartpole):
    bonus: float = 0.0

    def get_rewards(self):
        return {**super().get_rewards(), "bonus": self.bonus + 0.0 * self.robot.dof_pos[:, 0]}

if "Mine-v0" not in isaac_gymnasium.registered_tasks():
    isaac_gymnasium.register("Mine-v0", Mine)
PRESETS["Mine-v0"] = PpoConfig(num_envs=8, timesteps=80, rollouts=10, hidden_sizes=(8,))
"""


class TestRealEnvironment:
    @pytest.fixture(autouse=True)
    def physics(self):
        pytest.importorskip("ovphysx")

    def test_list_prints_one_line_for_each_environment(self, capsys):
        assert main(["list"]) == 0
        cartpole = r"IsaacCartpole-v0 +observation Box\(4\)  action Box\(1\)"
        assert any(re.fullmatch(cartpole, line) for line in capsys.readouterr().out.splitlines())

    def test_a_users_own_task_file_trains_and_evaluates(self, user_directory, monkeypatch, capsys):
        (user_directory / "mine.py").write_text(OWN_TASK)
        monkeypatch.setitem(PRESETS, "Mine-v0", PpoConfig())  # removed again at the end
        words = ["--device", "cpu", "--env.bonus", "100"]
        assert main(["train", "mine:Mine-v0", "--run-dir", "run", *words]) == 0
        (row,) = rows(Path("run"))
        assert int(row["environment_steps"]) == 80
        assert float(row["reward/bonus"]) == 100.0
        assert main(["evaluate", "run", "--episodes", "2", "--device", "cpu"]) == 0
        assert re.search(EVALUATION, capsys.readouterr().out)

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--env", "typo=1"], "Cartpole has no parameter 'typo'; it has: .*max_force"),
            (["--env", "dt=-1"], "dt must be a positive, finite number, got -1"),
            (["--engine", "typo"], "engine must be 'auto' or one of .* got 'typo'"),
            (["--device", "typo"], "device must be 'auto', 'cpu' or 'cuda:k', got 'typo'"),
        ],
    )
    def test_mistakes_are_one_line(self, words, message, capsys):
        assert main(["train", "IsaacCartpole-v0", "--num-envs", "8", *words]) == 2
        error = capsys.readouterr().err
        assert re.fullmatch(rf"isaac-gymnasium: .*{message}.*\n", error)

    @pytest.mark.slow
    def test_cartpole_is_solved(self, capsys):
        """With the preset as it is: a mean return of at least 290 of 300."""
        assert main(["train", "IsaacCartpole-v0", "--device", "cpu", "--run-dir", "run"]) == 0
        line = capsys.readouterr().out.splitlines()[-1]
        assert float(line.split()[2]) >= 290, line
