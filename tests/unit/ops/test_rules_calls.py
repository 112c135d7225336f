"""Providers, ways between services, writers, and what comes in from outside."""

from __future__ import annotations

import pytest

from harness.ops.diagnosis.rules.edges import WayRules, WriteRules
from harness.ops.diagnosis.rules.entry import DocumentRules, EntryRules
from harness.ops.diagnosis.rules.providers import ProviderRules
from harness.ops.diagnosis.rules.vectors import VectorRules
from harness.ops.monitoring.rounds import CLIENT
from tests.unit.ops.stage import Stage, told

Told = list[tuple[str, str, str]]


def answers(stage: Stage, n: float = 8, *, model: str = "m-1", prompt: float = 300, completion: float = 40, **failed: float) -> Told:
    stage.count("generation-1", "rag_llm_requests_total", n, provider="llm", model=model, outcome="ok")
    for outcome, times in failed.items():
        stage.count("generation-1", "rag_llm_requests_total", times, provider="llm", model="m-1", outcome=outcome)
    for direction, each in (("prompt", prompt), ("completion", completion)):
        stage.count("generation-1", "rag_llm_tokens_total", n * each, provider="llm", model=model, direction=direction)
    return told(stage.show(stage.look("generation-1")))


def calm(rule: ProviderRules) -> Stage:
    stage = Stage(rule)
    assert [answers(stage, completion=40 + n % 9) for n in range(20)] == [[]] * 20
    return stage


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [("http_4xx", "errors"), ("http_5xx", "errors"), ("timeout", "hang"), ("connect_error", "network"), ("connection_lost", "network")],
)
def test_attempts_that_fail_are_the_providers_whatever_becomes_of_them(outcome: str, kind: str) -> None:
    stage = calm(ProviderRules())
    assert [answers(stage, 4, **{outcome: 4}) for _ in range(2)][-1] == [("CallErrors", "llm", kind)]


def test_a_stray_failure_and_rate_limits_are_not() -> None:
    stage = calm(ProviderRules())
    assert [answers(stage, http_5xx=n == 3, rate_limited=4, circuit_open=4) for n in range(8)] == [[]] * 8


def test_answers_that_break_off_need_be_few_only() -> None:
    stage = calm(ProviderRules())
    assert [answers(stage, 8, error=1) for _ in range(4)][-1] == [("CallErrors", "llm", "errors")]
    stage = calm(ProviderRules())
    assert [answers(stage, 8, connection_lost=1) for _ in range(4)][-1] == [("CallErrors", "llm", "network")]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model": "m-mini"}, ("ModelChanged", "llm", "version")),
        ({"prompt": 0.0, "completion": 0.0}, ("UsageMissing", "llm", "data")),
        ({"completion": 140.0}, ("AnswerLength", "llm", "quality")),
        ({"completion": 12.0}, ("AnswerLength", "llm", "quality")),
    ],
)
def test_what_answers_say_of_themselves(changed: dict[str, object], said: tuple[str, str, str]) -> None:
    stage = calm(ProviderRules())
    found = [answers(stage, **changed) for _ in range(6)]  # type: ignore[arg-type]
    assert said in found[-1]


def test_tokens_that_trickle() -> None:
    stage = Stage(ProviderRules())

    def tokens(each_s: float) -> Told:
        stage.count("llm-1", "vllm:time_per_output_token_seconds_count", 200)
        stage.count("llm-1", "vllm:time_per_output_token_seconds_sum", 200 * each_s)
        return told(stage.show(stage.look("llm-1")))

    assert [tokens(0.01 + 0.002 * (n % 4)) for n in range(15)] == [[]] * 15
    assert [tokens(0.5) for _ in range(2)][-1] == [("TokensSlow", "llm", "latency")]


def way(stage: Stage, failed: float, outcome: str = "http_5xx", own: float = 0.0, *, others: float = 0.0) -> Told:
    stage.count("query-1", "rag_client_requests_total", 10 - failed, callee="retrieval", outcome="ok")
    stage.count("query-1", "rag_client_requests_total", failed, callee="retrieval", outcome=outcome)
    stage.count("gateway-1", "rag_client_requests_total", 10 - others, callee="retrieval", outcome="ok")
    stage.count("gateway-1", "rag_client_requests_total", others, callee="retrieval", outcome=outcome)
    stage.count("retrieval-1", "rag_requests_total", 10, route="/retrieve", method="POST", status="200")
    stage.count("retrieval-1", "rag_requests_total", own, route="/retrieve", method="POST", status="503")
    return told(stage.show(*(stage.look(i) for i in ("query-1", "gateway-1", "retrieval-1"))))


@pytest.mark.parametrize("outcome", ["http_5xx", "connect_error", "connection_lost", "timeout", "error", "rate_limited"])
def test_failures_that_the_callee_knows_nothing_of_are_the_ways(outcome: str) -> None:
    stage = Stage(WayRules())
    way(stage, 0)
    said = [way(stage, 3, outcome) for _ in range(3)]
    assert said[-1] == [("WayBroken", "retrieval", "network")]


def test_failures_that_the_callee_counts_too_or_others_see_too_are_not() -> None:
    its_own, everybodys = Stage(WayRules()), Stage(WayRules())
    assert [way(its_own, 3, own=3) for _ in range(4)] == [[]] * 4
    assert [way(everybodys, 3, others=3) for _ in range(4)] == [[]] * 4


def flapping(stage: Stage, error: str | None, started: float = 1.0, failed: float = 3) -> Told:
    stage.count("query-1", "rag_client_requests_total", 10 - failed, callee="retrieval", outcome="ok")
    stage.count("query-1", "rag_client_requests_total", failed, callee="retrieval", outcome="error")
    own: list[tuple[str, dict[str, str], float]] = [] if error else [("process_start_time_seconds", {}, started)]
    return told(stage.show(stage.look("query-1"), stage.look("retrieval-1", own, error), stage.look("retrieval-2")))


def test_failures_while_an_instance_of_the_callee_was_down_or_began_anew_are_not_the_ways() -> None:
    seen, missed = Stage(WayRules()), Stage(WayRules())
    for stage in (seen, missed):
        assert flapping(stage, None, failed=0) == []
    assert [flapping(seen, "refused"), *(flapping(seen, None, 2.0) for _ in range(5))] == [[]] * 6
    assert [flapping(missed, None, 2.0) for _ in range(6)] == [[]] * 6, "too short for a look, and told by its own account"
    assert [flapping(missed, None, 2.0) for _ in range(2)][-1] == [("WayBroken", "retrieval", "network")], (
        "it has been there for longer than the window"
    )


def write(stage: Stage, documents: float, searches: float = 0.0, *, read_only: float = 0.0) -> Told:
    for instance, failed in (("document-1", documents), ("retrieval-1", searches)):
        stage.count(instance, "rag_client_requests_total", 4 - failed, callee="postgres", outcome="ok")
        stage.count(instance, "rag_client_requests_total", failed, callee="postgres", outcome="error")
    pg = stage.look("postgres-1", [("pg_settings_default_transaction_read_only", {}, read_only)])
    return told(stage.show(stage.look("document-1"), stage.look("retrieval-1"), pg))


def test_writers_that_fail_beside_readers_that_do_not_speak_of_the_disk() -> None:
    full, read_only, broken = (Stage(WriteRules()) for _ in range(3))
    for stage in (full, read_only, broken):
        write(stage, 0)
    assert [write(full, 3) for _ in range(8)][-1] == [("WritesFail", "postgres", "disk")]
    assert [write(read_only, 3, read_only=1) for _ in range(8)] == [[]] * 8
    assert [write(broken, 3, 3) for _ in range(8)] == [[]] * 8


def entry(stage: Stage, came: float, offered: float = 10, unauthorized: float = 0, fds: float = 40) -> Told:
    stage.count(CLIENT, "client_offered_total", offered)
    stage.count("gateway-1", "rag_requests_total", came, route="/api/ask", method="POST", status="200")
    stage.count("gateway-1", "rag_auth_failures_total", unauthorized, reason="expired")
    return told(stage.show(stage.look("gateway-1", [("process_open_fds", {}, fds)])))


def test_more_than_was_offered_is_told_and_more_that_was_offered_is_not() -> None:
    spike, rush = Stage(EntryRules("gateway")), Stage(EntryRules("gateway"))
    assert [entry(rush, 10 + 5 * n, 10 + 5 * n) for n in range(12)] == [[]] * 12
    assert [entry(spike, 10) for _ in range(8)] == [[]] * 8
    assert [entry(spike, 70) for _ in range(4)][-1] == [("LoadUnexpected", "gateway", "load")]
    assert [entry(rush, 65, 0.0) for _ in range(8)][-1] == [], "nobody is watched any more"


def test_credentials_that_are_refused_and_connections_that_are_held() -> None:
    refused, held = Stage(EntryRules("gateway")), Stage(EntryRules("gateway"))
    assert [entry(refused, 10, unauthorized=n == 4) for n in range(8)] == [[]] * 8
    assert [entry(refused, 10, unauthorized=3) for _ in range(3)][-1] == [("Unauthorized", "gateway", "credentials")]
    assert [entry(held, 10, fds=40 + n) for n in range(12)] == [[]] * 12
    assert entry(held, 10, fds=240) == [("ConnectionsHeld", "gateway", "load")]


def documents(stage: Stage, refused: float = 0, dead: float = 0, waiting: float = 2) -> Told:
    stage.count("document-1", "rag_requests_total", 2, route="/documents", method="POST", status="202")
    stage.count("document-1", "rag_requests_total", refused, route="/documents", method="POST", status="422")
    stage.count("document-1", "rag_ingest_total", dead, state="dead")
    return told(stage.show(stage.look("document-1", [("rag_queue_length", {"queue": "ingest"}, waiting)])))


def test_documents_that_nobody_can_take_and_that_wait() -> None:
    unreadable, many = Stage(DocumentRules()), Stage(DocumentRules())
    assert [documents(unreadable, refused=n % 6 == 0, waiting=n % 5) for n in range(12)] == [[]] * 12
    assert [documents(unreadable, refused=3) for _ in range(3)][-1] == [("DocumentsRefused", "document", "data")]
    assert [documents(unreadable, dead=3) for _ in range(6)][-1] == [("DocumentsDead", "document", "data")]
    assert [documents(many) for _ in range(10)] == [[]] * 10
    assert documents(many, waiting=400) == [("DocumentsWaiting", "document", "latency")]


def searches(stage: Stage, failed: float = 0.0, outcome: str = "http_5xx", rejected: float = 0.0, by_words: float = 0.0) -> Told:
    stage.count("retrieval-1", "rag_client_requests_total", 10 - failed, callee="vector", outcome="ok")
    stage.count("retrieval-1", "rag_client_requests_total", failed, callee="vector", outcome=outcome)
    stage.count("retrieval-1", "rag_vector_rejected_total", rejected, reason="score")
    stage.count("retrieval-1", "rag_degraded_total", by_words, reason="lexical_retrieval")
    return told(stage.show(stage.look("retrieval-1")))


@pytest.mark.parametrize(
    ("outcome", "kind"), [("http_4xx", "config"), ("http_5xx", "errors"), ("connect_error", "network"), ("connection_lost", "network")]
)
def test_a_vector_store_that_refuses_and_hits_that_cannot_be_used(outcome: str, kind: str) -> None:
    failing, odd, without = (Stage(VectorRules(("vector",))) for _ in range(3))
    for stage in (failing, odd, without):
        assert [searches(stage, failed=n == 3) for n in range(8)] == [[]] * 8
    assert [searches(failing, 4, outcome) for _ in range(3)][-1] == [("CallErrors", "vector", kind)]
    assert [searches(odd, rejected=9) for _ in range(3)][-1] == [("HitsRejected", "vector", "data")]
    assert [searches(without, by_words=4) for _ in range(3)][-1] == [("SearchedByWords", "vector", "data")]
