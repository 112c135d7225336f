"""What one question to one part was answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Health = Literal["healthy", "degraded", "unhealthy", "unknown"]
WORST: tuple[Health, ...] = ("unhealthy", "degraded", "unknown", "healthy")
"""The worst first."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`part`: an instance, or a model of a provider. `unknown`: the question could not be asked, and why."""

    service: str
    part: str
    status: Health
    response_s: float | None
    detail: str


class UnwellError(Exception):
    """The part says, or shows, that it is not well."""


class DegradedError(Exception):
    """It works, but not as it should."""


class UnaskedError(Exception):
    """The question could not be put: something is missing on our side."""
