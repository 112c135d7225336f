"""Undo entries, carried out on real processes and a real server."""

from __future__ import annotations

import http.server
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.faults.base import Undo
from harness.faults.undo import Undone, execute
from harness.sweep import identify


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def entry(op: str, process: subprocess.Popen[bytes]) -> Undo:
    found = identify(process.pid)
    assert found is not None
    return Undo(op, {"pid": found.pid, "create_time_s": found.create_time_s})


def test_a_paused_process_continues(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    undo = entry("continue", sleeper)
    os.kill(sleeper.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, sleeper.pid, os.WSTOPPED)
    assert execute(undo, tmp_path) == Undone("continue", True, f"continued 1 process(es) from pid {sleeper.pid}")
    os.waitid(os.P_PID, sleeper.pid, os.WCONTINUED)
    assert psutil.Process(sleeper.pid).status() != psutil.STATUS_STOPPED


def test_a_process_is_ended_once(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    undo = entry("terminate", sleeper)
    assert execute(undo, tmp_path).ok
    assert sleeper.wait(60) == -signal.SIGKILL
    assert execute(undo, tmp_path) == Undone("terminate", True, f"pid {sleeper.pid} is gone")


def test_a_pid_used_again_is_not_touched(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    stranger = Undo("terminate", {"pid": sleeper.pid, "create_time_s": 12.0})
    assert execute(stranger, tmp_path) == Undone("terminate", True, f"pid {sleeper.pid} is gone")
    assert sleeper.poll() is None


class Handler(http.server.BaseHTTPRequestHandler):
    seen: list[tuple[str, str, str | None]]
    status: int

    def do_DELETE(self) -> None:  # the name that the library calls
        self.seen.append((self.command, self.path, self.headers["authorization"]))
        self.send_response(self.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(params=[204, 500])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, type[Handler]]]:
    handler = type("One", (Handler,), {"seen": [], "status": request.param})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as one:
        thread = threading.Thread(target=one.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{one.server_port}", handler
        one.shutdown()
        thread.join()


def test_a_call_is_made_with_its_token(server: tuple[str, type[Handler]], tmp_path: Path) -> None:
    url, handler = server
    done = execute(Undo("http", {"method": "DELETE", "url": f"{url}/faults/a", "token": "secret"}), tmp_path)
    assert handler.seen == [("DELETE", "/faults/a", "Bearer secret")]
    assert done.ok == (handler.status == 204)


def test_nobody_there_means_nothing_to_undo(tmp_path: Path) -> None:
    done = execute(Undo("http", {"method": "DELETE", "url": "http://127.0.0.1:1/faults/a", "token": "t"}), tmp_path)
    assert done == Undone("http", True, "nobody listens at http://127.0.0.1:1/faults/a: it went with its process")


def test_only_what_lies_inside_is_removed(tmp_path: Path) -> None:
    inside, outside = tmp_path / "work" / "x", tmp_path / "precious"
    inside.mkdir(parents=True)
    outside.mkdir()
    (tmp_path / "work" / "link").symlink_to(outside)
    work = tmp_path / "work"
    assert execute(Undo("rmtree", {"path": str(inside)}), work).ok
    for path in (outside, work / ".." / "precious", work / "link", work):
        assert not execute(Undo("rmtree", {"path": str(path)}), work).ok
    assert (inside.exists(), outside.exists(), work.exists()) == (False, True, True)
    assert execute(Undo("rmtree", {"path": str(inside)}), work) == Undone("rmtree", True, f"{inside} is gone")


@pytest.mark.parametrize("undo", [Undo("explode", {}), Undo("continue", {}), Undo("http", {"url": 1}), Undo("rmtree", {})])
def test_nonsense_is_reported_not_raised(undo: Undo, tmp_path: Path) -> None:
    assert not execute(undo, tmp_path).ok


def test_a_command_is_run_and_its_failure_told(tmp_path: Path) -> None:
    made = tmp_path / "made"
    assert execute(Undo("command", {"argv": ["touch", str(made)]}), tmp_path) == Undone("command", True, f"ran touch {made}")
    assert made.exists()
    failed = execute(Undo("command", {"argv": ["false"]}), tmp_path)
    assert (failed.ok, failed.detail) == (False, "FaultError: false ended with 1: ")
    assert not execute(Undo("command", {"argv": ["/nowhere/restart-it"]}), tmp_path).ok


def test_rules_go_in_every_network_of_the_run_that_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = tmp_path / "said"
    docker = tmp_path / "docker"
    docker.write_text(
        f'#!/bin/sh\necho "$@" >> {said}\n'
        'case "$1 $2" in\n'
        '  "ps --format"*) echo tools-a; echo tools-b; echo tools-c ;;\n'
        '  "exec tools-b") echo "Error: No such container: tools-b" >&2; exit 1 ;;\n'
        '  "exec tools-c") if [ "$5" = fail ]; then echo "iptables: no chain" >&2; exit 1; fi ;;\n'
        "esac\n"
    )
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    done = execute(Undo("rules", {"run_id": "abc", "script": "clear"}), tmp_path)
    assert done == Undone("rules", True, "done in tools-a, tools-b, tools-c")
    assert "--filter=label=rag-gauntlet.run=abc" in said.read_text() and "exec tools-a sh -c clear" in said.read_text()
    failed = execute(Undo("rules", {"run_id": "abc", "script": "fail"}), tmp_path)
    assert not failed.ok and "tools-c: exit status 1: iptables: no chain" in failed.detail
