"""One round of looking: metrics of every registered instance, the client's metrics, direct probes of databases and caches."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from harness.ops.monitoring import stores
from harness.ops.monitoring.canaries import CanaryAsker
from harness.ops.monitoring.nodes import NodeAgent
from harness.ops.monitoring.rounds import CERTIFICATE, CLIENT, BlindError, Look, Round
from harness.ops.targets import Endpoint, Targets
from harness.record.clock import NS_PER_S, Clock, utc_now
from harness.telemetry.following import FollowingScraper
from harness.telemetry.gathering import NotGatheredError
from harness.telemetry.prometheus_text import Sample
from harness.telemetry.scraper import Scrape, Target

HEALTH_TIMEOUT_S = 0.4
HTTPS = 443


class Metrics(Protocol):
    """Who fetches metrics: we ourselves, or a Prometheus."""

    def scrape(self, targets: Sequence[Target]) -> list[Scrape]: ...

    def close(self) -> None: ...


class NetworkLooker:
    """Scrapes and probes for real."""

    def __init__(self, targets: Targets, clock: Clock, metrics: Metrics | None = None) -> None:
        """`metrics`: who fetches them; default: we do."""
        self._targets = targets
        self._clock = clock
        self._scraper = metrics or FollowingScraper(clock)
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="probe")
        self._health = httpx.Client(timeout=HEALTH_TIMEOUT_S)
        self._node = NodeAgent()
        self._canaries = CanaryAsker(targets.canaries)

    def look(self) -> Round:
        """See `Looker`."""
        endpoints = self._targets.endpoints()
        scraped = [(e, e.metrics) for e in endpoints if e.metrics is not None]
        wanted = [Target(e.instance, url) for e, url in scraped]
        if self._targets.client_metrics:
            wanted.append(Target(CLIENT, self._targets.client_metrics))
        t_s = self._clock.now_ns() / NS_PER_S
        self._canaries.ask(endpoints)
        probes = [self._pool.submit(self._probe, e) for e in endpoints if self._is_probed(e)]
        try:
            results = {r.target.name: r for r in self._scraper.scrape(wanted)}
        except NotGatheredError as error:
            wait(probes)
            raise BlindError(t_s, str(error)) from error
        node = self._node.samples(e for e, _ in scraped)
        looks = [_look(e, results[e.instance], node) for e, _ in scraped] + [p.result() for p in probes]
        looks = list(self._pool.map(self._with_health, looks))
        client = results.get(CLIENT)
        return Round(t_s, tuple(looks), client.samples if client else (), self._canaries.taken())

    def close(self) -> None:
        self._scraper.close()
        self._pool.shutdown()
        self._health.close()
        self._canaries.close()

    def _with_health(self, look: Look) -> Look:
        """Where metrics do not come although somebody listens: is it only the metrics?"""
        url = look.endpoint.url
        if look.error in (None, "refused", "unreachable") or look.endpoint.metrics is None:
            return look
        try:
            serving = not self._health.get(f"{url}/health").is_server_error
        except httpx.HTTPError:
            serving = False
        return replace(look, serving=serving)

    def _is_probed(self, endpoint: Endpoint) -> bool:
        return not endpoint.url.startswith("http") or self._targets.kinds.get(endpoint.service) == "tls"

    def _probe(self, endpoint: Endpoint) -> Look:
        start_ns = self._clock.now_ns()
        samples: stores.Samples = []
        if endpoint.url.startswith("https:"):
            error = _shake_hands(endpoint.url, self._targets.trusted)
        else:
            samples, error = stores.probe(endpoint.url)
        return Look(endpoint, (self._clock.now_ns() - start_ns) / NS_PER_S, samples, error)


def _look(endpoint: Endpoint, scrape: Scrape, node: Mapping[str, Sequence[Sample]]) -> Look:
    samples = [*scrape.samples, *node.get(endpoint.instance, ())]
    return Look(endpoint, scrape.duration_ns / NS_PER_S, samples, _in_short(scrape.error), clock_ahead_s=_ahead_s(scrape))


def _ahead_s(scrape: Scrape) -> float | None:
    try:
        return None if scrape.date is None else (parsedate_to_datetime(scrape.date) - utc_now()).total_seconds()
    except (TypeError, ValueError):
        return None


def _in_short(error: str | None) -> str | None:
    """The reasons that rules tell apart, and any other in its own words."""
    if error is None:
        return None
    words = error.lower()
    if "refused" in words:
        return "refused"
    if any(w in words for w in ("no connection", "no route to host", "unreachable")):
        return "unreachable"
    return "timeout" if any(w in words for w in ("no answer", "timed out", "still waiting", "drips", "deadline exceeded")) else error


def _shake_hands(url: str, trusted: Path | None) -> str | None:
    """As users do, who verify whom they speak with; the reason if that fails."""
    parts = urlsplit(url)
    context = ssl.create_default_context()
    if trusted is not None:
        context.load_verify_locations(trusted)
    try:
        with (
            socket.create_connection((parts.hostname or "", parts.port or HTTPS), timeout=stores.PROBE_TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname),
        ):
            return None
    except TimeoutError:
        return "timeout"
    except ssl.SSLCertVerificationError as error:
        return f"{CERTIFICATE}{error.verify_message}"
    except ConnectionRefusedError:
        return "refused"
    except OSError as error:
        return f"{type(error).__name__}: {error}"
