"""Three real engines on this machine, for the tests that need a swarm: started by the first of them, gone with the tests' process."""

from __future__ import annotations

import atexit
import os
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.docker_engine import docker

SCRIPT = Path(__file__).resolve().parents[2] / "pipelines" / "swarm"
HEARTBEAT = "1s"  # a node that is lost counts as down after three
END_S = 30.0


@cache
def why_not() -> str | None:
    """The reason why none can be made here; None where they can."""
    done = subprocess.run([SCRIPT, "why-not"], capture_output=True, text=True, timeout=60, check=False)
    return None if done.returncode == 0 else (done.stdout or done.stderr).strip() or f"exit status {done.returncode}"


def need_swarm() -> None:
    """Skip, with the reason, where engines in namespaces of their own cannot be had."""
    reason = why_not()
    if reason is not None:
        pytest.skip(f"no swarm: {reason}")


def stack_of_three() -> Mapping[str, Any]:
    """What a scenario says of the three: `nodes` and `allow_hosts`. The same three for all who ask."""
    return _three()[0]


def holder_of_three() -> int:
    """The process whose descendants they all are: with everything that runs in them, they are ours, and no run's."""
    return _three()[1]


@cache
def _three() -> tuple[Mapping[str, Any], int]:
    name = f"tests-{os.getpid()}"
    holder = hold(name)
    atexit.register(end, holder)
    return described(name), holder.pid


def hold(name: str) -> subprocess.Popen[str]:
    """Start three engines that live as long as the pipe to their holder: nothing outlives us, however we end."""
    holder = subprocess.Popen(
        [SCRIPT, "--name", name, "--heartbeat", HEARTBEAT, "hold"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert holder.stdout is not None
    told = ""
    for line in holder.stdout:
        if line == "ready\n":
            return holder
        told += line
    raise AssertionError(f"no swarm came up: {told}")


def described(name: str) -> Mapping[str, Any]:
    """`nodes` and `allow_hosts` of that one."""
    done = subprocess.run([SCRIPT, "--name", name, "nodes"], capture_output=True, text=True, timeout=60, check=True)
    found: Mapping[str, Any] = yaml.safe_load(done.stdout)
    return found


def end(holder: subprocess.Popen[str]) -> None:
    """By the end of its standard input."""
    assert holder.stdin is not None
    holder.stdin.close()
    holder.wait(END_S)


def on_engines(stack: Mapping[str, Any], run_id_label: str) -> list[str]:
    """Whatever has that label on any engine, or in the swarm."""
    engines = [node["engine"] for node in stack["nodes"].values()]
    of_swarm = {"service": ("ls",), "network": ("ls",), "config": ("ls",), "secret": ("ls",)}
    of_engine = {"container": ("ls", "--all"), "volume": ("ls",)}
    looks = [(engines[0], kind, verb) for kind, verb in of_swarm.items()]
    looks += [(engine, kind, verb) for engine in engines for kind, verb in of_engine.items()]
    filtered = ("--quiet", "--filter", f"label={run_id_label}")
    return [f"{kind} {found}" for engine, kind, verb in looks for found in docker("--host", engine, kind, *verb, *filtered).split()]
