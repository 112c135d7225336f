"""What a run leaves on a Docker engine is found by its label and removed, and nothing else is."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import psutil
import pytest

from harness.faults.clean import clean_up
from harness.sweep import wait_gone
from harness.sweep_containers import RUN_LABEL, things_of
from tests.e2e.docker_engine import docker, need_docker

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
DIES = """
import os, sys, time
from pathlib import Path
from harness.faults.lease import Lease
from harness.record.clock import SystemClock
lease = Lease.take(sys.argv[1], Path(sys.argv[2]) / f"gauntlet-{sys.argv[1]}", None, SystemClock())
print(lease.watchdog_pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def things() -> Iterator[tuple[str, str]]:
    """(a run's id, another's): a container in a network with a volume of the first, a volume of the other."""
    need_docker()
    mine, other = token_hex(6), token_hex(6)
    label = f"--label={RUN_LABEL}"
    docker("volume", "create", f"{label}={mine}", f"v-{mine}")
    docker("volume", "create", f"{label}={other}", f"v-{other}")
    docker("network", "create", f"{label}={mine}", f"n-{mine}")
    image = docker("images", "--quiet", "--filter=reference=rag-gauntlet/*").split()
    if image:
        place = [f"--name=c-{mine}", f"--network=n-{mine}", f"--volume=v-{mine}:/v"]
        docker("run", "--detach", f"{label}={mine}", *place, "--entrypoint=sleep", image[0], "600")
    yield mine, other
    for run_id in (mine, other):
        subprocess.run(["docker", "rm", "-f", f"c-{run_id}"], capture_output=True, check=False)
        subprocess.run(["docker", "network", "rm", f"n-{run_id}"], capture_output=True, check=False)
        subprocess.run(["docker", "volume", "rm", "-f", f"v-{run_id}"], capture_output=True, check=False)


@pytest.mark.parametrize("watchdog_lives", [True, False], ids=["by the watchdog", "by clean"])
def test_a_killed_harness_leaves_no_containers(things: tuple[str, str], tmp_path: Path, watchdog_lives: bool) -> None:
    mine, other = things
    assert {thing.kind for thing in things_of(mine)} >= {"network", "volume"}
    harness = subprocess.Popen([sys.executable, "-c", DIES, mine, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert harness.stdout is not None
    watchdog = int(harness.stdout.readline())
    if not watchdog_lives:
        process = psutil.Process(watchdog)
        process.kill()
        assert wait_gone([process], 60) == []  # dying, it still counts as the one that will clean up
    harness.kill()
    harness.communicate()
    if watchdog_lives:
        deadline_s = time.monotonic() + 60
        while (tmp_path / f"gauntlet-{mine}").exists():
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
    else:
        report = clean_up(tmp_path)
        assert report.complete and any(f"network n-{mine}" in run.ended for run in report.cleaned)
    assert things_of(mine) == []
    assert [thing.name for thing in things_of(other)] == [f"v-{other}"]
