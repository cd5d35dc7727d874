"""Files that are whole or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write aside, which takes its place when the block ends well.

    Whoever reads `path`, at any time and also after a crash of the machine, finds the old content
    or the new one. A block that raises leaves neither the unfinished file nor a trace in the old.

    Args:
        path: The file to make or replace.

    Yields:
        Another path in the same folder, to write to.
    """
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        yield unfinished
        # On the disk before the name points to it.
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
