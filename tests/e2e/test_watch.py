"""`gauntlet watch` and `gauntlet health` as processes, against a small deployment that the test serves."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result

from harness.commands.health import health
from tests.e2e.live_run import ROOT, environment, gauntlet

pytestmark = pytest.mark.e2e


class Well(BaseHTTPRequestHandler):
    hooks: list[Any]

    def do_GET(self) -> None:
        self._answer(b"up 1\n")

    def do_POST(self) -> None:
        self.hooks.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self._answer(b"{}")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def served() -> Iterator[tuple[str, list[Any]]]:
    handler = type("Handler", (Well,), {"hooks": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler.hooks
    server.shutdown()
    server.server_close()
    thread.join()


def stack_file(tmp: Path, url: str) -> Path:
    path = tmp / "STACK.yaml"
    path.write_text(
        f"name: small\nservices:\n  gateway: {{url: '{url}', calls: [db]}}\n  db: {{kind: redis, url: 'redis://127.0.0.1:1/0'}}\n"
        f"claims: {{alerts: '{url}/hook'}}\nevery: 200ms\n",
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_watch_until_a_signal(served: tuple[str, list[Any]], tmp_path: Path, number: signal.Signals) -> None:
    url, hooks = served
    command = [sys.executable, "-m", "harness.cli", "watch", str(stack_file(tmp_path, url)), "--json", "--out", str(tmp_path / "out")]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        seen = []
        for line in process.stdout:
            seen.append(json.loads(line))
            if seen[-1]["what"] == "action":
                process.send_signal(number)
        assert (process.wait(60), process.stderr.read()) == (0, "")
    assert seen[0]["what"] == "watching" and seen[-1]["what"] == "ended" and all(one["dry_run"] for one in seen)
    (action,) = (one["body"] for one in seen if one["what"] == "action")
    assert (action["verb"], action["service"]) == ("restart", "db")
    assert [alert["labels"]["alertname"] for hook in hooks for alert in hook["alerts"]][:1] == ["InstanceDown"]
    status = json.loads((tmp_path / "out" / "status.json").read_text(encoding="utf-8"))
    assert {"gateway", "db"} <= {metric["subject"] for metric in status["metrics"]}
    assert len((tmp_path / "out" / "events.jsonl").read_text(encoding="utf-8").splitlines()) == len(seen)


def test_lines_for_a_person_and_a_bounded_time(served: tuple[str, list[Any]], tmp_path: Path) -> None:
    done = gauntlet("watch", stack_file(tmp_path, served[0]), "--for", "4s", tmp=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "dry run: actions are only told" in done.stdout and "FIRING    critical InstanceDown db db-1" in done.stdout
    assert "WOULD DO  restart db db-1" in done.stdout


def test_a_file_or_a_port_that_cannot_be_used_is_exit_2(served: tuple[str, list[Any]], tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("services:\n  a: {ul: x}\n", encoding="utf-8")
    done = gauntlet("watch", bad, tmp=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{bad}:2:7: unknown key 'ul'; did you mean 'url'?\n")
    port = served[0].rsplit(":", 1)[1]
    done = gauntlet("watch", stack_file(tmp_path, served[0]), "--listen", port, tmp=tmp_path)
    assert (done.returncode, "Address already in use" in done.stderr, "Traceback" in done.stderr) == (2, True, False)


def test_health_of_a_deployment(served: tuple[str, list[Any]], tmp_path: Path) -> None:
    file = stack_file(tmp_path, served[0])
    done = gauntlet("health", file, "--json", "--report", tmp_path / "days", tmp=tmp_path)
    found = json.loads(done.stdout)
    assert (done.returncode, found["status"]) == (1, "unhealthy")
    of = {one["service"]: one for one in found["services"]}
    assert (of["gateway"]["status"], of["gateway"]["because"], of["db"]["status"]) == ("degraded", ["db"], "unhealthy")
    assert len(list((tmp_path / "days").glob("health-*.md"))) == 1

    def ask(*arguments: str) -> Result:
        return CliRunner().invoke(health, [str(file), *arguments])

    text = ask("--detailed").stdout
    assert "degraded because db is down" in text and "db-1" in text and text.endswith("overall: unhealthy\n")
    assert [ask("--component", "gateway").exit_code, ask("--component", "gateway", "--strict").exit_code] == [0, 1]
    none = ask("--component", "gatewy")
    assert none.exit_code == 2 and "did you mean 'gateway'?" in none.stderr
    assert "no stack is up" in gauntlet("health", tmp=tmp_path).stderr
