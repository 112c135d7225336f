"""The agent of docs/agent.md, as it stands there, against a real inbox."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from harness.inbox import Inbox
from harness.lifecycle.oncall import inbox_document
from harness.record.clock import NS_PER_S, SystemClock
from harness.record.events import ACTION, ALERT, DIAGNOSIS, Event
from tests.unit.inbox.stacks import AbleStack

PAGE = Path(__file__).resolve().parents[3] / "docs" / "agent.md"
AGENT, *_ = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def healthy() -> Iterator[str]:
    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_is_as_long_as_a_page() -> None:
    assert len(AGENT.splitlines()) <= 62
    ast.parse(AGENT)


def test_it_names_what_does_not_answer_and_restarts_it_once(healthy: str, tmp_path: Path) -> None:
    events: list[Event] = []
    clock = SystemClock()
    registry = {
        "services": {
            "gateway": [{"name": "gateway-1", "url": healthy}],
            "retrieval": [{"name": "retrieval-2", "url": "http://127.0.0.1:1"}],
        }
    }
    (tmp_path / "registry.json").write_text(json.dumps(registry))
    (tmp_path / "agent.py").write_text(AGENT)
    stack = AbleStack()
    with Inbox(stack, lambda event: events.append(event) or event, clock, "secret") as inbox:  # type: ignore[func-returns-value]
        targets = {"registry": str(tmp_path / "registry.json"), **inbox_document(inbox.url, "secret")}
        (tmp_path / "targets.yaml").write_text(yaml.safe_dump(targets))
        agent = subprocess.Popen([sys.executable, str(tmp_path / "agent.py"), str(tmp_path / "targets.yaml")], stdout=subprocess.DEVNULL)
        try:
            deadline_ns = clock.now_ns() + 30 * NS_PER_S
            while not any(e.kind == ACTION and e.data["step"] == "performed" for e in events):
                assert agent.poll() is None and clock.now_ns() < deadline_ns
                clock.sleep(0.02)
        finally:
            agent.kill()
            agent.wait()
    (alert,) = [e.data for e in events if e.kind == ALERT]
    assert alert["labels"] == {"alertname": "InstanceDown", "service": "retrieval", "instance": "retrieval-2"}
    (diagnosis,) = [e.data for e in events if e.kind == DIAGNOSIS]
    assert [(c["service"], c["kind"]) for c in diagnosis["causes"]] == [("retrieval", "crash")]
    (asked,) = [e.data for e in events if e.kind == ACTION and e.data["step"] == "requested"]
    assert (asked["verb"], asked["instance"], asked["diagnosis_id"]) == ("restart", "retrieval-2", diagnosis["diagnosis_id"])
    assert stack.calls == [("restart", "retrieval-2")]
