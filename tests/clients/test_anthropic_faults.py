"""The table of measured client behaviour: what the anthropic package makes of every fault of the provider, in two generations.

One logical call each, the client's own settings but for a timeout of 2 s. `hits` are the requests that the provider saw. Every stream is
read twice, event by event and as the package puts it together.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import KEY
from tests.clients.environments import call, python_of
from tests.integration.llm_process import ADMIN_TOKEN, LlmProcess

pytestmark = [pytest.mark.e2e, pytest.mark.beside, pytest.mark.timeout(180)]

CLIENTS = {"anthropic 2": "current", "anthropic 1": "previous"}
TEXT = "The release number of json.dumps is ZK-7F3A91 ✓. [json.dumps]"
BEGUN = "The release"  # two tokens: what comes before most faults of streams
TRIES = 3
TIMEOUT_S, PATIENCE_S = 2.0, 12.0


@dataclass(frozen=True)
class Case:
    """A fault and what is to become of the call: it `raises` (type; of 2.x and 1.x where they differ), says what is in `says`, or waits."""

    fault: dict[str, Any]
    hits: int = 1
    raises: str | tuple[str, str] | None = None
    says: dict[str, Any] | None = None
    waits: bool = False
    """It is not over by `PATIENCE_S`."""
    how: str = "whole"
    warm: bool = False
    """Another call comes first."""
    retries: int | None = None
    at_least_s: float = 0.0

    def asked(self) -> dict[str, Any]:
        """What the script is told of it."""
        return {name: value for name, value in asdict(self).items() if name in ("fault", "how", "warm", "retries")}


def http(kind: str, hits: int, raises: str | tuple[str, str], type: str | None = None, at_least_s: float = 0.0, **more: Any) -> Case:
    return Case({"type": kind, **more}, hits, raises, {"type": type}, at_least_s=at_least_s)


def told(kind: str, text: str, stop_reason: str | None, **more: Any) -> Case:
    return Case({"type": kind, **more}, says={"type": "Message", "text_read": text, "stop_reason": stop_reason})


def broken(kind: str, raises: str) -> Case:
    """A stream that begins, then ends in an exception of the transport or of a parser: nothing is wrapped."""
    return Case({"type": kind}, 1, raises, {"text_read": BEGUN}, how="events")


def stream(kind: str, text: str = TEXT, stop_reason: str | None = "end_turn", **more: Any) -> Case:
    """A stream that is taken for good."""
    return Case({"type": kind, **more}, says={"text_read": text, "stop_reason": stop_reason}, how="events")


OVERLOADED = "overloaded_error"
EVENTS: dict[str, Case] = {
    # Never repeated. What ends without an error is taken for whole, without a stop reason, too.
    "stream_no_finish": stream("stream_no_finish", BEGUN, None),
    "stream_cut_mid_event": stream("stream_cut_mid_event", BEGUN, None),
    "stream_no_done": stream("stream_no_done"),
    "stream_error": stream("stream_error", BEGUN, None),  # an error without the event's name is passed over
    "stream_error_event": Case({"type": "stream_error_event"}, 1, "APIStatusError", {"text_read": BEGUN, "type": OVERLOADED}, how="events"),
    "stream_closed": broken("stream_closed", "RemoteProtocolError"),
    "stream_reset": broken("stream_reset", "ReadError"),
    "stream_stall": broken("stream_stall", "ReadTimeout"),
    "stream_stall_pings": Case({"type": "stream_stall", "pings": True, "ping_every_s": 0.5}, waits=True, how="events"),
    "stream_bad_json": broken("stream_bad_json", "JSONDecodeError"),
    "stream_invalid_utf8": broken("stream_invalid_utf8", "UnicodeDecodeError"),
    "stream_empty_data": stream("stream_empty_data"),  # passed over
    "stream_duplicate": stream("stream_duplicate", TEXT.replace(" number", " number number")),
    "stream_reorder": stream("stream_reorder", TEXT.replace(" number of", " of number")),
    "stream_finish_length": stream("finish_length", BEGUN, "max_tokens", tokens=2),
    "stream_refusal": stream("finish_content_filter", "The release number of json.dumps is ZK-7", "refusal"),
    # Legal streams.
    "stream_comments": stream("stream_comments"),
    "stream_crlf": stream("stream_crlf"),
    "stream_split_code_point": stream("stream_split_code_point"),
    "stream_chunking_tokens": stream("stream_chunking", tokens=5),
    "stream_chunking_bytes": stream("stream_chunking", bytes=1),
}


def gathered(case: Case) -> Case:
    """The same stream as the package puts it together: what was read before an exception is lost."""
    return replace(case, how="gathered", says=None if case.raises else case.says)


CASES: dict[str, Case] = {
    # The wait that is asked for is kept, however long: unlike openai's there is no limit to it.
    "overloaded": http("overloaded", TRIES, "OverloadedError", OVERLOADED),
    "overloaded_retry_after_1_s": http("overloaded", TRIES, "OverloadedError", OVERLOADED, at_least_s=2.0, retry_after_s=1),
    "overloaded_retry_after_200_s": Case({"type": "overloaded", "retry_after_s": 200}, waits=True),
    "overloaded_no_retry_advised": http("overloaded", 1, "OverloadedError", OVERLOADED, should_retry=False),
    # An honest limit: who waits as long as it says is served, and who does not is told what is left.
    "rate_limited": Case(
        {"type": "rate_limited", "requests_per_s": 0.5}, 3, says={"text_read": TEXT, "stop_reason": "end_turn"}, warm=True, at_least_s=1.5
    ),
    "rate_limited_told": Case(
        {"type": "rate_limited", "requests_per_s": 0.1},
        2,
        "RateLimitError",
        {"type": "rate_limit_error", "told": ["limit", "remaining", "reset"]},
        warm=True,
        retries=0,
    ),
    "spend_limit": http("spend_limit", TRIES, ("EnforcedSpendLimitReachedError", "RateLimitError"), "rate_limit_error"),
    "credit_used_up": http("insufficient_quota", 1, "BadRequestError", "invalid_request_error"),
    "request_too_large": http("request_too_large", TRIES, "RateLimitError", "rate_limit_error", limit=5),
    "server_error": http("server_error", TRIES, "InternalServerError", "api_error"),
    "gateway_html": http("gateway_error", TRIES, ("ServiceUnavailableError", "InternalServerError"), status=503, body="html"),
    "gateway_text": http("gateway_error", TRIES, "InternalServerError", status=502, body="text"),
    "gateway_empty": http("gateway_error", TRIES, ("GatewayTimeoutError", "InternalServerError"), status=504, body="empty"),
    "request_timeout": http("request_timeout", TRIES, ("RequestTimeoutError", "APIStatusError"), "timeout_error", after_s=0.01),
    "conflict": http("conflict", TRIES, "ConflictError", "conflict_error"),
    "unauthorized": http("unauthorized", 1, "AuthenticationError", "authentication_error"),
    "forbidden": http("forbidden", 1, "PermissionDeniedError", "permission_error"),
    "model_not_found": http("model_not_found", 1, "NotFoundError", "not_found_error"),
    "bad_request": http("bad_request", 1, "BadRequestError", "invalid_request_error"),
    "payload_too_large": http("payload_too_large", 1, ("ContentTooLargeError", "RequestTooLargeError"), "request_too_large"),
    "prompt_too_long": http("context_length_exceeded", 1, "BadRequestError", "invalid_request_error", limit=3),
    "content_filter_prompt": http("content_filter_prompt", 1, "BadRequestError", "invalid_request_error"),
    # Connections: before the first byte everything is repeated.
    "connection_reset": Case({"type": "connection_reset"}, TRIES, "APIConnectionError"),
    "connection_closed": Case({"type": "connection_closed"}, TRIES, "APIConnectionError"),
    "connection_hang": Case({"type": "connection_hang"}, TRIES, "APITimeoutError", at_least_s=3 * TIMEOUT_S),
    "short_body": Case({"type": "short_body"}, TRIES, "APIConnectionError"),
    "slow_headers": replace(told("slow_headers", TEXT, "end_turn", over_s=0.5), at_least_s=0.45),
    # Bodies: nothing is repeated, and most of it is not noticed.
    "empty_body": Case({"type": "empty_body"}, 1, "JSONDecodeError"),
    "truncated_json": Case({"type": "truncated_json"}, 1, "JSONDecodeError"),
    "invalid_json": Case({"type": "invalid_json"}, 1, "JSONDecodeError"),
    "wrong_content_type": Case({"type": "wrong_content_type"}, says={"type": "str"}),
    "error_in_ok": told("error_in_ok", "", None),
    "missing_content": told("missing_field", "", "end_turn"),
    "missing_usage": told("missing_field", TEXT, "end_turn", field="usage"),
    "empty_content": told("null_content", "", "end_turn", how="empty"),
    "finish_length": told("finish_length", BEGUN, "max_tokens", tokens=2),
    "refusal": told("finish_content_filter", "", "refusal"),
    **EVENTS,
    **{f"{name}_gathered": gathered(case) for name, case in EVENTS.items()},
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
        admin = {"admin": str(process.admin.base_url).rstrip("/"), "token": ADMIN_TOKEN}
        waits = {"timeout_s": TIMEOUT_S, "patience_s": PATIENCE_S}
        cases = {name: case.asked() for name, case in CASES.items()}
        found = call(environment, "anthropic_faults", {"url": process.url, "key": KEY, **admin, **waits, "cases": cases})
        assert "Traceback" not in process.logged(), process.logged()[-2000:]
        return found
    finally:
        process.close()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", CASES)
def test_a_fault_surfaces_as_measured(name: str, client: str, surfaced: Surfaced) -> None:
    case, found = CASES[name], surfaced[client].result()[name]
    wanted = case.raises if isinstance(case.raises, str | None) else case.raises[list(CLIENTS).index(client)]
    assert (found.get("raised"), found.get("waits", False)) == (wanted, case.waits), found
    assert {key: found.get(key) for key in case.says or {}} == (case.says or {}), found
    assert found["hits"] == case.hits, found
    assert found["took_s"] >= case.at_least_s
