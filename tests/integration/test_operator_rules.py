"""The operator as a program, with a rule file: of what it scrapes the rules make alerts; those it tells, to the run and to people."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from tests.e2e.running_stack import until

RULES = """
groups:
  - name: team
    rules:
      - alert: TeamErrors
        expr: sum by (service) (rate(rag_requests_total{status=~"5.."}[1m])) > 0.5
        for: 20s
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.service }} fails"}
      - {alert: TeamDown, expr: up == 0, for: 20s, labels: {severity: critical}}
"""


class World(BaseHTTPRequestHandler):
    """One service with metrics, in which every request fails, and a place for alerts and for notifications."""

    said: list[tuple[str, Any]]
    scrapes: list[int]

    def do_GET(self) -> None:
        self.scrapes.append(1)
        text = f'rag_requests_total{{route="/x",method="POST",status="503"}} {20 * len(self.scrapes)}\n'
        self._answer(text.encode())

    def do_POST(self) -> None:
        self.said.append((self.path, json.loads(self.rfile.read(int(self.headers["content-length"])))))
        self._answer(b"{}")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def world() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    handler = type("Handler", (World,), {"said": [], "scrapes": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler.said
    server.shutdown()
    server.server_close()
    thread.join()


def targets(url: str, directory: Path, **more: Any) -> Path:
    (directory / "rules-1.yml").write_text(RULES, encoding="utf-8")
    document = {
        "services": {"gateway": {"kind": "http"}},
        "static": {"gateway": [url]},
        "claims": {"alerts": f"{url}/claims/alerts"},
        "time_scale": 10.0,
        "rules": ["rules-1.yml"],
        **more,
    }
    path = directory / "targets.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def test_a_rule_file_is_on_call(world: tuple[str, list[tuple[str, Any]]], tmp_path: Path) -> None:
    url, said = world
    notify = {"channels": {"ops": {"webhook": {"url": f"{url}/people"}}}}
    argv = [sys.executable, "-m", "harness.ops", str(targets(url, tmp_path, notify=notify))]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
        try:
            until(lambda: {path for path, _ in said} >= {"/claims/alerts", "/people"} or process.poll() is not None)
        finally:
            process.terminate()
            process.wait(60)
    text = (tmp_path / "log").read_text(encoding="utf-8")
    claims = [alert for path, body in said if path == "/claims/alerts" for alert in body["alerts"]]
    assert [(one["labels"], one["annotations"]) for one in claims[:1]] == [
        ({"alertname": "TeamErrors", "service": "gateway", "severity": "critical"}, {"summary": "gateway fails"})
    ], text
    assert {one["labels"]["alertname"] for one in claims} == {"TeamErrors"}, "the operator's own alerts are not told beside them"
    people = next(body for path, body in said if path == "/people")
    assert (people["receiver"], people["alerts"][0]["labels"]["alertname"]) == ("ops", "TeamErrors")
    lines = [json.loads(line) for line in text.splitlines()]
    assert {"what": "alert history", "resolution": {}} in lines and not list((tmp_path / "notifications").glob("*.json"))


@pytest.mark.parametrize(
    ("more", "words"),
    [({"rules": ["no.yml"]}, "no.yml:1:1: cannot be read"), ({"notify": {"channels": {}}}, "notify.channels: names no channel")],
)
def test_what_cannot_be_used_is_one_clear_line(more: dict[str, Any], words: str, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "harness.ops", str(targets("http://127.0.0.1:1", tmp_path, **more))]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, words in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr
