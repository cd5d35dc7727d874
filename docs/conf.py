"""How Sphinx builds the documentation: `make docs`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "_ext")]

from environment_pages import write_pages  # noqa: E402
from links import relink  # noqa: E402
from pygments.lexers.special import TextLexer  # noqa: E402

import isaac_gymnasium  # noqa: E402

project = "isaac-gymnasium"
author = "The isaac_gymnasium developers"
project_copyright = author
release = isaac_gymnasium.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "_ext", "_static"]
templates_path: list[str] = []

html_theme = "furo"
html_title = f"isaac-gymnasium {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False

myst_enable_extensions = ["attrs_inline", "deflist"]
myst_heading_anchors = 4

# Docstrings mark code as Markdown does.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
autosummary_generate = False
napoleon_use_ivar = True
napoleon_use_rtype = False
# What an extra brings may be absent; the reference describes its adapter all the same.
_OPTIONAL = ("ray", "rl_games", "rsl_rl", "skrl", "stable_baselines3", "tensordict", "torchrl")
_TOOLS = ("imageio_ffmpeg", "matplotlib", "newton", "ovphysx", "pxr", "viser", "warp")
autodoc_mock_imports = [
    name for name in (*_OPTIONAL, *_TOOLS) if importlib.util.find_spec(name) is None
]


def _read_page(app: Sphinx, page: str, content: list[str]) -> None:
    content[0] = relink(content[0], str(Path("docs", page).parent))


def _read_include(app: Sphinx, file: Path, page: str, content: list[str]) -> None:
    content[0] = relink(content[0], str(Path("docs", file).parent))


def setup(app: Sphinx) -> None:
    """Writes the environments' pages before Sphinx looks for pages."""
    write_pages(DOCS)
    # GitHub draws these diagrams; a script that draws them here would come from the network.
    app.add_lexer("mermaid", TextLexer)
    app.connect("source-read", _read_page)
    app.connect("include-read", _read_include)
