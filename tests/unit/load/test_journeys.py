"""What each journey sends, and what becomes of each kind of answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.load.arrivals import Arrival
from harness.load.http import BrokenBodyError, RequestTimeoutError, UnreachableError
from harness.load.ingest import IngestLog
from harness.load.journeys import Journeys
from harness.load.observation import Observation
from harness.load.plan import ASKING
from harness.record.requests import UNKNOWN_DOCUMENT, Finish, Outcome
from tests.unit.load.fakes import FakeClock, FakeReply, FakeTransport, events
from tests.unit.load.plans import KNOWLEDGE, MIX, plan

ANSWER = {
    "answer": "The code of A is AA-111111 [doc-a].",
    "sources": [{"doc_id": "doc-b"}, {"doc_id": "note-1"}, {"doc_id": "doc-a"}],
    "citations": ["doc-a"],
    "degraded": False,
    "model": "big",
    "finish_reason": "stop",
    "attempts": 2,
    "usage": {"prompt_tokens": 90, "completion_tokens": 12},
}
DONE = {"done": True, **{k: v for k, v in ANSWER.items() if k not in ("answer", "sources")}}
STREAM = [{"sources": ANSWER["sources"]}, {"delta": ""}, {"delta": "The code is "}, {"delta": "AA-111111"}, {"delta": "."}, DONE, "[DONE]"]


def perform(journey: str, respond: FakeReply | Exception | Callable[[str, str], FakeReply], question: int = 0) -> Observation:
    observation, _, _ = performed(journey, respond, question)
    return observation


def performed(
    journey: str, respond: FakeReply | Exception | Callable[[str, str], FakeReply], question: int = 0, **load: Any
) -> tuple[Observation, FakeTransport, IngestLog]:
    def answer(method: str, url: str) -> FakeReply:
        if isinstance(respond, Exception):
            raise respond
        return respond(method, url) if callable(respond) else respond

    clock, transport, ingested = FakeClock(), FakeTransport(answer), IngestLog()
    journeys = Journeys(plan(**{"mix": {**MIX, "follow_up": 1, "login": 1}, **load}), KNOWLEDGE, clock, ingested, "key")
    arrival = Arrival(3, 1.0, journey, question if journey in ASKING else -1)
    observation = journeys.observe(arrival, 500_000)
    journeys.serve(arrival, observation, transport)
    assert 500_000 < observation.start_ns < observation.end_ns
    return observation, transport, ingested


def test_ask_records_the_whole_answer() -> None:
    seen, transport, _ = performed("ask", FakeReply(body=ANSWER))
    body = {"question": "What is the code of A?", "top_k": 5, "stream": False}
    headers = {"authorization": "Bearer key", "content-type": "application/json"}
    assert transport.sent == [("POST", "http://127.0.0.1:9/api/ask", headers, body)]
    assert (seen.outcome, seen.status, seen.finish, seen.attempts, seen.tokens) == (Outcome.OK, 200, Finish.STOP, 2, 12)
    assert (seen.question, seen.canary, seen.refused, seen.degraded, seen.preferred) == (0, 1, 0, 0, 1)
    assert (seen.sources, seen.citations) == ([1, UNKNOWN_DOCUMENT, 0], [0])
    assert (seen.first_ns, seen.last_ns, seen.chunks) == (0, 0, 0)


def test_ask_stream_times_the_content_and_nothing_else() -> None:
    seen = perform("ask_stream", FakeReply(body=events(*STREAM)))
    assert (seen.outcome, seen.finish, seen.chunks, seen.tokens, seen.canary) == (Outcome.OK, Finish.STOP, 3, 12, 1)
    assert seen.start_ns < seen.first_ns < seen.last_ns < seen.end_ns
    assert 0 < seen.max_gap_ns <= seen.last_ns - seen.first_ns
    assert (seen.sources, seen.citations, seen.degraded, seen.preferred, seen.attempts) == ([1, UNKNOWN_DOCUMENT, 0], [0], 0, 1, 2)


@pytest.mark.parametrize(
    ("body", "broken", "outcome", "chunks"),
    [
        (STREAM[:5], False, Outcome.TRUNCATED, 3),  # a clean end without `done`
        (STREAM[:5], True, Outcome.TRUNCATED, 3),  # cut in the middle
        ([*STREAM[:5], {"done": True}], False, Outcome.TRUNCATED, 3),  # no finish reason
        ([*STREAM[:5], {"done": True, "finish_reason": ""}], False, Outcome.TRUNCATED, 3),
        ([*STREAM[:6]], False, Outcome.OK, 3),  # no [DONE], but all that it would say
        (STREAM, True, Outcome.TRUNCATED, 3),  # cut after the last event: the HTTP message has no end
        ([STREAM[0], {"error": {"message": "provider", "code": "x"}}], False, Outcome.ERROR, 0),
        ([*STREAM[:4], {"error": {"message": "provider", "code": "x"}}], False, Outcome.ERROR, 2),
        (["no json", "[1]", *STREAM], False, Outcome.OK, 3),
        ([], False, Outcome.TRUNCATED, 0),
    ],
)
def test_a_stream_is_served_only_with_its_end(body: list[Any], broken: bool, outcome: Outcome, chunks: int) -> None:
    seen = perform("ask_stream", FakeReply(body=events(*body), broken=broken))
    assert (seen.outcome, seen.status, seen.chunks) == (outcome, 200, chunks)
    assert (seen.canary != -1) == (outcome is Outcome.OK)


@pytest.mark.parametrize("journey", ["ask", "ask_stream", "search", "ingest"])
@pytest.mark.parametrize(
    ("respond", "outcome", "status"),
    [
        (FakeReply(500, {"error": {}}), Outcome.ERROR, 500),
        (FakeReply(429, {}, {"retry-after": "1"}), Outcome.REJECTED, 429),
        (FakeReply(503, {}, {"retry-after": "1"}), Outcome.REJECTED, 503),
        (FakeReply(429, {}), Outcome.ERROR, 429),
        (FakeReply(503, b"<html>"), Outcome.ERROR, 503),
        (FakeReply(502, b"", broken=True), Outcome.ERROR, 502),
        (FakeReply(200, b'{"answer": "The co'), Outcome.TRUNCATED, 200),
        (FakeReply(200, b"<html>login</html>"), Outcome.TRUNCATED, 200),
        (FakeReply(200, b"[]"), Outcome.TRUNCATED, 200),
        (FakeReply(200, b"{}", broken=True), Outcome.TRUNCATED, 200),
        (UnreachableError("refused"), Outcome.ERROR, 0),
        (RequestTimeoutError(), Outcome.TIMEOUT, 0),
    ],
)
def test_what_is_not_served_is_told_apart(journey: str, respond: FakeReply | Exception, outcome: Outcome, status: int) -> None:
    seen = perform(journey, respond)
    assert (seen.outcome, seen.status, seen.canary, seen.refused) == (outcome, status, -1, -1)


def test_a_timeout_in_the_middle_of_a_stream_keeps_what_was_seen() -> None:
    class Stalling(FakeReply):
        def pieces(self) -> Any:
            yield from super().pieces()
            raise RequestTimeoutError

    seen = perform("ask_stream", Stalling(body=events(*STREAM[:4])))
    assert (seen.outcome, seen.status, seen.chunks) == (Outcome.TIMEOUT, 200, 2)
    assert seen.first_ns > 0


@pytest.mark.parametrize(
    ("text", "citations", "question", "canary", "refused"),
    [
        ("I cannot find this in the provided documents.", [], 1, -1, 1),
        ("I cannot find this in the provided documents.", [], 0, 0, 1),
        ("I can\u2019t answer that.", [], 1, -1, 1),
        ("There is no information about it.", [], 1, -1, 1),
        ("I don't know.", [], 1, -1, 1),
        ("I cannot find the code, but see [doc-a].", ["doc-a"], 1, -1, 0),  # it cites: an answer
        ("The code of Nothing is ZZ-999999.", [], 1, -1, 0),
        ("The code is AA-1111112.", ["doc-a"], 0, 0, 0),  # the canary is part of a longer word
        ("Code:AA-111111", ["doc-a"], 0, 1, 0),
        ("", [], 0, 0, 0),
    ],
)
def test_canaries_and_refusals(text: str, citations: list[str], question: int, canary: int, refused: int) -> None:
    seen = perform("ask", FakeReply(body={**ANSWER, "answer": text, "citations": citations}), question)
    assert (seen.question, seen.canary, seen.refused) == ((0, 5)[question], canary, refused)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"finish_reason": "length"}, {"finish": Finish.LENGTH}),
        ({"finish_reason": "content_filter"}, {"finish": Finish.CONTENT_FILTER}),
        ({"finish_reason": "tool_calls"}, {"finish": Finish.OTHER}),
        ({"degraded": True, "model": "small"}, {"degraded": 1, "preferred": 0}),
        ({"degraded": "yes", "model": None}, {"degraded": -1, "preferred": -1}),
        ({"attempts": "two", "usage": None}, {"attempts": 0, "tokens": 0}),
        ({"attempts": -1, "usage": {"completion_tokens": 2**40}}, {"attempts": 0, "tokens": 0}),
        ({"sources": "doc-a", "citations": [None, "x"]}, {"sources": [], "citations": [UNKNOWN_DOCUMENT] * 2}),
        ({"sources": [{"doc_id": ["a"]}, "x"]}, {"sources": [UNKNOWN_DOCUMENT] * 2}),
    ],
)
def test_odd_fields_are_unknown_and_never_an_exception(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    seen = perform("ask", FakeReply(body={**ANSWER, **changes}))
    assert seen.outcome is Outcome.OK
    assert {name: getattr(seen, name) for name in expected} == expected


def test_search_and_ingest() -> None:
    found = perform("search", FakeReply(body={"sources": ANSWER["sources"], "degraded": True}))
    assert (found.outcome, found.sources, found.degraded, found.canary) == (Outcome.OK, [1, UNKNOWN_DOCUMENT, 0], 1, -1)
    added, transport, ingested = performed("ingest", FakeReply(202, {"doc_id": "d-1", "status": "queued"}))
    assert (added.outcome, added.status, added.question, ingested.ids) == (Outcome.OK, 202, -1, ["d-1"])
    _, other, _ = performed("ingest", FakeReply(202, {"status": "queued"}))
    assert set(transport.sent[0][3]) == {"doc_id", "title", "text"}
    assert other.sent[0][3] == transport.sent[0][3]  # the same arrival, the same document


def test_a_follow_up_is_asked_in_the_same_session_and_its_own_answer_counts() -> None:
    answers = iter([{**ANSWER, "answer": "The code of A is AA-111111."}, {**ANSWER, "answer": "I cannot find this.", "citations": []}])
    seen, transport, _ = performed("follow_up", lambda *_: FakeReply(body=next(answers)))
    first, second = (body for _, _, _, body in transport.sent)
    assert (first["question"], first["session_id"]) == ("What is the code of A?", second["session_id"])
    assert second["question"] != first["question"]
    assert (seen.outcome, seen.question, seen.canary, seen.refused) == (Outcome.OK, 0, 0, 1)


@pytest.mark.parametrize("first", [FakeReply(500, {}), FakeReply(200, {"answer": None}), FakeReply(200, b"<html>")])
def test_a_conversation_that_fails_at_its_first_turn_goes_no_further(first: FakeReply) -> None:
    seen, transport, _ = performed("follow_up", first)
    assert seen.outcome is not Outcome.OK
    assert len(transport.sent) == 1


def test_login_takes_a_token_and_uses_it() -> None:
    answers = iter([{"access_token": "abc.def", "token_type": "bearer", "expires_in": 60}, {"client": "c"}])
    seen, transport, _ = performed("login", lambda *_: FakeReply(body=next(answers)))
    assert (seen.outcome, seen.question) == (Outcome.OK, -1)
    assert [(m, u.rpartition("/api/")[2], h["authorization"]) for m, u, h, _ in transport.sent] == [
        ("POST", "auth/token", "Bearer key"),
        ("GET", "usage", "Bearer abc.def"),
    ]


@pytest.mark.parametrize("token", [None, 7, "a\r\nb", "é"])
def test_what_is_no_token_is_not_used(token: object) -> None:
    seen, transport, _ = performed("login", FakeReply(body={"access_token": token}))
    assert (seen.outcome, len(transport.sent)) == (Outcome.TRUNCATED, 1)


def test_plain_journeys_send_what_they_say_and_the_key_stays_at_home() -> None:
    journeys = {
        "home": {"get": "/", "service": "other", "headers": {"X-Test": "1"}},
        "order": {"post": "/orders", "json": {"n": 1}, "expect_status": [201]},
    }
    load = {"mix": {"home": 1, "order": 1}, "journeys": journeys}
    home, transport, _ = performed("home", FakeReply(200, b"hello"), **load)
    assert (home.outcome, home.size, home.degraded) == (Outcome.OK, 5, -1)
    assert transport.sent == [("GET", "http://127.0.0.1:8/base/", {"x-test": "1"}, None)]
    order, transport, _ = performed("order", FakeReply(200, b""), **load)
    assert (order.outcome, order.status) == (Outcome.ERROR, 200)
    assert transport.sent[0][2:] == ({"authorization": "Bearer key", "content-type": "application/json"}, {"n": 1})
    assert performed("order", FakeReply(201, b""), **load)[0].outcome is Outcome.OK
    assert performed("home", BrokenBodyError("cut"), **load)[0].outcome is Outcome.ERROR
