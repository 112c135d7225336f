"""A small project in a git repository of its own, whose wheel is built without a network, and pipelines of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

BACKEND = """
import pathlib, zipfile

def get_requires_for_build_wheel(settings=None):
    return []

def build_wheel(folder, settings=None, metadata=None):
    name = "thing-1.2-py3-none-any.whl"
    files = {
        "thing.py": pathlib.Path("thing.py").read_text(),
        "thing-1.2.dist-info/METADATA": "Metadata-Version: 2.1\\nName: thing\\nVersion: 1.2\\n",
        "thing-1.2.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: own\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files["thing-1.2.dist-info/RECORD"] = "".join(f"{one},,\\n" for one in files)
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w") as archive:
        for one, text in files.items():
            archive.writestr(zipfile.ZipInfo(one), text)
    return name
"""
FILES = {
    "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
    "backend.py": BACKEND,
    "thing.py": "def double(n):\n    return 2 * n\n",
    "tests/test_thing.py": "from thing import double\n\ndef test_double():\n    assert double(2) == 4\n",
    "pytest.ini": "[pytest]\npythonpath = .\naddopts = -p no:cacheprovider\n",
    ".gitignore": "runs/\n__pycache__/\n.benchmarks/\n",
}


def project(folder: Path) -> Path:
    """Make it."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for words in ("init -q", "config user.email a@b", "config user.name a"):
        subprocess.run(["git", *words.split()], cwd=folder, check=True)
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    subprocess.run(["git", "commit", "-qm", "x", "--allow-empty"], cwd=folder, check=True)


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")
    commit(folder)


def gauntlet(folder: Path, *words: str, expect: int) -> dict[str, Any]:
    """A command with --json; its document."""
    argv = [sys.executable, "-m", "harness.cli", "pipeline", *words, "--json"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == expect, f"{done.stdout}\n{done.stderr}"
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def told(document: dict[str, Any]) -> dict[str, str]:
    """Status, or state, of each step."""
    return {step["id"]: step["status"] or step["state"] for stage in document["stages"] for step in stage["steps"]}


def step(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(step for stage in document["stages"] for step in stage["steps"] if step["id"] == name)
    return found
