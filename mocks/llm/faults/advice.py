"""What an error tells the client about trying again."""

from dataclasses import dataclass
from typing import Annotated

from mocks.faults.documents import Param


@dataclass(kw_only=True)
class RetryAdvice:
    """Parameters that every error has: headers about a repetition. Left out, the error carries none of its own."""

    retry_after_s: Annotated[float | None, Param("`Retry-After` to send, honest or not", "s", least=0)] = None
    retry_after_ms: Annotated[float | None, Param("`retry-after-ms` to send, which clients read first", "ms", least=0)] = None
    should_retry: Annotated[bool | None, Param("`x-should-retry` to send; it overrules what clients think of the status")] = None

    def advice(self) -> dict[str, str]:
        """The headers."""
        given = {
            "retry-after": None if self.retry_after_s is None else f"{self.retry_after_s:g}",
            "retry-after-ms": None if self.retry_after_ms is None else f"{self.retry_after_ms:g}",
            "x-should-retry": None if self.should_retry is None else str(self.should_retry).lower(),
        }
        return {name: value for name, value in given.items() if value is not None}
