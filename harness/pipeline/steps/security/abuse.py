"""Abuse of a running gateway: forged tokens, limits, bodies, paths, smuggled requests, orders in documents, other tenants, admin doors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from harness.findings import Finding
from harness.pipeline.step import Context, StepResult
from harness.pipeline.steps.security.telling import answer
from harness.record.clock import NS_PER_S, SystemClock
from harness.scenario.fields import Model
from harness.scenario.model import Driver
from harness.scenario.problem import ScenarioError
from harness.score.check import Status
from harness.security.abuse.plan import Plan, load
from harness.testing.proof import InconclusiveError
from harness.testing.stack import StackProcess, Wanted

if TYPE_CHECKING:
    from harness.security.abuse.exchange import Attempt

STACK_KEY, STACK_LIMITED_KEY, STACK_SIGNING_KEY = "GAUNTLET_STACK_KEY", "GAUNTLET_STACK_LIMITED_KEY", "GAUNTLET_STACK_SIGNING_KEY"
"""What a plan finds in the environment of a stack that the step has started."""


class Abuse(Model):
    """What, and for how long."""

    plan: str = Field(description="a YAML file that names routes and where credentials come from: docs/security.md")
    stack: Driver | None = Field(default=None, description="start the reference stack with this driver, for the time of the step")
    max_s: Annotated[float, Field(gt=0, le=900)] = Field(default=180.0, description="seconds for all attempts together")


def carry_out(options: Abuse, context: Context) -> StepResult:
    """FAIL for an attempt that came through; INCONCLUSIVE for one that proves nothing, and where a control did not work."""
    try:
        plan = load(context.root / options.plan)
    except ScenarioError as error:
        return StepResult(Status.FAIL, str(error))
    if not plan.url and options.stack is None:
        return StepResult(Status.FAIL, f"{options.plan} names no url, and the step starts no stack: write url: http://127.0.0.1:8000")
    try:
        with _target(plan, options.stack, context) as (aimed, environment):
            attempts = _attempts(aimed, environment, options.max_s, context)
    except LookupError as error:
        return StepResult(Status.INCONCLUSIVE, f"without its credentials nothing can be tried: {error}")
    except InconclusiveError as error:
        return StepResult(Status.INCONCLUSIVE, " ".join(str(error).split()))
    return _judged(attempts, plan, options, context)


@contextmanager
def _target(plan: Plan, driver: Driver | None, context: Context) -> Iterator[tuple[Plan, Mapping[str, str]]]:
    """The plan with the gateway's address, and an environment with its keys. Raises InconclusiveError where a stack does not start."""
    if driver is None:
        yield plan, context.environment
        return
    context.say(f"starting the reference stack on {driver}")
    stack = StackProcess(Wanted(driver=driver), context.root)
    try:
        names = {STACK_LIMITED_KEY: "limited_key", STACK_SIGNING_KEY: "signing_key"}
        own = {name: stack.keys[key] for name, key in names.items() if key in stack.keys}
        environment = {**context.environment, STACK_KEY: stack.api_key or "", **own}
        yield plan.model_copy(update={"url": stack.entry_url}), environment
    finally:
        stack.stop()


def _attempts(plan: Plan, environment: Mapping[str, str], max_s: float, context: Context) -> list[Attempt]:
    """Raises LookupError."""
    from harness.security.abuse.exchange import Gate
    from harness.security.abuse.running import run

    references = (plan.key, plan.second_key, plan.signing_key, plan.limited_key)
    key, second, signing, limited = (one.read(context.root, environment) if one is not None else None for one in references)
    clock = SystemClock()
    end_ns = clock.now_ns() + int(max_s * NS_PER_S)
    gate = Gate(plan, str(key), lambda: clock.now_ns() < end_ns and not context.stopped(), second, signing, limited)
    try:
        return run(gate, clock.sleep, context.say)
    finally:
        gate.close()


def _judged(attempts: Sequence[Attempt], plan: Plan, options: Abuse, context: Context) -> StepResult:
    kept = context.directory / "attempts.json"
    left_out = {str(name): reason for name, reason in plan.leave_out.items()}
    document = {"attempts": [one.to_json() for one in attempts], "left_out": left_out}
    kept.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    findings = [
        Finding("abuse.passed", "error", f"{one.family}/{one.name}: {one.sent}: {one.reason}", "refuse it", _place(options.plan), 1)
        for one in attempts
        if one.status is Status.FAIL
    ]
    doubts = [f"{one.family}/{one.name}: {one.reason}" for one in attempts if one.status is Status.INCONCLUSIVE]
    return answer(context, "abuse", findings, _fine(attempts, left_out), doubts, {"attempts": kept})


def _place(plan: str) -> str:
    return Path(plan).as_posix()


def _fine(attempts: Sequence[Attempt], left_out: Mapping[str, str]) -> str:
    without = f"; left out: {', '.join(left_out)}" if left_out else ""
    return f"{len(attempts)} attempts, all refused{without}"
