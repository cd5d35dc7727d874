"""The command line, on an environment without physics wherever physics is not the point."""

import csv
import dataclasses
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from gymnasium.vector import AutoresetMode, VectorEnv

import isaac_gymnasium
from isaac_gymnasium.cli import main

pytest.importorskip("skrl")

from isaac_gymnasium import presets
from isaac_gymnasium.cli import _episodes, _loop
from isaac_gymnasium.cli._environment import parse_keywords
from isaac_gymnasium.cli._main import _join_env_options
from isaac_gymnasium.cli._recorder import RecordTraining
from isaac_gymnasium.integrations.trainers import TRAINERS
from isaac_gymnasium.presets import add_preset, preset
from isaac_gymnasium.presets.configs import PpoConfig, SacConfig, SkrlPpoConfig

pytestmark = pytest.mark.usefixtures("user_directory")
SHORT = ["--num-envs", "8", "--timesteps", "240", "--rollouts", "10", "--hidden-sizes", "8"]
EVALUATION = r"evaluation: return -?\d+\.\d ± \d+\.\d, success \d+\.\d %, length \d+\.\d \(\d+ epis"


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
        assert (config["library"], config["algorithm"]) == ("skrl", "ppo")
        assert config["agent"]["num_envs"] == 8
        assert config["agent"]["seed"] == 5
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
            "loss/policy",
            "policy/learning_rate",
        } <= set(table[0])
        assert 8 <= float(table[-1]["episode/length"]) <= 10

    def test_weights_and_biases_gets_the_metrics_too(self, monkeypatch, capfd):
        pytest.importorskip("wandb")
        monkeypatch.setenv("WANDB_MODE", "offline")
        monkeypatch.setenv("WANDB_SILENT", "true")
        words = ["--run-dir", "run", "--wandb", "walking"]
        assert main(["train", "toy_env:Toy-v0", *SHORT, *words]) == 0
        (record,) = Path("run/wandb").glob("offline-run-*-run/run-run.wandb")
        log = record.read_bytes()
        assert b"walking" in log and b"episode/return" in log and b"reward/near" in log
        assert len(rows(Path("run"))) == 3

    def test_checkpoint_loads_without_unpickling_code(self, run):
        state = torch.load(run / "checkpoint.pt", weights_only=True)["trainer"]
        assert {"policy", "value", "optimizer", "observation_preprocessor"} <= set(state)
        assert state["timesteps"] == 240

    def test_same_seed_trains_the_same_policy(self, run):
        main(["train", "toy_env:Toy-v0", *SHORT, "--run-dir", "again", "--seed", "5"])
        first, again = (
            torch.load(folder / "checkpoint.pt", weights_only=True)["trainer"]["policy"]
            for folder in (run, run.parent / "again")
        )
        assert all(torch.equal(first[name], again[name]) for name in first)

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_ends_the_training_with_a_checkpoint(self, number, monkeypatch, capsys):
        monkeypatch.setattr(_loop, "_show", lambda *arguments: signal.raise_signal(number))
        before = signal.getsignal(number)
        words = ["train", "toy_env:Toy-v0", *SHORT, "--run-dir", "run"]
        assert main(words) == 128 + number
        assert signal.getsignal(number) is before
        assert "interrupted; checkpoint: run/checkpoint.pt" in capsys.readouterr().out
        assert len(rows(Path("run"))) == 1
        assert main(["evaluate", "run", "--episodes", "2"]) == 0

    def test_diverged_training_does_not_replace_the_checkpoint(self, monkeypatch):
        saved = []
        monkeypatch.setattr(_loop, "save_checkpoint", lambda *arguments: saved.append(1))
        with pytest.raises(FloatingPointError, match="diverged"):
            main(["train", "toy_env:Toy-v0", *SHORT, "--env", "reward=1e999"])
        assert not saved

    def test_help_shows_the_preset_of_the_task(self, capsys):
        with pytest.raises(SystemExit):
            main(["train", "IsaacCartpole-v0", "--device", "cpu", "--help"])
        shown = capsys.readouterr().out
        assert re.search(r"--num-envs INT[^-]*\(default: 256\)", shown)
        assert re.search(r"--mini-batches INT[^-]*\(default: 4\)", shown)

    def test_help_shows_the_settings_of_the_library_and_algorithm(self, capsys):
        for words, there, missing in (
            (["--library", "skrl"], "--shared-network", "--batch-size"),
            (["--library=sb3"], "--rollouts", "--kl-threshold"),
            (["--algorithm", "sac"], "--batch-size", "--rollouts"),
        ):
            with pytest.raises(SystemExit):
                main(["train", "IsaacCartpole-v0", *words, "--help"])
            shown = capsys.readouterr().out
            assert there in shown
            assert missing not in shown

    def test_settings_override_the_preset(self, monkeypatch):
        values = {"ppo": {"mini_batches": 3, "discount": 0.5}}
        monkeypatch.setitem(presets._added, "Toy-v0", values)
        main(["train", "toy_env:Toy-v0", *SHORT, "--run-dir", "run", "--discount", "0.7"])
        agent = json.loads(Path("run/config.json").read_text())["agent"]
        assert (agent["mini_batches"], agent["discount"]) == (3, 0.7)

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


class ScriptedEnv(VectorEnv):
    """Environment k has episodes of k + 1 steps; every step of the n-th episode pays 10 ** n."""

    num_envs, max_episode_steps, device = 4, 4, torch.device("cpu")
    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def reset(self, *, seed=None, options=None):
        self.seed, self.t, self.n = seed, torch.zeros(4), torch.zeros(4)
        return torch.zeros(4, 1), {}

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
        return torch.zeros(4, 1), rewards, ended, flags, info


class TestEpisodes:
    def test_evaluation_counts_the_first_episode_of_each_environment(self):
        env = ScriptedEnv()
        result = _episodes.evaluate(env, lambda observations: observations, seed=11)
        assert env.seed == 11
        assert result.returns.tolist() == result.lengths.tolist() == [1, 2, 3, 4]
        assert result.successes.tolist() == [True, False, True, False]
        assert result.extras["distance"].tolist() == [0.5, 1.5, 2.5, 3.5]
        assert str(result) == (
            "return 2.5 ± 1.1, success 50.0 %, length 2.5, fell 50.0 %, distance 2 (4 episodes)"
        )

    def test_statistics_are_means_over_ended_episodes_and_over_steps(self):
        env = RecordTraining(ScriptedEnv())
        env.reset(seed=0)
        env.step(None)
        env.step(None)
        # Ended: environment 0 twice (returns 1 and 10), environment 1 once (2 steps, return 2).
        assert env.fetch() == pytest.approx(
            {
                "episode/return": 13 / 3,
                "episode/length": 4 / 3,
                "episode/success": 1 / 3,
                "episode/fell": 2 / 3,
                "episode/distance": (0.5 + 0.5 + 1.5) / 3,
                "reward/a": (1 + 13 / 4) / 2,
            }
        )
        env.step(None)
        # Ended: environment 0 (return 100) and environment 2, whose return spans both fetches.
        assert env.fetch()["episode/return"] == pytest.approx((100 + 3) / 2)

    def test_staggered_episodes_are_left_out(self):
        env = RecordTraining(ScriptedEnv())
        env.reset(seed=0, options={"stagger": True})
        env.step(None)
        assert math.isnan(env.fetch()["episode/return"])
        env.step(None)
        # Environment 0 began a whole episode after its first step, environment 1 not yet.
        assert env.fetch() | {"reward/a": 0} == pytest.approx(
            {
                "episode/return": 10,
                "episode/length": 1,
                "episode/success": 0,
                "episode/fell": 1,
                "episode/distance": 0.5,
                "reward/a": 0,
            }
        )

    def test_no_ended_episode_is_nan(self):
        env = RecordTraining(ScriptedEnv())
        env.reset(seed=0)
        env.env.unwrapped.t -= 5
        env.step(None)
        assert str(env.fetch()["episode/return"]) == "nan"


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
            (
                ["train", "toy_env:Toy-v0", "--library", "rsl_rl", "--algorithm", "sac"],
                "algorithm must be one of ppo with library rsl_rl, got 'sac'",
            ),
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

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ('{"agent": {', r"config.json cannot be read: Expecting .*"),
            ("[]", "was made by another version of this package"),
            ('{"agent": {}}', "was made by another version of this package"),
        ],
    )
    def test_a_damaged_run_is_one_line(self, content, message, run, tmp_path, capsys):
        shutil.copytree(run, tmp_path / "damaged")
        (tmp_path / "damaged" / "config.json").write_text(content)
        for command in ("evaluate", "resume", "export"):
            assert main([command, str(tmp_path / "damaged")]) == 2
            error = capsys.readouterr().err
            assert re.fullmatch(rf"isaac-gymnasium: .*{message}\n", error)

    def test_a_checkpoint_of_another_task_is_one_line(self, run, tmp_path, capsys):
        other = shutil.copytree(run, tmp_path / "other")
        state = torch.load(other / "checkpoint.pt", weights_only=True)
        weights = state["trainer"]["policy"]
        name = next(name for name, value in weights.items() if value.dim() == 2)
        weights[name] = torch.zeros(weights[name].shape[0], weights[name].shape[1] + 3)
        torch.save(state, other / "checkpoint.pt")
        words = {"evaluate": [], "export": [], "resume": ["--timesteps", "100000"]}
        for command, more in words.items():
            assert main([command, str(other), *more]) == 2
            error = capsys.readouterr().err.splitlines()[-1]
            assert re.match(r"isaac-gymnasium: .* does not fit .*: size mismatch for", error)

    def test_missing_skrl_names_the_extra(self, monkeypatch, capsys):
        for name in ("skrl", "skrl_ppo", "skrl_trainers"):
            monkeypatch.delitem(sys.modules, f"isaac_gymnasium.integrations.{name}", raising=False)
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
    @pytest.fixture(autouse=True)
    def presets_of_this_test(self, monkeypatch):
        monkeypatch.setattr(presets, "_added", {})

    def test_unknown_settings_list_the_valid_ones(self):
        with pytest.raises(TypeError, match=r"PpoConfig has no setting 'typo'; it has: num_envs, "):
            PpoConfig.from_dict({"typo": 1})

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"ppo": {"typo": 1}}, r"preset of X-v0: ppo has no setting 'typo'; it has: .*seed"),
            ({"ppo": {"cpu": {"typo": 1}}}, "preset of X-v0: ppo has no setting 'typo'"),
            ({"skrl": {"ppo": {"typo": 1}}}, "preset of X-v0: skrl: ppo has no setting 'typo'"),
            ({"skrl": {"typo": {}}}, "skrl must be an algorithm .ppo, sac, td3. or a library"),
            ({"sac": {"rollouts": 1}}, "sac has no setting 'rollouts'"),
            ({"ppo": 3}, "preset of X-v0: ppo must be a mapping, got 3"),
            (3, "preset of X-v0 must be a mapping, got 3"),
        ],
    )
    def test_wrong_presets_are_refused(self, values, message):
        with pytest.raises(TypeError, match=message):
            add_preset("X-v0", values)
        assert presets.find_preset("X-v0") is None

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("num_envs", 1.5, "num_envs must be an integer, got 1.5"),
            ("num_envs", True, "num_envs must be an integer, got True"),
            ("discount", "much", "discount must be a number, got 'much'"),
            ("shared_network", 1, "shared_network must be true or false, got 1"),
            ("hidden_sizes", [1.5], r"hidden_sizes must be an integer, got 1.5"),
            ("hidden_sizes", 64, "hidden_sizes must be a list, got 64"),
        ],
    )
    def test_values_of_another_type_are_refused(self, name, value, message):
        with pytest.raises(TypeError, match=message):
            SkrlPpoConfig.from_dict({name: value})

    def test_settings_survive_json(self):
        config = preset("IsaacFrankaCube-v0", SkrlPpoConfig)
        text = json.dumps(dataclasses.asdict(config))
        assert SkrlPpoConfig.from_dict(json.loads(text)) == config

    def test_layers(self):
        add_preset(
            "X-v0",
            {
                "ppo": {"rollouts": 2, "mini_batches": 3, "kl_threshold": 0.5, "cpu": {"seed": 1}},
                "skrl": {"ppo": {"mini_batches": 5, "cpu": {"rollouts": 7}}},
            },
        )
        skrl = preset("X-v0", SkrlPpoConfig)
        assert (skrl.rollouts, skrl.mini_batches, skrl.kl_threshold, skrl.seed) == (2, 5, 0.5, 42)
        assert skrl.num_envs == SkrlPpoConfig().num_envs
        skrl = preset("module:X-v0", SkrlPpoConfig, cpu=True)
        assert (skrl.rollouts, skrl.mini_batches, skrl.seed) == (7, 5, 1)
        sb3 = preset("X-v0", PpoConfig, library="sb3", cpu=True)
        assert (sb3.rollouts, sb3.mini_batches, sb3.seed) == (2, 3, 1)
        assert preset("X-v0", SacConfig) == SacConfig()

    def test_a_file(self, tmp_path):
        (tmp_path / "mine.yaml").write_text("ppo: {learning_rate: 1e-4, hidden_sizes: [8]}")
        add_preset("X-v0", tmp_path / "mine.yaml")
        config = preset("X-v0", PpoConfig)
        assert (config.learning_rate, config.hidden_sizes) == (1e-4, (8,))

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("ppo: {learning_rate: 1e-4", "expected ',' or '}'"),
            ("ppo: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
            ("\x00", "special characters are not allowed"),
            (None, "No such file or directory"),
        ],
    )
    def test_a_file_that_is_none(self, text, reason, tmp_path):
        file = tmp_path / "mine.yaml"
        if text is not None:
            file.write_text(text)
        message = rf"^{re.escape(str(file))} is not a preset in YAML: (?s:.*){reason}"
        with pytest.raises(ValueError, match=message):
            add_preset("Y-v0", file)
        assert presets.find_preset("Y-v0") is None

    def test_on_a_cpu_fewer_environments_are_the_default(self):
        add_preset("Mine-v0", {"ppo": {"num_envs": 7}})
        assert preset("mine:Mine-v0", PpoConfig, cpu=True).num_envs == 7
        other = preset("Other-v0", PpoConfig, cpu=True)
        assert other.num_envs < preset("Other-v0", PpoConfig).num_envs

    @pytest.mark.parametrize("cpu", [False, True])
    @pytest.mark.parametrize(("library", "algorithm"), TRAINERS)
    def test_every_preset_is_consistent(self, library, algorithm, cpu):
        files = Path(presets.__file__).parent.glob("*.yaml")
        names = [file.stem for file in files]
        assert "IsaacCartpole-v0" in names
        for name in [*names, "Other-v0"]:
            preset(name, TRAINERS[library, algorithm].config, library=library, cpu=cpu).check()

    def test_every_preset_is_of_a_registered_task_and_for_known_libraries(self):
        for file in Path(presets.__file__).parent.glob("*.yaml"):
            assert file.stem in isaac_gymnasium.registered_tasks()
            libraries = {library for library, _ in TRAINERS}
            assert set(presets.find_preset(file.stem)) <= {*presets.ALGORITHMS, *libraries}


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

@dataclass(kw_only=True)
class Mine(Cartpole):
    bonus: float = 0.0

    def get_rewards(self):
        return {**super().get_rewards(), "bonus": self.bonus + 0.0 * self.robot.dof_pos[:, 0]}

if "Mine-v0" not in isaac_gymnasium.registered_tasks():
    preset = {"ppo": {"num_envs": 8, "timesteps": 80, "rollouts": 10, "hidden_sizes": [8]}}
    isaac_gymnasium.register("Mine-v0", Mine, preset=preset)
"""


@pytest.mark.usefixtures("physics")
class TestRealEnvironment:
    def test_list_prints_one_line_for_each_environment(self, capsys):
        assert main(["list"]) == 0
        cartpole = r"IsaacCartpole-v0 +observation Box\(4\)  action Box\(1\)"
        assert any(re.fullmatch(cartpole, line) for line in capsys.readouterr().out.splitlines())

    def test_a_users_own_task_file_trains_and_evaluates(self, user_directory, monkeypatch, capsys):
        (user_directory / "mine.py").write_text(OWN_TASK)
        monkeypatch.setattr(presets, "_added", {})
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


@pytest.mark.parametrize("words", [["list"], ["train", "--help"]])
def test_what_nobody_reads_ends_it_quietly(words):
    """As `isaac-gymnasium list | head -1` does."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "isaac_gymnasium.cli", *words]
    root = Path(__file__).parents[2]
    result = subprocess.run(
        command, stdout=write, stderr=subprocess.PIPE, text=True, cwd=root, timeout=120
    )
    os.close(write)
    assert (result.returncode, result.stderr) == (141, "")
