"""What a step is given in a test."""

from __future__ import annotations

from pathlib import Path

from harness.pipeline.step import Context


def context(root: Path) -> Context:
    """Evidence goes to a folder beside `root`."""
    directory = root.parent / f"{root.name}-step"
    directory.mkdir(exist_ok=True)
    return Context(directory, root, {}, {}, lambda _line: None, lambda: False)
