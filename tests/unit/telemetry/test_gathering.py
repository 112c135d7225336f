"""Metrics that a Prometheus has scraped: whose they are, what is not known, and what nobody could say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from harness.telemetry.gathering import GatheringScraper, NotGatheredError
from harness.telemetry.scraper import Target
from harness.testing import FakeClock

GATEWAY = Target("gateway-1", "http://10.0.0.1:8000/metrics")
RETRIEVAL = Target("retrieval-1", "http://10.0.0.2:8000/metrics")
ELSEWHERE = Target("llm-1", "http://10.0.0.9:8000/metrics")


def target(url: str, instance: str, error: str = "", **labels: str) -> dict[str, Any]:
    return {
        "scrapeUrl": url,
        "labels": {"job": "rag", "instance": instance, **labels},
        "health": "down" if error else "up",
        "lastError": error,
        "lastScrapeDuration": 0.25,
    }


def series(name: str, instance: str, value: str, **labels: str) -> dict[str, Any]:
    return {"metric": {"__name__": name, "job": "rag", "instance": instance, **labels}, "value": [1.0, value]}


@contextmanager
def prometheus(targets: list[dict[str, Any]], result: list[dict[str, Any]], asked: list[Mapping[str, Any]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked.append({"path": parts.path, "token": self.headers.get("authorization"), **parse_qs(parts.query)})
            data = {"activeTargets": targets} if parts.path.endswith("/targets") else {"resultType": "vector", "result": result}
            body = json.dumps({"status": "success", "data": data}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_each_target_gets_its_samples_as_it_wrote_them_from_whichever_shard_has_it() -> None:
    asked: list[Mapping[str, Any]] = []
    first = prometheus(
        [target(GATEWAY.url, "gw", service="gateway")],
        [series("rag_requests_total", "gw", "7", service="gateway", exported_service="mine", route="/ask"), series("rag_x", "other", "1")],
        asked,
    )
    second = prometheus([target(RETRIEVAL.url, "r", "dial tcp 10.0.0.2:8000: connect: connection refused")], [], asked)
    with first as one, second as two:
        scraper = GatheringScraper([one + "/", two], ["rag_.*", "up"], FakeClock(), "secret")
        try:
            gateway, retrieval, nobody = scraper.scrape([GATEWAY, RETRIEVAL, ELSEWHERE])
        finally:
            scraper.close()
    assert gateway.samples == [("rag_requests_total", {"service": "mine", "route": "/ask"}, 7.0)]
    assert (gateway.error, gateway.duration_ns) == (None, 250_000_000)
    assert retrieval.error is not None and "connection refused" in retrieval.error and not retrieval.samples
    assert nobody.error == f"no Prometheus scrapes {ELSEWHERE.url}"
    assert {one["token"] for one in asked} == {"Bearer secret"}
    assert [one["query"] for one in asked if one["path"] == "/api/v1/query"] == [['{__name__=~"rag_.*|up"}']] * 2


def test_a_server_that_has_just_begun_knows_nothing_bad_of_its_targets() -> None:
    with prometheus([target(GATEWAY.url, "gw") | {"health": "unknown"}], [], []) as one:
        scraper = GatheringScraper([one], ["rag_.*"], FakeClock())
        with pytest.raises(NotGatheredError, match="is not scraped yet"):
            scraper.scrape([GATEWAY])
        scraper.close()


def test_what_a_server_that_is_silent_may_know_is_not_known() -> None:
    with prometheus([target(GATEWAY.url, "gw")], [], []) as one:
        scraper = GatheringScraper([one, "http://127.0.0.1:1"], ["rag_.*"], FakeClock())
        try:
            assert scraper.scrape([GATEWAY])[0].error is None, "who is known elsewhere is not affected"
            with pytest.raises(NotGatheredError, match=r"^http://127.0.0.1:1: ConnectError: "):
                scraper.scrape([GATEWAY, RETRIEVAL])
        finally:
            scraper.close()
