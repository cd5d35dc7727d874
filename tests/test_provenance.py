import subprocess
from pathlib import Path

import pytest

from isaac_gymnasium.provenance import git_state, versions


def test_versions_are_those_of_what_is_installed() -> None:
    found = versions(("pytest", "no-such-distribution"))
    assert found == {"pytest": pytest.__version__}


def test_the_state_of_a_checkout_tells_its_commit_and_changes(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ("-c", "user.name=n", "-c", "user.email=e")
        done = subprocess.run(
            ["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    assert git_state(tmp_path) is None
    git("init")
    assert git_state(tmp_path) is None  # without a commit
    (tmp_path / "file").write_text("one")
    git("add", ".")
    git("commit", "-m", "first")
    assert git_state(tmp_path) == {"commit": git("rev-parse", "HEAD"), "changed": False}
    (tmp_path / "file").write_text("two")
    state = git_state(tmp_path)
    assert state is not None and state["changed"]


def test_without_git_a_checkout_has_no_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(Path(__file__).parent) is None
