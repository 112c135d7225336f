"""`gauntlet mock`: a mock alone as people and scripts start it, and the report on its callers."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import psutil
import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.faults.admin_client import call
from harness.faults.base import FaultError
from harness.stack.base import AdminApi
from tests.e2e.known_callers import CALLERS, FAULTS, GRADED_TIMEOUT_S
from tests.e2e.live_run import ROOT, environment, gauntlet
from tests.integration.backends import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.beside]


@dataclass
class RunningMock:
    """`gauntlet mock … --json`, ready."""

    process: subprocess.Popen[str]
    facts: dict[str, Any]
    log: Path

    @property
    def admin(self) -> AdminApi:
        return AdminApi(self.facts["admin_url"], self.facts["admin_token"])

    @property
    def port(self) -> int:
        return urlsplit(self.facts["url"]).port or 0

    def report(self, *arguments: str, code: int) -> dict[str, Any]:
        """The report on its callers, as JSON."""
        asked = ["mock", "report", "--admin", self.facts["admin_url"], "--json", *arguments]
        done = CliRunner(env={"GAUNTLET_MOCK_TOKEN": self.facts["admin_token"]}).invoke(cli, asked)
        assert done.exit_code == code, done.output
        found: dict[str, Any] = json.loads(done.stdout)
        return found


Start = Callable[..., RunningMock]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts mocks; what is left of them is ended after the module."""
    running: list[RunningMock] = []

    def begin(kind: str, *arguments: str) -> RunningMock:
        tmp = tmp_path_factory.mktemp("mock")
        log = tmp / "mock.log"
        with log.open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "harness.cli", "mock", kind, "--port", "0", "--json", *arguments],
                env=environment(tmp),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith('{"mock"'), log.read_text()
        running.append(RunningMock(process, json.loads(line), log))
        return running[-1]

    yield begin
    for mock in running:
        mock.process.terminate()
        mock.process.wait(60)
        if mock.process.stdout is not None:
            mock.process.stdout.close()


@pytest.fixture(scope="module")
def graded(start: Start, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report on all known callers, who did their worst at the same time."""
    profile = tmp_path_factory.mktemp("profile") / "quick.json"
    profile.write_text('{"ttft_ms": 5, "itl_ms": 0}')
    mock = start("llm", "--quiet", "--profile", str(profile), *(word for fault in FAULTS for word in ("--fault", json.dumps(fault))))
    with ThreadPoolExecutor(len(CALLERS)) as pool:
        list(pool.map(lambda caller: caller.call_all(mock.port), CALLERS.values()))
    return mock.report("--read-timeout-s", str(GRADED_TIMEOUT_S), code=1)


@pytest.mark.parametrize("code", CALLERS)
def test_every_known_caller_gets_exactly_its_finding(code: str, graded: dict[str, Any]) -> None:
    found = [f["code"] for f in graded["findings"] if f["caller"].startswith(CALLERS[code].name)]
    assert found == ([] if code == "none" else [code]), json.dumps(graded["findings"], indent=1)


def test_every_rule_was_tried(graded: dict[str, Any]) -> None:
    assert graded["verdict"] == "FAIL"
    assert all(graded["checked"].values()), graded["checked"]
    assert {c["name"]: c["unattributed"] for c in graded["callers"]} == {caller.name: 0 for caller in CALLERS.values()}


def test_a_real_client_keeps_retry_after(start: Start) -> None:
    mock = start("llm", "--fault", '{"type": "rate_limited", "requests_per_s": 4, "burst": 1}')
    client = openai.OpenAI(base_url=mock.facts["env"]["OPENAI_BASE_URL"], api_key="any", max_retries=4)
    with client:
        for number in range(4):
            client.chat.completions.create(model="rag-chat", messages=[{"role": "user", "content": f"What is {number}?"}])
    report = mock.report(code=0)
    assert (report["verdict"], report["findings"]) == ("PASS", [])
    (caller,) = report["callers"]
    assert caller["name"].startswith("OpenAI/Python")
    assert (caller["calls"], caller["retry_after_honoured_share"]) == (4, 1.0)
    assert caller["retry_after_told"] >= 2


@pytest.mark.parametrize(
    ("kind", "variable", "path"), [("qdrant", "QDRANT_URL", "/collections"), ("chroma", "CHROMA_URL", "/api/v2/tenants/default_tenant")]
)
def test_vector_stores_are_served_broken_and_graded(kind: str, variable: str, path: str, start: Start) -> None:
    mock = start(kind, "--fault", '{"id": "busy", "type": "service_error", "status": 503, "retry_after_s": 5, "first": 2}')
    url = AdminApi(mock.facts["env"][variable], "any")
    for _ in range(2):
        with pytest.raises(FaultError, match="503"):
            call(url, "GET", path)
    assert call(url, "GET", path)
    report = mock.report(code=1)
    assert [f["code"] for f in report["findings"]] == ["retry_after_ignored"]
    assert report["findings"][0]["count"] == 2


def test_nothing_to_grade_is_no_pass(start: Start, tmp_path: Path) -> None:
    mock = start("llm")
    assert mock.report(code=3)["reason"] == "the journal holds no request of any caller"
    call(
        AdminApi(mock.facts["url"], "any"),
        "POST",
        "/v1/chat/completions",
        {"model": "rag-chat", "messages": [{"role": "user", "content": "?"}]},
    )
    assert mock.report(code=3)["reason"] == "nothing to grade: no caller met any trouble"
    saved = tmp_path / "saved.json"
    saved.write_text(json.dumps(call(mock.admin, "GET", "/admin/journal?after=0&limit=100")))
    done = CliRunner().invoke(cli, ["mock", "report", "--journal", str(saved)])
    assert (done.exit_code, done.stdout.splitlines()[0]) == (3, "INCONCLUSIVE: nothing to grade: no caller met any trouble")


def test_from_which_level_on_the_report_fails(tmp_path: Path) -> None:
    row = {"seq": 1, "arrived_s": 1.0, "duration_ms": 5, "status": 500, "method": "POST", "route": "/v1/embeddings", "ending": "complete"}
    saved = tmp_path / "saved.json"
    saved.write_text(json.dumps({"requests": [row]}))
    for level, code in (("fail", 0), ("warn", 1)):
        done = CliRunner().invoke(cli, ["mock", "report", "--journal", str(saved), "--fail-on", level])
        assert (done.exit_code, done.stdout.splitlines()[0].partition(":")[0]) == (code, "WARN")
    assert "- WARN gave_up: unnamed client, 1 of 1 times: no attempt followed after 1 attempt, the last of which got 500" in done.stdout
    assert "never tried: retry_after_ignored" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["--admin", "http://127.0.0.1:9", "--journal", "x"], ["--journal", "no-such-file"]])
def test_a_report_of_nothing_is_a_usage_error(arguments: list[str]) -> None:
    assert CliRunner().invoke(cli, ["mock", "report", *arguments]).exit_code == 2


def test_a_wrong_token_is_a_usage_error(start: Start) -> None:
    done = CliRunner().invoke(cli, ["mock", "report", "--admin", start("llm").facts["admin_url"], "--token", "guessed"])
    assert (done.exit_code, "401" in done.stderr) == (2, True)


def mock_of(gauntlet_process: psutil.Process) -> psutil.Process:
    (child,) = gauntlet_process.children()
    return child


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(number: signal.Signals, start: Start) -> None:
    mock = start("llm")
    child = mock_of(psutil.Process(mock.process.pid))
    assert child.pid == mock.facts["pid"]
    mock.process.send_signal(number)
    assert mock.process.wait(60) == 0
    assert not child.is_running()


def test_it_does_not_outlive_its_gauntlet(start: Start) -> None:
    mock = start("llm")
    child = mock_of(psutil.Process(mock.process.pid))
    mock.process.kill()
    mock.process.wait()
    wait_until(lambda: not child.is_running(), "the mock is gone")


def test_it_serves_on_when_nobody_reads_its_log(tmp_path: Path) -> None:
    """`gauntlet mock llm 2>&1 | head -1`: a pipe holds some 64 KiB, about 250 lines."""
    command = [sys.executable, "-m", "harness.cli", "mock", "llm", "--port", "0", "--json"]
    process = subprocess.Popen(command, env=environment(tmp_path), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    try:
        url = urlsplit(json.loads(process.stdout.readline())["url"])
        process.stderr.close()
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)
        for _ in range(600):
            connection.request("GET", "/v1/models")
            assert connection.getresponse().read()
        connection.close()
    finally:
        process.terminate()
        assert process.wait(60) == 0
        process.stdout.close()


def test_it_tells_when_the_mock_dies(start: Start) -> None:
    mock = start("llm")
    os.kill(mock.facts["pid"], signal.SIGKILL)
    assert mock.process.wait(60) == 5
    assert "the mock was killed by SIGKILL" in mock.log.read_text()


def test_the_token_is_in_no_process_list(start: Start) -> None:
    mock = start("llm")
    lines = [" ".join(p.cmdline()) for p in (psutil.Process(mock.process.pid), psutil.Process(mock.facts["pid"]))]
    assert not any(mock.facts["admin_token"] in line for line in lines)


def test_the_seed_decides_and_logs_are_for_people(start: Start) -> None:
    chatty, quiet = start("llm", "--seed", "7"), start("llm", "--seed", "7", "--quiet")
    body = {"model": "rag-embedding", "input": "the same text"}
    first, second = (call(AdminApi(mock.facts["url"], "any"), "POST", "/v1/embeddings", body)["data"] for mock in (chatty, quiet))
    assert first == second
    wait_until(lambda: "/v1/embeddings" in chatty.log.read_text(), "the request is logged")
    assert quiet.log.read_text() == ""


REFUSED = [
    (["--host", "0.0.0.0"], 2, "--allow-remote"),
    (["--profile", "no-such.json"], 2, "no-such.json"),
    (["--fault", "rate_limited"], 2, "is not JSON"),
    (["--fault", "[1]"], 2, "a fault is an object"),
    (["--fault", '{"type": "no_such_fault"}'], 2, "fault fault-1 is refused: 400 type must be one of"),
    (["--fault", '{"type": "overloaded", "id": "a/b"}'], 2, "fault a/b is refused: 400 an id has"),
    (["--port", "18999", "--admin-port", "18999"], 2, "--port and --admin-port are both 18999"),
    (["--fault", "@no-such.json"], 2, "no-such.json"),
]


@pytest.mark.parametrize(("arguments", "code", "says"), REFUSED, ids=[" ".join(row[0]) for row in REFUSED])
def test_what_cannot_be_had(arguments: list[str], code: int, says: str, tmp_path: Path) -> None:
    done = gauntlet("mock", "llm", "--port", "0", *arguments, tmp=tmp_path)
    assert (done.returncode, done.stdout, says in done.stderr) == (code, "", True), done.stderr


def test_faults_are_listed() -> None:
    for of, name in (("llm", "stream_no_finish"), ("vector", "nan_scores")):
        done = CliRunner().invoke(cli, ["mock", "faults", of, "--json"])
        listed = json.loads(done.stdout)["faults"]
        assert (done.exit_code, len(listed) > 25) == (0, True)
        assert all(fault["summary"] and "```json" in fault["page"] for fault in listed)
        shown = CliRunner().invoke(cli, ["mock", "faults", of, name])
        assert (shown.exit_code, shown.stdout.strip()) == (0, next(fault["page"] for fault in listed if fault["name"] == name))
    unknown = CliRunner().invoke(cli, ["mock", "faults", "llm", "rate_limitd"])
    assert (unknown.exit_code, "did you mean 'rate_limited'" in unknown.stderr) == (2, True)


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = gauntlet("mock", "llm", "--port", str(port), tmp=tmp_path)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.strip() == f"port {port} is taken; choose another one with --port (0: any that is free)"


def test_without_the_packages_it_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys, importlib.util as u; find = u.find_spec; u.find_spec = lambda n, *a: None if n == 'uvloop' else find(n, *a);"
        "sys.argv = ['gauntlet', 'mock', 'llm']; from harness.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(tmp_path), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip() == "`gauntlet mock` needs uvloop, which is not installed: pip install 'rag-gauntlet[mocks]'"
