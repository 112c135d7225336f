"""`compare`: whether the two versions can be served side by side, and whether the phases can carry a comparison."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from harness.scenario.catalog import StackInfo
from harness.scenario.comparison import CandidateSpec
from harness.scenario.hosts import is_loopback
from harness.scenario.loader import Loaded
from harness.scenario.problem import KeyPath, Problem, did_you_mean

LEAST_S = 25.0  # five blocks of five seconds
_LEAST_ROUNDS = 5
_ONE_AT_A_TIME = ("swarm", "kubernetes")  # drivers
_AT: KeyPath = ("compare", "candidate")


def check_versions(loaded: Loaded, stack: StackInfo) -> Iterator[Problem]:
    """Everything about `compare`."""
    asked = loaded.scenario.compare
    if asked is None:
        return
    for n, phase in enumerate(asked.phases or ()):
        if phase not in loaded.scenario.phases:
            known = did_you_mean(phase, loaded.scenario.phases)
            yield loaded.at(("compare", "phases", n), f"the scenario has no phase {phase!r}", known)
    for name in asked.phases_of(loaded.scenario.phases):
        length_s = {str(n): s for n, s in loaded.scenario.phases.items()}.get(name, LEAST_S)
        least_s = 4 * _LEAST_ROUNDS * asked.block if asked.candidate is not None and asked.split == "blocks" else LEAST_S
        if length_s < least_s:
            message = f"{name} lasts {length_s:g}s; a comparison needs at least {least_s:g}s to tell anything from noise"
            yield loaded.at_key(("phases", name), message, f"write `{name}: {least_s:g}s` or more, docs/compare.md says how much more")
    if asked.candidate is not None:
        yield from _candidate(loaded, stack, asked.candidate)


def _candidate(loaded: Loaded, stack: StackInfo, asked: CandidateSpec) -> Iterator[Problem]:
    scenario = loaded.scenario
    if scenario.faults:
        yield loaded.at_key(("faults",), "a fault would hit the base alone, and the comparison be unfair", "compare without faults")
    if scenario.load.locustfile is not None:
        yield loaded.at_key(("load", "locustfile"), "a locustfile asks the base alone", "compare with a shape and journeys")
    if scenario.operator.enabled:
        yield loaded.at(_AT, "an operator would act on the base alone", "add `operator: {enabled: false}`")
    if scenario.stack.use == "compose" or (scenario.stack.use == "reference" and scenario.stack.driver in _ONE_AT_A_TIME):
        name = "a compose project" if scenario.stack.use == "compose" else scenario.stack.driver
        hint = "use the reference stack on processes or containers, or an external system that runs both versions"
        yield loaded.at(_AT, f"{name} runs one version at a time, so the two cannot be served side by side", hint)
    elif scenario.stack.use == "external":
        yield from _external(loaded, asked)
    else:
        yield from _reference(loaded, stack, asked)


def _external(loaded: Loaded, asked: CandidateSpec) -> Iterator[Problem]:
    given = [name for name in ("environment", "version", "replicas", "vector_store") if getattr(asked, name)]
    for name in given:
        yield loaded.at_key((*_AT, name), f"`{name}` is for the reference stack; an external candidate is what it is", f"drop `{name}`")
    if asked.url is None:
        yield loaded.at(_AT, "where does the external candidate answer?", 'write `url: "http://127.0.0.1:8001"`')
        return
    parts = urlsplit(asked.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        yield loaded.at((*_AT, "url"), f"{asked.url[:60]!r} is no http(s) URL", 'write "http://127.0.0.1:8001"')
    elif not is_loopback(parts.hostname) and parts.hostname not in loaded.scenario.stack.allow_hosts:
        hint = f"if it is yours to load, add `allow_hosts: [{parts.hostname}]` to `stack`"
        yield loaded.at((*_AT, "url"), f"{parts.hostname!r} is not this machine; load goes to loopback addresses only", hint)


def _reference(loaded: Loaded, stack: StackInfo, asked: CandidateSpec) -> Iterator[Problem]:
    if asked.url is not None:
        yield loaded.at_key((*_AT, "url"), "the reference stack gives its candidate an address itself", "drop `url`")
    for key, services in (("environment", asked.environment), ("replicas", asked.replicas)):
        for name in services:
            if name not in stack.services:
                yield loaded.at_key((*_AT, key, name), f"the stack has no service {name!r}", did_you_mean(name, stack.services))
