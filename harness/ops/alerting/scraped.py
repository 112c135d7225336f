"""What a Prometheus would hold of the operator's rounds: the same series, the labels of their targets, `up`, and where a series ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.ops.alerting.promql.series import Labels, SeriesStore, labels_of
from harness.ops.alerting.promql.syntax import NAME
from harness.ops.monitoring.rounds import CLIENT, Look, Round

# What exporters say of databases and caches that are only probed: blackbox_exporter, postgres_exporter, redis_exporter.
PROBE_SUCCESS, PROBE_DURATION = "probe_success", "probe_duration_seconds"
_UP_OF = {"postgres": "pg_up", "postgresql": "pg_up", "redis": "redis_up", "rediss": "redis_up", "valkey": "redis_up"}
ADDED = frozenset({"up", "scrape_duration_seconds", PROBE_SUCCESS, PROBE_DURATION, *_UP_OF.values()})
"""Series that no target exposes."""

KNOWN = 50_000
"""Label sets kept; beyond that they are made anew."""

_Sample = tuple[str, Mapping[str, str], float]


@dataclass(slots=True)
class Scraped:
    """Writes rounds into a store. A label that a target itself has, too, is kept as `exported_<name>`, as Prometheus does.

    Of a target that did not answer, or is no longer there, all series end; so does one that it no longer exposes.
    """

    store: SeriesStore
    wall_offset_s: float
    wanted: frozenset[str] | None = None  # names of metrics; None: all of them
    _had: dict[str, set[Labels]] = field(default_factory=dict)
    _known: dict[tuple[str, str, int], tuple[Mapping[str, str], Labels]] = field(default_factory=dict)

    def take(self, round_: Round) -> int:
        """Returns the round's time in milliseconds of the wall clock."""
        t_ms = self.wall_ms(round_.t_s)
        found = {look.endpoint.instance: self._of_look(look) for look in round_.looks}
        if round_.client or CLIENT in self._had:
            found[CLIENT] = self._of_target(CLIENT, CLIENT, CLIENT, round_.client, up=bool(round_.client))
        for instance, values in found.items():
            for labels, value in values.items():
                self.store.append(labels, t_ms, value)
            self.store.end(self._had.get(instance, set()) - values.keys(), t_ms)
        for gone in self._had.keys() - found.keys():
            self.store.end(self._had[gone], t_ms)
        self._had = {instance: set(values) for instance, values in found.items()}
        return t_ms

    def wall_ms(self, t_s: float) -> int:
        """Of a time of the operator's clock."""
        return round((t_s + self.wall_offset_s) * 1000)

    def _of_look(self, look: Look) -> dict[Labels, float]:
        service, instance, well = look.endpoint.service, look.endpoint.instance, look.error is None
        if look.endpoint.url.startswith("http") or look.samples:
            samples: Sequence[_Sample] = [*look.samples, ("scrape_duration_seconds", {}, look.duration_s)]
            return self._of_target("rag", service, instance, samples if well else samples[-1:], up=well)
        own: list[_Sample] = [(PROBE_SUCCESS, {}, float(well)), (PROBE_DURATION, {}, look.duration_s)]
        if exporter := _UP_OF.get(look.endpoint.url.partition(":")[0]):
            own.append((exporter, {}, float(well)))
        return self._of_target("probe", service, instance, own, up=None)

    def _of_target(self, job: str, service: str, instance: str, samples: Iterable[_Sample], *, up: bool | None) -> dict[Labels, float]:
        target = {"job": job, "service": service, "instance": instance}
        found = {labels_of({**target, NAME: "up"}): float(up)} if up is not None and self._wants("up") else {}
        for name, labels, value in samples:
            if self._wants(name):
                found[self._labels(name, labels, target)] = value
        return found

    def _labels(self, name: str, labels: Mapping[str, str], target: Mapping[str, str]) -> Labels:
        """The scraper gives the same dictionary for the same series, round after round: what was made of it is kept, and so is it."""
        key = (target["instance"], name, id(labels))
        known = self._known.get(key)
        if known is not None and known[0] is labels:
            return known[1]
        if len(self._known) >= KNOWN:
            self._known.clear()
        own = {f"exported_{k}" if k in target else k: v for k, v in labels.items()}
        made = labels_of({**own, **target, NAME: name})
        self._known[key] = (labels, made)
        return made

    def _wants(self, name: str) -> bool:
        return self.wanted is None or name in self.wanted
