"""The same deploys on containers: each version in a network of its own, behind the same router. Each strategy forth, and back by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.deploy.judging import JudgedDeploy
from harness.deploy.plan import Strategy
from harness.deploy.site import Site
from harness.score.check import Status
from tests.e2e.deploy_site import assert_one_serves, assert_stopped, carried_out, own_folder, results, standing
from tests.e2e.docker_engine import left_by, need_docker

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600),
    pytest.mark.skipif("GAUNTLET_NIGHTLY" not in os.environ, reason="takes minutes: pipelines/nightly/deploys"),
]
STACK = "{driver: containers, documents: 60, replicas: {retrieval: 2, generation: 1, query: 1}}"
STEPS = {"canary": "{weights: [40, 100], hold: 10s}", "rolling": "{services: [retrieval], pause: 8s}"}
SLOW = "{BUILD_LATENCY_MS: '9000'}"


@pytest.fixture(scope="module")
def tmp() -> Iterator[Path]:
    with own_folder() as path:
        yield path


@pytest.fixture(scope="module")
def site(tmp: Path) -> Iterator[Site]:
    need_docker()
    with standing(tmp, stack=STACK) as found:
        yield found
        runs = [side.run_id for side in found.sides().values()]
    assert runs, "a version stood"
    assert [left for run_id in runs for left in left_by(run_id)] == []


def rolled_out(site: Site, tmp: Path, version: str, strategy: Strategy, changed: str = "") -> JudgedDeploy:
    steps = {key: text for key, text in STEPS.items() if key == strategy}
    return carried_out(site, tmp, version, changed, strategy=strategy, stack=STACK, smoke="{questions: 5}", **steps)


def retrievals(site: Site) -> set[str | None]:
    return {seen.version for seen in site.instances_of(site.serving).instances("retrieval")}


@pytest.mark.parametrize(("strategy", "version"), [("blue_green", "1.1.0"), ("canary", "1.2.0")])
def test_a_good_version_is_promoted_and_a_slow_one_is_taken_back(site: Site, tmp: Path, strategy: Strategy, version: str) -> None:
    judged = rolled_out(site, tmp, version, strategy)
    assert judged.verdict.status is Status.PASS, judged.verdict.reason
    assert results(judged)["deploy.lost_requests"].samples > 100
    assert_one_serves(site, version)
    slow = rolled_out(site, tmp, f"{version}-slow", strategy, f"query: {SLOW}")
    assert_stopped(slow, "latency_p50", "breaks <= 6s", site)
    assert slow.serving == version


def test_rolling_replaces_instances_one_by_one_and_puts_them_back(site: Site, tmp: Path) -> None:
    judged = rolled_out(site, tmp, "1.3.0", "rolling")
    assert judged.verdict.status is Status.PASS, judged.verdict.reason
    assert retrievals(site) == {"1.3.0"}
    slow = rolled_out(site, tmp, "1.3.1", "rolling", f"retrieval: {SLOW}")
    assert results(slow)["deploy.outcome"].value == "rolled_back", slow.verdict.reason
    assert slow.verdict.status is Status.FAIL
    assert results(slow)["deploy.rollback"].status is Status.PASS
    assert retrievals(site) == {"1.3.0"}
