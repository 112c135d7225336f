"""The headers that a provider sends with every answer, whole or streamed, good or bad."""

from mocks.llm.dialects.base import DialectName
from mocks.llm.quotas import ORGANIZATION

_ANTHROPIC_ORGANIZATION = "8f5c1a5e-7a51-4d0e-9f0e-2b1f3c4d5e6f"
_AZURE_REGION = "East US"
_OPENAI_VERSION = "2020-10-01"
_OPENAI_LINES = b"x-request-id: %%b\r\nopenai-organization: %b\r\nopenai-processing-ms: %%d\r\nopenai-version: %b\r\n" % (
    ORGANIZATION.encode(),
    _OPENAI_VERSION.encode(),
)


def openai_lines(request_id: str, elapsed_s: float) -> bytes:
    """`answer_headers` of OpenAI for callers without an account, as they are sent."""
    return _OPENAI_LINES % (request_id.encode(), round(elapsed_s * 1_000))


def answer_headers(dialect: DialectName, request_id: str, organization: str | None, elapsed_s: float) -> dict[str, str]:
    """For an answer that begins `elapsed_s` after its request came; `organization` None is that of callers without an account."""
    if dialect == "anthropic":
        return {"request-id": request_id, "anthropic-organization-id": organization or _ANTHROPIC_ORGANIZATION}
    if dialect == "azure":
        return {"x-request-id": request_id, "apim-request-id": request_id, "x-ms-region": _AZURE_REGION}
    return {
        "x-request-id": request_id,
        "openai-organization": organization or ORGANIZATION,
        "openai-processing-ms": str(round(elapsed_s * 1_000)),
        "openai-version": _OPENAI_VERSION,
    }
