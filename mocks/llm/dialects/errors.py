"""Errors, in each provider's shape."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mocks.llm.dialects.base import DialectName, encode
from mocks.llm.errors import ProviderError

ANTHROPIC_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Error types by status; any other is an `api_error`. Source: platform.claude.com/docs/en/api/errors."""


class _Azure(NamedTuple):
    """How Azure's own gateway puts an error: a code, and its own sentence where it does not repeat the model's."""

    code: str
    message: str | None = None


_WRONG_KEY = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription "
    "and use a correct regional API endpoint for your resource."
)
_NO_DEPLOYMENT = (
    "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, "
    "please wait a moment and try again."
)
_AZURE: Mapping[int, _Azure] = {
    401: _Azure("401", _WRONG_KEY),
    403: _Azure("403"),
    404: _Azure("404"),
    405: _Azure("405"),
    408: _Azure("Timeout", "The operation was timeout."),
    413: _Azure("413"),
    429: _Azure("429"),
    500: _Azure("InternalServerError"),
    503: _Azure("ServiceUnavailable"),
}
"""What Azure's gateway answers itself. What the model's own checks refuse (400) keeps OpenAI's shape, and so does a spent quota."""


def error_body(dialect: DialectName, error: ProviderError, request_id: str) -> bytes:
    """The JSON body of an error answer.

    OpenAI `{"error": {"message", "type", "param", "code"}}`; Azure `{"error": {"code", "message"}}` where its gateway speaks, else as
    OpenAI; Anthropic `{"type": "error", "error": {"type", "message"}, "request_id"}`. `details` are merged into the error object.
    """
    if dialect == "anthropic":
        return encode({"type": "error", "error": _anthropic(error), "request_id": request_id})
    azure = _AZURE.get(error.status) if dialect == "azure" and error.code != "insufficient_quota" else None
    if azure is not None:
        return encode({"error": _azure(error, azure)})
    return encode({"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code, **error.details}})


def anthropic_type(error: ProviderError) -> str:
    """The error type that Anthropic gives."""
    return error.anthropic_type or ANTHROPIC_TYPES.get(error.status, "api_error")


def unknown_model(dialect: DialectName, model: str) -> ProviderError:
    """What is said of a model that is not served."""
    message = f"model: {model}" if dialect == "anthropic" else f"The model `{model}` does not exist or you do not have access to it."
    return ProviderError(404, message, param="model", code="model_not_found")


def _anthropic(error: ProviderError) -> dict[str, Any]:
    return {"type": anthropic_type(error), "message": error.message, **error.details}


def _azure(error: ProviderError, azure: _Azure) -> dict[str, Any]:
    if error.code == "model_not_found":
        azure = _Azure("DeploymentNotFound", _NO_DEPLOYMENT)
    return {"code": azure.code, "message": azure.message or error.message, **error.details}
