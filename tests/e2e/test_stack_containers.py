"""What only the reference stack in containers has: how they are shut in, and what can be done to them from outside."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from harness.stack.base import Limits, StackError
from harness.stack.containers import launch
from harness.stack.containers.launch import SERVICE_LIMITS
from harness.stack.containers.stack import ContainerStack
from harness.sweep_containers import RUN_LABEL
from tests.e2e.docker_engine import docker, left_by, need_docker
from tests.e2e.running_stack import Running, options, started, until

pytestmark = [pytest.mark.e2e, pytest.mark.beside]

BURN = "import time\nprint('at work', flush=True)\nwhile True: pass\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    need_docker()
    chosen = options(tmp_path_factory.mktemp("logs"))
    with started(ContainerStack(chosen), chosen) as running:
        yield running
    assert left_by(chosen.run_id) == []
    assert not chosen.work_dir.exists()


@pytest.fixture
def stack(running: Running) -> ContainerStack:
    assert isinstance(running.stack, ContainerStack)
    return running.stack


def containers(running: Running) -> list[dict[str, Any]]:
    ids = docker("ps", "--all", "--quiet", "--filter", f"label={RUN_LABEL}={running.options.run_id}").split()
    found: list[dict[str, Any]] = json.loads(docker("inspect", *ids))
    return [container for container in found if container["HostConfig"]["PortBindings"]]  # without those of tools


def test_every_container_is_shut_in_and_published_on_loopback_alone(running: Running, stack: ContainerStack) -> None:
    found = containers(running)
    assert len(found) == sum(stack.info.services.values())
    for container in found:
        host, config = container["HostConfig"], container["Config"]
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["SecurityOpt"]) == (True, ["ALL"], ["no-new-privileges"])
        assert (host["Init"], host["Privileged"]) == (True, False)
        assert host["Memory"] > 0 and host["CpuQuota"] > 0 and host["PidsLimit"] > 0
        assert config["User"].partition(":")[0] not in ("", "0", "root")
        bindings = [binding for bound in host["PortBindings"].values() for binding in bound]
        assert bindings and {binding["HostIp"] for binding in bindings} == {"127.0.0.1"}


def test_services_reach_one_another_inside_and_the_harness_reaches_them_outside(running: Running, stack: ContainerStack) -> None:
    outside = json.loads(Path(stack.targets()["registry"]).read_text())["services"]
    inside = json.loads((running.options.work_dir / "inside" / "registry-query.json").read_text())["services"]
    assert {service: [e["name"] for e in listed] for service, listed in outside.items()} == {
        service: [e["name"] for e in listed] for service, listed in inside.items()
    }
    assert all(e["url"].startswith("http://127.0.0.1:") for listed in outside.values() for e in listed)
    assert all(e["url"].endswith(":8080") and "127.0.0.1" not in e["url"] for listed in inside.values() for e in listed)
    assert [e["url"] for e in outside["retrieval"]] == [i.url for i in stack.instances("retrieval")]


def test_logs_come_out_as_they_are_written(running: Running) -> None:
    request_id = running.ask().headers["x-request-id"]
    log = running.options.logs_dir / "gateway-1.log"

    def found() -> bool:
        whole = [line for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        lines = [json.loads(line) for line in whole if line.startswith("{")]
        return any(line.get("request_id") == request_id and line.get("route") == "/api/ask" for line in lines)

    until(found)


def test_an_instance_has_a_place_on_this_machine(running: Running, stack: ContainerStack) -> None:
    place = stack.place("retrieval-1")
    assert place.container is not None and place.container in Path(f"/proc/{place.pid}/cgroup").read_text()
    assert psutil.Process(place.pid).cmdline()[1:] == ["-m", "mocks.rag.retrieval"]
    assert place.pid == running.one("retrieval").pid
    assert place.directory is not None and place.directory.is_dir()
    assert psutil.Process(stack.place("postgres-1").pid).name() == "postgres"


def test_a_container_that_somebody_else_kills_is_down_until_it_is_restarted(running: Running, stack: ContainerStack) -> None:
    before = stack.place("generation-2")
    docker("kill", str(before.container))
    until(lambda: running.one("generation", 2).pid is None)
    with pytest.raises(StackError, match="generation-2 does not run"):
        stack.place("generation-2")
    assert running.ask().status_code == 200
    stack.restart("generation-2")
    after = stack.place("generation-2")
    assert after.container != before.container and stack.probe(running.one("generation", 2)) is None


def test_a_stopped_instance_has_finished_what_it_was_asked(running: Running, stack: ContainerStack) -> None:
    stack.stop_instance("generation-1", 5.0)
    assert running.one("generation").pid is None
    assert running.ask().status_code == 200
    stack.restart("generation-1")
    assert stack.probe(running.one("generation")) is None


def test_limits_bite_at_once_and_last_over_a_restart(tmp_path: Path, running: Running, stack: ContainerStack) -> None:
    (tmp_path / "burn.py").write_text(BURN)
    assert stack.limit("retrieval-2", Limits(cpus=0.2, memory_bytes=200 << 20)) == SERVICE_LIMITS
    stress = stack.stress("retrieval-2", tmp_path / "burn.py", ())
    try:
        until(lambda: stress.output() == "at work\n")
        process = psutil.Process(stress.pid)
        before, began = process.cpu_times().user, time.monotonic()
        until(lambda: time.monotonic() - began > 2.0)
        assert (process.cpu_times().user - before) / (time.monotonic() - began) < 0.3
    finally:
        stress.end()
        stress.end()
    until(lambda: not psutil.pid_exists(stress.pid))
    stack.restart("retrieval-2")
    host = json.loads(docker("inspect", str(stack.place("retrieval-2").container)))[0]["HostConfig"]
    assert (host["CpuQuota"], host["Memory"]) == (20_000, 200 << 20)
    assert stack.limit("retrieval-2", SERVICE_LIMITS) == Limits(cpus=0.2, memory_bytes=200 << 20)
    assert stack.limit("retrieval-2", Limits()) == SERVICE_LIMITS
    assert stack.limit("retrieval-2", SERVICE_LIMITS) == Limits()


@pytest.mark.parametrize("instance", ["query-1", "postgres-1"])
def test_stress_ends_with_its_children(tmp_path: Path, stack: ContainerStack, instance: str) -> None:
    script = tmp_path / "tree.py"
    script.write_text(
        "import os, sys, time\nchild = os.fork()\nprint('ready', sys.argv[1:], flush=True) if child else None\ntime.sleep(600)\n"
    )
    stress = stack.stress(instance, script, ("one", "two"))
    until(lambda: stress.output() == "ready ['one', 'two']\n")
    tree = [stress.pid, *(child.pid for child in psutil.Process(stress.pid).children())]
    assert len(tree) == 2
    stress.end()
    until(lambda: not any(psutil.pid_exists(pid) for pid in tree))


def test_an_instance_can_be_started_under_a_script(tmp_path: Path, running: Running, stack: ContainerStack) -> None:
    script = tmp_path / "wrapper.py"
    script.write_text("import os, sys\nprint('wrapped', sys.argv[1], flush=True)\nos.execvp(sys.argv[3], sys.argv[3:])\n")
    log = running.options.logs_dir / "embedding-1.log"
    stack.set_wrapper("embedding-1", script, ("once",))
    stack.restart("embedding-1")
    assert stack.probe(running.one("embedding")) is None
    until(lambda: log.read_text().count("wrapped once") == 1)  # an engine's log comes after what it tells of
    stack.set_wrapper("embedding-1", None, ())
    stack.restart("embedding-1")
    assert log.read_text().count("wrapped once") == 1


def test_a_partition_in_the_network_of_one_instance_hits_it_alone(running: Running, stack: ContainerStack) -> None:
    rule = ("OUTPUT", "-p", "tcp", "--dport", "5432", "-j", "REJECT", "--reject-with", "tcp-reset")
    stack.run_in_network("document-1", ("iptables", "-I", *rule))
    try:
        until(lambda: "postgres" in (stack.probe(running.one("document")) or ""), 40.0)
        assert {stack.probe(i) for i in stack.instances("retrieval")} == {None}
    finally:
        stack.run_in_network("document-1", ("iptables", "-D", *rule))
    until(lambda: stack.probe(running.one("document")) is None)
    with pytest.raises(StackError, match=r"iptables -D .* failed with exit status 1: .*"):
        stack.run_in_network("document-1", ("iptables", "-D", *rule))


def test_the_environment_of_the_next_start_can_be_added_to(running: Running, stack: ContainerStack) -> None:
    stack.set_environment("query-1", {"EXTRA": "yes"})
    stack.restart("query-1")
    assert psutil.Process(stack.place("query-1").pid).environ()["EXTRA"] == "yes"
    stack.set_environment("query-1", {})
    stack.restart("query-1")
    assert "EXTRA" not in psutil.Process(stack.place("query-1").pid).environ()


def test_a_second_version_of_the_run_stands_beside_the_first_and_ends_alone(running: Running, tmp_path: Path) -> None:
    """Blue and green: each on a network of its own, asked at an address of its own; what ends one leaves the other as it is."""
    before = left_by(running.options.run_id)
    second = replace(running.options, side="candidate", version="2.0.0", work_dir=running.options.work_dir / "second", logs_dir=tmp_path)
    with started(ContainerStack(second), second) as candidate:
        assert (running.ask().status_code, candidate.ask().status_code) == (200, 200)
        assert {running.one("query").version, candidate.one("query").version} == {running.options.version, "2.0.0"}
        names = docker("network", "ls", "--filter", f"label={RUN_LABEL}={second.run_id}", "--format", "{{.Name}}").split()
        assert sorted(names) == [f"gauntlet-{second.run_id}-candidate-network", f"gauntlet-{second.run_id}-network"]
        assert len(left_by(second.run_id)) > len(before)
    assert left_by(second.run_id) == before
    assert running.ask(1).status_code == 200


def test_a_start_that_fails_says_why_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_docker()
    broken = replace(launch.SERVERS["cache"], command=("--no-such-option", "x"))
    monkeypatch.setattr(launch, "SERVERS", {**launch.SERVERS, "cache": broken})
    chosen = options(tmp_path / "logs")
    with pytest.raises(StackError, match=r"(?s)cache-1 ended before it was ready: exit status 1.*no-such-option"):
        ContainerStack(chosen).start()
    assert left_by(chosen.run_id) == []
    assert not chosen.work_dir.exists()


def test_stopping_in_the_middle_of_a_start_leaves_nothing(tmp_path: Path) -> None:
    need_docker()
    chosen = options(tmp_path / "logs")
    stack = ContainerStack(chosen)
    with ThreadPoolExecutor(1) as pool:
        start = pool.submit(stack.start)
        until(lambda: len(left_by(chosen.run_id)) >= 4)
        stack.stop()
        with pytest.raises(StackError):
            start.result(20)
    assert left_by(chosen.run_id) == []
    assert not chosen.work_dir.exists()


def test_the_command_line_sees_no_port_on_another_address(running: Running) -> None:
    published = docker("ps", "--filter", f"label={RUN_LABEL}={running.options.run_id}", "--format", "{{.Ports}}")
    assert published and "0.0.0.0" not in published and "[::]" not in published
    assert httpx.get(f"{running.stack.entry_url}/health", trust_env=False).status_code == 200
