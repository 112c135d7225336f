"""Errors that the provider, or a gateway before it, answers before the first byte of an answer: exact bodies, by dialect."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from random import Random
from typing import Annotated, ClassVar, Literal

from mocks.faults.base import OfAnyCall
from mocks.faults.documents import Param
from mocks.llm.dialects.errors import unknown_model
from mocks.llm.errors import ProviderError
from mocks.llm.faults.advice import RetryAdvice
from mocks.llm.faults.registry import FAULTS, OfGeneration
from mocks.llm.plan import Facts, Plan, Whole
from mocks.llm.quotas import quota_spent


@dataclass(kw_only=True)
class _ErrorFault(RetryAdvice, ABC):
    """Answers `error(facts)` with the advice about a repetition."""

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Refuse the call."""
        error = self.error(plan.facts)
        error.headers = {**error.headers, **self.advice()}
        plan.error = error
        return True

    @abstractmethod
    def error(self, facts: Facts) -> ProviderError:
        """The error in the words of the call's dialect."""


@FAULTS.register("insufficient_quota")
@dataclass(kw_only=True)
class InsufficientQuota(OfAnyCall, _ErrorFault):
    """Nothing but money helps; yet it looks like a rate limit by its status, and clients repeat it."""

    summary: ClassVar[str] = "429 `insufficient_quota` without Retry-After (Anthropic: the credit is used up): no waiting helps."

    def error(self, facts: Facts) -> ProviderError:
        """The error in the words of the call's dialect."""
        return quota_spent(facts)


@FAULTS.register("spend_limit")
@dataclass(kw_only=True)
class SpendLimit(OfAnyCall, _ErrorFault):
    """A limit that the customer has set; waiting does not help."""

    summary: ClassVar[str] = (
        "The spend limit is reached: Anthropic 429 with `details.error_code` `enforced_spend_limit_reached` and no retry-after; "
        "OpenAI 400 `billing_hard_limit_reached`."
    )

    def error(self, facts: Facts) -> ProviderError:
        """The error in the words of the call's dialect."""
        if facts.dialect == "anthropic":
            message = "This request would exceed your organization's enforced spend limit."
            details = {"details": {"error_code": "enforced_spend_limit_reached"}}
            return ProviderError(429, message, anthropic_type="rate_limit_error", details=details)
        return ProviderError(400, "Billing hard limit has been reached", code="billing_hard_limit_reached")


@FAULTS.register("unauthorized")
@dataclass(kw_only=True)
class Unauthorized(OfAnyCall, _ErrorFault):
    """The key is refused."""

    summary: ClassVar[str] = "401: the API key is refused."

    def error(self, facts: Facts) -> ProviderError:
        """The error in the words of the call's dialect."""
        if facts.dialect == "anthropic":
            return ProviderError(401, "invalid x-api-key", anthropic_type="authentication_error")
        message = "Incorrect API key provided: sk-gaunt**************tlet. You can find your API key at https://platform.openai.com/account/api-keys."
        return ProviderError(401, message, code="invalid_api_key")


@FAULTS.register("forbidden")
@dataclass(kw_only=True)
class Forbidden(OfAnyCall, _ErrorFault):
    """The key is good, but not for this."""

    summary: ClassVar[str] = "403: the account may not do this."

    def error(self, facts: Facts) -> ProviderError:
        """The error in the words of the call's dialect."""
        if facts.dialect == "anthropic":
            message = "Your API key does not have permission to use the specified resource."
            return ProviderError(403, message, anthropic_type="permission_error")
        if facts.dialect == "azure":
            return ProviderError(403, "Access denied due to Virtual Network/Firewall rules.")
        message = "Country, region, or territory not supported"
        return ProviderError(403, message, "request_forbidden", None, "unsupported_country_region_territory")


@FAULTS.register("model_not_found")
@dataclass(kw_only=True)
class ModelNotFound(OfAnyCall, _ErrorFault):
    """A model that was retired, or a deployment that was deleted."""

    summary: ClassVar[str] = "404: the model (of Azure: the deployment) is not there any more."

    def error(self, facts: Facts) -> ProviderError:
        """The error in the words of the call's dialect."""
        return unknown_model(facts.dialect, facts.model)  # type: ignore[arg-type]  # facts name one of the three


@FAULTS.register("bad_request")
@dataclass(kw_only=True)
class BadRequest(OfAnyCall, _ErrorFault):
    """The request is refused for what it is: repeating it is useless."""

    summary: ClassVar[str] = "400 `invalid_request_error`."
    message: Annotated[str, Param("what the error says")] = "Invalid request: the request could not be understood."

    def error(self, facts: Facts) -> ProviderError:  # noqa: ARG002 - in no dialect's own words
        """The error."""
        return ProviderError(400, self.message)


@FAULTS.register("payload_too_large")
@dataclass(kw_only=True)
class PayloadTooLarge(OfAnyCall, _ErrorFault):
    """The body is refused for its size."""

    summary: ClassVar[str] = "413: the body is too large."

    def error(self, facts: Facts) -> ProviderError:
        """The error in the words of the call's dialect."""
        if facts.dialect == "anthropic":
            return ProviderError(413, "Request exceeds the maximum size", anthropic_type="request_too_large")
        return ProviderError(413, "Maximum content size limit (26214400) exceeded", "server_error")


@FAULTS.register("request_timeout")
@dataclass(kw_only=True)
class RequestTimeout(OfAnyCall, _ErrorFault):
    """The provider gives up on the request; the official clients repeat it."""

    summary: ClassVar[str] = "408 after `after_s`."
    after_s: Annotated[float, Param("how long the client is kept waiting", "s", least=0)] = 0.0

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:
        """Refuse the call, late."""
        plan.decided_after_s = self.after_s
        return super().apply(plan, now_s, rng)

    def error(self, facts: Facts) -> ProviderError:  # noqa: ARG002 - in no dialect's own words
        """The error."""
        return ProviderError(408, "Request timed out.", "timeout", anthropic_type="timeout_error")


@FAULTS.register("conflict")
@dataclass(kw_only=True)
class Conflict(OfAnyCall, _ErrorFault):
    """Something else holds what the request needs; the official clients repeat it."""

    summary: ClassVar[str] = "409: the request conflicts with another one."

    def error(self, facts: Facts) -> ProviderError:  # noqa: ARG002 - in no dialect's own words
        """The error."""
        return ProviderError(409, "The request conflicts with the current state of the resource.", anthropic_type="conflict_error")


_SAFE = {kind: {"filtered": False, "severity": "safe"} for kind in ("hate", "self_harm", "sexual", "violence")}


@FAULTS.register("content_filter_prompt")
@dataclass(kw_only=True)
class ContentFilterPrompt(OfGeneration, _ErrorFault):
    """The prompt is refused by moderation, whoever wrote the part of it that is to blame: a document may have."""

    summary: ClassVar[str] = "400: the prompt is refused by the content filter (Azure: `content_filter` with `innererror`)."
    category: Annotated[Literal["hate", "self_harm", "sexual", "violence"], Param("what Azure's filter has found")] = "violence"

    def error(self, facts: Facts) -> ProviderError:
        """The error in the words of the call's dialect."""
        if facts.dialect == "anthropic":
            return ProviderError(400, "Output blocked by content filtering policy")
        if facts.dialect == "azure":
            return self._of_azure()
        message = (
            "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try again with a different prompt: "
            "https://platform.openai.com/docs/guides/reasoning#advice-on-prompting"
        )
        return ProviderError(400, message, code="invalid_prompt")

    def _of_azure(self) -> ProviderError:
        message = (
            "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt "
            "and retry. To learn more about our content filtering policies please read our documentation: "
            "https://go.microsoft.com/fwlink/?linkid=2198766"
        )
        found = {**_SAFE, self.category: {"filtered": True, "severity": "high"}}
        inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": found}
        return ProviderError(400, message, None, "prompt", "content_filter", details={"status": 400, "innererror": inner})


@FAULTS.register("server_error")
@dataclass(kw_only=True)
class ServerError(OfAnyCall, _ErrorFault):
    """The provider's own fault."""

    summary: ClassVar[str] = "500 `server_error` (Anthropic: `api_error`)."

    def error(self, facts: Facts) -> ProviderError:
        """The error in the words of the call's dialect."""
        if facts.dialect == "anthropic":
            return ProviderError(500, "Internal server error", anthropic_type="api_error")
        return ProviderError(500, "The server had an error while processing your request. Sorry about that!", "server_error")


@FAULTS.register("overloaded")
@dataclass(kw_only=True)
class Overloaded(OfAnyCall, _ErrorFault):
    """Too many customers at once."""

    summary: ClassVar[str] = "503 (Anthropic: 529 `overloaded_error`): the provider is overloaded."

    def error(self, facts: Facts) -> ProviderError:
        """The error in the words of the call's dialect."""
        if facts.dialect == "anthropic":
            return ProviderError(529, "Overloaded", anthropic_type="overloaded_error")
        return ProviderError(503, "The engine is currently overloaded, please try again later", "server_error")


_REASONS = {502: "Bad Gateway", 503: "Service Temporarily Unavailable", 504: "Gateway Time-out"}
_TEXTS = {
    502: "upstream connect error or disconnect/reset before headers. reset reason: connection failure",
    503: "no healthy upstream",
    504: "upstream request timeout",
}


@FAULTS.register("gateway_error")
@dataclass(kw_only=True)
class GatewayError(OfAnyCall, RetryAdvice):
    """A gateway answers for a provider that it cannot reach, in a language that no SDK expects."""

    summary: ClassVar[str] = "502, 503 or 504 of a gateway: an HTML page (nginx), plain text (Envoy) or nothing, after `after_s`."
    status: Annotated[Literal[502, 503, 504], Param("the status")] = 502
    body: Annotated[Literal["html", "text", "empty"], Param("what it says")] = "html"
    after_s: Annotated[float, Param("how long the client is kept waiting", "s", least=0)] = 0.0

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:  # noqa: ARG002 - the same at any time
        """Let the gateway speak."""
        plan.instead = self._page()
        plan.decided_after_s = self.after_s
        plan.headers.update(self.advice())
        return True

    def _page(self) -> Whole:
        title = f"{self.status} {_REASONS[self.status]}"
        html = (
            f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
            "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
        )
        text = {"html": html, "text": _TEXTS[self.status], "empty": ""}[self.body]
        return Whole(text.encode(), self.status, "text/html" if self.body == "html" else "text/plain")
