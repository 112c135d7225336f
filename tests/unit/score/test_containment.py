"""Did the fault stay where it was put?"""

from __future__ import annotations

from typing import Any

import pytest

from harness.record.requests import Outcome
from harness.scenario.paths import path_of
from harness.score import containment
from harness.score.check import Status
from tests.history_builder import history, scenario, traffic

FAULT = {"id": "f", "type": "t", "target": "retrieval-2", "for": "40s"}
RETRIEVAL = "30s fault crash@retrieval-2"


def judged(fault: str = RETRIEVAL, *, broken: str | None = None, rate: float = 25.0, **fields: Any) -> dict[str, tuple[Status, int | None]]:
    rows = traffic(0, 100, rate, journey=["ask", "ask", "ingest"])
    if broken is not None:
        number = ("ask", "ask_stream", "ingest").index(broken)
        during = slice(round(30 * rate), round(70 * rate))
        rows["outcome"][during][rows["journey"][during] == number] = Outcome.ERROR
    limits = {"steady_state": {"availability": ">= 99%"}}
    asked = scenario(**{"faults": [FAULT], "objectives": limits, "load": {"shape": [{"constant": f"{rate:g}/s"}]}, **fields})
    told = history(
        "0s steady_state", "30s fault", fault, "70s heal", "70s recovery", "100s end", requests=rows, journeys=("ask", "none", "ingest")
    )
    return {r.name: (r.status, r.samples) for r in containment.check(told, asked)}


def test_a_journey_that_does_not_touch_the_target() -> None:
    assert judged() == {"containment.f.ingest": (Status.PASS, 333)}
    assert judged(broken="ask") == {"containment.f.ingest": (Status.PASS, 333)}
    assert judged(broken="ingest") == {"containment.f.ingest": (Status.WARN, 333)}


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        ("30s fault crash@postgres", []),
        ("30s fault latency@llm", []),
        ("30s fault network@retrieval->postgres", ["containment.f.ingest"]),
        ("30s fault crash@document", ["containment.f.ask"]),
        ("30s fault none@retrieval benign", []),
        ("30s intended crash@retrieval", []),
    ],
)
def test_which_journeys_are_asked(fault: str, names: list[str]) -> None:
    assert list(judged(fault)) == names


def test_nothing_to_compare_with() -> None:
    assert judged(objectives={}) == {"containment.f.ingest": (Status.INCONCLUSIVE, None)}
    assert judged(rate=1.0, objectives={"steady_state": {"availability": ">= 50%"}}) == {
        "containment.f.ingest": (Status.INCONCLUSIVE, None)
    }


def test_journeys_of_another_stack_follow_its_edges() -> None:
    stack = {
        "use": "external",
        "services": {"web": {"url": "http://127.0.0.1:1"}},
        "edges": [["web", "db"], ["db", "disk"], ["other", "x"]],
    }
    asked = scenario(
        stack=stack, load={"shape": [{"constant": "1/s"}], "mix": {"home": 1}, "journeys": {"home": {"get": "/", "service": "web"}}}
    )
    assert path_of("home", asked) == frozenset({"web", "db", "disk"})
    assert path_of("ask", asked) is None
