"""A stack that is not ours (`foreign/`: nginx, an app, Redis), by twelve lines of `stack`: run, loaded, broken, judged, and gone again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
import yaml

from harness.record import events as ev
from harness.scenario.model import StackSpec
from harness.stack.base import Limits, StackError
from harness.stack.compose import cli
from harness.stack.compose.stack import ComposeStack
from harness.stack.images import ensure
from harness.stack.options import StackOptions
from tests.e2e.conftest import StartRun
from tests.e2e.docker_engine import allowed_s, docker, left_by, need_docker, why_not
from tests.e2e.live_run import GONE_S, LiveRun, gauntlet, left_of
from tests.integration.backends import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

FOREIGN = Path(__file__).parent / "foreign"
STACK = """
stack:
  use: compose
  file: {file}
  llm: true
  services:
    web: {{port: 8080, health: /health, entry: true}}
    cache: {{role: redis}}
    app: {{port: 8000, health: /health, environment: {{OPENAI_BASE_URL: "{{llm}}/v1", OPENAI_API_KEY: "{{llm_key}}"}}}}
  edges: [[web, app], [app, cache], [app, llm]]
"""
SCENARIO = """
name: shop-survives
hypothesis: The shop answers while its LLM is rate limited and its cache is slow, and is itself again when its app is back.
{stack}
load:
  shape: [{{constant: 15/s}}]
  mix: {{question: 1}}
  journeys: {{question: {{service: web, get: "/ask?q=What+is+new"}}}}
  timeout: 5s
phases: {{warmup: 4s, steady_state: 8s, fault: 22s, recovery: 16s}}
faults:
  - {{id: limited, type: llm.rate_limited, target: llm, at: fault, for: 6s, with: {{rate: 0.5/s}}}}
  - {{id: slow, type: network.latency, target: app->cache, at: fault+7s, for: 5s, with: {{delay: 100ms}}}}
  - {{id: dead, type: process.kill, target: app, at: fault+13s, for: 9s}}
expect:
  - {{fault: dead, outcome: healed_by_harness}}
objectives:
  steady_state: {{availability: ">= 90%"}}
  fault: {{availability: ">= 30%"}}
operator: {{enabled: false}}
"""


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, str]]:
    """What their file builds on, from here instead of a registry; what is built of it goes again."""
    need_docker()
    if reason := why_not("compose version"):
        pytest.skip(reason)
    found = ensure(("nginx", "valkey", "python", "services", "tools"))
    for variable, image in {"NGINX_IMAGE": "nginx", "REDIS_IMAGE": "valkey", "PYTHON_IMAGE": "python"}.items():
        monkeypatch.setenv(variable, found[image])
    yield found
    docker("image", "rm", "--force", "shop-assistant-app")


@pytest.fixture
def theirs(tmp: Path) -> Path:
    """A copy of their folder, which nobody is to edit."""
    folder = tmp / "shop"
    shutil.copytree(FOREIGN, folder)
    folder.chmod(0o755)
    return folder / "compose.yaml"


@pytest.fixture
def stack(images: Mapping[str, str], theirs: Path, tmp: Path) -> Iterator[ComposeStack]:
    """With a proxy on one edge."""
    spec = StackSpec.model_validate(yaml_of(theirs))
    (tmp / "logs").mkdir()
    edge = frozenset({("app", "cache")})
    made = ComposeStack(spec, StackOptions(f"foreign-{os.getpid()}", tmp / "work", tmp / "logs", proxied_edges=edge))
    try:
        made.start()
        yield made
    finally:
        made.stop()
    assert left_by(f"foreign-{os.getpid()}") == []


def yaml_of(file: Path) -> object:
    """The part of a scenario that describes the stack."""
    return yaml.safe_load(STACK.format(file=file))["stack"]


def asked(stack: ComposeStack, question: str) -> dict[str, str]:
    found = httpx.get(f"{stack.entry_url}/ask?q={question}", timeout=10, trust_env=False)
    assert found.status_code == 200, found.text
    answer: dict[str, str] = found.json()
    return answer


def test_it_can_be_acted_on_as_any_other_stack(stack: ComposeStack, tmp: Path) -> None:
    first = asked(stack, "one")
    assert (first["from"], first["greeting"]) == ("model", "costs $1")  # the mock's answer, and the file's own variable as it was
    assert asked(stack, "one")["from"] == "cache"  # through the proxy, under the name of their container
    assert stack.entry_url.startswith("http://127.0.0.1:")

    stack.kill("app-1")
    (dead,) = stack.instances("app")
    assert (dead.pid, stack.probe(dead) is None) == (None, False)  # and `restart: unless-stopped` does not bring it back
    stack.restart("app-1")
    assert asked(stack, "one")["answer"] == first["answer"]

    stack.set_paused("cache-1", True)
    assert stack.probe(stack.instances("cache")[0]) is not None
    stack.set_paused("cache-1", False)
    assert stack.probe(stack.instances("cache")[0]) is None

    had = stack.limit("app-1", Limits(cpus=0.5, memory_bytes=64 << 20))
    assert stack.limit("app-1", had) == Limits(cpus=0.5, memory_bytes=64 << 20)
    assert had.cpus is None

    stack.scale("app", 2)
    assert [(i.name, stack.probe(i)) for i in stack.instances("app")] == [("app-1", None), ("app-2", None)]
    stack.scale("app", 1)
    assert [i.name for i in stack.instances("app")] == ["app-1"]
    with pytest.raises(StackError, match="cache cannot be scaled"):
        stack.scale("cache", 2)

    assert stack.place("app-1").container is not None
    assert "-P INPUT ACCEPT" in stack.run_in_network("app-1", ["iptables", "-S"])
    script = tmp / "idle.py"
    script.write_text("import time\nprint('here', flush=True)\ntime.sleep(60)\n")
    stress = stack.stress("app-1", script, [])
    stress.end()
    with pytest.raises(StackError, match="needs `python3` in its image"):
        stack.stress("web-1", script, [])
    assert "GET /ask" in stack.log_path("app-1").read_text()


def test_a_run_on_it_passes_and_leaves_nothing(images: Mapping[str, str], theirs: Path, start_run: StartRun) -> None:
    before = {path: path.read_bytes() for path in theirs.parent.rglob("*") if path.is_file()}
    scenario = SCENARIO.format(stack=STACK.format(file=theirs))
    assert len([line for line in STACK.splitlines() if line]) <= 20
    for last in (False, False, True):  # again where the machine was too busy for the generator of the load
        run = start_run(scenario, "--json")
        run.wait_for(lambda events: any(event.kind == ev.PHASE for event in events), within_s=90)
        run_id = run.footprint().run_id
        code, out = run.finish(120)
        verdict = json.loads(out)
        if code != 3 or last:
            break
    assert (code, verdict["verdict"]) == (0, "PASS"), [c for c in verdict["checks"] if c["status"] != "PASS"]
    assert bitten(run) == {"limited", "slow", "dead"}
    assert run_id is not None
    assert left_by(run_id) == []
    assert docker("ps", "--all", "--quiet", "--filter", "name=shop-") == ""
    assert docker("volume", "ls", "--quiet", "--filter", "name=shop-") == ""
    assert {path: path.read_bytes() for path in theirs.parent.rglob("*") if path.is_file()} == before


def bitten(run: LiveRun) -> set[str]:
    return {event.data["id"] for event in run.events() if event.kind == ev.FAULT and event.data["step"] == "effective"}


def test_without_the_plug_in_it_says_so(tmp: Path, theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = tmp / "scenario.yaml"
    scenario.write_text(SCENARIO.format(stack=STACK.format(file=theirs)))
    empty = tmp / "bin"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    assert "install Docker's command line" in (cli.why_not() or "")
    checked = gauntlet("check", scenario, tmp=tmp)
    assert (checked.returncode, "no run can start: no `docker` on the PATH" in checked.stdout + checked.stderr) == (0, True)
    done = gauntlet("run", scenario, "--out", tmp / "runs", "--json", tmp=tmp)
    assert done.returncode == 4, done.stderr
    assert "install Docker's command line" in json.loads(done.stdout)["reason"]


def test_a_run_that_is_killed_is_swept(images: Mapping[str, str], theirs: Path, start_run: StartRun) -> None:
    run = start_run(SCENARIO.format(stack=STACK.format(file=theirs)))
    run.wait_for(lambda events: any(event.kind == ev.STACK for event in events))
    run_id = run.footprint().run_id
    assert run_id is not None
    wait_until(lambda: left_by(run_id) != [], "compose makes containers", 60)
    held = run.kill()  # while the plug-in is still at it
    wait_until(lambda: left_of(held, run.tmp) == [] and left_by(run_id) == [], "the watchdog has removed the project", allowed_s(GONE_S))
