"""Alerts: rules and a channel are installed, something is broken, and the alert must reach its channel and resolve."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from harness.findings import Finding
from harness.lifecycle.exit_codes import INTERNAL, INTERRUPTED, NOT_STARTED, USAGE
from harness.ops.alerting.rules.checking import check
from harness.ops.alerting.rules.dashboard import dashboard
from harness.ops.alerting.rules.model import AlertRule, Group
from harness.ops.alerting.rules.reading import RulesError, read, read_text
from harness.ops.alerting.rules.shipped import DEFAULT, shipped_text
from harness.pipeline.programs import Ended
from harness.pipeline.programs import carry_out as carry_out_program
from harness.pipeline.step import Context, StepResult
from harness.pipeline.steps.monitor.channel import Channel, opened, proved
from harness.record import store
from harness.record.clock import SystemClock
from harness.record.events import ABORT
from harness.scenario.fields import Duration, Model, PositiveDuration, Rate
from harness.scenario.system import StackSpec
from harness.score.check import Status

OUTPUTS = {"run_dir": "the run in which the fault was injected"}
_FAULT = "proof"
_TROUBLE = {USAGE: "the fault cannot be injected", NOT_STARTED: "the stack did not start", INTERNAL: "internal error"}


class Broken(Model):
    """What is broken."""

    type: str = Field(default="process.stop", description="a fault of `gauntlet faults list`")
    target: str = Field(default="retrieval-2", description="a service, an instance, or an edge, as in a scenario")
    lasts: PositiveDuration = Field(default=25.0, description="from the injection to the healing")
    parameters: dict[str, Any] = Field(default_factory=dict, description="the `with:` of the fault")


class Alerts(Model):
    """Rules, and the fault that one of them must tell."""

    rules: list[Path] = Field(default_factory=list, description="Prometheus rule files; none: the rules that come along")
    fault: Broken = Field(
        default_factory=Broken, description="what is broken: `type`, `target`, `lasts`, `parameters` (the `with:` of the fault)"
    )
    expect: list[str] = Field(default_factory=lambda: ["InstanceDown"], min_length=1, description="alerts of which one must come")
    within: PositiveDuration = Field(default=20.0, description="from the onset to the receipt of the alert")
    resolves: PositiveDuration = Field(default=25.0, description="for how long it is waited that the alert is taken back")
    stack: StackSpec = Field(
        default_factory=lambda: StackSpec(replicas={"retrieval": 2}), description="on what it is tried, as in a scenario (docs/scenario.md)"
    )
    rate: Rate = Field(default=5.0, description="questions a second meanwhile: alerts on what users see need some")
    steady: PositiveDuration = Field(default=12.0, description="before something is broken: an alert that fires in it counts for nothing")
    warmup: Duration = Field(default=4.0, description="before that, not judged")
    time_scale: float = Field(default=2.0, ge=1, le=3600, description="windows and `for` of the rules are shorter by this factor")


def carry_out(options: Alerts, context: Context) -> StepResult:
    """Check the rules, install them, break something, and listen."""
    files = [context.root / file for file in options.rules]
    try:
        groups = [g for f in files for g in read(f)] if files else list(read_text(shipped_text(), DEFAULT))
    except (RulesError, OSError) as error:
        return StepResult(Status.FAIL, f"the rules cannot be read: {str(error).splitlines()[0]}")
    findings = _findings(groups, options, context.root)
    if (refused := _refused(findings, groups, options)) is not None:
        return StepResult(Status.FAIL, refused, findings=tuple(findings))
    # Those that come along may be too slow for the proof, which says nothing against them.
    findings = [replace(f, level="note") if f.level == "error" else f for f in findings]
    evidence = _exported(files, groups, context.directory)
    with opened(SystemClock()) as channel:
        ended = _run(options, evidence["rules"], channel, context)
        _write(context.directory / "notifications.jsonl", channel)
    evidence["notifications"] = context.directory / "notifications.jsonl"
    status, reason, run = _judged(ended, channel, options, context)
    outputs = {"run_dir": str(run)} if run is not None else {}
    return StepResult(status, reason, findings=tuple(findings), evidence=evidence, outputs=outputs)


def _findings(groups: Sequence[Group], options: Alerts, root: Path) -> list[Finding]:
    """What is doubtful about the rules; what can never fire is an error."""
    found = []
    for doubt in check(groups, time_scale=options.time_scale, lasts_s=options.fault.lasts):
        path = Path(doubt.place.file)
        shown = str(path.relative_to(root)) if path.is_relative_to(root) else doubt.place.file
        rule, level = ("monitor.silent_rule", "error") if doubt.silent else ("monitor.doubtful_rule", "warning")
        hint = doubt.hint or "see docs/alerts.md"
        found.append(Finding(rule, level, doubt.message, hint, shown, doubt.place.line, doubt.place.column))  # type: ignore[arg-type]
    return found


def _refused(findings: Sequence[Finding], groups: Sequence[Group], options: Alerts) -> str | None:
    """Why nothing need be started: a rule of the team's own that can never fire, or an alert that no rule tells.

    Of the rules that come along some are slower than any proof may last; of those only the expected ones matter.
    """
    rules = {rule.alert: rule for group in groups for rule in group.rules if isinstance(rule, AlertRule)}
    absent = [name for name in options.expect if name not in rules]
    if absent:
        return f"no rule tells {', '.join(absent)}; there are {', '.join(sorted(rules))}"
    lines = {(rules[name].place.file, rules[name].place.line) for name in options.expect}
    for finding in findings:
        expected = any(finding.line == line and file.endswith(finding.path) for file, line in lines)
        if finding.level == "error" and (options.rules or expected):
            return f"a rule that can never fire: {finding}"
    return None


def _exported(files: Sequence[Path], groups: Sequence[Group], directory: Path) -> dict[str, Path]:
    """The rules and a dashboard of them, as Prometheus and Grafana read them."""
    rules = directory / "rules.yml"
    texts = [f.read_text(encoding="utf-8") for f in files] if files else [shipped_text()]
    merged = [group for text in texts for group in yaml.safe_load(text)["groups"]]
    rules.write_text(texts[0] if len(texts) == 1 else yaml.safe_dump({"groups": merged}, sort_keys=False), encoding="utf-8")
    panel = directory / "dashboard.json"
    panel.write_text(json.dumps(dashboard(groups), indent=1), encoding="utf-8")
    return {"rules": rules, "dashboard": panel}


def scenario(options: Alerts, install: Path) -> dict[str, Any]:
    """The run in which it is tried, as a scenario document."""
    fault = options.fault
    return {
        "name": "monitor-alerts",
        "stack": options.stack.model_dump(mode="json", exclude_defaults=True),
        "load": {"shape": [{"constant": f"{options.rate:g}/s"}], "mix": {"ask": 1}, "timeout": "20s"},
        "phases": {
            "warmup": f"{options.warmup:g}s",
            "steady_state": f"{options.steady:g}s",
            "fault": f"{fault.lasts + 1.0:g}s",
            "recovery": f"{options.resolves:g}s",
        },
        "time_scale": options.time_scale,
        "faults": [
            {
                "id": _FAULT,
                "type": fault.type,
                "target": fault.target,
                "at": "fault",
                "for": f"{fault.lasts:g}s",
                **({"with": fault.parameters} if fault.parameters else {}),
            }
        ],
        "operator": {"command": [sys.executable, "-m", "harness.pipeline.steps.monitor.on_call", str(install), "{targets}"]},
        "objectives": {"steady_state": {"availability": ">= 50%"}},
    }


def _run(options: Alerts, rules: Path, channel: Channel, context: Context) -> Ended:
    install = context.directory / "install.json"
    install.write_text(json.dumps({"rules": [str(rules.resolve())], "webhook": channel.url}), encoding="utf-8")
    file = context.directory / "scenario.yaml"
    file.write_text(yaml.safe_dump(scenario(options, install.resolve()), sort_keys=False), encoding="utf-8")
    argv = [sys.executable, "-P", "-m", "harness.cli", "run", str(file), "--out", str(context.directory / "runs"), "--json"]
    context.say(f"breaking {options.fault.target} by {options.fault.type}; listening at {channel.url}")
    return carry_out_program(argv, context, stdout=context.directory / "run.json")


def _judged(ended: Ended, channel: Channel, options: Alerts, context: Context) -> tuple[Status, str, Path | None]:
    """From the record of the run, which knows when something was broken, and from what the channel was told."""
    runs = sorted((context.directory / "runs").glob("*/*/run.json"))
    run = runs[0].parent if runs else None
    if ended.code == INTERRUPTED or context.stopped():
        return Status.INCONCLUSIVE, "it was stopped; what it had broken is healed", run
    if ended.code in _TROUBLE or run is None:
        return Status.INCONCLUSIVE, f"{_TROUBLE.get(ended.code, 'the run left no record')}: {ended.last or ended.how}", run
    history = store.read(run)
    fault = history.fault(_FAULT)
    if fault is None:
        aborted = next((str(e.data.get("reason") or e.data.get("rule")) for e in history.of_kind(ABORT)), "it came to no end")
        return Status.INCONCLUSIVE, f"nothing was broken, for the run stopped before: {aborted}", run
    onset_ns, healed_ns = fault.onset_ns, fault.healed_ns
    status, reason = proved(channel.seen, frozenset(options.expect), onset_ns, healed_ns, options.within)
    return status, reason, run


def _write(file: Path, channel: Channel) -> None:
    file.write_text("".join(json.dumps(one.to_json()) + "\n" for one in channel.seen), encoding="utf-8")
