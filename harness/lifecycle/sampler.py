"""The harness's own eyes: puts what an operator can see into the record, and dates each instance's readiness.

The operator looks for itself; nothing here reaches it. But both look in the same way, so that an operator can be replayed from the record.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.ops.monitoring.rounds import CLIENT, Look
from harness.ops.monitoring.scrape import NetworkLooker
from harness.ops.targets import Targets
from harness.record.clock import NS_PER_S, Clock
from harness.record.events import INSTANCE, SAMPLER, Event
from harness.record.looks import Looked, LookRound, LookWriter, Watched
from harness.record.samples import SampleWriter
from harness.stack.base import Instance, Stack, StackError
from harness.telemetry.following import FollowingScraper
from harness.telemetry.scraper import Target

SCRAPE_EVERY_S = 1.0
PROBE_EVERY_S = 0.5
_KEPT = ("rag_", "client_", "process_", "vllm:", "pg_", "redis_", "container_")


class Sampler:
    """Two threads: one looks at what `targets` name, one probes readiness. Both end when `stop` is called."""

    def __init__(self, stack: Stack, append: Callable[[Event], Event], directory: Path, clock: Clock, targets: Targets) -> None:
        self._stack = stack
        self._append = append
        self._clock = clock
        self._looker = NetworkLooker(targets, clock)
        self._unlisted = FollowingScraper(clock)
        self._writer = SampleWriter(directory)
        self._looks = LookWriter(directory)
        self._ended = threading.Event()
        self._states: dict[str, str] = {}
        self._failed = False
        self._threads = [
            threading.Thread(target=self._every, args=(SCRAPE_EVERY_S, self._scrape), name="sampler", daemon=True),
            threading.Thread(target=self._every, args=(PROBE_EVERY_S, self._probe), name="readiness", daemon=True),
        ]
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="probe")

    def start(self) -> None:
        self._probe()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Idempotent; waits for what is under way."""
        self._ended.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout=5)
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._looker.close()
        self._unlisted.close()
        self._looks.close()
        self._writer.close()

    def _every(self, period_s: float, work: Callable[[], None]) -> None:
        next_ns = self._clock.now_ns()
        while not self._ended.is_set():
            self._watch(work)
            next_ns = max(next_ns + round(period_s * NS_PER_S), self._clock.now_ns())
            self._ended.wait((next_ns - self._clock.now_ns()) / NS_PER_S)

    def _watch(self, work: Callable[[], None]) -> None:
        """What goes wrong once is in the record, and the next look is made all the same: silence would look like health."""
        try:
            work()
        except Exception as error:  # noqa: BLE001  # whatever it is, a thread that ended silently would be worse
            if not self._failed and not self._ended.is_set():
                self._failed = True
                detail = f"{threading.current_thread().name}: {type(error).__name__}: {error}"
                self._append(Event(self._clock.now_ns(), SAMPLER, "truth", {"state": "failed", "detail": detail}))

    def _instances(self) -> list[Instance]:
        return [i for service in self._stack.info.services for i in self._stack.instances(service)]

    def _scrape(self) -> None:
        round_ = self._looker.look()
        t_ns = round(round_.t_s * NS_PER_S)
        took_s = (self._clock.now_ns() - t_ns) / NS_PER_S
        for look in round_.looks:
            self._keep(t_ns, look.endpoint.instance, look.error is None, look.samples)
        self._keep(t_ns, CLIENT, bool(round_.client), round_.client)
        self._looks.append(LookRound(t_ns, took_s, tuple(_looked(look) for look in round_.looks)))
        self._scrape_unlisted({look.endpoint.instance for look in round_.looks})

    def _scrape_unlisted(self, seen: Collection[str]) -> None:
        """What was taken out of service discovery is no operator's concern, but ours."""
        targets = [Target(i.name, f"{i.url}/metrics") for i in self._instances() if i.url.startswith("http") and i.name not in seen]
        for scrape in self._unlisted.scrape(targets):
            self._keep(scrape.t_ns, scrape.target.name, scrape.error is None, scrape.samples)

    def _keep(self, t_ns: int, target: str, up: bool, samples: Sequence[tuple[str, Mapping[str, str], float]]) -> None:
        kept = [s for s in samples if s[0].startswith(_KEPT)]
        self._writer.append(t_ns, target, [("up", {}, float(up)), *kept])

    def _probe(self) -> None:
        instances = self._instances()
        for instance, probed in [(i, self._pool.submit(self._stack.probe, i)) for i in instances]:
            try:
                self._note(instance, probed.result())
            except StackError:
                continue  # it was scaled away since it was listed: no instance any more, so neither ready nor down

    def _note(self, instance: Instance, reason: str | None) -> None:
        state = "ready" if reason is None else "down"
        if self._states.get(instance.name) != state:
            self._states[instance.name] = state
            data = {"service": instance.service, "instance": instance.name, "state": state, "reason": reason or ""}
            self._append(Event(self._clock.now_ns(), INSTANCE, "truth", data))


def _looked(look: Look) -> Looked:
    at = look.endpoint
    return Looked(Watched(at.service, at.instance, at.url, at.metrics), look.duration_s, look.error, look.serving, look.clock_ahead_s)
