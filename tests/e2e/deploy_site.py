"""A standing site for tests, deploys on it, and what must hold after each.

The load is light and its limits are wide: what is counted is requests lost, and who answered, not how fast.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.deploy.carry_out import Options, deploy
from harness.deploy.judging import JudgedDeploy, judge_deploy
from harness.deploy.loading import plan_of_text
from harness.deploy.plan import Strategy
from harness.deploy.site import Site
from harness.score.check import Status
from tests.e2e.conftest import short_directory
from tests.e2e.live_run import gauntlet

PLAN = """
name: shop
stack: {documents: 60, replicas: {retrieval: 2, generation: 1, query: 1}}
change: {version: VERSION, environment: {CHANGED}}
users: {rate: 5/s, mix: {ask_stream: 1, search: 1}, timeout: 40s}
objectives: {availability: ">= 90%", latency_p50: "<= 6s"}
smoke: {questions: 10}
bake: 8s
proof: {answers: 20}
"""
FIRST = "1.0.0"


@contextmanager
def own_folder() -> Iterator[Path]:
    """TMPDIR of a module."""
    path = short_directory()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@contextmanager
def standing(tmp: Path, **also: str) -> Iterator[Site]:
    """One site for all tests of a module, in whose TMPDIR it lies: each leaves exactly one version standing."""
    done = gauntlet("deploy", "up", plan_file(tmp, FIRST + ".up", **also), tmp=tmp, timeout_s=240)
    assert done.returncode == 0, done.stderr
    before, tempfile.tempdir = tempfile.tempdir, str(tmp)
    variable = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(tmp)
    try:
        yield Site("shop")
    finally:
        tempfile.tempdir = before
        if variable is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = variable
        assert gauntlet("deploy", "down", "shop", tmp=tmp).returncode == 0


def plan_text(version: str, changed: str = "", **also: str) -> str:
    lines = PLAN.replace("VERSION", version).replace("CHANGED", changed).splitlines(keepends=True)
    kept = [line for line in lines if line.partition(":")[0] not in also]
    return "".join([*kept, *(f"{key}: {value}\n" for key, value in also.items())])


def plan_file(tmp: Path, version: str, changed: str = "", **also: str) -> Path:
    file = tmp / f"{version}.yaml"
    file.write_text(plan_text(version, changed, **also), encoding="utf-8")
    return file


def carried_out(
    site: Site, tmp: Path, version: str, changed: str = "", *, strategy: Strategy = "blue_green", actuator: Any = None, **also: str
) -> JudgedDeploy:
    loaded = plan_of_text(plan_text(version, changed, **also), "deploy.yaml", strategy)
    said: list[str] = []
    directory = deploy(loaded, strategy, Options(out=tmp / "runs", say=said.append, actuator=actuator))
    judged = judge_deploy(directory.path)
    again = judge_deploy(directory.path)
    assert again.to_json() == judged.to_json(), "the same record gives the same verdict"
    return judged


def results(judged: JudgedDeploy) -> Mapping[str, Any]:
    return {r.name: r for r in judged.verdict.results}


def who_answers(site: Site) -> str:
    """The version that a question of ours is answered by."""
    request = urllib.request.Request(
        f"{site.url}/api/ask",
        json.dumps({"question": "What is a context manager?"}).encode(),
        {"authorization": f"Bearer {site.api_key}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(answer.headers["x-app-version"])


def assert_one_serves(site: Site, version: str) -> None:
    """Exactly one version stands, and it is the one that answers."""
    assert {side.version for side in site.sides().values()} == {version}
    assert list(site.sides()) == [site.serving]
    assert {who_answers(site) for _ in range(5)} == {version}


def assert_stopped(judged: JudgedDeploy, at: str, said: str, site: Site) -> None:
    """A defect was stopped at the right gate with the right message, the old version serves, and users lost nothing."""
    assert judged.verdict.status is Status.FAIL, judged.verdict.reason
    found = results(judged)
    assert found["deploy.outcome"].value == "rolled_back", found["deploy.outcome"].reason
    assert at in found["deploy.outcome"].reason
    assert said in found["deploy.outcome"].reason
    assert found["deploy.rollback"].status is Status.PASS, found["deploy.rollback"].reason
    assert found["deploy.lost_requests"].status is Status.PASS, found["deploy.lost_requests"].reason
    assert judged.serving is not None
    assert_one_serves(site, judged.serving)
