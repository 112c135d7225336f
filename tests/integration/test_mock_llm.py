"""The mock provider over real connections: the official client, the schedule of streams, faults, disconnects, shutdown."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from mocks.llm.hashing import embed
from tests.integration.backends import wait_until
from tests.integration.llm_process import ANSWER, CHAT, LlmProcess
from tests.integration.services import REPOSITORY
from tests.integration.wire import Connection

pytestmark = [pytest.mark.e2e, pytest.mark.beside]

TOKENS = 21  # of ANSWER
TTFT_S, ITL_S = 0.040, 0.010


@pytest.fixture(scope="module")
def llm_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlmProcess]:
    process = LlmProcess(
        tmp_path_factory.mktemp("llm"), profile={"ttft_ms": TTFT_S * 1_000, "itl_ms": ITL_S * 1_000, "api_keys": ["sk-test"]}
    )
    process.http.headers["authorization"] = "Bearer sk-test"
    yield process
    process.close()


@pytest.fixture
def llm(llm_process: LlmProcess) -> Iterator[LlmProcess]:
    yield llm_process
    assert llm_process.admin.delete("/faults").status_code == 204


@pytest.fixture
def client(llm: LlmProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{llm.url}/v1", api_key="sk-test", max_retries=0) as client:
        yield client


def ask(client: openai.OpenAI, **change: Any) -> Any:
    return client.chat.completions.create(**{**CHAT, **change})


def test_the_official_client_gets_a_whole_answer(client: openai.OpenAI) -> None:
    completion = ask(client)
    (choice,) = completion.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", ANSWER, "stop")
    assert (completion.object, completion.model, completion.id[:9]) == ("chat.completion", "rag-chat", "chatcmpl-")
    usage = completion.usage
    assert (usage.completion_tokens, usage.total_tokens) == (TOKENS, usage.prompt_tokens + TOKENS)


def test_the_official_client_gets_a_stream(client: openai.OpenAI) -> None:
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(text for text in texts if text) == ANSWER
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices] == [None] * (TOKENS + 1) + ["stop"]
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == TOKENS
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)


def test_limits_and_stops(client: openai.OpenAI) -> None:
    cut = ask(client, max_completion_tokens=2)
    assert (cut.choices[0].message.content, cut.choices[0].finish_reason, cut.usage.completion_tokens) == ("The release", "length", 2)
    cut_stream = list(ask(client, max_tokens=2, stream=True))
    assert cut_stream[-1].choices[0].finish_reason == "length"
    stopped = ask(client, stop=[" of"])
    assert (stopped.choices[0].message.content, stopped.choices[0].finish_reason) == ("The release number", "stop")


def test_without_usage_asked_the_stream_ends_with_its_finish_reason_and_done(llm: LlmProcess) -> None:
    events = llm.http.post("/v1/chat/completions", json={**CHAT, "stream": True}).text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    last = json.loads(events[-3].removeprefix("data: "))
    assert last["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]
    assert "usage" not in last


def test_embeddings_as_the_client_asks_for_them_and_as_numbers(client: openai.OpenAI, llm: LlmProcess) -> None:
    texts = ["json.dumps", "Two words"]
    answer = client.embeddings.create(model="rag-embedding", input=texts)
    for text, item in zip(texts, answer.data, strict=True):
        np.testing.assert_array_equal(np.array(item.embedding, dtype=np.float32), embed(text, 384))
    assert answer.usage.prompt_tokens == 5
    numbers = client.embeddings.create(model="rag-embedding", input="json.dumps", encoding_format="float")
    np.testing.assert_allclose(numbers.data[0].embedding, embed("json.dumps", 384), rtol=1e-6)
    raw = llm.http.post("/v1/embeddings", json={"model": "rag-embedding", "input": "x", "encoding_format": "base64"}).json()
    assert np.frombuffer(base64.b64decode(raw["data"][0]["embedding"]), dtype="<f4").shape == (384,)
    short = client.embeddings.create(model="rag-embedding", input="json.dumps", dimensions=16).data[0].embedding
    assert len(short) == 16
    assert np.linalg.norm(short) == pytest.approx(1, abs=1e-5)


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["rag-chat", "rag-embedding"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/v1/chat/completions", {**CHAT, "model": "gpt-9"}, 404, "model_not_found"),
        ("POST", "/v1/embeddings", {"model": "gpt-9", "input": "x"}, 404, "model_not_found"),
        ("POST", "/v1/chat/completions", {}, 400, "missing_required_parameter"),
        ("POST", "/v1/chat/completions", [1], 400, None),
        ("GET", "/v1/chat/completions", None, 405, None),
        ("POST", "/v1/nothing", {}, 404, None),
        ("POST", "/v1/chat/completions", {**CHAT, "user": "x" * 9_000_000}, 413, None),
    ],
)
def test_errors_have_the_providers_shape(llm: LlmProcess, method: str, path: str, body: Any, status: int, code: str | None) -> None:
    response = llm.http.request(method, path, json=body)
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["code"]) == (status, "invalid_request_error", code)
    assert error.keys() == {"message", "type", "param", "code"}


def test_keys_are_checked(llm: LlmProcess) -> None:
    for headers, code in (({}, None), ({"authorization": "Bearer sk-wrong"}, "invalid_api_key")):
        response = httpx.post(f"{llm.url}/v1/chat/completions", json=CHAT, headers=headers, trust_env=False)
        assert (response.status_code, response.json()["error"]["code"]) == (401, code)
    assert httpx.get(f"{llm.url}/health", trust_env=False).status_code == 200


async def _token_times_s(url: str, streams: int) -> list[list[float]]:
    """Arrival of each content event after its request's start, for `streams` at once."""

    async def one(http: httpx.AsyncClient) -> list[float]:
        started_s = time.perf_counter()
        headers = {"authorization": "Bearer sk-test"}
        async with http.stream("POST", f"{url}/v1/chat/completions", json={**CHAT, "stream": True}, headers=headers) as response:
            lines = response.aiter_lines()
            return [time.perf_counter() - started_s async for line in lines if '"content":' in line and '"content":""' not in line]

    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        return await asyncio.gather(*(one(http) for _ in range(streams)))


def _assert_never_early(times: list[list[float]], ttft_s: float) -> None:
    """The loop's clock ticks in milliseconds, hence the 3 ms."""
    due_s = [ttft_s + ITL_S * i for i in range(TOKENS)]
    assert [len(one) for one in times] == [TOKENS] * len(times)
    assert min(arrived - due for one in times for arrived, due in zip(one, due_s, strict=True)) > -0.003


def test_streams_keep_an_absolute_schedule(llm: LlmProcess) -> None:
    """Never early, whatever the machine does; and without drift in the best of some streams, for a busy machine can only be late."""
    last_s: list[float] = []
    until_s = time.monotonic() + 60.0
    while time.monotonic() < until_s:
        times = asyncio.run(_token_times_s(llm.url, streams=8))
        _assert_never_early(times, TTFT_S)
        last_s.append(min(one[-1] for one in times))
        if last_s[-1] < TTFT_S + 1.03 * ITL_S * (TOKENS - 1) + 0.005:
            return
    pytest.fail(f"no stream kept {ITL_S} s a token to its last: {last_s}")


def test_first_byte_is_the_first_token(llm: LlmProcess) -> None:
    started_s = time.perf_counter()
    with llm.http.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as response:
        headers_s = time.perf_counter() - started_s
        first, second = islice(response.iter_raw(), 2)
    assert headers_s >= 0.037
    assert b'"role":"assistant"' in first
    assert b'"content":"The"' in second


def test_a_slow_first_token_delays_it_and_leaves_the_pace(llm: LlmProcess) -> None:
    llm.put_fault("slow", type="slow_first_token", ttft_s=0.4)
    times = asyncio.run(_token_times_s(llm.url, streams=2))
    _assert_never_early(times, 0.4)
    assert [(view["id"], view["matched"], view["applied"]) for view in llm.faults()] == [("slow", 2, 2)]
    assert [row["faults"] for row in llm.journal(2)] == [[{"id": "slow", "type": "slow_first_token"}]] * 2
    assert llm.admin.delete("/faults/slow").status_code == 204
    assert llm.admin.delete("/faults/slow").status_code == 204
    assert llm.faults() == []


def test_the_official_client_understands_the_rate_limit(client: openai.OpenAI, llm: LlmProcess) -> None:
    llm.put_fault("limit", type="rate_limited", requests_per_s=1.0, burst=1)
    admitted = client.chat.completions.with_raw_response.create(**CHAT)
    assert admitted.headers["x-ratelimit-remaining-requests"] == "0"
    with pytest.raises(openai.RateLimitError) as caught:
        for _ in range(5):  # an answer takes 0.25 s, so that one more may be admitted in between
            ask(client)
    response = caught.value.response
    assert caught.value.code == "rate_limit_exceeded"
    assert 0 < int(response.headers["retry-after-ms"]) <= 1_000
    assert response.headers["retry-after"] == "1"
    time.sleep(int(response.headers["retry-after-ms"]) / 1_000)  # what the provider asked for, the thing under test
    ask(client)
    client.embeddings.create(model="rag-embedding", input="x")


def test_a_client_that_waits_as_told_gets_its_answer(llm: LlmProcess) -> None:
    llm.put_fault("limit", type="rate_limited", requests_per_s=4.0, burst=1)
    with openai.OpenAI(base_url=f"{llm.url}/v1", api_key="sk-test", max_retries=3) as client:
        assert [ask(client).choices[0].message.content for _ in range(3)] == [ANSWER] * 3


def test_bad_faults_and_bad_tokens_are_refused(llm: LlmProcess) -> None:
    refused = llm.admin.put("/faults/x", json={"type": "nope"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_fault")
    assert llm.admin.put("/faults/x", content=b"{").json()["error"]["code"] == "invalid_json"
    assert llm.admin.put("/faults/x", json=[]).status_code == 400
    for headers in ({"authorization": "Bearer no"}, {"authorization": ""}):
        assert llm.admin.get("/faults", headers=headers).status_code == 401
    assert llm.http.get("/admin/faults").status_code == 404  # the public port knows no admin API


def test_a_client_that_leaves_stops_the_work(llm: LlmProcess) -> None:
    llm.put_fault("slow", type="slow_first_token", ttft_s=60)
    seen = len(llm.journal())

    with Connection(llm.port) as leaving:
        leaving.start("/v1/chat/completions", {**CHAT, "stream": True}, {"authorization": "Bearer sk-test"})
        wait_until(lambda: 'vllm:num_requests_running{engine="0",model_name="rag-chat"} 1.0' in llm.metrics(), "one request running")
    wait_until(lambda: 'vllm:num_requests_running{engine="0",model_name="rag-chat"} 0.0' in llm.metrics(), "none running")
    wait_until(lambda: len(llm.journal()) > seen, "the journal to know")
    row = llm.journal(1)[0]
    assert (row["ending"], row["finish_reason"], row["completion_tokens"]) == ("disconnected", None, 0)


def test_a_client_that_leaves_mid_stream_stops_it(llm: LlmProcess) -> None:
    llm.put_fault("slow", type="slow_tokens", itl_s=0.5)  # so that it has not ended before the client leaves
    with llm.http.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as response:
        next(chunk for chunk in response.iter_raw() if b'"content":"The"' in chunk)
    wait_until(lambda: llm.journal(1)[0]["ending"] == "disconnected", "the journal to know")
    row = llm.journal(1)[0]
    assert (row["status"], row["finish_reason"]) == (200, None)
    assert 1 <= row["completion_tokens"] < TOKENS


def test_the_same_request_gets_the_same_answer(llm: LlmProcess) -> None:
    bodies = [llm.http.post("/v1/chat/completions", json={**CHAT, "seed": seed}).json() for seed in (1, 1, 2)]
    assert len({body["choices"][0]["message"]["content"] for body in bodies}) == 1
    keys = [row["key"] for row in llm.journal(3)]
    assert keys[0] == keys[1] != keys[2]


def test_metrics_and_logs(llm: LlmProcess) -> None:
    trace = {"x-request-id": "req-42", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    response = llm.http.post("/v1/chat/completions", json={**CHAT, "stream": True}, headers=trace)
    assert response.headers["x-request-id"] == "req-42"
    text = llm.metrics()
    for line in (
        'rag_requests_total{method="POST",route="/v1/chat/completions",status="200"}',
        'rag_request_duration_seconds_bucket{le="0.5",route="/v1/chat/completions"}',
        'vllm:time_to_first_token_seconds_bucket{engine="0",le="0.06",model_name="rag-chat"}',
        'vllm:time_per_output_token_seconds_count{engine="0",model_name="rag-chat"}',
        'vllm:prompt_tokens_total{engine="0",model_name="rag-chat"}',
        'vllm:generation_tokens_total{engine="0",model_name="rag-chat"}',
        'rag_build_info{service="llm",version="1.0.0"} 1.0',
        "process_resident_memory_bytes",
    ):
        assert line in text
    assert "fault" not in text
    wait_until(lambda: "req-42" in llm.logged(), "the log line")
    line = next(json.loads(line) for line in llm.logged().splitlines() if "req-42" in line)
    assert line["duration_ms"] > 200
    assert {name: line[name] for name in ("service", "instance", "status", "trace_id", "parent_id")} == {
        "service": "llm",
        "instance": "llm-1",
        "status": 200,
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "parent_id": "b7ad6b7169203331",
    }
    assert "fault" not in llm.logged()


def test_sigterm_finishes_what_is_in_flight(tmp_path: Path) -> None:
    llm = LlmProcess(tmp_path, profile={"ttft_ms": 2_000})
    answers: list[httpx.Response] = []
    try:
        thread = threading.Thread(target=lambda: answers.append(llm.http.post("/v1/chat/completions", json=CHAT)))
        thread.start()
        wait_until(
            lambda: 'vllm:num_requests_running{engine="0",model_name="rag-chat"} 1.0' in httpx.get(f"{llm.url}/metrics").text, "running"
        )
        assert llm.stop() == 0
        thread.join()
        assert [answer.status_code for answer in answers] == [200]
    finally:
        llm.close()


def test_what_cannot_start_says_why_in_one_line(llm: LlmProcess, tmp_path: Path) -> None:

    for environment, reason in (
        ({"PORT": "x"}, "PORT must be a port number"),
        ({"PORT": str(llm.port)}, "Address already in use"),
        ({"PORT": "0", "LLM_PROFILE": str(tmp_path / "none")}, "cannot read the profile"),
        ({"PORT": "0", "ADMIN_PORT": "0"}, "ADMIN_TOKEN must be set"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "mocks.llm"], cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("mock llm: ")
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1
