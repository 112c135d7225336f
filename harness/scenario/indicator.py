"""What an objective is about: an SLI, of all requests or of one route, service or tenant, over the phase or every window of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from harness.scenario.slis import SliName, sli_name
from harness.scenario.units import duration_s, plain, positive

By = Literal["route", "service", "tenant"]
_PARTS = re.compile(r"\s*(?P<sli>\S+)(?:\s+of\s+(?P<by>\S+)\s+(?P<name>\S+))?(?:\s+over\s+(?P<window>\S+))?\s*", re.ASCII)
_FORMS = "write 'latency_p95', 'latency_p95 of route ask', 'availability of service search', '… of tenant acme', '… over 10s'"


@dataclass(frozen=True, slots=True)
class Scope:
    """Of which requests: those of a journey (`route`), of journeys that pass through a service, or of journeys that belong to a tenant."""

    by: By
    name: str

    def __str__(self) -> str:
        return f"{self.by} {self.name}"


@dataclass(frozen=True, slots=True)
class Indicator:
    """A parsed key of `objectives`. Without a scope: all requests; without a window (in seconds): the phase as a whole."""

    sli: SliName
    scope: Scope | None = None
    window_s: float | None = None

    @property
    def text(self) -> str:
        """As it is written and as checks are called: `latency_p95 of route ask over 10s`."""
        of = f" of {self.scope}" if self.scope else ""
        return f"{self.sli.text}{of}" + (f" over {plain(self.window_s)}s" if self.window_s is not None else "")


def indicator(text: str) -> Indicator:
    """Parse `availability`, `latency_p95 of route ask`, `… of service search over 10s`. Raises ValueError that says what to write."""
    match = _PARTS.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:60]!r} names no SLI; {_FORMS}")
    sli = sli_name(match["sli"])
    if match["by"] not in (None, "route", "service", "tenant"):
        raise ValueError(f"{match['by']!r} is nothing that requests belong to; write 'of route …', 'of service …' or 'of tenant …'")
    scope = Scope(match["by"], match["name"]) if match["by"] else None  # type: ignore[arg-type]  # one of the three, as just seen
    return Indicator(sli, scope, positive(duration_s(match["window"])) if match["window"] else None)
