"""An error that the provider answers, before it is put into the words of one API."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class ProviderError(Exception):
    """`type`, `param` and `code` are OpenAI's; `anthropic_type` is Anthropic's, None where the status says it. `headers` go with it.

    `details` is merged into the error object (`innererror` of Azure, `details` of Anthropic).
    """

    status: int
    message: str
    type: str | None = "invalid_request_error"
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    anthropic_type: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
