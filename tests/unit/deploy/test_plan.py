"""Deploy files: what is refused before anything starts, and where."""

from __future__ import annotations

import pytest

from harness.deploy.loading import DeployError, plan_of_text
from harness.deploy.plan import Strategy

GOOD = """\
name: query-release
change:
  version: 1.1.0
objectives: {availability: ">= 99%"}
"""


def refused(text: str, strategy: Strategy = "blue_green") -> str:
    with pytest.raises(DeployError) as found:
        plan_of_text(text, "deploy.yaml", strategy)
    return str(found.value)


@pytest.mark.parametrize("strategy", ["blue_green", "canary"])
def test_a_version_and_an_objective_are_enough(strategy: Strategy) -> None:
    plan = plan_of_text(GOOD, "deploy.yaml", strategy).plan
    assert (plan.change.version, plan.base, plan.canary.weights) == ("1.1.0", "1.0.0", [5.0, 25.0, 50.0, 100.0])


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("verify: {length: 10s, metrics: {latency_p95: 10%}}", "deploy.yaml:5:9: length: under 25s nothing is concluded"),
        ("canary: {weights: [50, 25, 100]}", "weights rise, and end with 100"),
        ("canary: {weights: [5, 50]}", "weights rise, and end with 100"),
        ("canari: {}", "deploy.yaml:5:1: unknown key 'canari'"),
        ("base: 1.1.0", "change.version and base are both 1.1.0"),
        ("compare: {answered: 5%}", "deploy.yaml:5:11: answered cannot be told from what passes the router; write availability"),
        ("compare: {latenci_p95: 5%}", "deploy.yaml:5:11: no such SLI: 'latenci_p95'; did you mean 'latency_p95'"),
        ("stack: {use: external, services: {gateway: {url: 'http://127.0.0.1:1'}}}", "cannot stand side by side"),
        ("stack: {driver: kubernetes}", "deploy.yaml:5:1: two versions of this stack cannot stand side by side"),
        ("proof: {answers: 3}", "deploy.yaml:5:18:"),
        ("bake: 2s", "deploy.yaml:4:14: >= 99% takes 299 requests to be told, and in 2s users send 80; watch for 8s or longer"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(added: str, said: str) -> None:
    assert said in refused(GOOD + added + "\n")


def test_an_unknown_service_is_refused_with_the_nearest_one() -> None:
    text = GOOD.replace("  version: 1.1.0\n", "  version: 1.1.0\n  environment: {retreival: {A: b}}\n")
    assert refused(text).startswith("deploy.yaml:4:17: the stack has no service 'retreival'; did you mean 'retrieval'?")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("REDIS_URL", "redis:/127.0.0.1:6379", "no host"),
        ("DATABASE_URL", "postgresql://127.0.0.1:70000/rag", "no port"),
        ("LLM_URL", "htp//nowhere", "no scheme"),
    ],
)
def test_a_bad_url_in_the_new_versions_settings_is_refused(name: str, value: str, said: str) -> None:
    text = GOOD.replace("  version: 1.1.0\n", f"  version: 1.1.0\n  environment: {{retrieval: {{{name}: '{value}'}}}}\n")
    message = refused(text)
    assert message.startswith("deploy.yaml:4:")
    assert said in message


class TestRolling:
    def test_a_service_that_runs_once_cannot_be_rolled(self) -> None:
        assert "gateway runs exactly once" in refused(GOOD + "rolling: {services: [gateway]}\n", "rolling")

    def test_somebody_must_serve_meanwhile(self) -> None:
        message = refused(GOOD + "stack: {replicas: {retrieval: 2}}\nrolling: {services: [retrieval], max_unavailable: 2}\n", "rolling")
        assert "deploy.yaml:6:22: retrieval has 2 instance(s), of which 2 may be out at a time: nobody would serve" in message

    def test_which_services_must_be_said(self) -> None:
        assert "must know which services it rolls" in refused(GOOD, "rolling")

    def test_a_service_that_is_told_something_must_be_rolled(self) -> None:
        text = GOOD.replace("  version: 1.1.0\n", "  version: 1.1.0\n  environment: {generation: {A: b}}\n")
        message = refused(text + "stack: {replicas: {retrieval: 2}}\nrolling: {services: [retrieval]}\n", "rolling")
        assert "generation is not rolled, so it would never be told" in message


FAULTS = """\
verify:
  length: 60s
  metrics: {availability: 5%}
  faults:
    - {id: slow, type: llm.slow_first_token, target: llm, at: fault+15s, for: 20s, with: {ttft: 800ms}}
"""


def test_both_versions_may_have_faults_while_they_are_compared() -> None:
    verify = plan_of_text(GOOD + FAULTS, "deploy.yaml", "canary").plan.verify
    assert verify is not None
    assert [(use.id, use.offset_s, use.for_s) for use in verify.faults] == [("slow", 15.0, 20.0)]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("llm.slow_first_token", "llm.slow", "deploy.yaml:9:18: there is no fault 'llm.slow'; did you mean"),
        ("target: llm", "target: lmm", "the stack 'reference' has no 'lmm'; did you mean 'llm'?"),
        ("target: llm", "target: user-1", "llm.slow_first_token does not go to the instance 'user-1'; write a target that is service"),
        ("ttft: 800ms", "ttf: 800ms", "ttft: Field required; see docs/faults/llm.slow_first_token.md"),
        ("for: 20s", "for: 50s", "it ends after the comparison, which takes 60s"),
        ("fault+15s", "recovery", "a comparison is one phase, in which each fault begins and ends; write `at: fault+20s, for: 20s`"),
        (
            "llm.slow_first_token, target: llm",
            "network.latency, target: retrieval->postgres",
            "network.latency cannot be put into a version that stands already",
        ),
        (
            "    - {id: slow,",
            "    - {id: slow, type: process.stop, target: retrieval-1, at: fault+1s, for: 5s}\n    - {id: slow,",
            "deploy.yaml:10:8: fault id 'slow' is used twice",
        ),
    ],
)
def test_faults_that_both_versions_cannot_have_are_refused(old: str, new: str, said: str) -> None:
    assert said in refused(GOOD + FAULTS.replace(old, new))
