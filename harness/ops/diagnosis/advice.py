"""What to change so that it does not happen again: sizes, limits and numbers of replicas, each with the measurement that speaks for it.

It is told when the operator ends, for people: nothing is done about it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.ops.diagnosis.rules.base import View

ROUNDS = 20  # fewer have measured nothing
WAITING_SHARE = 0.1  # of the looks
TIMED_OUT = 5.0
LONG_LIMIT_TIMES = 10.0  # a limit of so many times the usual duration holds callers up for nothing
LOOKUPS = 200.0
HIT_SHARE = 0.5
BUSY_SHARE = 0.8  # of a processor, which one process can hardly exceed
LIMITED_SHARE = 0.05
CALLS_A_DOCUMENT = 1.5


@dataclass(frozen=True, slots=True)
class Advice:
    """`about` is one of pool size, timeout, batch size, concurrency, caching, replicas."""

    service: str
    about: str
    change: str
    reason: str


@dataclass(slots=True)
class _Pool:
    looks: int = 0
    waited: int = 0
    most_waiting: float = 0.0
    size: float = 0.0


@dataclass(slots=True)
class _Edge:
    calls: float = 0.0
    timed_out: float = 0.0
    limited: float = 0.0
    calm_s: list[float] = field(default_factory=list)
    timing_out_s: float = 0.0


@dataclass(slots=True)
class Adviser:
    """Sums up over all rounds. Growth is taken over one round, so that nothing counts twice."""

    _rounds: int = 0
    _before_s: float | None = None
    _pools: dict[tuple[str, str], _Pool] = field(default_factory=lambda: defaultdict(_Pool))
    _edges: dict[tuple[str, str], _Edge] = field(default_factory=lambda: defaultdict(_Edge))
    _caches: dict[tuple[str, str], dict[str, float]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))
    _busy: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _indexed: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def look(self, view: View) -> None:
        """Take in one round."""
        last_s, self._before_s = self._before_s, view.t_s
        if last_s is None:
            return
        self._rounds += 1
        over_s = view.t_s - last_s
        for key, waiting in view.now("rag_pool_waiting"):
            pool = self._pools[key.service, key.label("pool")]
            pool.looks += 1
            pool.waited += waiting > 0
            pool.most_waiting = max(pool.most_waiting, waiting)
        for key, size in view.now("rag_pool_size"):
            self._pools[key.service, key.label("pool")].size = size
        for key, grown in view.windows.increases("rag_client_requests_total", view.t_s, over_s):
            edge = self._edges[key.service, key.label("callee")]
            edge.calls += grown
            edge.timed_out += grown if key.label("outcome") == "timeout" else 0.0
            edge.limited += grown if key.label("outcome") == "rate_limited" else 0.0
        for key, grown in view.windows.increases("rag_cache_requests_total", view.t_s, over_s):
            self._caches[key.service, key.label("cache")][key.label("result")] += grown
        for key, grown in view.windows.increases("process_cpu_seconds_total", view.t_s, over_s):
            self._busy[key.service].append(grown / over_s if over_s > 0 else 0.0)
        for key, grown in view.windows.increases("rag_ingest_total", view.t_s, over_s):
            self._indexed[key.service] += grown if key.label("state") == "indexed" else 0.0
        self._durations(view)

    def advice(self) -> tuple[Advice, ...]:
        """All that the measurements speak for; nothing after a short look."""
        if self._rounds < ROUNDS:
            return ()
        return (*self._of_pools(), *self._of_edges(), *self._of_caches(), *self._of_replicas())

    def _durations(self, view: View) -> None:
        for edge, signal in view.signals.edges.items():
            if signal.latency_s is None:
                continue
            if signal.outcomes.get("timeout"):
                self._edges[edge].timing_out_s = max(self._edges[edge].timing_out_s, signal.latency_s)
            elif len(self._edges[edge].calm_s) < 1000:
                self._edges[edge].calm_s.append(signal.latency_s)

    def _of_pools(self) -> Iterator[Advice]:
        for (service, name), pool in self._pools.items():
            if pool.looks and pool.waited / pool.looks >= WAITING_SHARE and pool.size > 0:
                wanted = pool.size + pool.most_waiting
                reason = f"callers waited for a connection in {pool.waited} of {pool.looks} looks, up to {pool.most_waiting:.0f} at once"
                yield Advice(service, "pool size", f"{name}: {wanted:.0f} connections instead of {pool.size:.0f}", reason)

    def _of_edges(self) -> Iterator[Advice]:
        for (caller, callee), edge in self._edges.items():
            usual_s = sorted(edge.calm_s)[len(edge.calm_s) // 2] if edge.calm_s else 0.0
            if edge.timed_out >= TIMED_OUT and usual_s > 0 and edge.timing_out_s > LONG_LIMIT_TIMES * usual_s:
                reason = (
                    f"{edge.timed_out:.0f} calls timed out after about {edge.timing_out_s:.2g} s, and calls usually take {usual_s:.2g} s"
                )
                yield Advice(caller, "timeout", f"{callee}: a limit nearer to {LONG_LIMIT_TIMES / 2 * usual_s:.2g} s", reason)
            if edge.calls and edge.limited / edge.calls >= LIMITED_SHARE:
                reason = f"{edge.limited:.0f} of {edge.calls:.0f} calls were refused by the rate limit of {callee}"
                yield Advice(
                    caller, "concurrency", f"{callee}: {edge.limited / edge.calls:.0%} fewer calls at a time, or a larger quota", reason
                )
            indexed = self._indexed.get(caller, 0.0)
            if callee == "embedding" and indexed and edge.calls / indexed > CALLS_A_DOCUMENT:
                reason = f"{edge.calls:.0f} calls embedded {indexed:.0f} documents"
                yield Advice(
                    caller, "batch size", f"embed the chunks of a document in {edge.calls / indexed:.1f} times larger batches", reason
                )

    def _of_caches(self) -> Iterator[Advice]:
        for (service, name), results in self._caches.items():
            asked = sum(results.values())
            if asked >= LOOKUPS and results.get("hit", 0.0) / asked < HIT_SHARE:
                reason = f"{results.get('hit', 0.0) / asked:.0%} of {asked:.0f} look-ups were hits"
                yield Advice(service, "caching", f"{name}: a longer life of entries, or room for more", reason)

    def _of_replicas(self) -> Iterator[Advice]:
        for service, shares in self._busy.items():
            high = sorted(shares)[int(0.9 * (len(shares) - 1))] if shares else 0.0
            if high >= BUSY_SHARE:
                reason = f"its processes used {high:.0%} of a processor or more in a tenth of the looks"
                yield Advice(service, "replicas", "one replica more", reason)
