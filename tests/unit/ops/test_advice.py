"""What to change, by what was measured; and nothing where nothing was."""

from __future__ import annotations

from collections.abc import Iterator

from harness.ops.diagnosis.advice import Adviser
from harness.ops.diagnosis.rules.base import View
from harness.ops.monitoring.symptoms import Symptom
from tests.unit.ops.stage import Stage


class Looks:
    """An adviser in the place of a rule."""

    def __init__(self) -> None:
        self.adviser = Adviser()

    def look(self, view: View) -> Iterator[Symptom]:
        self.adviser.look(view)
        return iter(())


def after(rounds: int, *, waiting: float = 0, hits: float = 9, busy_s: float = 0.2, timeouts: float = 0, limited: float = 0) -> set[str]:
    looks = Looks()
    stage = Stage(looks)
    for n in range(rounds):
        stage.count("retrieval-1", "rag_cache_requests_total", hits, cache="retrieval", tier="redis", result="hit")
        stage.count("retrieval-1", "rag_cache_requests_total", 10 - hits, cache="retrieval", tier="redis", result="miss")
        stage.count("retrieval-1", "process_cpu_seconds_total", busy_s)
        late = timeouts if n > 20 else 0.0
        for outcome, calls in (("ok", 10.0), ("timeout", late), ("rate_limited", limited)):
            stage.count("retrieval-1", "rag_client_requests_total", calls, callee="postgres", outcome=outcome)
        stage.count("retrieval-1", "rag_client_request_duration_seconds_count", 10 + late, callee="postgres")
        stage.count("retrieval-1", "rag_client_request_duration_seconds_sum", 0.1 + 5 * late, callee="postgres")
        pool = [("rag_pool_size", {"pool": "database"}, 5.0), ("rag_pool_waiting", {"pool": "database"}, waiting)]
        stage.show(stage.look("retrieval-1", pool))
    return {f"{a.about} of {a.service}" for a in looks.adviser.advice()}


def test_a_healthy_system_gets_no_advice() -> None:
    assert after(40) == set()


def test_a_short_look_gives_none() -> None:
    assert after(5, waiting=3, busy_s=1.0, hits=0) == set()


def test_each_measurement_speaks_for_its_own_change() -> None:
    assert after(40, waiting=3) == {"pool size of retrieval"}
    assert after(40, hits=2) == {"caching of retrieval"}
    assert after(40, busy_s=0.95) == {"replicas of retrieval"}
    assert after(40, timeouts=2) == {"timeout of retrieval"}
    assert after(40, limited=2) == {"concurrency of retrieval"}
