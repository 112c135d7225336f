"""The harness's own eyes: scrapes every metrics endpoint into the record and dates each instance's readiness.

The operator scrapes for itself; nothing here reaches it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.record.clock import NS_PER_S, Clock
from harness.record.events import INSTANCE, SAMPLER, Event
from harness.record.samples import SampleWriter
from harness.stack.base import Instance, Stack, StackError
from harness.telemetry.following import FollowingScraper
from harness.telemetry.scraper import Target

SCRAPE_EVERY_S = 1.0
PROBE_EVERY_S = 0.5
_KEPT = ("rag_", "client_", "process_", "vllm:")


class Sampler:
    """Two threads: one scrapes, one probes. Both end when `stop` is called."""

    def __init__(self, stack: Stack, append: Callable[[Event], Event], directory: Path, clock: Clock, extra: Mapping[str, str]) -> None:
        self._stack = stack
        self._append = append
        self._clock = clock
        self._extra = [Target(name, url) for name, url in extra.items()]  # what is no service: the load
        self._scraper = FollowingScraper(clock)
        self._writer = SampleWriter(directory)
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
        self._scraper.close()
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
        targets = [Target(i.name, f"{i.url}/metrics") for i in self._instances() if i.url.startswith("http")] + self._extra
        for scrape in self._scraper.scrape(targets):
            kept = [s for s in scrape.samples if s[0].startswith(_KEPT)]
            self._writer.append(scrape.t_ns, scrape.target.name, [("up", {}, float(scrape.error is None)), *kept])

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
