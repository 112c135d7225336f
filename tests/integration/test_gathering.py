"""A watch that gathers from a real Prometheus: what it sees of a service, and of one that is gone."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from harness.ops.monitoring.rounds import BlindError, Round
from harness.ops.monitoring.scrape import NetworkLooker
from harness.ops.stackfile.loading import stack_of_text
from harness.ops.watching.loop import metrics_of
from harness.record.clock import SystemClock
from tests.e2e.running_stack import until
from tests.integration.backends import free_port
from tests.integration.prometheus import STARTS_WITHIN_S, program

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: rag
    static_configs:
      - {{targets: ["127.0.0.1:{up}"], labels: {{service: gateway, instance: gateway-1}}}}
      - {{targets: ["127.0.0.1:{down}"], labels: {{service: retrieval}}}}
"""


class Exposed(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'rag_requests_total{route="/ask",service="mine"} 7\nother_total 1\n'
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...


@contextmanager
def scraping(up: int, down: int, directory: Path) -> Iterator[str]:
    (directory / "prometheus.yml").write_text(CONFIG.format(up=up, down=down), encoding="utf-8")
    url = f"127.0.0.1:{free_port()}"
    options = {"config.file": directory / "prometheus.yml", "storage.tsdb.path": directory / "data", "web.listen-address": url}
    argv = [program("prometheus"), *(f"--{name}={value}" for name, value in options.items())]
    with (directory / "log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
        try:
            yield f"http://{url}"
        finally:
            process.terminate()
            process.wait(60)


def test_a_round_that_a_prometheus_has_scraped(tmp_path: Path) -> None:
    down, server = free_port(), ThreadingHTTPServer(("127.0.0.1", 0), Exposed)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        with scraping(server.server_port, down, tmp_path) as url:
            stack = stack_of_text(
                f"services:\n  gateway: {{url: 'http://127.0.0.1:{server.server_port}'}}\n  retrieval: {{url: 'http://127.0.0.1:{down}'}}\n"
                f"profile: distributed\nprometheus: {{urls: ['{url}']}}\n"
            )
            clock = SystemClock()
            looker = NetworkLooker(stack.targets, clock, metrics_of(stack, clock, {}))
            seen: list[Round] = []

            def known() -> bool:
                try:
                    seen.append(looker.look())
                except BlindError:  # it has not started yet
                    time.sleep(0.1)
                    return False
                return bool(seen[-1].looks[0].samples) and seen[-1].looks[1].error == "refused"

            until(known, STARTS_WITHIN_S)
            looker.close()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    gateway, retrieval = seen[-1].looks
    assert gateway.error is None
    assert [s for s in gateway.samples if not s[0].startswith("container_")] == [
        ("rag_requests_total", {"route": "/ask", "service": "mine"}, 7.0)
    ]
    assert retrieval.error == "refused" and not retrieval.serving
