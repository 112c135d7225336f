"""What is usual of a service hangs on what it is asked, not on how often it is asked what."""

from __future__ import annotations

from harness.ops.monitoring.rounds import Round
from harness.ops.monitoring.signals import ClientSignal, EdgeSignal, ServiceSignal, Signals
from harness.ops.monitoring.symptoms import SymptomRules


def look(rules: SymptomRules, **routes: tuple[float, float]) -> list[str]:
    """(requests, seconds each) of each route in the last five seconds."""
    signal = ServiceSignal()
    for route, (requests, each_s) in routes.items():
        for flow in (signal, signal.routes[route]):
            flow.finished += requests
            flow.duration_sum_s += requests * each_s
    nothing = ClientSignal(0.0, 0.0, None)
    found = rules.look(Round(0.0, (), ()), Signals(0.0, 5.0, {}, {"llm": signal}, nothing, {}))
    return [f"{s.name} {s.service}: {s.evidence}" for s in found]


def test_a_provider_that_answers_only_embeddings_for_a_while_is_not_slow_afterwards() -> None:
    rules = SymptomRules()
    both = {"chat": (20.0, 0.25), "embeddings": (30.0, 0.001)}
    assert [look(rules, **both) for _ in range(40)] == [[]] * 40
    assert [look(rules, embeddings=(30.0, 0.001)) for _ in range(200)] == [[]] * 200  # chat goes to the other provider
    assert [look(rules, **both) for _ in range(20)] == [[]] * 20
    assert look(rules, **{**both, "chat": (20.0, 2.0)}) == ["ServiceLatencyHigh llm: llm needs 2000 ms a request of chat, usually 250"]


def test_the_slowest_of_several_routes_is_told() -> None:
    rules = SymptomRules()
    for _ in range(20):
        look(rules, chat=(20.0, 0.25), embeddings=(30.0, 0.001))
    told = look(rules, chat=(20.0, 1.0), embeddings=(30.0, 1.0))
    assert told == ["ServiceLatencyHigh llm: llm needs 1000 ms a request of embeddings, usually 1"]


def test_calls_that_are_given_up_early_say_nothing_of_whoever_they_went_to() -> None:
    def called(rules: SymptomRules, timeouts: float, each_s: float) -> list[tuple[str, str]]:
        signal = EdgeSignal(finished=20.0, duration_sum_s=20 * each_s, attempts=20.0)
        signal.outcomes.update({"ok": 20 - timeouts, "timeout": timeouts})
        nothing = ClientSignal(0.0, 0.0, None)
        found = rules.look(Round(0.0, (), ()), Signals(0.0, 5.0, {("generation", "llm"): signal}, {}, nothing, {}))
        return [(s.name, s.kind) for s in found]

    rules = SymptomRules()
    assert [called(rules, 0, 0.25) for _ in range(12)] == [[]] * 12
    assert called(rules, 15, 0.09) == [], "their users have no patience"
    assert ("CallErrors", "hang") in called(rules, 15, 3.0)
    assert called(SymptomRules(), 15, 0.09) == [("CallErrors", "hang")], "what is usual is not known yet"
