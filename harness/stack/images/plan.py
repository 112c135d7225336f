"""What an image is made of, and the tag that follows from it: unchanged inputs have the tag of an image that is there already."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from harness.stack.images import debian, engine, wheels
from harness.stack.images.recipes import RECIPES, REPOSITORY, Recipe, is_deployment, mocks_folder

CHOSEN = ("base", "python")
"""What a base of the user's own choice takes the place of."""
TAG = re.compile(r"[0-9a-f]{12}")
"""What follows from an image's inputs, unlike the names that people give."""
_MAKERS = ("context.py", "debian.py", "wheels.py")
"""Beside this module: what a context holds of the same inputs."""


class Plan:
    """Tags and bases of all images; `base` is an image of the user's choice. Raises ImageError when that is not to be had."""

    def __init__(self, base: str | None = None) -> None:
        self._base = base
        self._base_id = "" if base is None else _identity(base)
        self._tags: dict[str, str] = {}

    def recipe_of_base(self, name: str) -> str | None:
        """The recipe that `name` builds on; None where that is an image of the user's choice, or nothing."""
        base = RECIPES[name].base
        return None if self._base is not None and base in CHOSEN else base

    def base_of(self, name: str) -> str:
        """The reference of what `name` builds on; empty for nothing."""
        recipe = self.recipe_of_base(name)
        if recipe is not None:
            return self.reference(recipe)
        return self._base if self._base is not None and RECIPES[name].base is not None else ""

    def reference(self, name: str) -> str:
        """`rag-gauntlet/services:3f0c19aa52d1`."""
        return f"{REPOSITORY}/{name}:{self.tag(name)}"

    def tag(self, name: str) -> str:
        """Twelve hexadecimal digits of the hash of everything that the image is made of."""
        if name not in self._tags:
            inputs = json.dumps(self._inputs(RECIPES[name]), sort_keys=True)
            self._tags[name] = hashlib.sha256(inputs.encode()).hexdigest()[:12]
        return self._tags[name]

    def _inputs(self, recipe: Recipe) -> dict[str, object]:
        base = self.recipe_of_base(recipe.name)
        return {
            "made_by": [_digest(Path(__file__).with_name(name)) for name in _MAKERS],
            "base": self._base_id if base is None else self.tag(base),
            "release": debian.release() if recipe.packages else "",
            "packages": recipe.packages,
            "files": [recipe.files, recipe.without],
            "distributions": wheels.pinned(recipe.distributions, recipe.closure),
            "keep": recipe.keep,
            "folder": {name: _digest(path) for name, path in scripts(recipe)},
            "mocks": {name: _digest(path) for name, path in mocks()} if recipe.mocks else {},
        }


def scripts(recipe: Recipe) -> Iterator[tuple[str, Path]]:
    """(name, path) of the Dockerfile and what lies beside it."""
    yield from ((path.name, path) for path in sorted(recipe.folder.iterdir()) if path.is_file())


def mocks() -> Iterator[tuple[str, Path]]:
    """(name in the context, path) of what services run."""
    folder = mocks_folder()
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and "__pycache__" not in relative.parts and not is_deployment(relative):
            yield f"mocks/{relative}", path


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _identity(reference: str) -> str:
    found = engine.identity(reference)
    if found is None:
        engine.pull(reference)
        found = engine.identity(reference)
    return found or reference
