"""One round of looking: metrics of every registered instance, the client's metrics, direct probes of databases and caches."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import redis

from harness.ops.monitoring.rounds import CERTIFICATE, CLIENT, Look, Round
from harness.ops.targets import Endpoint, Targets
from harness.record.clock import NS_PER_S, Clock
from harness.telemetry.following import FollowingScraper
from harness.telemetry.scraper import Scrape, Target

PROBE_TIMEOUT_S = 1.0
HTTPS = 443


class NetworkLooker:
    """Scrapes and probes for real."""

    def __init__(self, targets: Targets, clock: Clock) -> None:
        self._targets = targets
        self._clock = clock
        self._scraper = FollowingScraper(clock)
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="probe")

    def look(self) -> Round:
        endpoints = self._targets.endpoints()
        scraped = [(e, e.metrics) for e in endpoints if e.metrics is not None]
        wanted = [Target(e.instance, url) for e, url in scraped]
        if self._targets.client_metrics:
            wanted.append(Target(CLIENT, self._targets.client_metrics))
        t_s = self._clock.now_ns() / NS_PER_S
        probes = [self._pool.submit(self._probe, e) for e in endpoints if self._is_probed(e)]
        results = {r.target.name: r for r in self._scraper.scrape(wanted)}
        looks = [_look(e, results[e.instance]) for e, _ in scraped] + [p.result() for p in probes]
        client = results.get(CLIENT)
        return Round(t_s, tuple(looks), client.samples if client else ())

    def close(self) -> None:
        self._scraper.close()
        self._pool.shutdown()

    def _is_probed(self, endpoint: Endpoint) -> bool:
        return not endpoint.url.startswith("http") or self._targets.kinds.get(endpoint.service) == "tls"

    def _probe(self, endpoint: Endpoint) -> Look:
        start_ns = self._clock.now_ns()
        error = _attempt(self._way_to_ask(endpoint), endpoint.url)
        return Look(endpoint, (self._clock.now_ns() - start_ns) / NS_PER_S, error=error)

    def _way_to_ask(self, endpoint: Endpoint) -> Callable[[str], None]:
        if endpoint.url.startswith("https:"):
            return partial(_shake_hands, trusted=self._targets.trusted)
        return _ask_redis if endpoint.url.startswith(("redis:", "valkey:")) else _ask_postgres


def _look(endpoint: Endpoint, scrape: Scrape) -> Look:
    return Look(endpoint, scrape.duration_ns / NS_PER_S, scrape.samples, _in_short(scrape.error))


def _in_short(error: str | None) -> str | None:
    """The reasons that rules tell apart, and any other in its own words."""
    if error is None:
        return None
    words = error.lower()
    if "refused" in words:
        return "refused"
    if any(w in words for w in ("no connection", "no route to host", "unreachable")):
        return "unreachable"
    return "timeout" if any(w in words for w in ("no answer", "timed out", "still waiting", "drips")) else error


def _attempt(ask: Callable[[str], None], url: str) -> str | None:
    try:
        ask(url)
    except (psycopg.errors.ConnectionTimeout, redis.TimeoutError, TimeoutError):
        return "timeout"
    except ssl.SSLCertVerificationError as error:
        return f"{CERTIFICATE}{error.verify_message}"
    except ConnectionRefusedError:
        return "refused"
    except (psycopg.OperationalError, redis.ConnectionError) as error:
        return "refused" if "refused" in str(error).lower() else str(error).strip().splitlines()[0]
    except (psycopg.Error, redis.RedisError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _shake_hands(url: str, trusted: Path | None) -> None:
    """As users do, who verify whom they speak with. Raises OSError."""
    parts = urlsplit(url)
    context = ssl.create_default_context()
    if trusted is not None:
        context.load_verify_locations(trusted)
    with (
        socket.create_connection((parts.hostname or "", parts.port or HTTPS), timeout=PROBE_TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname),
    ):
        return


def _ask_postgres(url: str) -> None:
    with psycopg.connect(url, connect_timeout=max(2, round(PROBE_TIMEOUT_S)), autocommit=True) as connection:
        connection.execute("SELECT 1")


def _ask_redis(url: str) -> None:
    client = redis.Redis.from_url(url, socket_timeout=PROBE_TIMEOUT_S, socket_connect_timeout=PROBE_TIMEOUT_S)
    try:
        client.ping()
    finally:
        client.close()
