"""A swarm of three real engines: a node is lost under load, and nothing is ever left of any of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any

import psutil
import pytest
import yaml

from harness.record import events as ev
from harness.stack.images import ensure
from harness.stack.swarm.images import carry
from harness.stack.swarm.nodes import Node
from harness.sweep_containers import RUN_LABEL
from harness.sweep_swarm import remember
from tests.e2e.conftest import finished_run
from tests.e2e.docker_engine import docker, need_docker
from tests.e2e.running_stack import until
from tests.e2e.swarm_engines import SCRIPT, described, hold, need_swarm, on_engines, stack_of_three
from tests.e2e.test_sweep_containers import DIES, ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LOST = "b"


@pytest.fixture(autouse=True)
def _engines() -> None:
    need_docker()
    need_swarm()


def node_lost() -> str:
    """A node of three is lost; everything but what stays on the first has two replicas, and so one elsewhere."""
    replicas = dict.fromkeys(("query", "embedding", "retrieval", "generation"), 2)
    document = {
        "name": "node-lost",
        "stack": {"use": "reference", "driver": "swarm", "documents": 60, "replicas": replicas, **stack_of_three()},
        "load": {"shape": [{"constant": "8/s"}], "mix": {"ask": 1}},
        "phases": {"warmup": "3s", "steady_state": "12s", "fault": "34s", "recovery": "5s"},
        "faults": [{"id": "lost", "type": "host.killed", "target": LOST, "at": "fault", "for": "33s"}],
        "expect": [
            {
                "fault": "lost",
                "alert": "<= 15s",
                "root_cause": {"host": LOST, "kind": "crash"},
                "outcome": ["absorbed", "self_healed", "recovered"],
                "within": "<= 18s",
            },
        ],
        "objectives": {"steady_state": {"availability": ">= 96%"}, "fault": {"availability": ">= 90%"}},
    }
    return yaml.safe_dump(document, sort_keys=False)


@pytest.mark.skipif(
    "GAUNTLET_SWARM_RUN" not in os.environ,
    reason="a whole run on a swarm takes 90 s, and all of two cores; GAUNTLET_SWARM_RUN=1 asks for it",
)
def test_a_lost_node_is_detected_diagnosed_and_survived_and_comes_back() -> None:
    with finished_run(text=node_lost(), within_s=200) as run:
        assert run.finished is not None
        code, out = run.finished
        verdict = json.loads(out)
        assert (code, verdict["verdict"]) == (0, "PASS"), [c for c in verdict["checks"] if c["status"] != "PASS"]
        steps = {event.data["step"]: event for event in run.events() if event.kind == ev.FAULT}
        truth = steps["intended"].data
        assert set(steps["effective"].data["evidence"]["unreachable"]) == set(truth["instances"])
        assert steps["gone"].data["evidence"]["state"] == "ready"
        before_heal = [e for e in run.events() if e.kind == ev.INSTANCE and e.t_ns < steps["heal_intended"].t_ns]
        last = {e.data["instance"]: e.data["state"] for e in before_heal}
        assert {last[name] for name in truth["instances"]} == {"ready"}, "the swarm put everything elsewhere"
        run_id = str(yaml.safe_load((run.record / "logs" / "stack.yaml").read_text())["networks"]["private"]["labels"][RUN_LABEL])
        assert on_engines(stack_of_three(), f"{RUN_LABEL}={run_id}") == []


@pytest.fixture
def things() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A run's id, and the swarm on which it has one thing of each kind, on a node that is no manager's first choice."""
    stack, run_id = stack_of_three(), token_hex(6)
    engines = {name: str(node["engine"]) for name, node in stack["nodes"].items()}
    label, name = f"{RUN_LABEL}={run_id}", f"sweep-{run_id}"

    def on(node: str, *arguments: str) -> str:
        return docker("--host", engines[node], *arguments)

    place = docker("--host", engines[LOST], "info", "--format", "{{.Swarm.NodeID}}")
    image = ensure(("services",))["services"]
    carry({Node(LOST, place, "127.0.0.1", engines[LOST], True): [image]}, Path("/var/tmp"))
    on("a", "network", "create", "--driver=overlay", f"--label={label}", name)
    on("a", "config", "create", f"--label={label}", name, str(ROOT / "README.md"))
    on("a", "secret", "create", f"--label={label}", name, str(ROOT / "README.md"))
    on(LOST, "volume", "create", f"--label={label}", name)
    labels = (f"--label={label}", f"--container-label={label}")
    where = (f"--network={name}", f"--constraint=node.id=={place}", "--no-resolve-image", "--endpoint-mode=dnsrr")
    ending = ("--init", "--stop-grace-period=1s")
    mounted = f"--mount=type=volume,source={name},target=/var/lib/rag"
    on("a", "service", "create", "--detach", f"--name={name}", *labels, *where, *ending, mounted, "--env=INSTANCE=x-1", image)
    until(lambda: on(LOST, "ps", "--quiet", f"--filter=label={label}"))
    yield run_id, stack
    for kind in ("service", "network", "config", "secret"):
        subprocess.run(["docker", "--host", engines["a"], kind, "rm", name], capture_output=True, check=False)


def test_a_killed_harness_leaves_nothing_on_the_swarm(things: tuple[str, Mapping[str, Any]], tmp_path: Path) -> None:
    """Its watchdog lives; where it does not, `gauntlet clean` makes the very same sweep."""
    run_id, stack = things
    label = f"{RUN_LABEL}={run_id}"
    assert {found.split()[0] for found in on_engines(stack, label)} == {"service", "network", "config", "secret", "container", "volume"}
    harness = subprocess.Popen([sys.executable, "-c", DIES, run_id, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert harness.stdout is not None and harness.stdout.readline(), "its watchdog watches"
    work_dir = tmp_path / f"gauntlet-{run_id}"
    (work_dir / "stack").mkdir()
    remember(work_dir / "stack", [node["engine"] for node in stack["nodes"].values()])
    harness.kill()
    harness.communicate()
    until(lambda: not work_dir.exists())
    assert on_engines(stack, label) == []


def test_engines_end_with_whoever_holds_them_and_leave_nothing() -> None:
    """Here by SIGKILL; the end of the pipe is the quiet way, by which those of all other tests end."""
    name = f"killed-{os.getpid()}"
    before = host_networks()
    holder = hold(name)
    state = Path("/var/lib/gauntlet-swarm") / name
    try:
        assert len(processes_naming(str(state))) >= 3
        assert len(described(name)["nodes"]) == 3
        holder.kill()
        holder.wait()
        until(lambda: not processes_naming(str(state)))
        until(lambda: host_networks() == before)
        assert str(state) not in Path("/proc/mounts").read_text()
    finally:
        subprocess.run([SCRIPT, "--name", name, "down"], check=True, timeout=60)
    assert not state.exists()
    assert not list(Path("/sys/fs/cgroup").glob(f"*/gauntlet-swarm-{name}"))


def processes_naming(path: str) -> list[int]:
    """Engines, and what they started that names their folder."""
    return [p.pid for p in psutil.process_iter(["cmdline"]) if any(path in word for word in p.info["cmdline"] or ())]


def host_networks() -> set[str]:
    """Devices of swarms in this machine's own namespace."""
    return {path.name for path in Path("/sys/class/net").glob("gswarm*")}
