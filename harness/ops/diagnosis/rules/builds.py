"""What runs where, and since when: a build that changed before its service became worse is the first suspect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from harness.ops.diagnosis.rules.base import View
from harness.ops.diagnosis.rules.entry import CONTROL_ROUTES
from harness.ops.monitoring.signals import Flow
from harness.ops.monitoring.symptoms import MIN_EVENTS, Symptom

CHANGE_MATTERS_S = 40.0
MISSING_S = 10.0
"""An instance that is drained for a release is back in discovery before that."""
MISSING_AT_MOST_S = 60.0
"""One that has been gone for longer was taken away for good: a smaller deployment is no fault."""
DONE_OVER_S = 10.0
SLOWER_TIMES = 2.5
SLOWER_S = 0.08
_SUSPECT = ("latency", "errors", "quality", "crash")


@dataclass(slots=True)
class BuildRules:
    """Versions by instance, from `rag_build_info`; instances that left discovery and did not come back."""

    _versions: dict[str, str] = field(default_factory=dict)
    _first: dict[str, str] = field(default_factory=dict)  # by service
    _changed: dict[str, tuple[str, float, str]] = field(default_factory=dict)  # instance -> service, when, words
    _usual: dict[str, int] = field(default_factory=dict)
    _missing_since: dict[str, float] = field(default_factory=dict)
    _latency: dict[str, float] = field(default_factory=dict)  # by service, before the change

    def look(self, view: View) -> Iterator[Symptom]:
        for key, _ in view.now("rag_build_info"):
            self._version(view.t_s, key.service, key.instance, key.label("version"))
        yield from self._slower(view)
        yield from self._missing(view)

    def changed_lately(self, view: View, service: str) -> tuple[str, str] | None:
        """(instance, words) of the latest change of the service's build, while it may still matter."""
        lately = [
            (at_s, instance, words)
            for instance, (of, at_s, words) in self._changed.items()
            if of == service and (view.t_s - at_s) * view.time_scale < CHANGE_MATTERS_S
        ]
        return max(lately)[1:] if lately else None

    def suspect(self, view: View, symptoms: tuple[Symptom, ...]) -> tuple[Symptom, ...]:
        """What a service shows itself soon after its build changed is laid to the build."""
        found = []
        for symptom in symptoms:
            change = self.changed_lately(view, symptom.service) if symptom.kind in _SUSPECT else None
            if change is None:
                found.append(symptom)
                continue
            instance, words = change
            kind = symptom.kind if symptom.kind == "quality" else "version"
            found.append(replace(symptom, kind=kind, instance=instance, evidence=f"{symptom.evidence}; {words}", directness=0.9))
        return tuple(found)

    def _version(self, t_s: float, service: str, instance: str, version: str) -> None:
        before = self._versions.get(instance)
        self._versions[instance] = version
        first = self._first.setdefault(service, version)
        if before is not None and before != version:
            self._changed.pop(instance, None)
        if before is not None and version not in (before, first):  # to go back to what ran at first is no change for the worse
            self._changed[instance] = (service, t_s, f"{instance} runs {version} since then, before {before}")

    def _slower(self, view: View) -> Iterator[Symptom]:
        """After a change less is enough to be told: the change itself is half of the evidence.

        Looked at is what the instance that changed has done since: in the mean of all, it is the less to be seen the more others there are.
        """
        for service, signal in view.signals.services.items():
            latency, change = signal.latency_s, self.changed_lately(view, service)
            if change is None:
                if latency is not None and signal.finished >= MIN_EVENTS:
                    self._latency[service] = 0.8 * self._latency.get(service, latency) + 0.2 * latency
                continue
            instance, words = change
            since, usual = _done(view, instance, self._changed[instance][1]), self._latency.get(service)
            latency = since.latency_s if since.finished >= MIN_EVENTS else None
            if latency is not None and usual is not None and latency > SLOWER_TIMES * usual and latency - usual > SLOWER_S:
                evidence = f"{instance} needs {latency * 1e3:.0f} ms a request, {service} before {usual * 1e3:.0f}; {words}"
                yield Symptom("VersionSlower", service, "version", evidence, "warning", instance, directness=0.9, for_s=1.9)

    def _missing(self, view: View) -> Iterator[Symptom]:
        counts: dict[str, int] = {}
        for look in view.round_.looks:
            counts[look.endpoint.service] = counts.get(look.endpoint.service, 0) + 1
        for service, usual in list(self._usual.items()):
            if counts.get(service, 0) >= usual:
                self._missing_since.pop(service, None)
                continue
            lasted_s = (view.t_s - self._missing_since.setdefault(service, view.t_s)) * view.time_scale
            if lasted_s > MISSING_AT_MOST_S:
                self._usual[service] = counts.get(service, 0)
            elif lasted_s >= MISSING_S:
                evidence = f"{counts.get(service, 0)} of {usual} instances of {service} are in service, for {lasted_s:.0f} s"
                yield Symptom("InstanceMissing", service, "version", evidence, directness=0.8, for_s=0.0)
        for service, n in counts.items():
            self._usual[service] = max(n, self._usual.get(service, 0))


def _done(view: View, instance: str, since_s: float) -> Flow:
    """What one instance finished since then, and lately: few requests reach one of many."""
    over_s, done = min(view.t_s - since_s, DONE_OVER_S / view.time_scale), Flow()
    for name in ("sum", "count"):
        for key, grown in view.windows.increases(f"rag_request_duration_seconds_{name}", view.t_s, over_s):
            if key.instance == instance and key.label("route") not in CONTROL_ROUTES:
                done.duration_sum_s += grown if name == "sum" else 0.0
                done.finished += grown if name == "count" else 0.0
    return done
