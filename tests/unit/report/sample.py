"""A run written by hand: the provider is slow from 35 s on, an alert comes after 6 s, the switch helps after 14 s."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from harness.gate import Verdict
from harness.record import events as ev
from harness.record.events import Event
from harness.record.history import History
from harness.record.requests import REQUEST, Outcome
from harness.scenario.loader import load_text
from harness.scenario.model import Scenario
from harness.score.check import Result, Status

S = 1_000_000_000
T0 = 5_000 * S
PHASES = (("warmup", 0, 10), ("steady_state", 10, 35), ("fault", 35, 75), ("recovery", 75, 100))
ALERT = {"status": "firing", "fingerprint": "a1", "labels": {"alertname": "LatencyHigh", "service": "llm", "severity": "page"}}
CAUSE = {"service": "llm", "kind": "latency", "confidence": 0.9, "evidence": "client latency of callee llm 12 times its own"}


def scenario() -> Scenario:
    text = (Path(__file__).resolve().parents[3] / "scenarios" / "llm-brownout.yaml").read_text(encoding="utf-8")
    return load_text(text.replace(', recall_at_5: ">= 0.9"', "").replace(', ttft_p95: "<= 400ms"', "")).scenario


def event(t_s: float, kind: str, source: Any = "truth", /, **data: Any) -> Event:
    return Event(T0 + round(t_s * S), kind, source, data)


def events() -> list[Event]:
    found = []
    for name, start, end in PHASES:
        found += [
            event(start, ev.PHASE, name=name, state="start", planned_end_ns=T0 + end * S),
            event(end, ev.PHASE, name=name, state="end"),
        ]
    fault = {"id": "slow-llm"}
    found += [
        event(
            35.1, ev.FAULT, **fault, step="intended", type="llm.slow_first_token", fault_kind="latency", service="llm", accepted=["llm"],
            blast_radius=["generation", "query", "gateway"], recoverable_by=["switch_provider"],
        ),
        event(35.2, ev.FAULT, **fault, step="injected"),
        event(36.0, ev.FAULT, **fault, step="effective", evidence={"applied": 3}),
        event(41.2, ev.ALERT, "claim", **ALERT),
        event(44.0, ev.DIAGNOSIS, "claim", diagnosis_id="d1", causes=[CAUSE]),
        event(46.0, ev.ACTION, "claim", action_id="x", step="requested", verb="switch_provider", service="generation", diagnosis_id="d1"),
        event(47.5, ev.ACTION, "truth", action_id="x", step="performed"),
        event(62.0, ev.ALERT, "claim", **{**ALERT, "status": "resolved"}),
        event(75.0, ev.FAULT, **fault, step="heal_intended"),
        event(75.1, ev.FAULT, **fault, step="healed"),
        event(75.4, ev.FAULT, **fault, step="gone"),
        event(100.5, ev.LOAD, state="finished", arrivals=2500),
        event(101.0, ev.ENDED, complete=True, ending="completed"),
        *(event(t_s, ev.LOAD, state="health", cpu_ratio=0.1, steal_ratio=0.0) for t_s in range(100)),
    ]  # fmt: skip
    return sorted(found, key=lambda e: e.t_ns)


def requests() -> Any:
    """25 a second; while the provider is slow they take 4.5 s, and some fail in one way or another."""
    rng = np.random.default_rng(1)
    rows = np.zeros(2500, dtype=REQUEST)
    rows["seq"] = np.arange(2500)
    t_s = np.arange(2500) / 25.0
    slow = (t_s > 35.2) & (t_s < 47.5)
    latency_s = np.where(slow, rng.normal(4.5, 0.3, 2500), rng.gamma(8.0, 0.03, 2500))
    rows["intended_ns"] = rows["start_ns"] = T0 + (t_s * S).astype(np.int64)
    rows["end_ns"] = rows["intended_ns"] + (latency_s * S).astype(np.int64)
    rows["first_ns"] = rows["last_ns"] = rows["end_ns"]
    failed = np.flatnonzero(slow)[::18]
    rows["outcome"][failed] = np.resize([Outcome.TIMEOUT, Outcome.ERROR, Outcome.REJECTED, Outcome.TRUNCATED], len(failed))
    rows["journey"] = np.resize([0, 0, 1, 0, 1, 0, 0, 1, 0, 2], 2500)
    return rows


RUN = {
    "seed": 7,
    "argv": ["gauntlet", "run", "scenarios/llm-brownout.yaml", "--seed", "7"],
    "scenario_file": "scenarios/llm-brownout.yaml",
    "scenario_sha256": "ab" * 32,
    "git": {"sha": "0123456789abcdef0123456789abcdef01234567", "dirty": True},
    "host": {"cpus": 2, "memory_bytes": 8 << 30, "kernel": "6.1", "python": "3.11.2",
             "versions": {"rag-gauntlet": "0.1.0", "locust": "2.47.0"}},
    "clock": {"utc": "2026-08-01T10:00:00.123456+00:00", "t_ns": T0},
}  # fmt: skip


def history(**changes: Any) -> History:
    given: dict[str, Any] = {"events": tuple(events()), "requests": requests(), "run": RUN, **changes}
    return History(**given)


RESULTS = (
    Result("validity.delivered_load", "validity", Status.PASS, "dispatch lag p99 3ms, generator CPU 31%", 0.003, "<= 20ms", "s", 2500),
    Result("safety.healed", "safety", Status.PASS, "slow-llm is gone: 0 faults in force", "gone"),
    Result("expect.slow-llm.alert", "expect", Status.PASS, "LatencyHigh for llm 6s after onset", 6.0, "<= 10s", "s", 1),
    Result("expect.slow-llm.outcome", "expect", Status.PASS, "within limits again after switch_provider", "recovered", "recovered"),
    Result("expect.false_alarms", "expect", Status.PASS, "0 of 1 episodes", 0.0, "<= 0", "number", 1),
    Result(
        "fault.availability", "objective", Status.FAIL, "98.1% breaks >= 99%, n=1000", 0.981, ">= 99%", "ratio", 1000, (0.9705, 0.9885),
        ("timeout 5", "error 5", "rejected 4", "truncated 4"),
    ),
    Result("fault.latency_p95", "objective", Status.PASS, "4.9s keeps <= 7s", 4.9, "<= 7s", "s", 982, (4.8, 5.0)),
    Result("recovery.latency_p99.9", "objective", Status.INCONCLUSIVE, "625 samples are too few", None, "<= 2s", "s", 625),
    Result("recovery.latency_p95", "objective", Status.WARN, "close to the limit", 0.39, "<= +25% of steady_state", "s", 625),
)  # fmt: skip


def verdict(results: tuple[Result, ...] = RESULTS) -> Verdict:
    return Verdict(Status.FAIL, 1, "fault.availability: 98.1% breaks >= 99%, n=1000", results)
