"""The provider as its callers see it, without a network: routes, accounts, limits, queueing, faults, the journal, bugs."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.unit.mocks_llm.served import ANSWER, ANSWER_TOKENS, CHAT_PATH, EMBEDDINGS_PATH, FACT, Clock, FakeReply, Served, chat

MESSAGES_PATH, RESPONSES_PATH = "/v1/messages", "/v1/responses"
AZURE_CHAT = "/openai/deployments/rag-chat/chat/completions"
VERSION = (("anthropic-version", "2023-06-01"),)
MESSAGE = {"model": "rag-chat", "max_tokens": 50, "messages": [{"role": "user", "content": FACT}]}
EMBEDDING = {"model": "rag-embedding", "input": "colour", "encoding_format": "float"}
VERSIONED = "api-version=2024-10-21"


def bearer(key: str, **more: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {key}"), *((name.replace("_", "-"), value) for name, value in more.items())]


@pytest.mark.parametrize(
    ("path", "body", "how", "said"),
    [
        (CHAT_PATH, chat(), {}, lambda answer: answer["choices"][0]["message"]["content"]),
        ("/openai/v1/chat/completions", chat(), {}, lambda answer: answer["choices"][0]["message"]["content"]),
        (AZURE_CHAT, {**chat(), "model": "x"}, {"query": VERSIONED}, lambda answer: answer["choices"][0]["message"]["content"]),
        (RESPONSES_PATH, {"model": "rag-chat", "input": FACT}, {}, lambda answer: answer["output"][0]["content"][0]["text"]),
        ("/openai/responses", {"model": "rag-chat", "input": FACT}, {"query": VERSIONED}, lambda a: a["output"][0]["content"][0]["text"]),
        (MESSAGES_PATH, MESSAGE, {"headers": VERSION}, lambda answer: answer["content"][0]["text"]),
    ],
)
def test_every_api_gives_the_same_answer(path: str, body: Any, how: dict[str, Any], said: Any) -> None:
    served = Served()
    reply = served.answered(body, path, **how)
    assert (reply.status, said(reply.document)) == (200, ANSWER)
    row = served.last()
    assert (row["finish_reason"], row["completion_tokens"], row["model"]) == ("stop", ANSWER_TOKENS, "rag-chat")


def test_any_model_is_served_where_the_profile_says_so_and_only_named_ones_are_listed() -> None:
    served = Served(models=["a", "*"])
    reply = served.answered(chat(model="gpt-9"))
    assert (reply.status, reply.document["model"]) == (200, "gpt-9")
    assert [model["id"] for model in served.answered(None, "/v1/models", method="GET").document["data"]] == ["a"]


def test_embeddings_and_models() -> None:
    served = Served(embedding_dimensions=8, snapshots={"rag-embedding": "rag-embedding-3"})
    first = served.answered(EMBEDDING, EMBEDDINGS_PATH).document
    azure = served.answered({**EMBEDDING, "model": "x"}, "/openai/deployments/rag-embedding/embeddings", query=VERSIONED).document
    assert (len(first["data"][0]["embedding"]), first["model"]) == (8, "rag-embedding-3")
    assert azure == first
    assert len(served.answered({**EMBEDDING, "dimensions": 3}, EMBEDDINGS_PATH).document["data"][0]["embedding"]) == 3
    models = served.answered(path="/v1/models", method="GET").document
    assert [model["id"] for model in models["data"]] == ["rag-chat", "rag-embedding"]
    assert served.answered(path="/v1/models/rag-chat", method="GET").document["id"] == "rag-chat"
    assert served.answered(path="/v1/models", method="GET", headers=VERSION).document["data"][0]["type"] == "model"
    assert [row["route"] for row in served.rows()] == ["/v1/embeddings"] * 3 + ["/v1/models"] * 3


@pytest.mark.parametrize(
    ("how", "status", "error"),
    [
        ({"path": "/v1/nothing"}, 404, {"message": "Invalid URL (POST /v1/nothing)", "type": "invalid_request_error", "code": None}),
        ({"method": "GET"}, 405, {"type": "invalid_request_error", "code": None}),
        ({"path": "/openai/deployments/rag-chat/audio"}, 404, {"code": "404", "message": "Resource not found"}),
        ({"path": AZURE_CHAT, "body": chat()}, 404, {"code": "404", "message": "Resource not found"}),
        ({"path": "/v1/nothing", "headers": VERSION}, 404, {"type": "not_found_error", "message": "Not Found"}),
        (
            {"path": MESSAGES_PATH, "body": MESSAGE},
            400,
            {"type": "invalid_request_error", "message": "anthropic-version: header is required"},
        ),
        ({"body": b"{"}, 400, {"type": "invalid_request_error"}),
        ({"body": chat(model="gpt-9")}, 404, {"code": "model_not_found", "param": "model"}),
        ({"path": AZURE_CHAT.replace("rag-chat", "gpt"), "body": chat(), "query": VERSIONED}, 404, {"code": "DeploymentNotFound"}),
        (
            {"path": MESSAGES_PATH, "body": {**MESSAGE, "model": "m"}, "headers": VERSION},
            404,
            {"type": "not_found_error", "message": "model: m"},
        ),
        ({"path": "/v1/models/gpt-9", "method": "GET"}, 404, {"code": "model_not_found"}),
        ({"path": "/v1/models/m", "method": "GET", "headers": VERSION}, 404, {"type": "not_found_error", "message": "model: m"}),
        ({"path": MESSAGES_PATH, "method": "PUT"}, 405, {"type": "invalid_request_error", "message": "Method Not Allowed"}),
        (
            {"path": f"{MESSAGES_PATH}/count_tokens", "body": {**MESSAGE, "model": "m"}, "headers": VERSION},
            404,
            {"type": "not_found_error", "message": "model: m"},
        ),
        ({"body": b" " * (9 * 2**20)}, 413, {"type": "invalid_request_error"}),
        ({"body": chat(), "headers": [("content-type", "text/plain")]}, 400, {"code": "unsupported_content_type"}),
    ],
)
def test_errors_are_said_in_the_words_of_the_provider(how: dict[str, Any], status: int, error: dict[str, Any]) -> None:
    served = Served()
    reply = served.answered(**{"body": chat(), **how})
    assert reply.status == status
    assert reply.document["error"].items() >= error.items()
    row = served.last()
    assert (row["status"], row["ending"], row["finish_reason"]) == (status, "complete", None)
    assert row["error"]
    assert len(row["body_sha"]) == 32


def test_faults_draw_anew_for_every_request_for_the_models() -> None:
    served = Served()
    served.faults.put("f", {"type": "server_error", "probability": 0.5, "match": {"routes": ["/v1/models"]}})
    answers = [served.answered(path="/v1/models", method="GET").status for _ in range(40)]
    assert {200, 500} == set(answers)
    assert [row["attempt"] for row in served.rows()] == list(range(1, 41))
    assert len({row["key"] for row in served.rows()}) == 1


def test_what_callers_say_of_themselves_counts_towards_the_journals_bytes() -> None:
    served = Served()
    for _ in range(20):
        assert served.answered(chat(user="u" * 2**20)).status == 200
    page = served.journal.after(0, 100)
    assert (0 < len(page.rows) <= 16, page.lost + len(page.rows)) == (True, 20)


def test_models_that_are_not_served_leave_no_trace_in_an_account() -> None:
    served = Served(accounts=[{**ACCOUNT, "requests_per_min": 1}])
    for number in range(3):
        assert served.answered(path=f"/v1/models/m{number}", method="GET", headers=bearer("sk-team")).status == 404
    assert served.answered(path="/v1/models/rag-chat", method="GET", headers=bearer("sk-team")).status == 200
    assert served.answered(path="/v1/models/rag-chat", method="GET", headers=bearer("sk-team")).status == 429


def test_a_refused_content_type_is_refused_also_where_the_body_is_known() -> None:
    served = Served()
    assert served.answered(chat()).status == 200
    assert served.answered(chat(), headers=[("content-type", "text/plain")]).status == 400
    assert served.answered(chat(), headers=[("content-type", "application/json; charset=utf-8")]).status == 200


ACCOUNT = {"name": "team", "key": "sk-team", "organization": "org-1", "project": "proj_1"}


@pytest.mark.parametrize(
    ("path", "headers", "error"),
    [
        (CHAT_PATH, [], {"code": None, "type": "invalid_request_error"}),
        (CHAT_PATH, [("authorization", "Basic sk-team")], {"code": None}),
        (CHAT_PATH, bearer("sk-wrong-key"), {"code": "invalid_api_key"}),
        (CHAT_PATH, bearer("sk-team", OpenAI_Organization="org-2"), {"code": "mismatched_organization"}),
        (CHAT_PATH, bearer("sk-team", OpenAI_Project="proj_2"), {"code": "mismatched_project"}),
        (AZURE_CHAT, [("api-key", "no")], {"code": "401"}),
        (MESSAGES_PATH, VERSION, {"type": "authentication_error", "message": "x-api-key header is required"}),
        (MESSAGES_PATH, [*VERSION, ("x-api-key", "no")], {"type": "authentication_error", "message": "invalid x-api-key"}),
        ("/v1/models", bearer("sk-wrong-key"), {"code": "invalid_api_key"}),
    ],
)
def test_whose_key_it_is_not(path: str, headers: list[tuple[str, str]], error: dict[str, Any]) -> None:
    served = Served(accounts=[ACCOUNT])
    method = "GET" if path == "/v1/models" else "POST"
    reply = served.answered(MESSAGE if path == MESSAGES_PATH else chat(), path, method=method, headers=headers, query=VERSIONED)
    assert reply.status == 401
    assert reply.document["error"].items() >= error.items()
    assert "sk-wrong-key" not in reply.body.decode()
    assert served.last()["account"] is None


def test_whose_key_it_is() -> None:
    served = Served(accounts=[ACCOUNT])
    asked = [
        (CHAT_PATH, chat(), bearer("sk-team", OpenAI_Organization="org-1", OpenAI_Project="proj_1")),
        (AZURE_CHAT, chat(), [("api-key", "sk-team")]),
        (MESSAGES_PATH, MESSAGE, [*VERSION, ("x-api-key", "sk-team")]),
        (MESSAGES_PATH, MESSAGE, [*VERSION, *bearer("sk-team")]),
    ]
    replies = [served.answered(body, path, headers=headers, query=VERSIONED) for path, body, headers in asked]
    assert [reply.status for reply in replies] == [200] * 4
    assert [row["account"] for row in served.rows()] == ["team"] * 4
    assert replies[0].headers["openai-organization"] == "org-1"
    assert served.answered(path="/health", method="GET").status == 200


def test_a_rate_of_requests_is_kept_honestly_and_told_with_every_answer() -> None:
    served = Served(accounts=[{**ACCOUNT, "requests_per_min": 2}], ttft_ms=0, itl_ms=0)
    first, second, third = (served.ask(chat(), headers=bearer("sk-team")) for _ in range(3))
    assert [reply.status for reply in (first, second, third)] == [200, 200, 429]
    left = [reply.headers["x-ratelimit-remaining-requests"] for reply in (first, second, third)]
    assert (left, first.headers["x-ratelimit-limit-requests"], second.headers["x-ratelimit-reset-requests"]) == (
        ["1", "0", "0"],
        "2",
        "1m0s",
    )
    error = third.document["error"]
    assert (error["type"], error["code"]) == ("requests", "rate_limit_exceeded")
    assert error["message"].startswith(
        "Rate limit reached for rag-chat in organization org-1 on requests per min (RPM): Limit 2, Used 2, "
        "Requested 1. Please try again in 30s."
    )
    assert (third.headers["retry-after"], third.headers["retry-after-ms"]) == ("30", "30000")
    assert (served.last()["retry_after_s"], served.last()["faults"]) == (30.0, [])
    served.clock.run(served.clock.now_s + 29.9)
    assert served.ask(chat(), headers=bearer("sk-team")).status == 429
    served.clock.run(served.clock.now_s + 0.1)
    assert served.ask(chat(), headers=bearer("sk-team")).status == 200
    assert served.ask(EMBEDDING, EMBEDDINGS_PATH, headers=bearer("sk-team")).status == 200  # limits are a model's own


def test_a_rate_of_tokens() -> None:
    served = Served(accounts=[{**ACCOUNT, "tokens_per_min": 100}], ttft_ms=0, itl_ms=0)
    body = chat(max_tokens=35)  # 25 in the prompt
    assert served.ask(body, headers=bearer("sk-team")).headers["x-ratelimit-remaining-tokens"] == "40"
    refused = served.ask(body, headers=bearer("sk-team"))
    assert (refused.status, refused.document["error"]["type"], refused.headers["retry-after"]) == (429, "tokens", "12")
    assert "Limit 100, Used 60, Requested 60. Please try again in 12s." in refused.document["error"]["message"]
    never = served.ask(chat(max_tokens=80), headers=bearer("sk-team"))
    assert never.document["error"]["message"].startswith("Request too large for rag-chat")
    assert "retry-after" not in never.headers


def test_other_providers_tell_rates_in_their_own_way() -> None:
    served = Served(accounts=[{**ACCOUNT, "requests_per_min": 1}], ttft_ms=0, itl_ms=0)
    key = [*VERSION, ("x-api-key", "sk-team")]
    assert served.ask(MESSAGE, MESSAGES_PATH, headers=key).headers["anthropic-ratelimit-requests-remaining"] == "0"
    refused = served.ask(MESSAGE, MESSAGES_PATH, headers=key)
    assert (refused.status, refused.document["error"]["type"], refused.headers["retry-after"]) == (429, "rate_limit_error", "60")
    assert refused.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert not [name for name in refused.headers if name.startswith("x-ratelimit")]
    azure = served.ask(chat(), AZURE_CHAT, headers=[("api-key", "sk-team")], query=VERSIONED)
    assert (azure.status, azure.document["error"]["code"], azure.headers["x-ratelimit-reset-requests"]) == (429, "429", "60")


def test_a_months_quota_is_spent_by_what_was_read_and_written() -> None:
    served = Served(accounts=[{**ACCOUNT, "monthly_tokens": 70}])
    statuses = [served.answered(chat(), headers=bearer("sk-team")).status for _ in range(3)]
    assert statuses == [200, 200, 429]  # 25 + 14 each time
    error = served.answered(chat(), headers=bearer("sk-team")).document["error"]
    assert (error["type"], error["code"]) == ("insufficient_quota", "insufficient_quota")


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        (CHAT_PATH, chat(), {"param": "messages", "code": "context_length_exceeded"}),
        (RESPONSES_PATH, {"model": "rag-chat", "input": FACT}, {"param": "input", "code": "context_length_exceeded"}),
        (MESSAGES_PATH, MESSAGE, {"type": "invalid_request_error", "message": "prompt is too long: 25 tokens > 20 maximum"}),
        (EMBEDDINGS_PATH, {"model": "rag-embedding", "input": FACT}, {"type": "invalid_request_error"}),
    ],
)
def test_a_prompt_that_is_too_long(path: str, body: Any, error: dict[str, Any]) -> None:
    reply = Served(context_length=20).answered(body, path, headers=VERSION)
    assert reply.status == 400
    assert reply.document["error"].items() >= error.items()
    assert "20" in reply.document["error"]["message"] or path == RESPONSES_PATH


def test_who_comes_while_all_places_are_taken_waits_in_line() -> None:
    served = Served(max_concurrency=2)
    replies = [served.ask(chat(user=str(number))) for number in range(5)]
    text = served.metrics.render().decode()
    assert 'vllm:num_requests_running{engine="0",model_name="rag-chat"} 2.0' in text
    assert 'vllm:num_requests_waiting{engine="0",model_name="rag-chat"} 3.0' in text
    replies[3].leave()  # from the line
    served.clock.run()
    assert [[at_ms for at_ms, _ in reply.said] for reply in replies] == [[230], [230], [460], [], [460]]
    queued = {row["sequence"]: (row["queued_ms"], row["ttft_ms"], row["ending"]) for row in served.rows()}
    assert queued == {
        1: (0, 100, "complete"),
        2: (0, 100, "complete"),
        3: (230, 330, "complete"),
        4: (0, None, "disconnected"),
        5: (230, 330, "complete"),
    }
    assert (served.engine.slots.running, served.engine.slots.waiting) == (0, 0)


def test_the_load_makes_answers_slower_than_what_was_drawn() -> None:
    served = Served(latency={"under_load": {"factor": 2, "at_in_flight": 3}})
    replies = [served.ask(chat()) for _ in range(3)]
    served.clock.run()
    assert [reply.said[0][0] for reply in replies] == [230, 345, 460]
    assert {(row["drawn_ttft_ms"], row["drawn_itl_ms"]) for row in served.rows()} == {(100, 10)}


def test_faults_are_applied_and_named_in_the_journal() -> None:
    served = Served()
    served.faults.put("down", {"type": "server_error", "first": 1})
    served.faults.put("slow", {"type": "slow_first_token", "ttft_s": 1.0})
    assert served.answered(chat()).status == 500
    assert served.answered(chat()).said[0][0] == 1_130
    rows = served.rows()
    assert [row["faults"] for row in rows] == [[{"id": "down", "type": "server_error"}], [{"id": "slow", "type": "slow_first_token"}]]
    assert [(row["attempt"], row["status"]) for row in rows] == [(1, 500), (2, 200)]
    assert rows[0]["key"] == rows[1]["key"] == rows[0]["body_sha"]


def test_an_edit_of_an_answer_that_is_refused_is_in_no_journal() -> None:
    served = Served()
    served.faults.put("wordy", {"type": "verbose"})
    served.faults.put("down", {"type": "server_error"})
    assert served.answered(chat()).status == 500
    assert served.last()["faults"] == [{"id": "down", "type": "server_error"}]
    assert {view["id"]: view["applied"] for view in served.faults.views()} == {"wordy": 0, "down": 1}


def test_a_hanging_request_is_open_until_its_client_leaves() -> None:
    served = Served()
    served.faults.put("hang", {"type": "connection_hang"})
    reply = served.ask(chat())
    served.clock.run(105.0)
    assert (reply.ended, served.rows()) == ("hang", [])
    (unfinished,) = served.ledger.open_rows(10)
    assert (unfinished["ending"], unfinished["faults"][0]["id"]) == (None, "hang")
    reply.leave()
    assert (served.last()["ending"], served.last()["disconnected_after_ms"]) == ("hang", 5_000)
    assert served.ledger.open_rows(10) == []


@pytest.mark.parametrize(("kind", "ending"), [("connection_reset", "reset"), ("connection_closed", "fin")])
def test_a_connection_that_ends_before_an_answer(kind: str, ending: str) -> None:
    served = Served()
    served.faults.put("cut", {"type": kind, "after_s": 2})
    reply = served.answered(chat())
    assert (reply.ended, reply.said, served.clock.now_s) == (ending, [], 102.0)
    assert (served.last()["ending"], served.last()["status"]) == (ending, 0)


def test_a_head_that_trickles() -> None:
    served = Served()
    served.faults.put("slow", {"type": "slow_headers", "over_s": 3})
    for body in (chat(), chat(stream=True)):
        reply = served.answered(body)
        head, _, rest = b"".join(data for _, data in reply.said).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: ")
        moments = [at_ms for at_ms, data in reply.said]
        assert moments[-1] >= moments[0] + 3_000
        assert len(moments) > 100
        assert ANSWER.split()[1].encode() in rest
        assert served.last()["ending"] == "complete"


def test_a_connection_whose_next_request_is_cut() -> None:
    served = Served()
    served.faults.put("dead", {"type": "dead_keep_alive", "how": "reset"})
    reply = served.answered(chat())
    assert (reply.next_cut, reply.status) == ("reset", 200)


def test_a_bug_is_a_500_in_the_providers_words_counted_apart_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    served = Served()

    class Broken:
        def compose(self, *_: object) -> None:
            raise RuntimeError("our own mistake")

    object.__setattr__(served.engine.profile, "answerer", Broken())
    reply = served.answered(chat())
    assert (reply.status, reply.document["error"]["type"]) == (500, "server_error")
    assert (served.last()["status"], served.last()["error"]) == (500, "RuntimeError: our own mistake")
    assert "gauntlet_mock_errors_total 1.0" in served.metrics.render().decode()
    assert "our own mistake" in capsys.readouterr().err
    assert served.engine.slots.running == 0


def test_another_profile_changes_what_comes_after() -> None:
    served = Served()
    assert served.answered(chat()).document["choices"][0]["message"]["content"] == ANSWER
    served.engine.change(served.engine.profile.changed({"answers": {"strategy": "echo", "tokens": 3}, "ttft_ms": 7, "itl_ms": 0}))
    reply = served.answered(chat())
    assert (reply.document["usage"]["completion_tokens"], reply.said[0][0]) == (3, 7)


def test_a_trace_gives_each_request_the_length_of_one_of_its_rows(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("tokens,itl\n3,30\n40,4\n")
    source = {"file": str(trace), "column": "tokens"}
    served = Served(
        answers={"strategy": "echo", "tokens": {"trace": source}}, latency={"itl": {"trace": {"file": str(trace), "column": "itl"}}}
    )
    pairs = set()
    for number in range(20):
        served.answered(chat(user=str(number)))
        pairs.add((served.last()["completion_tokens"], served.last()["drawn_itl_ms"]))
    assert pairs == {(3, 30), (40, 4)}


def test_request_ids_come_from_the_caller_where_they_can() -> None:
    served = Served()
    for given, taken in (("abc-1", "abc-1"), ("a b", "req_00000002"), ("x" * 200, "req_00000003")):
        reply = served.answered(chat(), headers=[("x-request-id", given)])
        assert reply.headers["x-request-id"] == served.last()["request_id"] == taken


def outcomes(order: list[int], gap_s: float) -> dict[int, tuple[Any, ...]]:
    """What 1,000 requests meet, some of them equal to others, all under way at once where `gap_s` is small."""
    uniform = {"uniform_ms": {"low": 1, "high": 500}}
    served = Served(Clock(), seed=7, latency={"ttft": uniform, "itl": {"lognormal_ms": {"median": 5, "sigma": 0.5}}}, max_concurrency=None)
    for fault in ({"type": "server_error", "probability": 0.1}, {"type": "finish_length", "probability": 0.2}):
        served.faults.put(str(fault["type"]), fault)
    served.faults.put("slow", {"type": "jittered_tokens", "spread": 0.5, "probability": 0.5, "count": "request"})
    replies: dict[int, FakeReply] = {}
    for number in order:
        replies[number] = served.ask(chat(user=str(number % 900), stream=number % 2 == 0))
        served.clock.run(served.clock.now_s + gap_s)
    served.clock.run()
    rows = {row["sequence"]: row for row in served.rows()}
    return {
        number: (
            replies[number].status,
            replies[number].text() or json.dumps(replies[number].document.get("choices")),
            [at_ms - replies[number].said[0][0] for at_ms, _ in replies[number].said],
            *(rows[place][name] for name in ("drawn_ttft_ms", "drawn_itl_ms", "faults", "attempt", "finish_reason", "key")),
        )
        for place, number in enumerate(order, start=1)
    }


def test_a_thousand_requests_meet_the_same_in_any_order() -> None:
    """Those below 100 come twice: with their second arrival, above 900, they are in order, as a caller's attempts are."""
    one = list(range(1_000))
    another = random.Random(5).sample(range(900), 900) + random.Random(6).sample(range(900, 1_000), 100)
    first, second = outcomes(one, 0.5), outcomes(another, 0.0001)
    assert {number for number in one if first[number] != second[number]} == set()
    assert {status for status, *_ in first.values()} == {200, 500}
    assert len({found[-1] for found in first.values()}) == 900
