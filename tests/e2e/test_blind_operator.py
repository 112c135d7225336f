"""The operator sees no truth: what its process can reach names no fault, no scenario, no phase, no proxy, no run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from harness.record import events as ev
from harness.replay.replaying import Source, replay
from tests.e2e.conftest import StartRun
from tests.e2e.live_run import STACK

pytestmark = pytest.mark.e2e

# Reads everything that it was given, and everything behind it, a few times while the faults act; then dies without a word.
CURIOUS = """
import json, os, sys, time, urllib.error, urllib.request
from pathlib import Path
import yaml

def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return dict(answer.headers), answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return dict(error.headers), error.read().decode("utf-8", "replace")
    except OSError as error:
        return {}, str(error)

def walk(value):
    if isinstance(value, dict):
        for item in value.values():
            yield from walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from walk(item)
    elif isinstance(value, str):
        yield value

path, found = Path(sys.argv[1]), Path(sys.argv[2])
targets = yaml.safe_load(path.read_text())
seen = {"environment": dict(os.environ), "argv": sys.argv[:2] + sys.orig_argv[:1], "targets": path.read_text(), "reached": {}}
seen["descriptors"] = [os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{n}")]
seen["directory"] = [str(p.relative_to(Path.cwd())) for p in sorted(Path.cwd().rglob("*"))]
end = time.monotonic() + float(sys.argv[3])
while time.monotonic() < end:
    registry = json.loads(Path(targets["registry"]).read_text())
    seen["reached"].setdefault("registry", []).append(json.dumps(registry))
    seen["reached"]["registry's folder"] = sorted(p.name for p in Path(targets["registry"]).parent.iterdir())
    urls = {u for u in [*walk(registry), *walk(targets)] if u.startswith("http://")}
    bases = {u for u in urls if u.count("/") == 2}
    for url in sorted(urls | {f"{b}/{p}" for b in bases for p in ("metrics", "health", "ready", "", "openapi.json", "v1/models")}):
        seen["reached"].setdefault(url, []).append(fetch(url))
    temporary = found.with_suffix(".part")
    temporary.write_text(json.dumps(seen))
    temporary.replace(found)
    time.sleep(0.5)
raise SystemExit(7)
"""
HYPOTHESIS = "Whoever reads this line knows too much."


def test_nothing_it_can_reach_tells_of_the_experiment(start_run: StartRun, tmp_path: Path) -> None:
    program, found = tmp_path / "curious.py", tmp_path / "seen.json"
    program.write_text(CURIOUS, encoding="utf-8")
    run = start_run(
        f"""
name: secret-plan
hypothesis: {HYPOTHESIS}
{STACK}
load: {{shape: [{{constant: 25/s}}], mix: {{ask: 2, ask_stream: 1, ingest: 1}}, timeout: 5s}}
phases: {{warmup: 2s, steady_state: 5s, fault: 7s, recovery: 1s}}
faults:
  - {{id: lame-edge, type: network.latency, target: retrieval->postgres, at: fault, for: 6s, with: {{delay: 41ms}}}}
  - {{id: mute-model, type: llm.slow_first_token, target: llm, at: fault, for: 6s, with: {{ttft: 1s}}}}
  - {{id: unfelt, type: llm.slow_first_token, target: llm_fallback, at: fault, for: 6s, with: {{ttft: 50ms}}}}
expect:
  - {{false_alarms: 0}}
objectives:
  steady_state: {{availability: ">= 50%"}}
operator: {{command: ["{sys.executable}", "{program}", "{{targets}}", "{found}", "12"]}}
""",
        "--json",
    )
    code, out = run.finish(90)
    verdict = json.loads(out)
    assert code == 3, verdict.get("reason") or run.log
    steps = [(e.data["id"], e.data["step"]) for e in run.events() if e.kind == ev.FAULT]
    assert {("lame-edge", "effective"), ("mute-model", "effective")} <= set(steps), steps

    assert found.exists(), (run.record / "logs" / "operator.log").read_text(encoding="utf-8")
    seen = json.loads(found.read_text(encoding="utf-8"))
    reached = {url: answers for url, answers in seen["reached"].items() if url.endswith("/metrics")}
    assert len(reached) == 11, "ten instances and the client have metrics"
    assert all(len(answers) >= 2 for answers in reached.values()), "it looked while the faults acted, as often as the machine let it"
    told = found.read_text(encoding="utf-8").lower()
    secrets = {
        "its name": "secret-plan",
        "its hypothesis": HYPOTHESIS.lower(),
        "a fault": "lame-edge",
        "another fault": "mute-model",
        "a third fault": "unfelt",
        "a parameter": "41ms",
        "the type of a fault": "slow_first_token",
        "the family of a fault": "network.latency",
        "a phase": "steady_state",
        "another phase": "warmup",
        "the record": str(run.record).lower(),
        "where records are kept": str(run.out).lower(),
        "the scenario file": str(run.file).lower(),
        "a proxy": "proxy",
        "the program that breaks things": "gauntlet_fault",
        "the interface of the mock": "/admin",
        "a mock": "mocks.llm",
    }
    assert {what: told[max(0, told.find(word) - 80) : told.find(word) + 80] for what, word in secrets.items() if word in told} == {}

    # Nor does what the record keeps for another operator, which may see it in a replay.
    kept = [run.record / "targets.json", *(run.record / "samples" / name for name in ("looks.jsonl", "series.jsonl"))]
    shown = "".join(path.read_text(encoding="utf-8").lower() for path in kept)
    assert [what for what, word in secrets.items() if word in shown] == []
    again = replay(Source.of(run.record))
    assert len(list(again.source.recording.rounds())) >= 10
    assert not again.fidelity.same_operator

    # The same run shows two more things that must never pass: a fault that nobody could feel, and an operator that died.
    reasons = {c["name"]: c["reason"] for c in verdict["checks"] if c["status"] == "INCONCLUSIVE"}
    assert "fault unfelt was not effective" in reasons["validity.fault.unfelt"]
    assert "exit status 7" in reasons["validity.operator"]
