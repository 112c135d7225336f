"""Metrics that others have scraped: the newest samples of targets, from the HTTP API of one or several Prometheus servers.

Several servers share the targets, as shards do (https://prometheus.io/docs/prometheus/latest/querying/api/).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from harness.record.clock import NS_PER_S, Clock
from harness.telemetry.prometheus_text import Sample
from harness.telemetry.scraper import Scrape, Target

TIMEOUT_S = 5.0
_TARGETS = "/api/v1/targets"
_QUERY = "/api/v1/query"
_RENAMED = "exported_"

Identity = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Shard:
    """What one server knows: its targets by the URL that it scrapes, and their samples. `error`: it could not be asked."""

    scraped: Mapping[str, Mapping[str, Any]]
    samples: Mapping[Identity, Sequence[Sample]]
    error: str | None = None


class NotGatheredError(Exception):
    """A server that may know of a target could not be asked, or has just begun: of that target nothing is known, neither good nor bad."""


class GatheringScraper:
    """In the place of a scraper of one's own. A target is found by its URL, which must be the one that a server scrapes."""

    def __init__(self, urls: Sequence[str], names: Iterable[str], clock: Clock, token: str | None = None) -> None:
        """`urls`: one base URL a server. `names`: regular expressions (RE2) of the names of metrics that are wanted."""
        self._urls = tuple(url.rstrip("/") for url in urls)
        self._query = f'{{__name__=~"{"|".join(names)}"}}'
        self._clock = clock
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(timeout=TIMEOUT_S, headers=headers)
        self._pool = ThreadPoolExecutor(max(1, len(self._urls)), thread_name_prefix="gather")

    def scrape(self, targets: Sequence[Target]) -> list[Scrape]:
        """One result a target, in the order given. What no server scrapes, or a server could not scrape, has the reason as its error.

        Raises NotGatheredError.
        """
        asked_ns = self._clock.now_ns()
        shards = list(self._pool.map(self._ask, self._urls))
        return [self._found(target, shards, asked_ns) for target in targets]

    def close(self) -> None:
        """Waits for what is under way."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._client.close()

    def _ask(self, url: str) -> _Shard:
        try:
            active = self._get(f"{url}{_TARGETS}", {"state": "active"})["activeTargets"]
            series = self._get(f"{url}{_QUERY}", {"query": self._query})["result"]
            return _Shard({str(one["scrapeUrl"]): one for one in active}, _by_identity(series))
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            return _Shard({}, {}, f"{url}: {type(error).__name__}: {error}")

    def _get(self, url: str, params: Mapping[str, str]) -> Any:
        response = self._client.get(url, params=dict(params))
        response.raise_for_status()
        return json.loads(response.content)["data"]

    def _found(self, target: Target, shards: Sequence[_Shard], asked_ns: int) -> Scrape:
        for shard in shards:
            known = shard.scraped.get(target.url)
            if known is not None:
                return _scrape(target, known, shard, asked_ns)
        failed = [shard.error for shard in shards if shard.error is not None]
        if failed:
            raise NotGatheredError("; ".join(failed))
        return Scrape(target, asked_ns, self._clock.now_ns() - asked_ns, error=f"no Prometheus scrapes {target.url}")


def _scrape(target: Target, known: Mapping[str, Any], shard: _Shard, asked_ns: int) -> Scrape:
    duration_ns = round(float(known.get("lastScrapeDuration") or 0.0) * NS_PER_S)
    if known.get("health") == "unknown":
        raise NotGatheredError(f"{target.url} is not scraped yet")
    if known.get("health") != "up":
        return Scrape(target, asked_ns, duration_ns, error=str(known.get("lastError") or "down"))
    added = known["labels"]
    samples = shard.samples.get(_identity(added), ())
    return Scrape(target, asked_ns, duration_ns, [(name, _as_written(labels, added), value) for name, labels, value in samples])


def _as_written(labels: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """Labels as the target wrote them. What the server added is taken off; what it called `exported_…` gets its name back."""
    own = {name: value for name, value in labels.items() if name != "__name__" and name not in added}
    return {name.removeprefix(_RENAMED) if name.removeprefix(_RENAMED) in added else name: value for name, value in own.items()}


def _by_identity(series: Iterable[Mapping[str, Any]]) -> Mapping[Identity, list[Sample]]:
    found: dict[Identity, list[Sample]] = {}
    for one in series:
        labels = one["metric"]
        found.setdefault(_identity(labels), []).append((labels["__name__"], labels, float(one["value"][1])))
    return found


def _identity(labels: Mapping[str, str]) -> Identity:
    """By which a Prometheus tells its targets apart."""
    return labels.get("job", ""), labels.get("instance", "")
