"""A mock operator as a process: it plays its script over HTTP, at its times, with its token."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from mocks.operators.known import KnownFault, perfect
from mocks.operators.script import ScriptError, Step, dump, load

pytestmark = pytest.mark.e2e
TOKEN = "a-token"


class Receiver:
    """Keeps what is posted, and refuses `/actions`."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any, str]] = []
        self.complete = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                receiver.seen.append((self.path, body, self.headers["authorization"]))
                self.send_response(409 if self.path == "/actions" else 200)
                self.send_header("content-length", "0")
                self.end_headers()
                if len(receiver.seen) == 4:
                    receiver.complete.set()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    found.thread.start()
    yield found
    found.server.shutdown()
    found.thread.join()
    found.server.server_close()


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "mocks.operators", *arguments], stderr=subprocess.PIPE, text=True)


def test_plays_its_script_and_stays_on_call(tmp_path: Path, receiver: Receiver) -> None:
    steps = perfect([KnownFault("llm", "latency", -0.95, -0.5, "switch_provider")])
    base = f"http://127.0.0.1:{receiver.server.server_port}"
    places = {name: f"{base}/claims/{name}" for name in ("alerts", "diagnoses", "escalations")}
    (tmp_path / "script.json").write_text(dump(steps), encoding="utf-8")
    (tmp_path / "targets.yaml").write_text(
        yaml.safe_dump({"claims": places, "actions": {"url": f"{base}/actions"}, "token": TOKEN}), encoding="utf-8"
    )
    process = start(str(tmp_path / "script.json"), str(tmp_path / "targets.yaml"))
    try:
        assert receiver.complete.wait(60)
        assert process.poll() is None
        process.terminate()
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert [path for path, _, _ in receiver.seen] == ["/claims/alerts", "/claims/alerts", "/claims/diagnoses", "/actions"]
    assert [body for _, body, _ in receiver.seen] == [s.body for s in sorted(steps, key=lambda s: s.at_s)]
    assert {authorization for _, _, authorization in receiver.seen} == {f"Bearer {TOKEN}"}
    assert "409" in told, "a refused claim is told, and does not end the script"


@pytest.mark.parametrize(
    ("script", "targets", "message"),
    [
        ('{"steps": [{"at_s": 1, "claim": "opinion", "body": {}}]}', "claims: {}", "no such claim: opinion"),
        ("[]", "claims: {}", "TypeError"),
        ('{"steps": []}', "services: {}", "no `claims`"),
        ('{"steps": []}', "claims: {", "while parsing a flow"),
        ('{"steps": [{"at_s": 0, "claim": "alert", "body": {}}]}', "claims: {}", "no URL for an alert"),
    ],
)
def test_bad_files_are_a_usage_error(tmp_path: Path, script: str, targets: str, message: str) -> None:
    (tmp_path / "script.json").write_text(script, encoding="utf-8")
    (tmp_path / "targets.yaml").write_text(targets, encoding="utf-8")
    process = start(str(tmp_path / "script.json"), str(tmp_path / "targets.yaml"))
    _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert message in told


def test_script_survives_writing(tmp_path: Path) -> None:
    steps = perfect([KnownFault("llm", "latency", 10.0, 20.0, "switch_provider")])
    (tmp_path / "script.json").write_text(dump(steps), encoding="utf-8")
    assert load(tmp_path / "script.json") == tuple(sorted(steps, key=lambda s: s.at_s))
    assert all(isinstance(step, Step) for step in steps)
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    with pytest.raises(ScriptError):
        load(tmp_path / "broken.json")
