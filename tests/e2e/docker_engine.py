"""The Docker engine, as tests see it: whether there is one, and what a run has left on it."""

from __future__ import annotations

import shutil
import subprocess

import pytest

LABEL = "rag-gauntlet.run"
TIMEOUT_S = 60


def docker(*arguments: str) -> str:
    """What it prints; a test fails where it does."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def need_docker() -> None:
    """Skip, with the reason, where no engine answers."""
    if shutil.which("docker") is None:
        pytest.skip("no docker client on the PATH")
    done = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode != 0:
        pytest.skip(f"no Docker engine answers: {(done.stderr or done.stdout).strip().splitlines()[-1]}")


def left_by(run_id: str) -> list[str]:
    """Containers, networks and volumes with the run's label."""
    label = f"label={LABEL}={run_id}"
    kinds = {"container": ("ls", "--all"), "network": ("ls",), "volume": ("ls",)}
    return [f"{kind} {found}" for kind, verb in kinds.items() for found in docker(kind, *verb, "--quiet", "--filter", label).split()]
