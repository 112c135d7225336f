"""What a provider refuses: limits, credentials, moderation, and errors of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.faults.base import Evidence
from harness.faults.llm_probe import EMBED, MODELS, STREAM, WHOLE
from harness.faults.programmed.common import WAIT, gateway, lasting
from harness.faults.programmed.row import Row, View
from harness.faults.programmed.sees import refusal
from harness.faults.programmed.settings import Setting, choice, duration, flag, number, rate, text, whole

ANY = (WHOLE, STREAM, EMBED, MODELS)
TEXT = (WHOLE, STREAM)
ADVICE = (
    duration("retry_after", "`Retry-After` to send, honest or not; null: none", None, ge=0, le=3600),
    number("retry_after_ms", "`retry-after-ms` to send, which clients read first; null: none", "ms", None, ge=0, le=3_600_000),
    flag("should_retry", "`x-should-retry` to send; it overrules what clients think of the status; null: none"),
)
SOME_WORDS = 32_000


def _refuses(
    type_: str,
    status: int,
    kind: str,
    does: str,
    *,
    word: str = "",
    asks: tuple[str, ...] = ANY,
    settings: tuple[Setting, ...] = (),
    **more: Any,
) -> Row:
    shows = f"the harness's own request gets {status}{f' `{word}`' if word else ''}"
    return Row(type_, kind, does, shows, refusal(status, word), asks, (*settings, *ADVICE), **more)


def _limited(view: View) -> Evidence | None:
    """Refused, and told honestly when to come back."""
    for one in view.look.values():
        if one.status == 429 and "retry-after" in one.headers:
            return {"status": 429, "retry_after": one.headers["retry-after"]}
    return None


def _more_than(limit: Mapping[str, Any]) -> dict[str, Any]:
    return {"padding": int(limit["limit"])}


LIMITS = (
    Row(
        "rate_limited",
        "rate_limit",
        "The provider admits that many requests a second; the others get 429 with an honest Retry-After.",
        "the harness's own request is refused, with Retry-After",
        _limited,
        TEXT,
        (
            rate("rate", "requests that the provider admits on average", key="requests_per_s", gt=0),
            whole("burst", "requests admitted at once; null: a second's worth", "requests", None, ge=1, le=100_000),
            rate("tokens", "tokens admitted on average, of prompt and `max_tokens`; null: no limit", None, key="tokens_per_s", gt=0),
            whole("token_burst", "tokens admitted at once; null: a minute's worth", "tokens", None, ge=1),
            flag("spent", "others of the organization use up all of it, and none of our requests is admitted"),
        ),
        refuses=lambda document: (
            "token_burst needs tokens; write both, or neither" if "token_burst" in document and "tokens_per_s" not in document else ""
        ),
        example={"rate": "2/s", "burst": 2},
    ),
    Row(
        "request_too_large",
        "rate_limit",
        "429 to a request of more tokens than a minute's limit: it looks like a rate limit and never succeeds.",
        "the harness's own request of more tokens gets 429",
        refusal(429),
        TEXT,
        (whole("limit", "tokens a minute; prompt and `max_tokens` of one request count", "tokens", ge=1, le=SOME_WORDS),),
        how=lambda document: {"body": {"max_tokens": int(document["limit"])}},
        example={"limit": 50},
    ),
    Row(
        "context_length_exceeded",
        "errors",
        "400 `context_length_exceeded` to a prompt of more than `limit` tokens.",
        "the harness's own longer prompt is refused",
        refusal(400, "context_length_exceeded"),
        TEXT,
        (whole("limit", "tokens of the model's context", "tokens", ge=1, le=SOME_WORDS),),
        how=_more_than,
        example={"limit": 200},
    ),
)

ERRORS = (
    _refuses(
        "insufficient_quota",
        429,
        "rate_limit",
        "429 `insufficient_quota`: the credit is used up, and no waiting helps.",
        word="insufficient_quota",
    ),
    _refuses(
        "spend_limit",
        400,
        "rate_limit",
        "The spend limit that the customer has set is reached: every request is refused.",
        word="billing_hard_limit_reached",
    ),
    _refuses("unauthorized", 401, "credentials", "401: the API key is refused.", word="invalid_api_key"),
    _refuses("forbidden", 403, "credentials", "403: the key is good, and the account may not do this."),
    _refuses("model_not_found", 404, "config", "404: the model is not there any more.", word="model_not_found"),
    _refuses(
        "bad_request",
        400,
        "errors",
        "400 `invalid_request_error` to what was right before.",
        settings=(text("message", "what the error says", "Invalid request: the request could not be understood.", min_length=1),),
    ),
    _refuses("payload_too_large", 413, "errors", "413: the body is too large."),
    _refuses("request_timeout", 408, "errors", "408: the provider gives up.", settings=(WAIT,), how=lasting("after_s")),
    _refuses("conflict", 409, "errors", "409: the request conflicts with another one."),
    _refuses(
        "content_filter_prompt",
        400,
        "errors",
        "400: the provider's content filter refuses harmless prompts.",
        asks=TEXT,
        word="invalid_prompt",
        settings=(choice("category", "what Azure's filter says that it has found", ("violence", "hate", "self_harm", "sexual")),),
    ),
    _refuses("server_error", 500, "errors", "500 `server_error`."),
    _refuses("overloaded", 503, "errors", "503: the provider is overloaded (Anthropic's interface: 529)."),
    gateway(ANY, ADVICE, (502, 503, 504)),
)

ROWS = (*LIMITS, *ERRORS)
