"""Abuse of a running gateway: forged tokens, limits, bodies, paths, smuggled requests, orders in documents, other tenants, admin doors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from harness.findings import Finding
from harness.pipeline.step import Context, StepResult
from harness.pipeline.steps.security.telling import answer
from harness.record.clock import NS_PER_S, SystemClock
from harness.scenario.fields import Model
from harness.scenario.problem import ScenarioError
from harness.score.check import Status


class Abuse(Model):
    """What, and for how long."""

    plan: str = Field(description="a YAML file that names routes and where credentials come from: docs/security.md")
    max_s: Annotated[float, Field(gt=0, le=900)] = Field(default=180.0, description="seconds for all attempts together")


def carry_out(options: Abuse, context: Context) -> StepResult:
    """FAIL for an attempt that came through; INCONCLUSIVE for one that proves nothing, and where a control did not work."""
    from harness.security.abuse.exchange import Gate
    from harness.security.abuse.plan import load
    from harness.security.abuse.running import run

    try:
        plan = load(context.root / options.plan)
        key, second, signing = (
            one.read(context.root, context.environment) if one is not None else None
            for one in (plan.key, plan.second_key, plan.signing_key)
        )
    except ScenarioError as error:
        return StepResult(Status.FAIL, str(error))
    except LookupError as error:
        return StepResult(Status.INCONCLUSIVE, f"without its credentials nothing can be tried: {error}")
    clock = SystemClock()
    end_ns = clock.now_ns() + int(options.max_s * NS_PER_S)
    gate = Gate(plan, str(key), lambda: clock.now_ns() < end_ns and not context.stopped(), second, signing)
    try:
        attempts = run(gate, clock.sleep, context.say)
    finally:
        gate.close()
    kept = context.directory / "attempts.json"
    left_out = {str(name): reason for name, reason in plan.leave_out.items()}
    kept.write_text(json.dumps({"attempts": [one.to_json() for one in attempts], "left_out": left_out}, indent=2) + "\n", encoding="utf-8")
    findings = [
        Finding("abuse.passed", "error", f"{one.family}/{one.name}: {one.sent}: {one.reason}", "refuse it", _place(options.plan), 1)
        for one in attempts
        if one.status is Status.FAIL
    ]
    doubts = [f"{one.family}/{one.name}: {one.reason}" for one in attempts if one.status is Status.INCONCLUSIVE]
    return answer(context, "abuse", findings, _fine(attempts, left_out), doubts, {"attempts": kept})


def _place(plan: str) -> str:
    return Path(plan).as_posix()


def _fine(attempts: Sequence[object], left_out: dict[str, str]) -> str:
    without = f"; left out: {', '.join(left_out)}" if left_out else ""
    return f"{len(attempts)} attempts, all refused{without}"
