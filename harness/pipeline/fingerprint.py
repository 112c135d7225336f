"""What a step's answer depends on, as one hash: a step that passed need not run again while it is the same.

It covers the step's definition with its references filled in, the program's version, the commit, everything in the working tree that is
not committed, and the content of each file that the step names. Outside a git repository there is no such hash: nothing is taken there.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from harness import __version__
from harness.pipeline.definition import Step

_GIT_TIMEOUT_S = 60.0
_SALT = b"rag-gauntlet pipeline"


@dataclass(frozen=True, slots=True)
class Tree:
    """The state of a working tree. `content` hashes what is not committed; None outside a git repository."""

    sha: str
    dirty: bool
    content: str | None

    @property
    def short(self) -> str:
        return self.sha[:7]


def top(directory: Path) -> Path:
    """The root of the git repository around a directory; without one, the directory itself."""
    found = git(directory, "rev-parse", "--show-toplevel")
    return Path(found.decode().strip()) if found else directory.resolve()


def tree(root: Path, without: Path) -> Tree:
    """The state of the tree at `root`. What lies under `without`, where records are kept, is no part of it."""
    sha = (git(root, "rev-parse", "HEAD") or b"").decode().strip()
    changes = git(root, "diff", "HEAD", "--binary", "--no-ext-diff")
    untracked = git(root, "ls-files", "--others", "--exclude-standard", "-z")
    if not sha or changes is None or untracked is None:
        return Tree("nogit", False, None)
    found = hashlib.sha256(changes)
    names = [name for name in untracked.decode(errors="surrogateescape").split("\0") if name]
    own = [name for name in names if not (root / name).resolve().is_relative_to(without.resolve())]
    for name in sorted(own):
        found.update(f"{name!r} {_of_file(root / name)}\n".encode())
    return Tree(sha, bool(changes or own), found.hexdigest())


def moved(root: Path, state: Tree) -> str | None:
    """Why the tree at `root` is not that of the run any more: somebody has checked out, or made, another commit meanwhile."""
    sha = (git(root, "rev-parse", "HEAD") or b"").decode().strip()
    if state.content is None or sha == state.sha:
        return None
    return f"the checkout was at {state.short} when the run began, and is at {sha[:7] or 'nothing'} now: this would judge something else"


def fingerprint(
    step: Step, given: Mapping[str, Any], options: BaseModel, root: Path, state: Tree, secrets: Mapping[str, str]
) -> str | None:
    """The hash of one step. `given` is its `with:`, filled in except for `secrets`, variables of the environment by name."""
    if state.content is None:
        return None
    files = {str(path): _of_path(root / path) for path in paths_in(options)}
    matched = {pattern: {str(p.relative_to(root)): _of_path(p) for p in sorted(root.glob(pattern))} for pattern in step.inputs}
    document = {
        "version": __version__,
        "uses": step.uses,
        "with": given,
        "files": files,
        "inputs": matched,
        "sha": state.sha,
        "content": state.content,
        "environment": {name: _slow_hash(value) for name, value in sorted(secrets.items())},
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()


def paths_in(value: Any) -> Iterator[Path]:
    """Every path among a step's options."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from paths_in(getattr(value, name))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from paths_in(inner)
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from paths_in(inner)


def _slow_hash(value: str) -> str:
    """The record holds what tells two values apart, and nothing that they could be guessed from at any speed."""
    return hashlib.scrypt(value.encode(), salt=_SALT, n=1 << 14, r=8, p=1).hex()


def _of_path(path: Path) -> str:
    """Of a file's content, or of all files of a folder that are no caches; `absent` for what is not there."""
    if path.is_file():
        return _of_file(path)
    if not path.is_dir():
        return "absent"
    if (path / ".git").exists():
        return "tree"  # the working tree's own state tells
    found = hashlib.sha256()
    for inner in sorted(_files(path)):
        found.update(f"{str(inner.relative_to(path))!r} {_of_file(inner)}\n".encode())
    return found.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for inner in folder.iterdir():
        if inner.is_dir() and not inner.is_symlink():
            if inner.name not in ("__pycache__", ".git") and not (inner / "pyvenv.cfg").exists():
                yield from _files(inner)
        else:
            yield inner


def _of_file(path: Path) -> str:
    if path.is_symlink():
        return f"link {path.readlink()}"
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"


def git(directory: Path, *arguments: str) -> bytes | None:
    """What git prints; None where it fails."""
    try:
        done = subprocess.run(["git", "-C", str(directory), *arguments], capture_output=True, timeout=_GIT_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
