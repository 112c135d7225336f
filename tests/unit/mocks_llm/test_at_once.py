"""The short way of answers that are due at once: nobody can tell it from the long one, and it is taken only where it may be."""

from __future__ import annotations

import gc
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocks.llm.answers.base import Composer
from mocks.llm.headers import answer_headers
from mocks.llm.memory import KnownVectors
from tests.unit.mocks_llm.served import ANSWER, CHAT_PATH, EMBEDDINGS_PATH, FACT, Clock, FakeReply, Served, chat

RESPONSES_PATH = "/v1/responses"
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {"of": {"type": "string"}}}}}
VECTOR: dict[str, Any] = {"model": "rag-embedding", "input": FACT}
SHORT: dict[str, Any] = {"ttft_ms": 0, "itl_ms": 0}
LONG: dict[str, Any] = {**SHORT, "max_concurrency": 1_000}
"""The same but for a limit that nobody reaches, and that keeps requests on the long way."""


class Now(Clock):
    """The clock of the process, for what is compared with it."""

    @property
    def now_s(self) -> float:
        return time.monotonic()

    @now_s.setter
    def now_s(self, value: float) -> None:
        pass


def ways(served: Served) -> list[str]:
    """Note the way that every answer takes from now on."""
    taken: list[str] = []
    done, finish = served.ledger.done, served.ledger.finish

    def short(*arguments: Any) -> None:
        taken.append("short")
        done(*arguments)

    def long(*arguments: Any) -> None:
        taken.append("long")
        finish(*arguments)

    vars(served.ledger).update(done=short, finish=long)
    return taken


def both(**profile: Any) -> tuple[Served, Served]:
    return Served(Now(), **{**SHORT, **profile}), Served(Now(), **{**LONG, **profile})


def said(reply: FakeReply) -> tuple[Any, ...]:
    document = {**reply.document, **{moment: 0 for moment in ("created", "created_at", "completed_at") if moment in reply.document}}
    return reply.status, reply.ended, reply.content_type, {**reply.headers, "openai-processing-ms": ""}, json.dumps(document)


def left_behind(served: Served) -> list[dict[str, Any]]:
    """The rows, but for moments."""
    return [{**row, "ts": "", "duration_ms": 0, "arrived_s": 0} for row in served.rows()]


def counted(served: Served) -> list[str]:
    """The numbers, but for how long it all took."""
    lines = served.metrics.render().decode().splitlines()
    return [
        line for line in lines if not line.startswith(("process_", "#")) and "_seconds_sum" not in line and "_seconds_bucket" not in line
    ]


def living(kind: type) -> int:
    """How many of a kind there are in this process."""
    return sum(isinstance(one, kind) for one in gc.get_objects())


BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": (CHAT_PATH, chat()),
    "short": (CHAT_PATH, chat(max_tokens=3)),
    "choices": (CHAT_PATH, chat(n=3, max_tokens=20, temperature=1)),
    "stopped": (CHAT_PATH, chat(stop=["red"], user="tenant-1")),
    "json": (CHAT_PATH, chat(response_format={"type": "json_object"}, messages=[{"role": "user", "content": "As JSON: é, \u2028"}])),
    "tool": (CHAT_PATH, chat(tools=[TOOL], tool_choice="required")),
    "logprobs": (CHAT_PATH, chat(logprobs=True, top_logprobs=2, max_completion_tokens=4)),
    "no stream": (CHAT_PATH, chat(stream=False)),
    "response": (RESPONSES_PATH, {"model": "rag-chat", "input": FACT}),
    "vector": (EMBEDDINGS_PATH, {"model": "rag-embedding", "input": FACT, "user": "tenant-1", "encoding_format": "base64"}),
    "vectors": (EMBEDDINGS_PATH, {"model": "rag-embedding", "input": [[1, 2], [3]], "dimensions": 7}),
}


@pytest.mark.parametrize("name", BODIES)
def test_both_ways_say_and_note_the_same(name: str) -> None:
    path, body = BODIES[name]
    headers = [("x-request-id", "mine"), ("user-agent", "me/1"), ("traceparent", f"00-{'a' * 32}-{'b' * 16}-01")]
    short, long = both(snapshots={"rag-chat": "rag-chat-1"})
    for how in ([], headers, headers, headers):  # the later ones are recalled, and filled into a template
        assert said(short.ask(body, path, headers=how)) == said(long.ask(body, path, headers=how))
    assert left_behind(short) == left_behind(long)
    assert counted(short) == counted(long)


@given(text=st.text(min_size=1, max_size=40), tokens=st.integers(1, 40), strategy=st.sampled_from(["echo", "extractive"]))
def test_both_ways_answer_any_text_alike(text: str, tokens: int, strategy: str) -> None:
    short, long = both(answers={"strategy": strategy})
    body = json.dumps(chat(messages=[{"role": "user", "content": text}], max_tokens=tokens)).encode()
    assert said(short.ask(body)) == said(long.ask(body))
    assert left_behind(short) == left_behind(long)


@pytest.mark.parametrize(
    ("profile", "ask", "way"),
    [
        (SHORT, {}, "short"),
        (SHORT, {"path": "/v1/messages", "body": {**chat(), "max_tokens": 9}, "headers": [("anthropic-version", "2023-06-01")]}, "long"),
        (SHORT, {"path": "/openai/v1/chat/completions"}, "long"),
        (SHORT, {"body": chat(stream=True)}, "long"),
        (SHORT, {"body": json.dumps(chat(stream=True)).replace("stream", "\\u0073tream").encode()}, "long"),
        (SHORT, {"body": chat(messages=[{"role": "user", "content": "x" * 70_000}])}, "long"),
        ({}, {}, "long"),
        ({**SHORT, "ttft_ms": 1}, {}, "long"),
        ({**SHORT, "latency": {"ttft": {"uniform_ms": {"low": 0, "high": 1}}}}, {}, "long"),
        ({**SHORT, "latency": {"per_prompt_token_ms": 1}}, {}, "long"),
        ({**SHORT, "latency": {"embedding": {"constant_ms": 1}}}, {"path": EMBEDDINGS_PATH, "body": VECTOR}, "long"),
        (SHORT, {"path": EMBEDDINGS_PATH, "body": VECTOR}, "short"),
        (SHORT, {"path": "/openai/v1/embeddings", "body": VECTOR}, "long"),
        (SHORT, {"path": EMBEDDINGS_PATH, "body": {**VECTOR, "input": "x" * 70_000}}, "long"),
        ({**SHORT, "max_concurrency": 1}, {}, "long"),
        ({**SHORT, "context_length": 1_000}, {}, "long"),
        ({**SHORT, "api_keys": ["sk-1"]}, {"headers": [("authorization", "Bearer sk-1")]}, "long"),
    ],
)
def test_the_short_way_is_taken_only_where_nothing_stands_in_it(profile: dict[str, Any], ask: dict[str, Any], way: str) -> None:
    served = Served(Now(), **profile)
    taken = ways(served)
    reply = served.answered(**{"body": chat(), **ask})
    assert (reply.status, taken) == (200, [way])


def test_faults_and_profiles_put_requests_on_the_long_way_and_back() -> None:
    served = Served(Now(), **SHORT)
    taken = ways(served)
    served.ask(chat())
    served.faults.put("wrong", {"type": "wrong_model", "ttl_s": 60})
    assert served.ask(chat()).document["model"] != "rag-chat"
    served.faults.clear()
    assert served.ask(chat()).document["model"] == "rag-chat"
    served.engine.change(served.engine.profile.changed({"ttft_ms": 5}))
    served.answered(chat())
    served.engine.change(served.engine.profile.changed({"ttft_ms": 0}))
    served.ask(chat())
    assert taken == ["short", "long", "short", "long", "short"]
    assert [row["attempt"] for row in served.rows()] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("how", [{"body": b"{"}, {"body": chat(model="gpt-9")}, {"headers": [("content-type", "text/plain")]}])
def test_refusals_are_left_to_the_long_way(how: dict[str, Any]) -> None:
    short, long = both()
    refused = [served.ask(**{"body": chat(), **how}) for served in (short, long)]
    assert said(refused[0]) == said(refused[1])
    assert refused[0].status in (400, 404)
    assert left_behind(short) == left_behind(long)


def test_a_bug_is_left_to_the_long_way(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    served = Served(Now(), **SHORT)
    monkeypatch.setattr(Composer, "compose", lambda self, call, rng: 1 / 0)
    assert served.ask(chat()).status == 500
    row = served.last()
    assert (row["status"], row["error"], row["attempt"]) == (500, "ZeroDivisionError: division by zero", 1)
    assert served.metrics.bugs == 1
    assert capsys.readouterr().err.count("ZeroDivisionError: division by zero") == 1


def test_rows_and_numbers_are_there_whenever_they_are_read() -> None:
    served = Served(Now(), **SHORT)
    for number in range(1, 200):
        assert served.ask(chat()).document["choices"][0]["message"]["content"] == ANSWER
        if number % 7 == 0:
            assert served.journal.last == number
            assert f'rag_requests_total{{method="POST",route="{CHAT_PATH}",status="200"}} {number}.0' in counted(served)
    assert [row["attempt"] for row in served.rows()] == list(range(1, 200))
    served.ask(chat())
    served.journal.clear()
    assert (served.journal.cleared, served.rows()) == (200, [])


def test_large_answers_are_not_kept_for_their_rows() -> None:
    served = Served(Now(), embedding_dimensions=4_096, **SHORT)
    many = {"model": "rag-embedding", "input": [str(number) for number in range(100)], "encoding_format": "base64"}
    gc.collect()
    before = living(KnownVectors)
    assert len(served.ask(many, EMBEDDINGS_PATH).body) > 2_000_000
    assert living(KnownVectors) == before


def test_rows_stay_in_the_order_in_which_requests_ended() -> None:
    served = Served(Now(), **SHORT)
    for number in range(20):
        served.ask(chat(user=f"u{number}", stream=number % 3 == 0))
    assert [row["tenant"] for row in served.rows()] == [f"u{number}" for number in range(20)]


def test_requests_are_logged_at_once_where_they_are_logged(capsys: pytest.CaptureFixture[str]) -> None:
    served = Served(Now(), log_requests=True, **SHORT)
    served.ask(chat())
    line = json.loads(capsys.readouterr().out)
    assert (line["status"], line["route"], line["request_id"]) == (200, CHAT_PATH, served.last()["request_id"])


def test_the_lines_are_those_of_every_other_answer() -> None:
    reply = Served(Now(), **SHORT).ask(chat(), headers=[("x-request-id", "mine")])
    assert {**reply.headers, "openai-processing-ms": "0"} == answer_headers("openai", "mine", None, 0.0)
