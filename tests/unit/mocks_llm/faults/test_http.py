"""Errors before the first byte: exact bodies and headers, by dialect."""

import json
from typing import Any

import pytest

from mocks.llm.answer import CHAT, MESSAGES
from mocks.llm.dialects.errors import error_body
from mocks.llm.plan import Whole
from tests.unit.mocks_llm.faults.answering import Asked, meet

OPENAI, AZURE, ANTHROPIC = Asked(CHAT), Asked(CHAT, dialect="azure"), Asked(MESSAGES)


def refusal(document: dict[str, Any], asked: Asked) -> tuple[int, Any, dict[str, str]]:
    """Status, body and headers of the error."""
    met = meet(document, asked)
    error = met.plan.error
    assert error is not None
    body = error_body(met.plan.facts.dialect, error, "req_1")  # type: ignore[arg-type]  # the tests name real dialects
    return error.status, json.loads(body), dict(error.headers)


def openai(message: str, kind: str | None, code: str | None, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def anthropic(message: str, kind: str, **details: Any) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message, **details}, "request_id": "req_1"}


QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: "
    "https://platform.openai.com/docs/guides/error-codes/api-errors."
)
KEY = "Incorrect API key provided: sk-gaunt**************tlet. You can find your API key at https://platform.openai.com/account/api-keys."
AZURE_KEY = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription "
    "and use a correct regional API endpoint for your resource."
)
NO_DEPLOYMENT = (
    "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, "
    "please wait a moment and try again."
)
SORRY = "The server had an error while processing your request. Sorry about that!"
OVERLOADED = "The engine is currently overloaded, please try again later"


@pytest.mark.parametrize(
    ("name", "asked", "status", "body"),
    [
        ("insufficient_quota", OPENAI, 429, openai(QUOTA, "insufficient_quota", "insufficient_quota")),
        ("spend_limit", OPENAI, 400, openai("Billing hard limit has been reached", "invalid_request_error", "billing_hard_limit_reached")),
        (
            "spend_limit",
            ANTHROPIC,
            429,
            anthropic(
                "This request would exceed your organization's enforced spend limit.",
                "rate_limit_error",
                details={"error_code": "enforced_spend_limit_reached"},
            ),
        ),
        ("unauthorized", OPENAI, 401, openai(KEY, "invalid_request_error", "invalid_api_key")),
        ("unauthorized", AZURE, 401, {"error": {"code": "401", "message": AZURE_KEY}}),
        ("unauthorized", ANTHROPIC, 401, anthropic("invalid x-api-key", "authentication_error")),
        (
            "forbidden",
            OPENAI,
            403,
            openai("Country, region, or territory not supported", "request_forbidden", "unsupported_country_region_territory"),
        ),
        ("forbidden", AZURE, 403, {"error": {"code": "403", "message": "Access denied due to Virtual Network/Firewall rules."}}),
        (
            "forbidden",
            ANTHROPIC,
            403,
            anthropic("Your API key does not have permission to use the specified resource.", "permission_error"),
        ),
        (
            "model_not_found",
            OPENAI,
            404,
            openai("The model `m` does not exist or you do not have access to it.", "invalid_request_error", "model_not_found", "model"),
        ),
        ("model_not_found", AZURE, 404, {"error": {"code": "DeploymentNotFound", "message": NO_DEPLOYMENT}}),
        ("model_not_found", ANTHROPIC, 404, anthropic("model: m", "not_found_error")),
        ("payload_too_large", ANTHROPIC, 413, anthropic("Request exceeds the maximum size", "request_too_large")),
        ("payload_too_large", OPENAI, 413, openai("Maximum content size limit (26214400) exceeded", "server_error", None)),
        ("conflict", ANTHROPIC, 409, anthropic("The request conflicts with the current state of the resource.", "conflict_error")),
        ("server_error", OPENAI, 500, openai(SORRY, "server_error", None)),
        ("server_error", ANTHROPIC, 500, anthropic("Internal server error", "api_error")),
        ("overloaded", OPENAI, 503, openai(OVERLOADED, "server_error", None)),
        ("overloaded", AZURE, 503, {"error": {"code": "ServiceUnavailable", "message": OVERLOADED}}),
        ("overloaded", ANTHROPIC, 529, anthropic("Overloaded", "overloaded_error")),
        ("content_filter_prompt", ANTHROPIC, 400, anthropic("Output blocked by content filtering policy", "invalid_request_error")),
    ],
)
def test_the_provider_says_it_in_its_own_words(name: str, asked: Asked, status: int, body: dict[str, Any]) -> None:
    assert refusal({"type": name}, asked) == (status, body, {})


def test_azure_tells_what_its_filter_has_found() -> None:
    status, body, headers = refusal({"type": "content_filter_prompt", "category": "hate"}, AZURE)
    error = body["error"]
    safe = {"filtered": False, "severity": "safe"}
    assert (status, headers) == (400, {})
    assert error.pop("message").startswith(
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
    )
    assert error == {
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"hate": {"filtered": True, "severity": "high"}, "self_harm": safe, "sexual": safe, "violence": safe},
        },
    }


def test_a_bad_request_says_what_the_document_says() -> None:
    assert refusal({"type": "bad_request", "message": "no"}, OPENAI) == (400, openai("no", "invalid_request_error", None), {})


@pytest.mark.parametrize(
    ("advice", "headers"),
    [
        ({"retry_after_s": 2}, {"retry-after": "2"}),
        ({"retry_after_s": 0.5, "retry_after_ms": 500}, {"retry-after": "0.5", "retry-after-ms": "500"}),
        ({"should_retry": False}, {"x-should-retry": "false"}),
        ({"should_retry": True, "retry_after_s": 200}, {"x-should-retry": "true", "retry-after": "200"}),
    ],
)
@pytest.mark.parametrize("name", ["server_error", "insufficient_quota", "unauthorized", "request_timeout"])
def test_errors_give_the_advice_that_the_document_wants(name: str, advice: dict[str, Any], headers: dict[str, str]) -> None:
    assert refusal({"type": name, **advice}, OPENAI)[2] == headers


def test_a_timeout_takes_its_time() -> None:
    met = meet({"type": "request_timeout", "after_s": 7})
    assert met.plan.error is not None
    assert (met.plan.error.status, met.plan.decided_after_s) == (408, 7.0)


HTML = (
    "<html>\r\n<head><title>504 Gateway Time-out</title></head>\r\n<body>\r\n<center><h1>504 Gateway Time-out</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


@pytest.mark.parametrize(
    ("document", "page"),
    [
        ({"status": 504}, Whole(HTML.encode(), 504, "text/html")),
        ({"status": 503, "body": "text"}, Whole(b"no healthy upstream", 503, "text/plain")),
        ({"body": "empty"}, Whole(b"", 502, "text/plain")),
    ],
)
def test_a_gateway_speaks_another_language(document: dict[str, Any], page: Whole) -> None:
    plan = meet({"type": "gateway_error", "after_s": 3, "retry_after_s": 1, **document}).plan
    assert (plan.instead, plan.decided_after_s, plan.headers, plan.error) == (page, 3.0, {"retry-after": "1"}, None)


def test_a_login_page_comes_for_streams_as_well() -> None:
    page = meet({"type": "wrong_content_type"}, Asked(stream=True)).plan.instead
    assert page is not None
    assert (page.status, page.content_type, page.body[:15]) == (200, "text/html; charset=utf-8", b"<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"type": "connection_refused"}, ("reset", 0.0, None, 0.0)),
        ({"type": "connection_reset", "after_s": 2}, ("reset", 2.0, None, 0.0)),
        ({"type": "connection_closed"}, ("fin", 0.0, None, 0.0)),
        ({"type": "connection_hang"}, ("hang", 0.0, None, 0.0)),
        ({"type": "dead_keep_alive"}, (None, 0.0, "fin", 0.0)),
        ({"type": "dead_keep_alive", "how": "reset"}, (None, 0.0, "reset", 0.0)),
        ({"type": "slow_headers", "over_s": 3}, (None, 0.0, None, 3.0)),
    ],
)
def test_connections_do_what_the_plan_says(document: dict[str, Any], expected: tuple[Any, ...]) -> None:
    plan = meet(document).plan
    assert (plan.before, plan.decided_after_s, plan.cut_next, plan.headers_take_s) == expected


def test_the_first_refusal_is_the_one() -> None:
    met = meet([{"type": "slow_headers"}, {"type": "unauthorized"}, {"type": "server_error"}, {"type": "verbose"}])
    assert met.faults == ["f0", "f1"]
    assert met.plan.error is not None
    assert met.plan.error.status == 401
