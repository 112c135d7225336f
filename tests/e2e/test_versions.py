"""Two versions side by side: the load is split, the record says who was asked, and the slower candidate fails the run."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.record import store
from tests.e2e.conftest import StartRun, too_busy
from tests.e2e.docker_engine import need_docker
from tests.e2e.live_run import LiveRun, gauntlet

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
BASE_S, CANDIDATE_S = 0.05, 0.15
BOTH = """
name: blue-and-green
stack: {use: reference, documents: 60, replicas: {retrieval: 1, generation: 1}}
phases: {warmup: 3s, steady_state: 25s}
load: {mix: {ask: 1}, shape: [{constant: 8/s}]}
operator: {enabled: false}
compare: {candidate: {version: 1.1.0, environment: {gateway: {BUILD_LATENCY_MS: "400"}}}, metrics: {latency_p50: 25%}}
"""


@contextmanager
def version(takes_s: float) -> Iterator[str]:
    """The URL of a service that answers after that time."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            time.sleep(takes_s)  # what it is to be slow
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any], Path]:
    """Exit code, verdict and temporary directory of one run."""
    tmp = tmp_path_factory.mktemp("versions")
    with version(BASE_S) as base, version(CANDIDATE_S) as candidate:
        text = f"""
name: two-versions
stack: {{use: external, services: {{gateway: {{url: "{base}"}}}}}}
phases: {{warmup: 1s, steady_state: 25s}}
load: {{journeys: {{home: {{get: "/"}}}}, mix: {{home: 1}}, shape: [{{constant: 12/s}}]}}
operator: {{enabled: false}}
compare: {{candidate: {{url: "{candidate}"}}, metrics: {{latency_p50: 25%}}}}
"""
        for last in (False, False, True):  # again where the machine was too busy for the generator
            place = tmp / str(time.monotonic_ns())
            place.mkdir()
            run = LiveRun(text, place, "--json")
            try:
                code, out = run.finish(90)
            finally:
                run.end()
            if last or not too_busy(out):
                break
    return code, json.loads(out), place


def test_a_slower_candidate_fails_the_run(finished: tuple[int, dict[str, Any], Path]) -> None:
    code, verdict, _ = finished
    (check,) = [c for c in verdict["checks"] if c["group"] == "compare"]
    assert (code, check["name"], check["status"]) == (1, "compare.steady_state.latency_p50", "FAIL")
    assert check["interval"][0] < check["value"] < check["interval"][1]


def test_the_rows_say_who_was_asked(finished: tuple[int, dict[str, Any], Path]) -> None:
    rows = store.read(Path(finished[1]["run_dir"])).in_phase("steady_state")
    assert abs(sum(rows["side"] == 0) - sum(rows["side"] == 1)) <= 4
    took_s = (rows["end_ns"] - rows["start_ns"]) / 1e9
    assert took_s[rows["side"] == 1].min() >= CANDIDATE_S > BASE_S
    assert BASE_S <= took_s[rows["side"] == 0].min() < CANDIDATE_S, "each version was asked what was its own"


def test_judging_again_gives_the_same_bytes(finished: tuple[int, dict[str, Any], Path]) -> None:
    directory, tmp = Path(finished[1]["run_dir"]), finished[2]
    before = (directory / "verdict.json").read_bytes()
    assert gauntlet("judge", directory, tmp=tmp).returncode == 1
    assert (directory / "verdict.json").read_bytes() == before


@pytest.mark.skipif("GAUNTLET_VERSIONS_RUN" not in os.environ, reason="two stacks take minutes; GAUNTLET_VERSIONS_RUN=1 asks for them")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("driver", ["processes", "containers"])
def test_blue_and_green_of_the_reference_stack(driver: str, start_run: StartRun) -> None:
    """Each serves its half of the arrivals; the planted delay is found, and nothing of either is left."""
    if driver == "containers":
        need_docker()
    run = start_run(BOTH, "--json", "--stack", driver)
    code, out = run.finish(240)
    verdict = json.loads(out)
    (check,) = [c for c in verdict["checks"] if c["group"] == "compare"]
    assert (code, check["status"]) == (1, "FAIL"), check
    assert [c["name"] for c in verdict["checks"] if c["status"] == "FAIL"] == [check["name"]], "nothing of either is left"
    rows = store.read(run.record).in_phase("steady_state")
    assert [int(sum(rows["side"] == side)) for side in (0, 1)] == [100, 100]
    assert all((run.record / "logs" / side / "gateway-1.log").is_file() for side in ("", "candidate"))
