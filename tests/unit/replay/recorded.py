"""Runs on disk that never ran: the simulated stack of the operator's tests, an operator that watches it live, and what is true of both."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.ops.assembly import assemble
from harness.ops.monitoring.rounds import Round
from harness.ops.targets import Targets
from harness.record.clock import NS_PER_S
from harness.record.events import ACTION, OPERATOR, Event
from harness.record.looks import Looked, LookRound, LookWriter, Watched
from harness.record.samples import SampleWriter
from harness.record.store import RunDirectory
from harness.replay.voice import RecordingVoice
from tests.history_builder import START_NS, history
from tests.record_on_disk import save
from tests.unit.ops.world import World

ONSET_S, HEALED_S, END_S = 35.0, 65.0, 85
TOOK_S = 0.05

SCENARIO = """
name: recorded
load: {shape: [{constant: 25/s}]}
phases: {steady_state: 35s, fault: 30s, recovery: 20s}
faults: [{id: broken, type: llm.slow_first_token, target: llm, at: fault, for: 30s, with: {ttft: 4s}}]
expect:
  - {fault: broken, alert: "<= 10s", root_cause: {service: llm, kind: latency}, action: switch_provider, outcome: recovered}
  - {false_alarms: 0, needless_actions: 0}
"""
TRUTH = f"{ONSET_S}s fault latency@llm id=broken fix=switch_provider blast=generation,embedding,query,gateway"


@dataclass
class Run:
    """Records one run below `directory`. `acts`: what an action of the live operator does to the world."""

    directory: Path
    scenario: str = SCENARIO
    truth: str = TRUTH
    breaks: Callable[[World], None] = lambda world: world.slow.update(llm=4.0)
    acts: Callable[[World], None] = lambda world: world.slow.clear()
    own: bool = True
    on_call: bool = True

    def record(self) -> RunDirectory:
        world = World(self.directory)
        voice = RecordingVoice(0.0)
        operator = assemble(world.targets, voice)
        rounds = []
        for _ in range(END_S):
            if world.t_s == ONSET_S:
                self.breaks(world)
            elif world.t_s == HEALED_S:
                world.slow, world.way, world.down, world.failing = {}, {}, {}, {}
            rounds.append(_at_the_time(world.step()))
            acted = sum(e.kind == ACTION for e in voice.events)
            voice.now_ns = round((rounds[-1].t_s + TOOK_S) * NS_PER_S)
            if self.on_call:
                operator.round(rounds[-1])
            if sum(e.kind == ACTION for e in voice.events) > acted:
                self.acts(world)
        spans = ("0s steady_state", f"{ONSET_S:g}s fault", self.truth, f"{HEALED_S:g}s heal broken", f"{HEALED_S:g}s recovery")
        told = history(*spans, f"{END_S}s end")
        events = [replace(e, data={**e.data, "own": self.own}) if e.kind == OPERATOR else e for e in told.events]
        told = replace(told, events=tuple(sorted((*events, *voice.events), key=lambda e: e.t_ns)))
        directory = save(self.directory / "run", self.scenario, told)
        keep(directory, world.targets, rounds)
        return directory


def keep(directory: RunDirectory, targets: Targets, rounds: list[Round]) -> None:
    """The telemetry, as the sampler writes it."""
    document = {
        "services": {service: {"kind": kind} for service, kind in targets.kinds.items()},
        "registry": "/gone/registry.json",
        "static": {service: list(urls) for service, urls in targets.static.items()},
        "edges": [list(edge) for edge in targets.edges],
        "client": {"metrics": "http://127.0.0.1:1/client"},
        "slos": dict(targets.slos),
    }
    directory.targets.write_text(json.dumps(document))
    samples, looks = SampleWriter(directory.samples), LookWriter(directory.samples)
    for round_ in rounds:
        t_ns = round(round_.t_s * NS_PER_S)
        for look in round_.looks:
            samples.append(t_ns, look.endpoint.instance, [("up", {}, float(look.error is None)), *look.samples])
        samples.append(t_ns, "client", [("up", {}, 1.0), *round_.client])
        seen = [
            Looked(Watched(k.endpoint.service, k.endpoint.instance, k.endpoint.url, k.endpoint.metrics), k.duration_s, k.error)
            for k in round_.looks
        ]
        looks.append(LookRound(t_ns, TOOK_S, tuple(seen)))
        samples.append(t_ns + 1, "retrieval-9", [("up", {}, 0.0)])  # an instance that is not listed
    samples.close()
    looks.close()
    document_of_run: Mapping[str, Any] = json.loads(directory.run_file.read_text())
    clock = {"utc": "2026-01-01T00:00:00+00:00", "t_ns": START_NS}
    directory.run_file.write_text(json.dumps({**document_of_run, "clock": clock}))


def _at_the_time(round_: Round) -> Round:
    return replace(round_, t_s=START_NS / NS_PER_S + round_.t_s)


def claims(events: tuple[Event, ...]) -> list[str]:
    """`alert LatencyHigh llm`, `diagnosis llm/latency`, `action switch_provider llm`, in order."""
    lines = []
    for event in events:
        data = event.data
        match event.kind:
            case "alert":
                lines.append(f"{data['status']} {data['labels']['alertname']} {data['labels']['service']}")
            case "diagnosis":
                lines.append("diagnosis " + " ".join(f"{c['service']}/{c['kind']}" for c in data["causes"]))
            case "action" if data["step"] == "requested":
                lines.append(f"action {data['verb']} {data['service']}")
            case "escalation":
                lines.append(f"escalation {data['service']}")
    return lines
