"""The operator as a program: its targets file, and its voice over HTTP."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from harness.ops.diagnosis.ranking import Cause
from harness.ops.monitoring.alerts import Alert
from harness.ops.outbox import LostError, Outbox
from harness.ops.recovery.controller import Handover
from harness.ops.recovery.strategies import Step
from harness.ops.targets import Targets, TargetsError, load_targets
from harness.ops.voice import HttpVoice, log


class Inbox(BaseHTTPRequestHandler):
    """Takes down what is posted; answers with what the path promises."""

    said: list[tuple[str, str | None, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.said.append((self.path, self.headers.get("authorization"), body))
        answer = json.dumps({"diagnosis_id": "d1", "action_id": "a1"}).encode()
        self.send_response(500 if self.path == "/broken" else 200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def inbox() -> Iterator[tuple[str, list[tuple[str, str | None, Any]]]]:
    handler = type("Handler", (Inbox,), {"said": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler.said
    server.shutdown()
    server.server_close()
    thread.join()


def targets_at(base: str) -> Targets:
    claims = {name: f"{base}/claims/{name}" for name in ("alerts", "diagnoses", "escalations")}
    return Targets(kinds={}, registry=None, static={}, edges=(), claims=claims, actions_url=f"{base}/actions", token="secret")


def test_everything_is_said_where_it_belongs(inbox: tuple[str, list[Any]], capsys: pytest.CaptureFixture[str]) -> None:
    base, said = inbox
    voice = HttpVoice(targets_at(base), wall_offset_s=0.0)
    voice.alerts([Alert({"alertname": "X", "service": "llm"}, {}, 1.0)])
    assert voice.diagnosis((Cause("llm", "latency", 0.9, "slow"),)) == "d1"
    voice.act(Step("restart", "cache"), "d1")
    voice.escalate(Handover("cache", "no idea"), "d1")
    voice.close()
    assert [(path, key) for path, key, _ in said] == [
        (path, "Bearer secret") for path in ("/claims/alerts", "/claims/diagnoses", "/actions", "/claims/escalations")
    ]
    assert (said[0][2]["version"], said[0][2]["status"], said[0][2]["alerts"][0]["labels"]["service"]) == ("4", "firing", "llm")
    assert said[1][2] == {"causes": [{"service": "llm", "kind": "latency", "confidence": 0.9, "evidence": "slow"}]}
    assert said[2][2] == {"verb": "restart", "service": "cache", "instance": None, "args": {}, "diagnosis_id": "d1"}
    assert said[3][2] == {"service": "cache", "reason": "no idea", "diagnosis_id": "d1"}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["what"] for line in lines] == ["alerts", "diagnosis", "action", "escalation"]
    assert all("secret" not in json.dumps(line) for line in lines)


def test_a_word_that_is_refused_or_lost_is_logged_and_does_not_stop_the_watch(
    capsys: pytest.CaptureFixture[str], inbox: tuple[str, list[Any]]
) -> None:
    base, _ = inbox
    lost = Targets(
        kinds={}, registry=None, static={}, edges=(), claims={"diagnoses": f"{base}/broken"}, actions_url="http://127.0.0.1:1/actions"
    )
    voice = HttpVoice(lost, wall_offset_s=0.0)
    assert voice.diagnosis(()) is None
    voice.act(Step("restart", "cache"), None)
    voice.close()
    refused, unreachable = (json.loads(line)["answer"] for line in capsys.readouterr().out.splitlines())
    assert refused["error"].startswith("500")
    assert unreachable["error"].startswith("ConnectError")


def test_alerts_that_nobody_receives_are_kept_and_said_again_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    bodies, down, received = [{"n": n} for n in range(3)], Event(), list[Any]()

    def deliver(body: Any) -> Any:
        if down.is_set():
            raise LostError("503: not available")
        received.append(body)
        return {"received": 1}

    def opened() -> Outbox:
        """With all bodies put into it, and the first one said to be lost."""
        lost = Event()

        def told(body: Any, answer: Any) -> None:
            log({"body": body, "answer": answer})
            lost.set()

        outbox = Outbox(deliver, told)
        for body in bodies:
            outbox.put(body, patience_s=0.01)
        assert lost.wait(60)
        return outbox

    down.set()
    outbox = opened()
    assert (received, outbox.close(patience_s=0.01)) == ([], 3)
    outbox = opened()
    capsys.readouterr()
    down.clear()
    assert outbox.close(patience_s=60.0) == 0
    assert received == bodies
    assert [json.loads(line)["answer"] for line in capsys.readouterr().out.splitlines()] == [{"received": 1}] * 3


def test_a_webhook_that_hangs_or_refuses_keeps_nobody_from_watching(
    inbox: tuple[str, list[Any]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    base, _ = inbox
    monkeypatch.setattr("harness.ops.voice.LAST_PATIENCE_S", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for url in (f"{base}/broken", f"http://127.0.0.1:{silent.getsockname()[1]}/"):
            targets = Targets(kinds={}, registry=None, static={}, edges=(), claims={"alerts": url}, actions_url=None, token=None)
            voice = HttpVoice(targets, wall_offset_s=0.0)
            voice.alerts([Alert({"alertname": "X", "service": "llm"}, {}, 1.0)])
            voice.close()
            said = [json.loads(line)["answer"]["error"] for line in capsys.readouterr().out.splitlines()]
            assert said[-1] == "1 were received by nobody"


def test_a_targets_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "targets.yaml"
    path.write_text("services: {llm: {kind: llm}, gateway: {}}\nedges: [[gateway, llm]]\nclaims: {alerts: http://a}\ntime_scale: 6\n")
    found = load_targets(path)
    assert (found.kinds, found.edges, found.claims, found.time_scale) == (
        {"llm": "llm", "gateway": "http"},
        (("gateway", "llm"),),
        {"alerts": "http://a"},
        6.0,
    )
    assert (found.providers(), found.callees("gateway"), found.actions_url) == (("llm",), ("llm",), None)


@pytest.mark.parametrize(
    ("services", "entry"),
    [("{llm: {kind: llm}, gateway: {}}", "gateway"), ("{app: {}, llm: {kind: llm}}", "app"), ("{app: {}, front: {kind: tls}}", "front")],
)
def test_what_users_suffer_is_told_of_the_service_that_they_ask(tmp_path: Path, services: str, entry: str) -> None:
    path = tmp_path / "targets.yaml"
    path.write_text(f"services: {services}\n")
    assert load_targets(path).entry == entry


def test_metrics_are_scraped_where_a_service_says_and_nowhere_where_it_says_it_has_none(tmp_path: Path) -> None:
    services = {"a": {"metrics": "http://a:9000/prom"}, "b": {"metrics": None, "health": "http://b/up"}, "c": {}, "d": {"kind": "postgres"}}
    static = {"a": ["http://a"], "b": ["http://b"], "c": ["http://c"], "d": ["postgresql://d"]}
    path = tmp_path / "targets.yaml"
    path.write_text(json.dumps({"services": services, "static": static}), encoding="utf-8")
    assert {e.service: e.metrics for e in load_targets(path).endpoints()} == {
        "a": "http://a:9000/prom", "b": None, "c": "http://c/metrics", "d": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "- a", "services: [a]", "{", "services: {a: {}}\nedges: [[a]]", "services: {a: {}}\ntime_scale: soon", "\xff"]
)
def test_a_targets_file_that_cannot_be_used_is_one_line_and_exit_2(tmp_path: Path, text: str) -> None:
    path = tmp_path / "targets.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(TargetsError, match=r"targets\.yaml"):
        load_targets(path)


def test_the_program_says_so(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "harness.ops", str(tmp_path / "absent.yaml")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (2, "", False)
    assert "absent.yaml" in done.stderr


@pytest.mark.parametrize(("text", "seconds"), [("<= 800ms", 0.8), ("<= 1.2s", 1.2), ("", None)])
def test_the_promise_to_users(text: str, seconds: float | None) -> None:
    targets = Targets(kinds={}, registry=None, static={}, edges=(), slos={"latency_p95": text} if text else {})
    assert targets.promised_p95_s == seconds
