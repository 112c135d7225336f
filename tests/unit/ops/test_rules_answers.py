"""Answers that come in time and are wrong; builds that changed before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from harness.ops.diagnosis.graph import Graph
from harness.ops.diagnosis.rules.base import View
from harness.ops.diagnosis.rules.builds import CHANGE_MATTERS_S, MISSING_AT_MOST_S, BuildRules
from harness.ops.diagnosis.rules.catalogue import FamilyRules, without_the_vague
from harness.ops.diagnosis.rules.noise import CommonSlowness, StillAnswering
from harness.ops.diagnosis.rules.quality import CanaryRules, UserQualityRules
from harness.ops.monitoring.canaries import FACT, SOURCE
from harness.ops.monitoring.rounds import CLIENT, CanaryAnswer, Round
from harness.ops.monitoring.signals import derive
from harness.ops.monitoring.symptoms import Symptom
from tests.unit.ops.stage import KINDS, Stage, told

Told = list[tuple[str, str, str]]


def ask(stage: Stage, canary: str, body: Mapping[str, Any] | None, question: int = 0, number: int = 1) -> Told:
    return told(stage.show(canaries=(CanaryAnswer(canary, canary, f"{canary}-{number}", question, body),)))


def generated(text: str = f"It is {FACT}.", **other: Any) -> dict[str, Any]:
    return {"answer": text, "citations": [SOURCE], "provider": "llm", "finish_reason": "stop", **other}


def canaries() -> Stage:
    stage = Stage(CanaryRules(("postgres",), ("llm", "llm_fallback")))
    for turn in range(5):
        assert ask(stage, "generation", generated()) == []
        assert ask(stage, "embedding", {"embeddings": [[1.0, 0.02 * turn, 0.0], [0.0, 0.02 * turn, 1.0]]}) == []
        assert ask(stage, "search", {"sources": [{"doc_id": f"d{n}"} for n in range(5)]}) == []
    return stage


@pytest.mark.parametrize(
    "bad",
    [
        generated("It is ZK-0000."),
        generated(citations=[]),
        generated(f"Die Antwort lautet {FACT}."),
        generated(finish_reason="length"),
        generated("I cannot find this in the provided documents."),
    ],
)
def test_a_generation_canary_that_is_wrong_twice_is_the_providers(bad: Mapping[str, Any]) -> None:
    stage = canaries()
    assert ask(stage, "generation", bad) == []
    assert ask(stage, "generation", bad) == [("CanaryWrong", "llm", "quality")]
    assert ask(stage, "generation", generated()) == []


def test_one_instance_that_is_wrong_where_another_is_right_is_to_blame_itself() -> None:
    stage = canaries()
    said = [ask(stage, "generation", generated("No idea.") if n % 2 else generated(), number=1 + n % 2) for n in range(6)]
    assert said == [[], [], [], [("CanaryWrong", "generation", "quality")], [("CanaryWrong", "generation", "quality")], said[5]]


def test_another_provider_may_answer_in_other_words_and_no_answer_is_no_wrong_one() -> None:
    stage = canaries()
    assert [ask(stage, "generation", generated(f"{FACT}, it says.", provider="llm_fallback")) for _ in range(4)] == [[]] * 4
    assert [ask(stage, "generation", None) for _ in range(4)] == [[]] * 4


@pytest.mark.parametrize(
    "vectors",
    [
        [[1.0, 0.0], [0.0, 1.0]],  # of another dimension
        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
        [[9.0, 0.0, 0.0], [0.0, 0.0, 9.0]],  # not normalised
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]],  # in another order
        [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]],  # of another space
        [[1.0, 0.0, 0.0]],
    ],
)
def test_embeddings_that_are_not_what_they_were(vectors: list[list[float]]) -> None:
    stage = canaries()
    assert [ask(stage, "embedding", {"embeddings": vectors}) for _ in range(2)][-1] == [("CanaryWrong", "llm", "data")]


def test_a_search_that_finds_other_documents() -> None:
    stage = canaries()
    new = {"sources": [{"doc_id": d} for d in ("new", "d0", "d1", "d2", "d3")]}
    assert [ask(stage, "search", new) for _ in range(3)] == [[]] * 3, "a corpus grows"
    twice = {"sources": [{"doc_id": d} for d in ("new", "d0", "d1", "d0", "d1")]}
    assert [ask(stage, "search", twice) for _ in range(3)] == [[]] * 3, "a document has several chunks"
    assert [ask(stage, "search", {"sources": [], "degraded": True}) for _ in range(3)] == [[]] * 3
    lost = {"sources": [{"doc_id": d} for d in ("d0", "x", "y", "z", "w")]}
    assert [ask(stage, "search", lost) for _ in range(2)][-1] == [("CanaryWrong", "postgres", "data")]


def quality(stage: Stage, correct: float, wrong: float = 0, refused: float = 1) -> Told:
    for result, n in (("correct", correct), ("wrong", wrong), ("refused", refused)):
        stage.count(CLIENT, "client_quality_total", n, result=result)
    return told(stage.show())


def users() -> Stage:
    return Stage(UserQualityRules("cache", ("postgres",), "llm", CanaryRules(("postgres",), ("llm",))))


def test_what_users_say_of_answers() -> None:
    stage, refusing = users(), users()
    assert [quality(stage, 8, wrong=n == 7) for n in range(16)] == [[]] * 16
    assert [quality(stage, 4, wrong=4) for _ in range(3)][-1] == [("AnswersWrong", "llm", "quality")]
    for _ in range(12):
        quality(refusing, 8)
    assert [quality(refusing, 2, refused=7) for _ in range(5)][-1] == [("AnswersWrong", "llm", "quality")]


def test_a_provider_whose_canary_is_well_is_not_blamed() -> None:
    stage = users()
    rule = stage.rule
    assert isinstance(rule, UserQualityRules)
    for _ in range(12):
        quality(stage, 8)
    healthy = Stage(rule.canaries, t_s=stage.t_s)
    ask(healthy, "generation", generated())
    said = [quality(stage, 4, wrong=4) for _ in range(4)][-1]
    assert said == [("AnswersWrong", "postgres", "data")], "what is out of date fits the question"
    healthy.t_s = stage.t_s
    ask(healthy, "generation", generated("No idea."), number=2)
    ask(healthy, "generation", generated())
    assert quality(stage, 4, wrong=4) == [], "then it is one instance, as the canary says itself"


@pytest.mark.parametrize(
    ("hits", "found", "blamed"),
    [
        (6, ["d0", "d1", "d2", "d3", "d4"], "cache"),
        (1, ["d0", "d1", "d2", "d3", "d4"], "postgres"),  # more is declined than comes from the cache
        (6, ["d0", "d1", "d2", "x", "y"], "postgres"),  # the index is not what it was
    ],
)
def test_contexts_of_another_question_are_the_caches_if_the_index_is_as_it_was(hits: int, found: list[str], blamed: str) -> None:
    stage = users()
    rule = stage.rule
    assert isinstance(rule, UserQualityRules)

    def ask_and_look_up(correct: float, refused: float) -> Told:
        for tier, result, n in (("memory", "miss", 8), ("redis", "hit", hits), ("redis", "miss", 8 - hits)):
            stage.count("retrieval-1", "rag_cache_requests_total", n, cache="retrieval", tier=tier, result=result)
        for result, n in (("correct", correct), ("refused", refused)):
            stage.count(CLIENT, "client_quality_total", n, result=result)
        return told(stage.show(stage.look("retrieval-1")))

    for _ in range(14):
        ask_and_look_up(8, 0)
    healthy = Stage(rule.canaries, t_s=stage.t_s - 3)
    ask(healthy, "generation", generated())
    for documents in (["d0", "d1", "d2", "d3", "d4"], found):
        ask(healthy, "search", {"sources": [{"doc_id": d} for d in documents]})
    assert [ask_and_look_up(4, 4) for _ in range(6)][-1] == [("AnswersWrong", blamed, "data")]


def test_a_version_is_slow_where_it_runs_and_not_in_the_mean() -> None:
    stage = Stage(BuildRules())

    def serve(version: str, each_s: float) -> Told:
        for instance, n, took_s in (("retrieval-1", 1, each_s), ("retrieval-2", 20, 0.004)):
            stage.count(instance, "rag_request_duration_seconds_count", n, route="/retrieve")
            stage.count(instance, "rag_request_duration_seconds_sum", n * took_s, route="/retrieve")
        return told(stage.show(stage.look("retrieval-1", [("rag_build_info", {"version": version}, 1.0)]), stage.look("retrieval-2")))

    assert [serve("1.0.0", 0.004) for _ in range(8)] == [[]] * 8
    assert [serve("1.1.0", 0.004) for _ in range(8)] == [[]] * 8, "a change alone is no fault"
    assert [serve("1.2.0", 0.3) for _ in range(8)][-1] == [("VersionSlower", "retrieval", "version")]


def test_a_symptom_soon_after_a_change_of_build_is_laid_to_the_build() -> None:
    rule = BuildRules()
    stage = Stage(rule)

    def runs(version: str) -> list[Symptom]:
        return stage.show(stage.look("retrieval-1", [("rag_build_info", {"version": version}, 1.0)]), stage.look("retrieval-2"))

    def suspected(symptom: Symptom) -> tuple[str, str, str]:
        windows = stage.windows
        view = View(None, None, windows, KINDS)  # type: ignore[arg-type]
        object.__setattr__(view, "signals", type("Now", (), {"t_s": stage.t_s})())
        return told(rule.suspect(view, (symptom,)))[0]

    slow = Symptom("ServiceLatencyHigh", "retrieval", "latency", "slow")
    assert runs("1.0.0") == []
    assert suspected(slow) == ("ServiceLatencyHigh", "retrieval", "latency")
    assert runs("1.1.0") == [], "a change alone is no fault"
    assert suspected(slow) == ("ServiceLatencyHigh", "retrieval", "version")
    assert suspected(Symptom("CanaryWrong", "retrieval", "quality", "wrong"))[2] == "quality"
    stage.t_s += CHANGE_MATTERS_S
    assert suspected(slow)[2] == "latency"
    assert runs("1.2.0") == []
    assert suspected(slow)[2] == "version"
    assert runs("1.0.0") == []
    assert suspected(slow)[2] == "latency", "what ran at first is not suspect"


def test_an_instance_that_left_for_long_is_missing_and_for_ever_is_gone() -> None:
    stage = Stage(BuildRules())
    stage.show(stage.look("retrieval-1"), stage.look("retrieval-2"))
    said = [told(stage.show(stage.look("retrieval-2"))) for _ in range(int(MISSING_AT_MOST_S) + 5)]
    assert said[:9] == [[]] * 9
    assert said[12] == [("InstanceMissing", "retrieval", "version")]
    assert said[-1] == []


def test_rules_that_say_it_better_take_the_place_of_the_vague() -> None:
    rules = FamilyRules.of(KINDS, Graph([("gateway", "retrieval"), ("retrieval", "postgres")]))
    stage = Stage(rules.rules[0])
    windows = stage.windows
    down = Symptom("InstanceDown", "retrieval", "crash", "reset", instance="retrieval-1")

    class Said:
        def look(self, view: View) -> list[Symptom]:
            return [Symptom("DescriptorsExhausted", "retrieval", "descriptors", "none", instance="retrieval-1", directness=0.96)]

    stage.show()
    view = View(
        type("Empty", (), {"looks": (), "canaries": ()})(), type("S", (), {"t_s": 1.0, "window_s": 5.0, "services": {}})(), windows, KINDS
    )  # type: ignore[arg-type]
    assert told(FamilyRules((Said(),)).look(view, [down])) == [("DescriptorsExhausted", "retrieval", "descriptors")]


def test_what_another_symptom_explains_is_not_told_beside_it() -> None:
    load = Symptom("LoadUnexpected", "gateway", "load", "", directness=0.9)
    length = Symptom("AnswerLength", "llm", "quality", "", directness=0.55)
    stalls = Symptom("InstanceStalls", "retrieval", "pool", "", instance="retrieval-1", directness=0.86)
    throttled = Symptom("ProcessorThrottled", "retrieval", "cpu", "", instance="retrieval-1", directness=0.9)
    calls, called = (
        Symptom("CallLatencyHigh", edge[1], "latency", "", edge=edge) for edge in (("retrieval", "llm"), ("query", "retrieval"))
    )
    assert without_the_vague([length]) == [length]
    assert without_the_vague([load, length, stalls]) == [load]
    assert without_the_vague([stalls, calls, called]) == [stalls, called], "a caller that stands still measures itself"
    assert without_the_vague([stalls, throttled, calls]) == [throttled]


def test_slowness_that_everybody_shares_is_nobodys() -> None:
    slowness = CommonSlowness()
    slow = Symptom("CallLatencyHigh", "retrieval", "latency", "slow", edge=("query", "retrieval"))
    kept = [slow, Symptom("UserLatencyHigh", "gateway", "latency", "slow"), Symptom("LockWaits", "postgres", "latency", "", directness=0.9)]

    def withheld(*took_s: float) -> list[str]:
        stage = Stage(CanaryRules((), ()))
        looks = tuple(replace(stage.look(f"retrieval-{n}"), duration_s=s) for n, s in enumerate(took_s))
        view = View(Round(0.0, looks), derive(stage.windows, 0.0, 5.0), stage.windows, KINDS)
        return [s.name for s in slowness.withhold(view, kept)]

    everything = [s.name for s in kept]
    assert [withheld(0.004, 0.005, 0.006, 0.005) for _ in range(10)] == [everything] * 10
    assert withheld(0.004, 0.005, 0.3, 0.9) == everything, "two are slow, the others are not"
    assert withheld(0.2, 0.3, 0.3, 0.006) == everything[1:]


def test_who_is_silent_to_looks_and_answers_its_callers_does_not_hang() -> None:
    class Silent:
        """As a rule, so that rounds can be played."""

        silence = StillAnswering()

        def look(self, view: View) -> list[Symptom]:
            hang = [Symptom("InstanceDown", s, "hang", "", instance=f"{s}-1") for s in ("query", "retrieval")]
            return self.silence.withhold(view, [*hang, Symptom("InstanceDown", "document", "crash", "", instance="document-1")])

    stage = Stage(Silent())

    def silent(answered: float) -> list[str]:
        for callee in ("query", "retrieval", "document"):
            stage.count("gateway-1", "rag_client_requests_total", answered, callee=callee, outcome="ok")
        names = ("gateway-1", "query-1", "retrieval-1", "retrieval-2", "document-1")
        return [s.service for s in stage.show(*(stage.look(name) for name in names))]

    assert [silent(5) for _ in range(4)][-1] == ["retrieval", "document"], "of two retrievals one may hang; the dead are dead"
    assert [silent(0) for _ in range(3)][-1] == ["query", "retrieval", "document"]
