#!/usr/bin/env bash
# Build the sdist, build the wheel from that sdist, unpack the wheel alone into an empty folder, and
# use it from there. Usage: scripts/check_package.sh PYTHON
set -euo pipefail

python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
source=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m build --outdir "$work/dist" "$source" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
"$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-index \
    --target "$work/site" "$work"/dist/*.whl

cd "$work"
PYTHONPATH="$work/site" "$python" - "$source" <<'EOF'
import sys
from importlib.metadata import distribution
from pathlib import Path

import gymnasium

import isaac_gymnasium

installed = Path(isaac_gymnasium.__file__).parent
source = Path(sys.argv[1], "isaac_gymnasium")
wheel = distribution("isaac-gymnasium")

assert installed.parent == Path("site").resolve(), f"imported from {installed}, not from the wheel"
assert wheel.version == isaac_gymnasium.__version__, (wheel.version, isaac_gymnasium.__version__)
assert wheel.metadata["License-Expression"] == "Apache-2.0"
assert any(file.name == "LICENSE" for file in wheel.files), "the wheel carries no LICENSE"

def contents(folder):
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(file) for file in files if "__pycache__" not in file.parts}

difference = contents(source) ^ contents(installed)
assert not difference, f"wheel and source tree differ in {sorted(difference)}"
assert (installed / "py.typed").is_file()

(script,) = wheel.entry_points.select(group="console_scripts", name="isaac-gymnasium")
assert callable(script.load())
assert any(name.startswith("Isaac") for name in gymnasium.registry), "no ID was registered"
print(f"sdist and wheel of {wheel.name} {wheel.version}: good")
EOF
