"""A distribution that is really installed: a folder on the path with modules and the metadata that `importlib.metadata` reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def installed(directory: Path, name: str, modules: Mapping[str, str], entry_points: Mapping[str, Mapping[str, str]]) -> Path:
    """Writes it below `directory`, which has to be put on the path; `entry_points` by group, then by name."""
    for module, text in modules.items():
        (directory / f"{module}.py").write_text(text, encoding="utf-8")
    metadata = directory / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    lines = [f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items()) for group, points in entry_points.items()]
    (metadata / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    return directory
