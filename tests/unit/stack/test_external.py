from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from harness.scenario.model import StackSpec
from harness.stack import external, http_probe
from harness.stack.base import StackError
from harness.stack.external import ExternalStack
from harness.stack.ports import free_ports

PAGES = {
    "/": (404, b""),
    "/health": (200, b"ok"),
    "/broken": (500, b"oops"),
    "/ready": (503, b'{"ready": false, "checks": {"postgres": "refused", "cache": "timeout"}}'),
    "/metrics": (200, b"# HELP rag_requests_in_progress x\nrag_requests_in_progress 3.0\n"),
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = PAGES[self.path]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def stack(**services: dict[str, str]) -> ExternalStack:
    return ExternalStack(StackSpec.model_validate({"use": "external", "services": services}))


def test_it_starts_when_everything_answers(url: str) -> None:
    system = stack(api={"url": url, "health": f"{url}/health"}, gateway={"url": f"{url}/"})
    system.start()
    assert system.entry_url == url
    assert [(i.name, i.url, i.pid) for i in system.instances("api")] == [("api", url, None)]
    assert system.targets()["services"]["api"] == {"kind": "http", "critical": True, "metrics": None, "health": f"{url}/health"}
    system.stop()
    assert http_probe.answers(f"{url}/health") is None
    with pytest.raises(StackError, match="no service 'other'; there are api, gateway"):
        system.instances("other")


@pytest.mark.parametrize(("page", "reason"), [("/broken", "HTTP 500"), ("/ready", "HTTP 503")])
def test_a_system_that_is_not_well_is_not_waited_for_for_ever(url: str, page: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external, "READY_DEADLINE_S", 0.2)
    with pytest.raises(StackError, match=rf"api \(\S+\) not ready within 0\.2 s: {reason}"):
        stack(api={"url": f"{url}{page}"}).start()


def test_what_a_probe_says(url: str) -> None:
    assert http_probe.ready(url) == "HTTP 503: postgres: refused; cache: timeout"
    assert http_probe.answers(f"{url}/broken") == "HTTP 500: oops"
    assert http_probe.requests_in_progress(url) == 3
    assert http_probe.reachable(url) is None  # 404 is an answer
    (port,) = free_ports(1)
    assert "refused" in (http_probe.reachable(f"http://127.0.0.1:{port}") or "")
    assert http_probe.reachable("nonsense") == "OSError: nonsense: no host in it"
