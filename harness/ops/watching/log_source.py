"""The logs of services as a source of readings, and their newest errors for a person."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from harness.ops.logs.streams import Streams
from harness.ops.monitoring.readings import Reading
from harness.record.clock import NS_PER_S, Clock

WINDOW_S = 60.0
OTHERS = "logs"
"""Lines of services that the STACK.yaml does not know."""
SHOWN = 20


@dataclass(slots=True)
class LogSource:
    """Lines of the last minute, by service: `log_errors` (errors, and requests that failed) and `log_lines`."""

    streams: Streams
    clock: Clock
    services: frozenset[str]
    _counted: deque[tuple[float, Counter[str], Counter[str]]] = field(default_factory=deque)

    def read(self) -> Iterator[Reading]:
        """See `Source`. Of a service that logs nothing, zero."""
        now_s = self.clock.now_ns() / NS_PER_S
        new = self.streams.poll()
        named = [(entry.service if entry.service in self.services else OTHERS, entry.failed) for entry in new]
        self._counted.append((now_s, Counter(name for name, _ in named), Counter(name for name, failed in named if failed)))
        while self._counted[0][0] < now_s - WINDOW_S:
            self._counted.popleft()
        lines, errors = _sum(one for _, one, _ in self._counted), _sum(one for _, _, one in self._counted)
        for name in (*sorted(self.services), OTHERS):
            yield Reading(name, "log_lines", float(lines[name]))
            yield Reading(name, "log_errors", float(errors[name]))

    def newest_errors(self) -> list[dict[str, Any]]:
        """The last that are still kept, oldest first."""
        return [
            {"at_s": e.at_s, "service": e.service, "level": e.level, "type": e.error_type, "message": e.message[:300]}
            for e in self.streams.newest("error", SHOWN)
        ]


def _sum(counters: Iterable[Counter[str]]) -> Counter[str]:
    whole: Counter[str] = Counter()
    for one in counters:
        whole.update(one)
    return whole
