"""Nothing that users pass around is unpickled: what the package's own source says."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import isaac_gymnasium

PACKAGE = Path(isaac_gymnasium.__file__).parent
UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def offences(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = {alias.name.split(".")[0] for alias in node.names}
            yield from (f"imports {name}" for name in names & UNPICKLERS)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from {f"imports {node.module}"} if node.module.split(".")[0] in UNPICKLERS else ()
        elif isinstance(node, ast.Call):
            called, given = ast.unparse(node.func), {k.arg: k.value for k in node.keywords}
            safe, pickles = (given.get(name) for name in ("weights_only", "allow_pickle"))
            if called == "torch.load" and not (isinstance(safe, ast.Constant) and safe.value):
                yield "torch.load without weights_only=True"
            if called in ("yaml.load", "yaml.unsafe_load", "yaml.full_load"):
                yield called
            if pickles and not (isinstance(pickles, ast.Constant) and pickles.value is False):
                yield "allow_pickle"


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(file)",
        "torch.load(file, weights_only=False)",
        "yaml.load(text, Loader=yaml.Loader)",
        "np.load(file, allow_pickle=True)",
    ],
)
def test_the_search_finds_what_it_is_for(source: str) -> None:
    assert list(offences(source))


def test_nothing_is_unpickled() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 100
    found = [f"{file.name}: {what}" for file in files for what in offences(file.read_text())]
    assert not found
