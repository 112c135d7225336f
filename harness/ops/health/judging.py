"""From answers to the health of each service and of the whole, over the graph of who calls whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.ops.diagnosis.graph import Graph
from harness.ops.health.answer import WORST, Answer, Health


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """`because`: the services beneath it that are down, and depend on none that is down, too."""

    service: str
    status: Health
    detail: str
    critical: bool
    answers: tuple[Answer, ...]
    because: tuple[str, ...] = ()

    @property
    def response_s(self) -> float | None:
        """The slowest answer."""
        return max((a.response_s for a in self.answers if a.response_s is not None), default=None)


@dataclass(frozen=True, slots=True)
class StackHealth:
    """The whole."""

    status: Health
    services: tuple[ServiceHealth, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready document."""
        return {"status": self.status, "services": [{**asdict(one), "response_s": one.response_s} for one in self.services]}


def judge(answers: Iterable[Answer], edges: Sequence[tuple[str, str]], critical: Mapping[str, bool]) -> StackHealth:
    """A service without any healthy part is unhealthy, with some it is degraded; one that calls, directly or through others, a critical
    service that is unhealthy is at least degraded, and told why. The whole is unhealthy where a critical service is, degraded where
    anything is not as it should be, and unknown where nothing was found out about a critical service.
    """
    by_service: dict[str, list[Answer]] = {}
    for answer in answers:
        by_service.setdefault(answer.service, []).append(answer)
    alone = {service: _alone(found) for service, found in by_service.items()}
    down = {service for service, (status, _) in alone.items() if status == "unhealthy"}
    graph = Graph(edges)
    services = tuple(_with_graph(service, by_service[service], alone[service], graph, down, critical) for service in by_service)
    return StackHealth(_whole(services), services)


def _alone(answers: Sequence[Answer]) -> tuple[Health, str]:
    """By its own answers."""
    found = {answer.status for answer in answers}
    if len(answers) == 1 or len(found) == 1:
        return answers[0].status, answers[0].detail
    bad = [answer for answer in answers if answer.status != "healthy"]
    detail = f"{len(bad)} of {len(answers)}: " + "; ".join(f"{a.part} {a.status}: {a.detail}" for a in bad)
    if "healthy" not in found and "degraded" not in found:
        return next(status for status in WORST if status in found), detail
    return "degraded", detail


def _with_graph(
    service: str, answers: Sequence[Answer], own: tuple[Health, str], graph: Graph, down: set[str], critical: Mapping[str, bool]
) -> ServiceHealth:
    status, detail = own
    beneath = (graph.reachable(service) & down) - {service}
    roots = tuple(sorted(one for one in beneath if not (graph.reachable(one) & down) - {one, service})) or tuple(sorted(beneath))
    if roots:
        reason = f"because {' and '.join(roots)} {'is' if len(roots) == 1 else 'are'} down"
        needed = any(critical.get(one, True) for one in roots)
        if status in ("healthy", "unknown") and needed:
            status, detail = "degraded", f"degraded {reason} ({detail})"
        elif status in ("degraded", "unhealthy"):
            detail = f"{status} {reason} ({detail})"
    return ServiceHealth(service, status, detail, critical.get(service, True), tuple(answers), roots)


def _whole(services: Sequence[ServiceHealth]) -> Health:
    vital = {one.status for one in services if one.critical}
    if "unhealthy" in vital:
        return "unhealthy"
    if not services or "unknown" in vital:
        return "unknown"
    return "healthy" if all(one.status == "healthy" for one in services) else "degraded"
