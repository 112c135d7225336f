"""Deploys on one standing site of real processes: what is good is promoted, each planted defect is stopped, and users lose nothing.

The load is light and its limits are wide: what is counted is requests lost, and who answered, not how fast.
`tests/benchmarks/deploy_switches.py` does it at 40/s, ten times each.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.deploy.judging import judge_deploy
from harness.deploy.routing import Shiftable
from harness.deploy.site import Site
from harness.record.clock import SystemClock
from harness.score.check import Status
from tests.e2e.deploy_site import assert_one_serves, assert_stopped, carried_out, own_folder, plan_file, results, standing
from tests.e2e.live_run import ROOT, environment, gauntlet

pytestmark = [pytest.mark.e2e, pytest.mark.beside, pytest.mark.timeout(300)]

nightly = pytest.mark.skipif("GAUNTLET_NIGHTLY" not in os.environ, reason="takes minutes: pipelines/nightly/deploys")


@pytest.fixture(scope="module")
def tmp() -> Iterator[Path]:
    with own_folder() as path:
        yield path


@pytest.fixture(scope="module")
def site(tmp: Path) -> Iterator[Site]:
    with standing(tmp) as found:
        yield found


def test_a_good_version_is_promoted_and_no_request_is_lost(site: Site, tmp: Path) -> None:
    judged = carried_out(site, tmp, "1.1.0")
    assert judged.verdict.status is Status.PASS, judged.verdict.reason
    assert results(judged)["deploy.lost_requests"].samples > 100
    assert judged.serving == "1.1.0"
    assert_one_serves(site, "1.1.0")
    status = gauntlet("deploy", "status", "shop", tmp=tmp)
    assert status.returncode == 0 and "1.1.0" in status.stdout, status.stdout + status.stderr
    record = max((tmp / "runs").rglob("run.json")).parent
    assert json.loads(gauntlet("judge", record, "--json", tmp=tmp).stdout)["verdict"] == "PASS"


@nightly
def test_a_slow_version_is_taken_back_and_no_request_is_lost(site: Site, tmp: Path) -> None:
    serving = site.sides()[site.serving].version
    judged = carried_out(site, tmp, "1.2.0-slow", "query: {BUILD_LATENCY_MS: '9000'}", smoke="{questions: 5}")
    assert_stopped(judged, "deploy.bake.latency_p50", "breaks <= 6s", site)
    assert judged.serving == serving


@nightly
def test_a_version_that_answers_wrongly_meets_no_user(site: Site, tmp: Path) -> None:
    judged = carried_out(site, tmp, "1.2.0-wrong", "generation: {BUILD_ANSWERS_FROM_LAST: '1'}")
    assert_stopped(judged, "deploy.smoke", "wrong answers", site)
    assert "deploy.served" not in results(judged)


@nightly
def test_a_version_that_crashes_at_its_start_meets_no_user(site: Site, tmp: Path) -> None:
    judged = carried_out(site, tmp, "1.2.0-crash", "retrieval: {BUILD_CRASHES: '1'}")
    assert_stopped(
        judged, "deploy.started", "version 1.2.0-crash does not start: retrieval-1 ended before it was ready: exit status 70", site
    )


@nightly
def test_a_version_whose_health_check_is_broken_meets_no_user(site: Site, tmp: Path) -> None:
    judged = carried_out(site, tmp, "1.2.0-health", "query: {BUILD_NEVER_READY: '1'}")
    assert_stopped(judged, "deploy.started", "query-1", site)


@nightly
def test_a_version_that_leaks_is_stopped_by_the_slope_of_its_memory(site: Site, tmp: Path) -> None:
    judged = carried_out(
        site, tmp, "1.2.0-leak", "query: {BUILD_LEAK_BYTES: '1048576'}", memory="{length: 45s, rate: 6/s, per_request_kib: 200}"
    )
    assert_stopped(judged, "deploy.memory.query-1", "leaking memory: query-1 keeps", site)


class Dropping:
    """A switch that is no single step: for a moment nobody has any traffic."""

    def __init__(self, router: Shiftable) -> None:
        self._router = router

    def shift(self, weights: Mapping[str, float]) -> None:
        self._router.shift(dict.fromkeys(weights, 0.0))
        SystemClock().sleep(1.5)
        self._router.shift(weights)


@nightly
def test_requests_that_the_switch_drops_are_counted(site: Site, tmp: Path) -> None:
    judged = carried_out(site, tmp, "1.3.0", actuator=Dropping)
    assert judged.verdict.status is Status.FAIL
    lost = results(judged)["deploy.lost_requests"]
    assert (lost.status, 4 <= lost.value <= 20) == (Status.FAIL, True), lost.reason
    assert "error, status 503" in lost.reason or "rejected, status 503" in lost.reason


class Deaf:
    """Says that it has rolled back, and has done nothing."""

    def __init__(self, router: Shiftable) -> None:
        self._router = router

    def shift(self, weights: Mapping[str, float]) -> None:
        if "green" in weights if Site("shop").serving == "blue" else "blue" in weights:
            self._router.shift(weights)


@nightly
def test_a_rollback_that_does_not_roll_back_is_not_believed(site: Site, tmp: Path) -> None:
    before = site.sides()[site.serving].version
    judged = carried_out(site, tmp, "1.4.0-slow", "query: {BUILD_LATENCY_MS: '9000'}", actuator=Deaf, smoke="{questions: 5}")
    assert judged.verdict.status is Status.FAIL
    outcome = results(judged)["deploy.outcome"]
    assert outcome.value == "unproved"
    assert f"come from 1.4.0-slow, not from {before}" in outcome.reason
    assert judged.serving is None
    assert len(site.sides()) == 2, "users are with the new version: nobody ends it behind their backs"
    site.settle()
    assert_one_serves(site, before)


@nightly
def test_killed_in_the_middle_exactly_one_version_serves(site: Site, tmp: Path) -> None:
    before = site.sides()[site.serving].version
    file = plan_file(tmp, "1.5.0", bake="60s")
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.cli", "deploy", "blue-green", str(file), "--out", str(tmp / "killed")],
        env=environment(tmp),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: any('"step": "shifted.100"' in text or '"step":"shifted.100"' in text for text in events(tmp / "killed")), 180)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    wait_for(lambda: len(site.sides()) == 1, 60)
    assert gauntlet("clean", tmp=tmp, timeout_s=90).returncode == 0
    assert_one_serves(site, before)
    (record,) = (tmp / "killed").glob("*/*")
    judged = judge_deploy(record)
    assert judged.verdict.status is Status.INCONCLUSIVE
    assert "did not come to its end" in judged.verdict.reason


def events(out: Path) -> list[str]:
    return [file.read_text(encoding="utf-8") for file in out.glob("*/*/events.jsonl")]


def wait_for(condition: Any, within_s: float) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.1)


@nightly
def test_canary_gives_each_share_its_time_and_proves_who_answered(site: Site, tmp: Path) -> None:
    judged = carried_out(site, tmp, "2.0.0", strategy="canary", canary="{weights: [40, 100], hold: 10s}")
    assert judged.verdict.status is Status.PASS, judged.verdict.reason
    weight = results(judged)["deploy.canary.40.weight"]
    assert 0 < weight.value < 1
    assert_one_serves(site, "2.0.0")


@nightly
def test_rolling_replaces_one_instance_after_the_other(site: Site, tmp: Path) -> None:
    judged = carried_out(site, tmp, "2.1.0", strategy="rolling", rolling="{services: [retrieval], pause: 8s}")
    assert judged.verdict.status is Status.PASS, judged.verdict.reason
    found = results(judged)
    assert found["deploy.served.retrieval-1"].status is found["deploy.served.retrieval-2"].status is Status.PASS
    versions = {seen.version for seen in site.instances_of(site.serving).instances("retrieval")}
    assert versions == {"2.1.0"}


@nightly
def test_rolling_goes_back_in_reverse(site: Site, tmp: Path) -> None:
    changed = "retrieval: {BUILD_LATENCY_MS: '9000'}"
    judged = carried_out(site, tmp, "2.2.0", changed, strategy="rolling", rolling="{services: [retrieval], pause: 8s}")
    assert judged.verdict.status is Status.FAIL
    assert results(judged)["deploy.outcome"].value == "rolled_back", judged.verdict.reason
    versions = {seen.version for seen in site.instances_of(site.serving).instances("retrieval")}
    assert versions == {"2.1.0"}, "what an earlier deploy committed is what it goes back to"
