"""What comes in from outside: more than was offered, without valid credentials, connections that say nothing, documents nobody can read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.ops.diagnosis.rules.base import Streaks, View
from harness.ops.monitoring.baseline import Baseline
from harness.ops.monitoring.symptoms import Symptom

CONTROL_ROUTES = ("/health", "/ready", "/metrics")
UNEXPECTED_TIMES = 1.8
UNEXPECTED_LEAST = 15.0  # requests in a window
UNAUTHORIZED = 3.0
DESCRIPTORS_MORE = 80.0
REFUSED_DOCUMENTS = 3.0
REFUSED_SHARE = 0.25
DEAD_DOCUMENTS = 2.0
BACKLOG = 150.0


@dataclass(slots=True)
class EntryRules:
    """`entry` is the service that users reach first."""

    entry: str | None
    _open: Baseline = field(default_factory=lambda: Baseline(floor=4.0))
    _more: Streaks = field(default_factory=Streaks)

    def look(self, view: View) -> Iterator[Symptom]:
        yield from self._unauthorized(view)
        if self.entry is not None:
            yield from self._unexpected(view, self.entry)
            yield from self._connections(view, self.entry)

    def _unauthorized(self, view: View) -> Iterator[Symptom]:
        refused: dict[str, float] = defaultdict(float)
        for key, grown in view.grown("rag_auth_failures_total"):
            refused[key.service] += grown
        for service, n in refused.items():
            if n >= UNAUTHORIZED:
                evidence = f"{service} refuses {n / view.signals.window_s:.0f} requests a second for their credentials"
                yield Symptom("Unauthorized", service, "credentials", evidence, directness=0.93, for_s=0.4)

    def _unexpected(self, view: View, entry: str) -> Iterator[Symptom]:
        """Against what the watched clients offer; they may offer more at any time, and that is no surprise. What only reads is let pass."""
        offered = [grown for _, grown in view.grown("client_offered_total")]
        signal = view.signals.services.get(entry)
        if not sum(offered) or signal is None:  # nobody is watched who offers anything
            return
        finished = sum(g for key, g in view.grown("rag_requests_total") if key.service == entry and key.label("method") == "POST")
        came = finished + signal.in_progress - signal.in_progress_before  # what drains has come before
        expected = sum(offered)
        so = came > UNEXPECTED_TIMES * expected and came - expected >= UNEXPECTED_LEAST
        if self._more.count(entry, so) >= 2:
            window_s = view.signals.window_s
            evidence = f"{came / window_s:.0f} requests a second reach {entry}, of which {expected / window_s:.0f} are known"
            yield Symptom("LoadUnexpected", entry, "load", evidence, "warning", directness=0.9, for_s=0.4)

    def _connections(self, view: View, entry: str) -> Iterator[Symptom]:
        for key, count in view.now("process_open_fds"):
            if key.service != entry:
                continue
            signal = view.signals.services.get(entry)
            asked = signal.in_progress if signal else 0.0  # each may need one to its client and one to a callee
            if self._open.ready and count > self._open.median + DESCRIPTORS_MORE + 2 * asked:
                evidence = f"{key.instance} holds {count:.0f} descriptors open, usually {self._open.median:.0f}"
                yield Symptom("ConnectionsHeld", entry, "load", evidence, "warning", directness=0.88, for_s=0.4)
            else:
                self._open.learn(count)


@dataclass(slots=True)
class DocumentRules:
    """Documents that are refused, given up, or that wait."""

    _waiting: dict[str, Baseline] = field(default_factory=dict)

    def look(self, view: View) -> Iterator[Symptom]:
        takers = {key.service for key, _ in view.grown("rag_ingest_total")}
        handed_in: dict[str, float] = defaultdict(float)
        refused: dict[str, float] = defaultdict(float)
        for key, grown in view.grown("rag_requests_total"):
            if key.service in takers and key.label("method") == "POST" and key.label("route") not in CONTROL_ROUTES:
                handed_in[key.service] += grown
                refused[key.service] += grown if key.label("status") in ("400", "413", "415", "422") else 0.0
        for service, n in refused.items():
            if n >= REFUSED_DOCUMENTS and n >= REFUSED_SHARE * handed_in[service]:
                evidence = f"{service} cannot take {n:.0f} of {handed_in[service]:.0f} documents"
                yield Symptom("DocumentsRefused", service, "data", evidence, "warning", directness=0.85, for_s=0.4)
        for key, grown in view.grown("rag_ingest_total"):
            if key.label("state") == "dead" and grown >= DEAD_DOCUMENTS:
                evidence = f"{key.service} gave up {grown:.0f} documents"
                yield Symptom("DocumentsDead", key.service, "data", evidence, directness=0.8, for_s=0.4)
        for (service, queue), length in view.signals.queues.items():
            usual = self._waiting.setdefault(f"{service}/{queue}", Baseline(floor=3.0))
            if queue == "ingest" and usual.ready and length > usual.median + BACKLOG:
                evidence = f"{length:.0f} documents wait in {service}, usually {usual.median:.0f}"
                yield Symptom("DocumentsWaiting", service, "latency", evidence, "warning", directness=0.8, for_s=0.9)
            else:
                usual.learn(length)
