from __future__ import annotations

import http.server
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from harness.commands import mocks
from harness.lifecycle.checking import check_loaded
from harness.scenario.loader import load_text
from harness.scenario.model import StackSpec
from harness.scenario.services import MOCK_TOKEN
from harness.stack import external, http_probe
from harness.stack.base import AdminApi, StackError, capabilities_of
from harness.stack.catalog import external_info
from harness.stack.external import ActuatedStack, ExternalStack
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
    with pytest.raises(StackError, match=rf"api \(\S+\) not ready within 0\.2 s: {reason}[^()]*$"):
        stack(api={"url": f"{url}{page}"}).start()


def test_what_a_probe_says(url: str) -> None:
    assert http_probe.ready(url) == "HTTP 503: postgres: refused; cache: timeout"
    assert http_probe.answers(f"{url}/broken") == "HTTP 500: oops"
    assert http_probe.requests_in_progress(url) == 3
    assert http_probe.reachable(url) is None  # 404 is an answer
    (port,) = free_ports(1)
    assert "refused" in (http_probe.reachable(f"http://127.0.0.1:{port}") or "")
    assert http_probe.reachable("nonsense") == "OSError: nonsense: no host in it"


class Service:
    """Somebody else's service, with the scripts that its team runs it by."""

    def __init__(self, folder: Path) -> None:
        self.port = free_ports(1)[0]
        self.pid_file = folder / "pid"
        server = f"import http.server as h; h.HTTPServer(('127.0.0.1', {self.port}), h.SimpleHTTPRequestHandler).serve_forever()"
        self._start = (
            "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', sys.argv[1]], cwd=sys.argv[3], "
            "stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True); open(sys.argv[2], 'w').write(str(p.pid))"
        )
        self._arguments = [server, str(self.pid_file), str(folder)]
        self._signal = "import os, sys; os.kill(int(open(sys.argv[1]).read()), int(sys.argv[2]))"

    def signalled(self, number: signal.Signals) -> list[str]:
        return [sys.executable, "-c", self._signal, str(self.pid_file), str(int(number))]

    @property
    def restart(self) -> list[str]:
        return [sys.executable, "-c", self._start, *self._arguments]

    def spec(self, **more: Any) -> StackSpec:
        actuators = {
            "kill": self.signalled(signal.SIGKILL),
            "restart": self.restart,
            "pause": self.signalled(signal.SIGSTOP),
            "resume": self.signalled(signal.SIGCONT),
            **more,
        }
        return StackSpec.model_validate(
            {"use": "external", "services": {"web": {"url": f"http://127.0.0.1:{self.port}", "actuators": actuators}}}
        )


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    subprocess.run(made.restart, check=True)
    try:
        yield made
    finally:
        pid = int(made.pid_file.read_text())
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_team_s_own_commands_are_its_actuators(service: Service) -> None:
    system = ActuatedStack(service.spec())
    system.start()
    (instance,) = system.instances("web")
    system.set_paused("web", True)
    assert system.probe(instance) is not None
    system.set_paused("web", False)
    assert system.probe(instance) is None
    system.kill("web")
    assert system.probe(instance) is not None
    system.restart("web")
    assert system.probe(instance) is None
    assert system.restoring_command("web", "kill") == service.restart
    assert system.restoring_command("web", "pause") == service.signalled(signal.SIGCONT)


def test_it_can_do_only_what_is_named(service: Service) -> None:
    system = ActuatedStack(service.spec())
    assert system.info.capabilities == {"Killable", "Restartable", "Pausable"} <= capabilities_of(ActuatedStack)
    assert system.info.acts("Killable", "web") and not system.info.acts("Scalable", "web")
    with pytest.raises(StackError, match="web names no command for scale: add it to its `actuators`"):
        system.scale("web", 2)


def test_placeholders_are_filled_and_failures_told(service: Service) -> None:
    words = [sys.executable, "-c", "import sys; sys.exit(' '.join(sys.argv[1:]))"]
    system = ActuatedStack(service.spec(scale=[*words, "--replicas={replicas}"], deploy=[*words, "web:{version}"]))
    with pytest.raises(StackError, match=r"scale of web: .* ended with 1 and said: --replicas=3"):
        system.scale("web", 3)
    with pytest.raises(StackError, match=r"deploy of web: .* said: web:1\.2"):
        system.deploy("web", "1.2")


def test_a_command_that_is_not_there_is_told(service: Service) -> None:
    system = ActuatedStack(service.spec(kill=["/nowhere/kill-it"]))
    with pytest.raises(StackError, match=r"kill of web: .*No such file"):
        system.kill("web")


@pytest.mark.parametrize(
    ("actuators", "message"),
    [
        ({"kill": ["k"]}, "add `restart` to `actuators`"),
        ({"pause": ["p"]}, "`pause` and `resume` belong together"),
        ({"scale": ["s", "2"]}, "write {replicas} in one of its arguments"),
        ({"deploy": ["d"]}, "write {version} in one of its arguments"),
        ({"restart": []}, "at least 1 item"),
    ],
)
def test_commands_that_make_no_sense_are_refused(actuators: dict[str, list[str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StackSpec.model_validate({"use": "external", "services": {"web": {"url": "http://127.0.0.1:1", "actuators": actuators}}})


def mocked(**more: str) -> StackSpec:
    services = {"app": {"url": "http://127.0.0.1:1"}, "llm": {"url": "http://127.0.0.1:2", "role": "llm", **more}}
    return StackSpec.model_validate({"use": "external", "services": services})


def test_a_mock_of_ones_own_can_be_told_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    assert external_info(mocked()).capabilities == external_info(mocked()).programmable == frozenset()
    monkeypatch.setenv(MOCK_TOKEN, "secret")
    system = ActuatedStack(mocked(admin="http://127.0.0.1:3/admin"))
    assert system.info.capabilities == {"Programmable"} and system.info.programmable == {"llm"}
    assert system.admin("llm") == AdminApi("http://127.0.0.1:3", "secret")
    assert "127.0.0.1:3" not in str(system.targets()), "who watches the stack is not told"
    with pytest.raises(StackError, match="app has no admin API"):
        system.admin("app")


def test_a_mock_without_its_token_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MOCK_TOKEN, raising=False)
    with pytest.raises(StackError, match="GAUNTLET_MOCK_TOKEN is not set"):
        ActuatedStack(mocked(admin="http://127.0.0.1:3")).start()


def test_the_token_is_in_the_variable_that_the_mock_reads() -> None:
    assert mocks.TOKEN_VARIABLE == MOCK_TOKEN


def test_a_fault_of_a_provider_says_what_it_takes() -> None:
    text = (
        "name: x\nload: {journeys: {home: {get: /, service: app}}, mix: {home: 1}, shape: [{constant: 25/s}]}\n"
        "phases: {steady_state: 40s, fault: 40s}\nobjectives: {fault: {availability: '>= 90%'}}\n"
        "stack: {use: external, services: {app: {url: 'http://127.0.0.1:1'}, llm: {url: 'http://127.0.0.1:2', role: llm ADMIN}}}\n"
        "faults: [{id: slow, type: llm.slow_first_token, target: llm, at: fault, for: 30s, with: {ttft: 4s}}]\n"
    )
    (refused,) = check_loaded(load_text(text.replace(" ADMIN", "")))
    assert "it is not Programmable" in refused.message and "give it `admin: http://HOST:PORT`" in str(refused.hint)
    assert check_loaded(load_text(text.replace(" ADMIN", ", admin: 'http://127.0.0.1:3'"))) == []
