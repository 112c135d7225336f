"""`gauntlet up` and `down`: the stack alone, and nothing of it afterwards."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.sweep import identify
from tests.e2e.live_run import STACK, assert_clean, gauntlet

pytestmark = [pytest.mark.e2e, pytest.mark.beside]

SCENARIO = f"""
name: small
{STACK}
load: {{shape: [{{constant: 20/s}}], mix: {{ask: 1}}}}
phases: {{steady_state: 5s}}
objectives: {{steady_state: {{availability: ">= 90%"}}}}
"""


@pytest.fixture
def up(tmp: Path) -> Iterator[dict[str, Any]]:
    """A stack that stands, taken down after the test whatever became of it."""
    file = tmp / "small.yaml"
    file.write_text(SCENARIO, encoding="utf-8")
    done = gauntlet("up", "--scenario", file, "--json", tmp=tmp, timeout_s=120)
    assert done.returncode == 0, done.stderr
    yield json.loads(done.stdout)
    assert gauntlet("down", tmp=tmp).returncode == 0


def ask(base_url: str, key: str) -> int:
    """The status of one question with that key."""
    request = urllib.request.Request(
        f"{base_url}/api/ask",
        json.dumps({"question": "What is a context manager?"}).encode(),
        {"Authorization": f"Bearer {key}"},
        method="POST",
    )
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def family(pid: int) -> list[psutil.Process]:
    supervisor = psutil.Process(pid)
    return [supervisor, *supervisor.children(recursive=True)]


def wait_gone(processes: list[psutil.Process], tmp: Path, within_s: float = 60.0) -> list[str]:
    """What is left of them, and of their directory, after that long at most."""
    deadline_s = time.monotonic() + within_s
    while True:
        left = [str(p.pid) for p in processes if identify(p.pid) is not None and p.is_running()]
        left += [str(path) for path in tmp.glob("gauntlet-*") if path.is_dir()]
        if not left or time.monotonic() > deadline_s:
            return left
        time.sleep(0.05)


def test_a_stack_that_stands(up: dict[str, Any], tmp: Path) -> None:
    assert {"gateway-1", "retrieval-1", "retrieval-2", "postgres-1", "llm-1"} <= set(up["urls"])
    assert (ask(up["entry_url"], up["api_key"]), ask(up["entry_url"], "wrong")) == (200, 401)
    state = tmp / f"gauntlet-up-{os.getuid()}.json"
    assert state.stat().st_mode & 0o777 == 0o600, "it holds the key"

    again = gauntlet("up", "--json", tmp=tmp)
    assert (again.returncode, json.loads(again.stdout)["exit_code"], "is up already" in again.stderr) == (2, 2, True)
    assert json.loads(gauntlet("clean", "--json", tmp=tmp).stdout)["cleaned"] == [], "it lives: clean leaves it alone"
    assert ask(up["entry_url"], up["api_key"]) == 200

    processes = family(up["pid"])
    down = gauntlet("down", tmp=tmp)
    assert (down.returncode, down.stderr.strip()) == (0, "down: ended")
    assert wait_gone(processes, tmp, within_s=10.0) == []
    assert not state.exists()
    assert gauntlet("down", tmp=tmp).stderr.strip() == "down: no stack was up"
    assert_clean(tmp)


def test_it_is_asked_how_it_is_and_watched(up: dict[str, Any], tmp: Path) -> None:
    well = gauntlet("health", "--json", tmp=tmp)
    health = json.loads(well.stdout)
    answers = {one["service"]: one["answers"][0] for one in health["services"]}
    assert well.returncode == 0 and len(answers) == 11, well.stdout
    assert all(one["status"] == "healthy" or "are slow" in one["detail"] for one in answers.values()), well.stdout
    for service, told in (("postgres", "SELECT 1, pgvector"), ("cache", "PING"), ("llm", "rag-chat generates"), ("retrieval", "HTTP 200")):
        assert answers[service]["detail"].startswith(told)
    assert up["api_key"] not in well.stdout and "sk-" not in well.stdout

    file = tmp / "STACK.yaml"
    state = json.loads((tmp / f"gauntlet-up-{os.getuid()}.json").read_text(encoding="utf-8"))
    file.write_text(json.dumps(state["stack"]), encoding="utf-8")
    watched = gauntlet("watch", file, "--for", "8s", "--out", tmp / "watched", tmp=tmp)
    assert watched.returncode == 0, watched.stdout + watched.stderr
    metrics = json.loads((tmp / "watched" / "performance.json").read_text(encoding="utf-8"))["metrics"]
    assert {"retrieval/memory_bytes", "postgres/memory_bytes", "cache/cpu", "gateway/availability_by_looks", "host/disk"} <= set(metrics)
    assert metrics["retrieval/instances_up"]["maximum"] == 2.0


def test_nothing_is_left_of_a_killed_supervisor(up: dict[str, Any], tmp: Path) -> None:
    processes = family(up["pid"])
    assert len(processes) > 10
    processes[0].kill()
    assert wait_gone(processes, tmp) == []
    assert_clean(tmp)


def test_what_a_stack_lacks_is_told_in_one_line(tmp: Path) -> None:
    file = tmp / "lacking.yaml"
    file.write_text(
        "name: lacking\nstack: {use: external, services: {llm: {url: 'http://127.0.0.1:9', role: llm, admin: 'http://127.0.0.1:9'}}}\n"
        "load: {journeys: {home: {service: llm, get: /}}, mix: {home: 1}, shape: [{constant: 20/s}]}\n"
        "phases: {steady_state: 5s}\nobjectives: {steady_state: {availability: '>= 90%'}}\n",
        encoding="utf-8",
    )
    done = gauntlet("up", "--scenario", file, tmp=tmp)
    assert done.returncode == 4, done.stderr
    assert "GAUNTLET_MOCK_TOKEN is not set" in done.stderr and "Traceback" not in done.stderr
