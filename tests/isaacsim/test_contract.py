"""Everything the adapter asks of Isaac Sim is in the published API of every version."""

from __future__ import annotations

import ast
import inspect
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

import isaac_gymnasium
from isaac_gymnasium.doctor.contract import VERSIONS, load_contract, signature_of

SOURCES = [
    Path(isaac_gymnasium.__file__).parent / "engines" / name
    for name in ("isaacsim.py", "_isaacsim_app.py")
]
TENSORS = "omni.physics.tensors"
ART, BODY = f"{TENSORS}.ArticulationView", f"{TENSORS}.RigidBodyView"
# Where the source means either, it has to hold for both.
EITHER = ("view", "self.view", "self._view")
# What names stand for where the source does not say it: parameters of the access tables, handles.
NAMED = {
    "art": ART,
    "_app": "isaacsim.SimulationApp",
    "omni_kit_app": "omni.kit.app",
    "self._sim_view": f"{TENSORS}.SimulationView",
    "contact": f"{TENSORS}.RigidContactView",
    "_import_simulation_app()": "isaacsim.SimulationApp",
    "self._product": "omni.replicator.core.HydraTexture",
    "annotator": "omni.replicator.core.Annotator",
    "self._annotators[name]": "omni.replicator.core.Annotator",
}
# The adapter asks `VERSIONS` in `_isaacsim_app` before it makes this call.
EXPECTED = {
    ("_isaacsim_app.py", "5.1"): [
        "isaacsim.SimulationApp.close: got an unexpected keyword argument 'exit_code'"
    ]
}
ROOTS = ("isaacsim", "omni", "carb")


class Walker(ast.NodeVisitor):
    """Follows what comes from Isaac Sim through a module's source."""

    def __init__(self, contract: dict[str, Any], either: str) -> None:
        self.contract = contract
        self.named = NAMED | dict.fromkeys(EITHER, either)
        self.names: list[dict[str, str]] = [{}]
        self.touched: list[str] = []
        self.faults: list[str] = []
        self.followed: set[ast.Attribute] = set()

    def resolve(self, node: ast.expr) -> str | None:
        written = ast.unparse(node)
        if written in self.named:
            return self.named[written]
        if isinstance(node, ast.Name):
            return next((s[node.id] for s in reversed(self.names) if node.id in s), None)
        if isinstance(node, ast.Attribute):
            owner = self.resolve(node.value)
            return f"{owner}.{node.attr}" if owner else None
        if isinstance(node, ast.Call):
            entry = self.contract.get(self.resolve(node.func) or "", {})
            return entry.get("returns")
        return None

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            root = alias.name.partition(".")[0]
            if root in ROOTS and alias.asname:
                self.names[-1][alias.asname] = alias.name
            elif root in ROOTS:
                self.names[-1][root] = root

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if (node.module or "").partition(".")[0] in ROOTS:
            for alias in node.names:
                self.names[-1][alias.asname or alias.name] = f"{node.module}.{alias.name}"
                self.check(f"{node.module}.{alias.name}", node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.names.append({})
        self.generic_visit(node)
        self.names.pop()

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.names.append({"body": BODY} if node.args.args[0].arg == "body" else {})
        self.generic_visit(node)
        self.names.pop()

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        if isinstance(node.targets[0], ast.Name):
            made = self.resolve(node.value)
            if ast.unparse(node) == "body = self.view":
                made = BODY
            if made:
                self.names[-1][node.targets[0].id] = made

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.generic_visit(node)
        name = self.resolve(node)
        if name:
            self.followed.add(node)
        if name in self.contract:
            self.touched.append(str(name))
        elif name and not any(known.startswith(f"{name}.") for known in self.contract):
            self.check(name, node)

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        name = self.resolve(node.func)
        entry = self.contract.get(name or "")
        if entry is None or "parameters" not in entry:
            return
        self.touched.append(str(name))
        arguments = [a for a in node.args if not isinstance(a, ast.Starred)]
        keywords = {k.arg: k for k in node.keywords if k.arg}
        try:
            signature_of(entry).bind(*arguments, **keywords)
        except TypeError as error:
            self.faults.append(f"line {node.lineno}: {name}: {error}")

    def check(self, name: str, node: ast.AST) -> None:
        self.touched.append(name)
        if name not in self.contract:
            self.faults.append(f"line {node.lineno}: {name} is not in the API")


def walk(source: str, version: str) -> tuple[set[str], list[str]]:
    """The names that a source takes from Isaac Sim, and what is wrong with them."""
    tree = ast.parse(source)
    touched: set[str] = set()
    faults: dict[str, None] = {}
    for either in (ART, BODY):
        walker = Walker(load_contract(version), either)
        walker.visit(tree)
        touched |= set(walker.touched)
        faults |= dict.fromkeys(walker.faults)
    return touched, list(faults)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_name_is_published_and_every_call_binds(version: str) -> None:
    touched: set[str] = set()
    for source in SOURCES:
        names, faults = walk(source.read_text(), version)
        assert [f.partition(": ")[2] for f in faults] == EXPECTED.get((source.name, version), [])
        touched |= names
    # Nothing in the description is there for nothing, so nothing escapes the walk either.
    contract = load_contract(version)
    unused = {name for name in contract if name not in touched}
    assert not unused


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("art.get_root_transforms()", "art.get_root_poses()"),
        ("art.get_jacobians()", "art.get_jacobians(True)"),
        ("body.set_transforms(data, ids)", "body.set_transforms(data)"),
        ("body.get_velocities()", "body.get_speeds()"),
        ("enable_env_ids=gpu", "env_ids=gpu"),
        ("context.get_stage_id()", "context.stage_id()"),
        ("elapsedStep=self.dt", "elapsed_step=self.dt"),
        (".reset_simulation()", ".reset()"),
        ("import create_simulation_view", "import make_simulation_view"),
        ("contact.get_net_contact_forces(self.engine.dt)", "contact.get_net_contact_forces()"),
        ("self._sim_view.invalidate()", "self._sim_view.destroy()"),
        ("tile_resolution=(", "resolution=("),
        ("annotator.attach(product.path)", "annotator.attach()"),
        ("get_data()", "get_images()"),
    ],
)
def test_a_call_outside_the_api_is_found(right: str, wrong: str) -> None:
    source = "\n".join(source.read_text() for source in SOURCES)
    assert right in source
    assert not walk(source, "6.0")[1]
    assert walk(source.replace(right, wrong), "6.0")[1]


# Our own, which are called like something of Isaac Sim's.
OURS = {
    "app.update",
    "camera.close",
    "self.close",
    "self.dof_names",
    "self.fixed_base",
    "self.link_names",
    "self._property(name).clone",
}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_no_place_that_takes_something_from_isaac_sim_escapes(source: Path) -> None:
    contract = load_contract("6.0")
    tree = ast.parse(source.read_text())
    walker = Walker(contract, ART)
    walker.visit(tree)
    last = {name.rpartition(".")[2] for name in contract}
    named = {n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr in last}
    assert {ast.unparse(place) for place in named - walker.followed} <= OURS


def test_nothing_else_imports_isaac_sim() -> None:
    imports = re.compile(rf"^\s*(import|from) ({'|'.join(ROOTS)})\b", re.MULTILINE)
    package = Path(isaac_gymnasium.__file__).parent
    sources = [p for p in package.rglob("*.py") if imports.search(p.read_text(encoding="utf-8"))]
    assert sorted(sources) == sorted(SOURCES)


def test_the_versions_differ_where_the_adapter_knows_it() -> None:
    five, six = load_contract("5.1"), load_contract("6.0")
    assert five.keys() == six.keys()
    names = {
        v: [p[0] for p in c["isaacsim.SimulationApp.close"]["parameters"]]
        for v, c in (("5", five), ("6", six))
    }
    assert "exit_code" in names["6"]
    assert "exit_code" not in names["5"]


def test_signatures_are_those_of_the_description() -> None:
    entry = {"parameters": [["a"], ["b", "-1"]]}
    assert [p.name for p in signature_of(entry).parameters.values()] == ["a", "b"]
    with pytest.raises(TypeError):
        signature_of(entry).bind(c=1)
    assert isinstance(signature_of(entry), inspect.Signature)


def test_the_description_is_packaged() -> None:
    for version in VERSIONS:
        file = (
            resources.files("isaac_gymnasium.doctor") / f"contract_{version.replace('.', '_')}.json"
        )
        assert json.loads(file.read_text())["isaac_sim"] == version
