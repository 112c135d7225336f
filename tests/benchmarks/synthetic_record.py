"""Records of any size, as a run of 1000 s would have written them: what `record_scale.py` judges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.record.provider import ProviderWriter
from harness.record.requests import NOTHING, REQUEST_DTYPE, Outcome
from harness.record.samples import SampleWriter
from harness.record.store import RunDirectory
from tests.history_builder import JOURNEYS, at_ns, history, questions
from tests.record_on_disk import save

LENGTH_S = 1000
FRAME_ROWS = 256  # as the load process writes them
TARGETS, SERIES = 20, 50  # instances that are scraped, and series of each
PROVIDER_ROWS = 200_000  # the most that a run keeps of one service
_AT_ONCE = FRAME_ROWS * 256

SCENARIO = """
name: scale
hypothesis: A record of any size is judged
stack: {{use: reference}}
load: {{shape: [{{constant: {rate:g}/s}}], mix: {{ask: 6, ask_stream: 3, ingest: 1}}}}
phases: {{steady_state: 300s, fault: 400s, recovery: 300s}}
faults:
  - {{id: f, type: llm.slow_first_token, target: llm, at: fault, for: 400s, with: {{ttft: 4s}}}}
expect:
  - {{fault: f, alert: "<= 10s", root_cause: {{service: llm, kind: latency}}, outcome: [absorbed, recovered]}}
  - {{false_alarms: 0, needless_actions: 0}}
objectives:
  steady_state: {{availability: ">= 99%", latency_p95: "<= 800ms", latency_p99.9: "<= 3s", answered: ">= 95%", recall_at_5: ">= 90%"}}
  fault: {{availability: ">= 97%", latency_p95: "<= 4s", answered: ">= 95%"}}
  recovery: {{availability: ">= 99%", latency_p95: "<= +25% of steady_state"}}
"""
STORY = (
    "0s steady_state", "300s fault", "300s fault latency@llm id=f fix=switch_provider blast=generation", "304s alert llm",
    "304s diagnosis llm/latency:0.9", "305s action switch_provider llm", "700s heal", "700s recovery", "1000s end",
)  # fmt: skip


def write(directory: Path, requests: int, samples: int, providers: int = 2) -> RunDirectory:
    """A record with so many requests and samples, and the journals of so many mock providers."""
    told = history(*STORY, questions=questions(100), load={"arrivals": requests}, documents=100)
    run = save(directory, SCENARIO.format(rate=requests / LENGTH_S), told, frames(requests))
    _write_samples(run.samples, samples)
    for number in range(providers):
        _write_provider(run.providers, f"llm-{number}", min(requests, PROVIDER_ROWS), requests)
    return run


def frames(count: int, seed: int = 7) -> Iterator[NDArray[Any]]:
    """Requests in the order of their ends, in frames of `FRAME_ROWS`. Nothing larger than a megabyte or ten is ever in memory."""
    rng = np.random.default_rng(seed)
    waiting = np.zeros(0, dtype=REQUEST_DTYPE)
    for first in range(0, count, _AT_ONCE):
        rows = _rows(rng, first, min(count, first + _AT_ONCE), count)
        waiting = np.concatenate([waiting, rows])
        waiting = waiting[np.argsort(waiting["end_ns"], kind="stable")]
        ended = int(np.searchsorted(waiting["end_ns"], rows["intended_ns"][-1])) // FRAME_ROWS * FRAME_ROWS
        yield from (waiting[n : n + FRAME_ROWS] for n in range(0, ended, FRAME_ROWS))
        waiting = waiting[ended:]
    yield from (waiting[n : n + FRAME_ROWS] for n in range(0, len(waiting), FRAME_ROWS))


def _rows(rng: np.random.Generator, first: int, last: int, of: int) -> NDArray[Any]:
    """Latency is log-normal around 200 ms; 4 s at once after the onset of the fault, for five seconds; one in a thousand fails."""
    n = last - first
    rows = np.zeros(n, dtype=REQUEST_DTYPE)
    rows["seq"] = np.arange(first, last)
    rows["journey"] = rng.choice(len(JOURNEYS), n, p=(0.6, 0.3, 0.1))
    t_s = np.arange(first, last) / of * LENGTH_S
    rows["intended_ns"] = at_ns(0) + (t_s * 1e9).astype(np.int64)
    rows["start_ns"] = rows["intended_ns"] + rng.integers(20_000, 900_000, n)
    slow = (t_s >= 300) & (t_s < 305)
    length_ns = ((rng.lognormal(np.log(0.2), 0.3, n) + np.where(slow, 4.0, 0.0)) * 1e9).astype(np.int64)
    rows["end_ns"] = rows["start_ns"] + length_ns
    rows["first_ns"], rows["last_ns"] = rows["start_ns"] + length_ns // 2, rows["end_ns"] - 1000
    rows["max_gap_ns"], rows["chunks"], rows["tokens"] = length_ns // 10, 12, 40
    rows["outcome"] = np.where(rng.random(n) < 0.001, Outcome.ERROR, Outcome.OK)
    rows["question"] = np.where(rows["journey"] < 2, rng.integers(0, 100, n), -1)
    rows["canary"], rows["refused"], rows["degraded"], rows["preferred"], rows["status"] = 1, 0, 0, 1, 200
    rows["sources"], rows["citations"] = NOTHING, NOTHING
    rows["sources"][:, 0] = rows["citations"][:, 0] = rows["question"]
    rows["sources"][:, 1:5] = rng.integers(0, 100, (n, 4))
    return rows


def _write_samples(directory: Path, count: int) -> None:
    writer = SampleWriter(directory)
    for scrape in range(count // SERIES):
        t_ns = at_ns(scrape // TARGETS * LENGTH_S / max(1, count // SERIES // TARGETS))
        values = [(f"rag_series_{n}_total", {"route": "/api/ask"}, float(scrape + n)) for n in range(SERIES)]
        writer.append(t_ns, f"service-{scrape % TARGETS}", values)
    writer.close()


def _write_provider(folder: Path, service: str, count: int, of: int) -> None:
    writer = ProviderWriter(folder, service)
    row: dict[str, Any] = {
        "method": "POST", "route": "/v1/chat/completions", "path": "/v1/chat/completions", "dialect": "openai", "status": 200,
        "duration_ms": 120.0, "user_agent": "rag-generation/1.0", "account": "default", "model": "big", "stream": True, "attempt": 1,
        "connection": 3, "ttft_ms": 40.0, "last_sent_ms": 119.0, "prompt_tokens": 400, "completion_tokens": 40, "finish_reason": "stop",
        "ending": "complete",
    }  # fmt: skip
    start_s = at_ns(0) / 1e9
    for seq in range(count):
        own = {
            "seq": seq,
            "arrived_s": start_s + seq / of * LENGTH_S,
            "request_id": f"req-{seq}",
            "trace_id": f"{seq:032x}",
            "body_sha": f"{seq:016x}",
        }
        writer.rows_of([{**row, **own}])
    if count < of:
        writer.missing(f"{of - count} rows beyond the first {count} were left out")
    writer.close()
