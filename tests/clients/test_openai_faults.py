"""The table of measured client behaviour: what the openai package makes of every fault of the provider, in two generations.

One logical call each, the client's own settings but for a timeout of 2 s. `hits` are the requests that the provider saw.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import KEY
from tests.clients.environments import call, python_of
from tests.integration.llm_process import ADMIN_TOKEN, LlmProcess

pytestmark = [pytest.mark.e2e, pytest.mark.beside, pytest.mark.timeout(180)]

CLIENTS = {"openai 3": "current", "openai 2": "previous"}
TEXT = "The release number of json.dumps is ZK-7F3A91 ✓. [json.dumps]"
BEGUN = "The release"  # two tokens: what comes before most faults of streams
TRIES = 3


@dataclass(frozen=True)
class Case:
    """A fault and what is to become of the call: `raises` (type; for 3.x and 2.x where they differ) or the fields in `says`."""

    fault: dict[str, Any]
    hits: int = 1
    raises: str | tuple[str, str] | None = None
    code: str | None = None
    says: dict[str, Any] | None = None
    stream: bool = False
    embedding: bool = False
    warm: bool = False
    """Another call comes first."""
    at_least_s: float = 0.0


def http(kind: str, hits: int, raises: str, code: str | None = None, **more: Any) -> Case:
    at_least_s = more.pop("at_least_s", 0.0)
    return Case({"type": kind, **more}, hits, raises, code, at_least_s=at_least_s)


def stream(
    kind: str, raises: str | tuple[str, str] | None = None, content: str | None = BEGUN, finish: str | None = None, **more: Any
) -> Case:
    says = {"content": content} if raises else {"content": content, "finish": finish}
    return Case({"type": kind, **more}, 1, raises, says=says, stream=True)


def legal(kind: str, **more: Any) -> Case:
    return stream(kind, None, TEXT, "stop", **more)


CASES: dict[str, Case] = {
    # 429: the wait that is asked for is honoured up to 120 s, and advice not to repeat is followed.
    "retry_after_1_s": http("server_error", TRIES, "InternalServerError", retry_after_s=1, at_least_s=2.0),
    "retry_after_50_ms": http("server_error", TRIES, "InternalServerError", retry_after_ms=50, at_least_s=0.1),
    "retry_after_200_s": http("overloaded", 1, "InternalServerError", retry_after_s=200),
    "no_retry_advised": http("server_error", 1, "InternalServerError", should_retry=False),
    "retry_advised": http("bad_request", TRIES, "BadRequestError", should_retry=True),
    # An honest limit: who waits as long as it says is served.
    "rate_limited": Case({"type": "rate_limited", "requests_per_s": 0.5}, 3, says={"content": TEXT}, warm=True, at_least_s=1.5),
    "insufficient_quota": http("insufficient_quota", TRIES, "RateLimitError", "insufficient_quota"),  # repeats what cannot succeed
    "request_too_large": http("request_too_large", TRIES, "RateLimitError", "rate_limit_exceeded", limit=5),
    "server_error": http("server_error", TRIES, "InternalServerError"),
    "overloaded": http("overloaded", TRIES, "InternalServerError"),
    "gateway_html": http("gateway_error", TRIES, "InternalServerError", status=503, body="html"),
    "gateway_text": http("gateway_error", TRIES, "InternalServerError", status=502, body="text"),
    "request_timeout": http("request_timeout", TRIES, "APIStatusError", after_s=0.01),
    "conflict": http("conflict", TRIES, "ConflictError"),
    "unauthorized": http("unauthorized", 1, "AuthenticationError", "invalid_api_key"),
    "forbidden": http("forbidden", 1, "PermissionDeniedError"),
    "model_not_found": http("model_not_found", 1, "NotFoundError", "model_not_found"),
    "bad_request": http("bad_request", 1, "BadRequestError"),
    "payload_too_large": http("payload_too_large", 1, "APIStatusError"),
    "context_length": http("context_length_exceeded", 1, "BadRequestError", "context_length_exceeded", limit=3),
    "content_filter_prompt": http("content_filter_prompt", 1, "BadRequestError"),
    # Connections: before the first byte everything is repeated.
    "connection_reset": http("connection_reset", TRIES, "APIConnectionError"),
    "connection_closed": http("connection_closed", TRIES, "APIConnectionError"),
    "connection_hang": http("connection_hang", TRIES, "APITimeoutError", at_least_s=6.0),
    "short_body": http("short_body", TRIES, "APIConnectionError"),
    "slow_headers": Case({"type": "slow_headers", "over_s": 0.5}, says={"content": TEXT}, at_least_s=0.45),
    "dead_keep_alive": Case({"type": "dead_keep_alive"}, says={"content": TEXT}),
    # Bodies: nothing is repeated, and most of it is not noticed.
    "empty_body": http("empty_body", 1, "JSONDecodeError"),
    "truncated_json": http("truncated_json", 1, "JSONDecodeError"),
    "invalid_json": http("invalid_json", 1, "JSONDecodeError"),
    "wrong_content_type": Case({"type": "wrong_content_type"}, says={"type": "str"}),
    "error_in_ok": Case({"type": "error_in_ok"}, says={"choices": None}),
    "missing_choices": Case({"type": "missing_field", "field": "choices"}, says={"choices": None}),
    "missing_usage": Case({"type": "missing_field", "field": "usage"}, says={"content": TEXT}),
    "null_content": Case({"type": "null_content", "how": "null"}, says={"content": None, "finish": "stop"}),
    "empty_content": Case({"type": "null_content", "how": "empty"}, says={"content": ""}),
    "content_filter": Case({"type": "finish_content_filter"}, says={"content": None, "finish": "content_filter"}),
    # Streams: never repeated, and a clean end is taken for one.
    "stream_no_finish": stream("stream_no_finish"),
    "stream_no_done": stream("stream_no_done", None, TEXT, "stop"),
    "stream_cut_mid_event": stream("stream_cut_mid_event"),
    "stream_closed": stream("stream_closed", ("APIConnectionError", "RemoteProtocolError")),
    "stream_reset": stream("stream_reset", ("APIConnectionError", "ReadError")),
    "stream_stall": stream("stream_stall", ("APITimeoutError", "ReadTimeout")),
    "stream_bad_json": stream("stream_bad_json", "JSONDecodeError"),
    "stream_empty_data": stream("stream_empty_data", "JSONDecodeError"),
    "stream_error": stream("stream_error", "APIError"),
    "stream_error_event": stream("stream_error_event", "APIError"),
    "stream_invalid_utf8": stream("stream_invalid_utf8", "UnicodeDecodeError"),
    "stream_duplicate": stream("stream_duplicate", None, TEXT.replace(" number", " number number"), "stop"),
    "finish_length": stream("finish_length", None, BEGUN, "length", tokens=2),
    # Legal streams.
    "stream_split_code_point": legal("stream_split_code_point"),
    "stream_crlf": legal("stream_crlf"),
    "stream_chunking_tokens": legal("stream_chunking", tokens=5),
    "stream_chunking_bytes": legal("stream_chunking", bytes=1),
    "stream_comments": legal("stream_comments"),
    "stream_usage_unasked": legal("stream_usage_chunk", how="empty_choices"),
    # Vectors: taken as they come.
    "embedding_wrong_dimension": Case({"type": "embedding_wrong_dimension", "dimensions": 8}, says={"dimensions": 8}, embedding=True),
    "embedding_nan": Case({"type": "embedding_nan"}, says={"first": "nan"}, embedding=True),
    "embedding_count_mismatch": Case({"type": "embedding_count_mismatch"}, says={"vectors": 1}, embedding=True),
    "embedding_format_mismatch": Case({"type": "embedding_format_mismatch"}, says={"vectors": 2, "dimensions": 384}, embedding=True),
}


Surfaced = dict[str, Future[dict[str, Any]]]


@pytest.fixture(scope="module")
def surfaced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surfaced]:
    """What became of all cases, by client; both at the same time, for most of it is waiting."""
    for environment in CLIENTS.values():
        python_of(environment)
    with ThreadPoolExecutor(len(CLIENTS)) as pool:
        yield {name: pool.submit(_surfaced, CLIENTS[name], tmp_path_factory.mktemp("llm")) for name in CLIENTS}


def _surfaced(environment: str, folder: Path) -> dict[str, Any]:
    process = LlmProcess(folder, profile={"api_keys": [KEY]})
    try:
        cases = {
            name: {"fault": case.fault, "stream": case.stream, "embedding": case.embedding, "warm": case.warm}
            for name, case in CASES.items()
        }
        found = call(environment, "openai_faults", {**_asked(process), "cases": cases})
        assert "Traceback" not in process.logged(), process.logged()[-2000:]
        return found
    finally:
        process.close()


def _asked(process: LlmProcess) -> dict[str, str]:
    """Where the script is to call, and where to ask for faults."""
    return {"url": process.url, "key": KEY, "admin": str(process.admin.base_url).rstrip("/"), "token": ADMIN_TOKEN}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", CASES)
def test_a_fault_surfaces_as_measured(name: str, client: str, surfaced: Surfaced) -> None:
    case, found = CASES[name], surfaced[client].result()[name]
    wanted = case.raises if isinstance(case.raises, str | None) else case.raises[list(CLIENTS).index(client)]
    assert found.get("raised") == wanted, found
    if case.code is not None:
        assert found["code"] == case.code
    assert found["hits"] == case.hits, found
    assert {key: found[key] for key in case.says or {}} == (case.says or {}), found
    assert found["took_s"] >= case.at_least_s


def test_a_port_that_refuses_is_asked_three_times(tmp_path: Path) -> None:
    """Apart from the others, for it concerns everybody."""
    python_of("current")
    process = LlmProcess(tmp_path, profile={"api_keys": [KEY]})
    try:
        asked = _asked(process)
        process.put_fault("shut", type="connection_refused")
        cases = {"refused": {"fault": {"type": "slow_tokens", "itl_s": 0.001}}}
        found = call("current", "openai_faults", {**asked, "cases": cases})["refused"]
        assert (found["raised"], found["hits"]) == ("APIConnectionError", 0)
        process.admin.delete("/faults")
        assert "raised" not in call("current", "openai_faults", {**asked, "cases": cases})["refused"]
    finally:
        process.close()
