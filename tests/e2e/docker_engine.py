"""What tests of containers share: whether an engine answers, the client's command line, and a single service by testcontainers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from harness.sweep_containers import RUN_LABEL

LABEL = "gauntlet.test=images"
"""On every container that a test of images starts itself."""

testcontainers_config.ryuk_disabled = True  # its reaper's image is in a registry; each container here ends with its `with`


@dataclass(frozen=True)
class Options:
    """How a single service runs: by default with no more privileges than it has, in bounded memory."""

    environment: Mapping[str, str] = field(default_factory=dict)
    shown: Mapping[Path, str] = field(default_factory=dict)  # folders of this machine -> where the container reads them
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    cap_drop: Sequence[str] = ()
    read_only: bool = False
    health_every_s: float | None = None  # as the image says

    def but(self, **changes: Any) -> Options:
        """The same with some of them otherwise."""
        return replace(self, **changes)

    def to_kwargs(self) -> dict[str, Any]:
        """Arguments of the client library."""
        often = {} if self.health_every_s is None else {"healthcheck": {"interval": round(self.health_every_s * 1e9)}}
        key, _, value = LABEL.partition("=")
        return {
            "cap_drop": list(self.cap_drop),
            "read_only": self.read_only,
            "security_opt": ["no-new-privileges"],
            "mem_limit": "512m",
            "labels": {key: value},
            **often,
        }


@contextmanager
def single(name: str, image: str, command: Sequence[str], options: Options) -> Iterator[str]:
    """A container of that name, until the end of the `with`; its volumes go with it."""
    volumes = [(str(here), there, "ro") for here, there in options.shown.items()]
    one = DockerContainer(image, name=name, env=dict(options.environment), volumes=volumes, **options.to_kwargs())
    one.tmpfs = dict(options.tmpfs)
    with one.with_command(list(command)):
        yield name


@cache
def why_not(what: str = "info") -> str | None:
    """The reason why `docker info`, or another command of the client, does not work here; None where it does."""
    if shutil.which("docker") is None:
        return "no docker client on the PATH"
    done = subprocess.run(["docker", *what.split()], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode == 0:
        return None
    told = (done.stderr or done.stdout).strip().splitlines()
    return f"docker {what} does not work: {told[-1] if told else done.returncode}"


def need_docker() -> None:
    """Skip, with the reason, where no engine answers."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)


def left_by(run_id: str) -> list[str]:
    """Containers, networks and volumes with the run's label."""
    label = f"label={RUN_LABEL}={run_id}"
    kinds = {"container": ("ls", "--all"), "network": ("ls",), "volume": ("ls",)}
    return [f"{kind} {found}" for kind, verb in kinds.items() for found in docker(kind, *verb, "--quiet", "--filter", label).split()]


def docker(*arguments: str, environment: Mapping[str, str] | None = None, timeout_s: float = 60.0) -> str:
    """Standard output of the client; a failure is one of the test."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=timeout_s, check=False, env=environment)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr or done.stdout}"
    return done.stdout.strip()


def inspect(name: str) -> dict[str, Any]:
    """What the engine knows of an image or a container."""
    found: dict[str, Any] = json.loads(docker("inspect", name))[0]
    return found


def published(container: str, port: int) -> str:
    """`127.0.0.1:32768`: where a port of a container can be reached from here."""
    return docker("port", container, str(port)).splitlines()[0]


def allowed_s(seconds: float) -> float:
    """`seconds` on a machine that does nothing else; longer in proportion to twice what waits for each processor, on average, already."""
    return seconds * max(1.0, 2.0 * os.getloadavg()[0] / (os.cpu_count() or 1))
