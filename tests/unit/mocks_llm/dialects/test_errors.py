"""Error bodies in each provider's shape."""

import json
from typing import Any

import pytest

from mocks.llm.dialects.errors import error_body, unknown_model
from mocks.llm.errors import ProviderError

NOT_FOUND = ProviderError(404, "The model `x` does not exist.", param="model", code="model_not_found")
OVERLOADED = ProviderError(529, "Overloaded", type="server_error")
FILTERED = ProviderError(
    400,
    "Filtered.",
    type=None,
    param="prompt",
    code="content_filter",
    details={"status": 400, "innererror": {"code": "R"}},
)
SPENT = ProviderError(
    429,
    "Spend limit.",
    type="insufficient_quota",
    code="insufficient_quota",
    details={"details": {"error_code": "enforced_spend_limit_reached"}},
)


def body(dialect: Any, error: ProviderError) -> Any:
    return json.loads(error_body(dialect, error, "req_1"))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NOT_FOUND, {"message": NOT_FOUND.message, "type": "invalid_request_error", "param": "model", "code": "model_not_found"}),
        (
            FILTERED,
            {
                "message": "Filtered.",
                "type": None,
                "param": "prompt",
                "code": "content_filter",
                "status": 400,
                "innererror": {"code": "R"},
            },
        ),
    ],
)
def test_openai(error: ProviderError, expected: dict[str, Any]) -> None:
    assert body("openai", error) == {"error": expected}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (409, "conflict_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (529, "overloaded_error"),
    ],
)
def test_anthropic_types_follow_the_status(status: int, kind: str) -> None:
    assert body("anthropic", ProviderError(status, "m")) == {
        "type": "error",
        "error": {"type": kind, "message": "m"},
        "request_id": "req_1",
    }


def test_anthropic_details_and_types_of_their_own() -> None:
    assert body("anthropic", SPENT)["error"] == {
        "type": "rate_limit_error",
        "message": "Spend limit.",
        "details": {"error_code": "enforced_spend_limit_reached"},
    }
    assert body("anthropic", ProviderError(400, "m", anthropic_type="billing_error"))["error"]["type"] == "billing_error"


def test_azure_speaks_itself_only_where_its_gateway_does() -> None:
    assert body("azure", ProviderError(401, "No key."))["error"].keys() == {"code", "message"}
    assert body("azure", ProviderError(401, "No key."))["error"]["code"] == "401"
    missing = body("azure", NOT_FOUND)["error"]
    assert (missing["code"], missing["message"].split(".")[0]) == (
        "DeploymentNotFound",
        "The API deployment for this resource does not exist",
    )
    assert body("azure", ProviderError(404, "Resource not found")) == {"error": {"code": "404", "message": "Resource not found"}}
    assert body("azure", ProviderError(429, "Slow down."))["error"] == {"code": "429", "message": "Slow down."}
    for error in (ProviderError(400, "Bad.", param="n"), FILTERED, SPENT):
        assert body("azure", error) == body("openai", error)


def test_a_model_that_is_not_served() -> None:
    assert body("openai", unknown_model("openai", "x"))["error"] == {
        "message": "The model `x` does not exist or you do not have access to it.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }
    assert body("anthropic", unknown_model("anthropic", "x"))["error"] == {"type": "not_found_error", "message": "model: x"}
    assert body("azure", unknown_model("azure", "x"))["error"]["code"] == "DeploymentNotFound"
