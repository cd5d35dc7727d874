"""Links that are right for a reader of the repository, made right for a reader of the site."""

from __future__ import annotations

import os.path
import re
from pathlib import PurePosixPath

PAGES = {
    "README.md": "guide/quick_start.md",
    "CONTRIBUTING.md": "guide/contributing.md",
    "CHANGELOG.md": "guide/changelog.md",
}
"""Where the site shows the files that stand beside `docs`."""


def relink(text: str, folder: str) -> str:
    """Makes the relative links of a page absolute within `docs`.

    Args:
        text: Markdown.
        folder: Where its file lies, relative to the root of the repository.
    """

    def absolute(match: re.Match[str]) -> str:
        path, anchor = match["path"], match["anchor"] or ""
        target = os.path.normpath(PurePosixPath(folder, path))
        target = PAGES.get(target, os.path.relpath(target, "docs"))
        return f"](/{target}{anchor})"

    return re.sub(r"\]\((?![a-z]+:|[/#])(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)", absolute, text)
