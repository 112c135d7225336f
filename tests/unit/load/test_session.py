"""A whole load on a fake clock: rows, events and metrics agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import generate_latest

from harness.load.ingest import IngestChecker, IngestLog
from harness.load.journeys import Journeys
from harness.load.ledger import Sinks
from harness.load.metrics import ClientMetrics
from harness.load.observation import Observation
from harness.load.recorder import SEGMENT, Recorder
from harness.load.session import LoadSession
from harness.record.events import Event
from harness.record.frames import FrameScan, read_frames
from harness.record.requests import REQUEST, Outcome
from harness.telemetry.prometheus_text import parse
from tests.unit.load.fakes import AtOnce, FakeClock, FakeReply, FakeTransport, events
from tests.unit.load.plans import KNOWLEDGE, plan
from tests.unit.load.test_journeys import ANSWER, STREAM


def respond(method: str, url: str) -> FakeReply:
    if method == "GET":
        return FakeReply(200, {"status": "indexed"})
    if url.endswith("/api/documents"):
        return FakeReply(202, {"doc_id": "d", "status": "queued"})
    return FakeReply(body={"sources": ANSWER["sources"]})


class Run:
    """A session that was carried out, and all that it left."""

    def __init__(self, tmp_path: Path, respond: Callable[[str, str], FakeReply], concurrency: type[AtOnce] = AtOnce, **load: Any) -> None:
        self.plan = plan(tmp_path, **load)
        clock, transport, ingested = FakeClock(), FakeTransport(respond), IngestLog()
        self.events: list[Event] = []
        self.announced: Counter[str] = Counter()
        self.metrics = ClientMetrics(self.plan.journey_names)
        recorder = Recorder(tmp_path, self.plan.journey_names)
        sinks = Sinks(self._record, recorder, self.metrics, self._announce)
        journeys = Journeys(self.plan, KNOWLEDGE, clock, ingested, None)
        loop = concurrency(clock)
        self.session = LoadSession(self.plan, KNOWLEDGE, clock, loop, sinks, ingested, journeys, transport)
        self.t0_ns = clock.t_ns
        self.session.walk(self.t0_ns)
        self.session.finish(IngestChecker(transport, self.plan.base_url, None, clock, clock.sleep))
        recorder.close()
        self.segment = tmp_path / SEGMENT

    @property
    def rows(self) -> NDArray[Any]:
        return np.concatenate(list(read_frames(self.segment, REQUEST)))

    @property
    def last(self) -> dict[str, Any]:
        return dict(self.events[-1].data)

    def samples(self) -> dict[tuple[str, ...], float]:
        return {(n, *labels.values()): value for n, labels, value in parse(generate_latest(self.metrics.registry).decode())}

    def _record(self, event: Event) -> Event:
        self.events.append(event)
        return event

    def _announce(self, observation: Observation) -> None:
        self.announced[self.plan.journey_names[observation.journey]] += 1


def test_rows_events_and_metrics_tell_the_same(tmp_path: Path) -> None:
    run = Run(tmp_path, respond, mix={"search": 3, "ingest": 1}, shape=[{"constant": "40/s"}])
    assert FrameScan(run.segment).header["journeys"] == ["search", "ingest"]
    assert sorted(run.rows["seq"]) == list(range(400))
    assert set(run.rows["outcome"]) == {Outcome.OK}
    searches, ingests = Counter(run.rows["journey"].tolist())[0], Counter(run.rows["journey"].tolist())[1]
    assert run.events[0].data == {
        "state": "started", "t0_ns": run.t0_ns, "expected_arrivals": 400.0, "engine": "locust", "model": "open",
    }  # fmt: skip
    assert {k: run.last[k] for k in ("state", "early", "arrivals", "sent", "dropped_by_target", "dropped_by_generator", "cancelled")} == {
        "state": "finished", "early": False, "arrivals": 400, "sent": 400,
        "dropped_by_target": 0, "dropped_by_generator": 0, "cancelled": 0,
    }  # fmt: skip
    assert (run.last["ingest_accepted"], run.last["ingest_indexed"], run.last["ingest_missing"]) == (1, 1, [])
    assert run.announced == {"search": searches, "ingest": ingests}
    samples = run.samples()
    assert samples[("client_requests_total", "search", "ok")] == searches
    assert samples[("client_request_duration_seconds_count", "ingest")] == ingests
    assert (samples[("client_offered_total",)], samples[("client_requests_in_flight",)]) == (400, 0)


def test_quality_is_counted_as_clients_see_it(tmp_path: Path) -> None:
    """Question 0 is answered with its canary, question 5 has no answer and gets one all the same."""
    run = Run(tmp_path, lambda *_: FakeReply(body=ANSWER), mix={"ask": 1})
    assert {k[1]: v for k, v in run.samples().items() if k[0] == "client_quality_total"} == {"correct": 100, "wrong": 100}
    (tmp_path / "b").mkdir()
    refusing = {**ANSWER, "answer": "I cannot find this.", "citations": []}
    run = Run(tmp_path / "b", lambda *_: FakeReply(body=refusing), mix={"ask": 1})
    assert {k[1]: v for k, v in run.samples().items() if k[0] == "client_quality_total"} == {"correct": 100, "refused": 100}


def test_first_tokens_count_from_the_intended_start(tmp_path: Path) -> None:
    run = Run(tmp_path, lambda *_: FakeReply(body=events(*STREAM)), mix={"ask_stream": 1})
    assert run.samples()[("client_first_token_seconds_count",)] == 200
    assert run.samples()[("client_first_token_seconds_sum",)] == pytest.approx(
        float((run.rows["first_ns"] - run.rows["intended_ns"]).sum()) / 1e9
    )


def test_what_never_ends_is_dropped_then_cancelled(tmp_path: Path) -> None:
    class Hanging(AtOnce):
        def spawn(self, work: Callable[[], None]) -> None:
            """Starts and never comes back."""

    run = Run(tmp_path, respond, Hanging, mix={"search": 1}, max_in_flight=5)
    assert (run.last["sent"], run.last["dropped_by_target"], run.last["cancelled"]) == (5, 195, 5)
    assert (len(run.rows), set(run.rows["outcome"]), set(run.rows["start_ns"])) == (195, {Outcome.DROPPED}, {0})
    samples = run.samples()
    assert samples[("client_requests_total", "search", "dropped")] == 195
    assert (samples[("client_offered_total",)], samples[("client_requests_in_flight",)]) == (200, 5)
    assert ("client_request_duration_seconds_count", "search") not in samples
