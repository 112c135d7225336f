"""Both versions side by side under the same load: one as good passes, one a quarter slower goes back, too little data promotes nobody."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.deploy.site import Site, SiteError
from harness.score.check import Status
from tests.e2e.deploy_site import assert_one_serves, assert_stopped, carried_out, own_folder, results, standing

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(400),
    pytest.mark.skipif("GAUNTLET_NIGHTLY" not in os.environ, reason="takes minutes: pipelines/nightly/deploys"),
]
USERS = "{rate: 4/s, mix: {ask: 1}, timeout: 40s}"
VERIFY = "{length: 80s, rate: 14/s, metrics: {latency_p50: 12%}}"
FAULTS = "[{id: slow-llm, type: llm.slow_first_token, target: llm, at: fault+15s, for: 20s, with: {ttft: 800ms}}]"
A_QUARTER = "query: {BUILD_LATENCY_MS: '85'}"
"""Of an answer of the reference stack, which takes some 340 ms, nearly all of it the provider's."""


@pytest.fixture(scope="module")
def tmp() -> Iterator[Path]:
    with own_folder() as path:
        yield path


@pytest.fixture(scope="module")
def site(tmp: Path) -> Iterator[Site]:
    with standing(tmp) as found:
        yield found


def test_a_version_as_good_passes_the_comparison(site: Site, tmp: Path) -> None:
    judged = carried_out(site, tmp, "1.1.0", users=USERS, verify=VERIFY, bake="10s")
    assert judged.verdict.status is Status.PASS, judged.verdict.reason
    assert results(judged)["deploy.verify.latency_p50"].status is Status.PASS
    assert any((judged.directory.path / "alike" / "requests").iterdir()), "the new version was asked as much as users ask the old one"
    assert_one_serves(site, "1.1.0")


def test_a_version_a_quarter_slower_fails_it_and_meets_no_user(site: Site, tmp: Path) -> None:
    judged = carried_out(site, tmp, "1.2.0-slower", A_QUARTER, users=USERS, verify=VERIFY)
    assert_stopped(judged, "deploy.verify.latency_p50", "worse", site)
    assert "deploy.served" not in results(judged)
    assert 0.15 < results(judged)["deploy.verify.latency_p50"].value < 0.4


def test_where_too_little_was_asked_nothing_is_promoted(site: Site, tmp: Path) -> None:
    before = site.sides()[site.serving].version
    judged = carried_out(site, tmp, "1.3.0", users=USERS, verify="{length: 25s, rate: 1/s, metrics: {latency_p95: 10%}}")
    assert judged.verdict.status is Status.INCONCLUSIVE, judged.verdict.reason
    assert results(judged)["deploy.outcome"].value == "rolled_back"
    assert "deploy.verify.latency_p95" in results(judged)["deploy.outcome"].reason
    assert judged.serving == before
    assert_one_serves(site, before)


def test_both_have_the_same_faults_while_they_are_compared(site: Site, tmp: Path) -> None:
    verify = f"{{length: 60s, rate: 10/s, metrics: {{availability: 10%}}, faults: {FAULTS}}}"
    judged = carried_out(site, tmp, "1.1.0", name="apart", users=USERS, verify=verify)
    assert judged.verdict.status is Status.PASS, judged.verdict.reason
    assert results(judged)["deploy.verify.faults"].reason == "both versions had slow-llm, and have them no more"
    told = json.loads((judged.directory.path / "faults.json").read_text(encoding="utf-8"))
    for side in ("blue", "green"):
        assert [step["step"] for step in told[side]] == ["intended", "injected", "effective", "heal_intended", "healed", "gone"]
    assert not Site("apart").stands


def test_a_site_with_users_is_not_broken_on_purpose(site: Site, tmp: Path) -> None:
    with pytest.raises(SiteError, match="break both versions, and shop stands, with its users"):
        carried_out(site, tmp, "1.4.0", users=USERS, verify=f"{{length: 60s, metrics: {{availability: 10%}}, faults: {FAULTS}}}")
