"""verdict.json: the verdict for other programs. Its bytes depend on the record and the scenario alone."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from harness.gate import Verdict
from harness.record.history import History
from harness.report.material import Material, dig
from harness.report.stories import stories
from harness.scenario.model import Scenario
from harness.score.check import Status
from harness.score.delivery import delivery
from harness.score.summary import scores

SCHEMA = 1

_TEXT = {"type": "string"}
_OR_NULL = {"type": ["string", "null"]}
_STATUS = {"enum": [s.value for s in Status]}


def document(verdict: Verdict, history: History, scenario: Scenario) -> dict[str, Any]:
    """The verdict as plain, JSON-ready data."""
    material, run = Material(verdict, history, scenario), history.run
    found = {
        "schema": SCHEMA,
        "scenario": scenario.name,
        "hypothesis": scenario.hypothesis,
        "verdict": verdict.status.value,
        "exit_code": verdict.exit_code,
        "reason": verdict.reason,
        "score": verdict.score,
        "complete": history.complete,
        "damage": list(history.damage),
        "checks": [r.to_json() for r in verdict.results],
        "scores": _scores(history, scenario),
        "load": delivery(history, scenario),
        "faults": [{**asdict(s), "status": s.status.value if s.status else None} for s in stories(material)],
        "run": {
            "seed": material.seed,
            "scenario_sha256": dig(run, "scenario_sha256"),
            "git_sha": dig(run, "git", "sha"),
            "git_dirty": dig(run, "git", "dirty"),
            "started": dig(run, "clock", "utc"),
            "baseline": dig(run, "baseline", "path"),
            "reproduce": material.command,
        },
    }
    return {name: finite(value) for name, value in found.items()}


def _scores(history: History, scenario: Scenario) -> dict[str, Any]:
    try:
        return scores(history, scenario)
    except Exception as error:  # noqa: BLE001  # the checks have told already (INCONCLUSIVE); the verdict must still be written
        return {"crashed": f"{type(error).__name__}: {error}"}


def render(verdict: Verdict, history: History, scenario: Scenario) -> bytes:
    """UTF-8 JSON with a final newline; numbers that JSON cannot hold are null."""
    text = json.dumps(document(verdict, history, scenario), indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8", errors="backslashreplace")


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the document: what `gauntlet schema verdict` prints."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gauntlet verdict",
        "description": "The verdict on one run: what was checked, what came out, and how to repeat it.",
        "type": "object",
        "required": [
            "schema", "scenario", "verdict", "exit_code", "reason", "score", "complete", "damage", "checks", "scores", "load", "faults",
            "run",
        ],
        "properties": {
            "schema": {"const": SCHEMA, "description": "raised when a field changes its meaning; new fields do not raise it"},
            "scenario": {**_TEXT, "description": "name of the scenario"},
            "hypothesis": _TEXT,
            "verdict": {**_STATUS, "description": "FAIL > INCONCLUSIVE > WARN > PASS"},
            "exit_code": {"type": "integer", "description": "0 pass, 1 fail, 3 inconclusive, 4 stack did not start, 5 internal"},
            "reason": {**_TEXT, "description": "why, in one sentence"},
            "score": {"type": ["number", "null"], "description": "weighed share (0 to 1) of the objectives; null without a gate"},
            "complete": {"type": "boolean", "description": "the run reached its own end"},
            "damage": {"type": "array", "items": _TEXT, "description": "parts of the record that could not be read"},
            "checks": {"type": "array", "items": _check_schema()},
            "scores": {"type": "object", "description": "MTTD, recall, precision, AC@k, MTTR, outcomes: see docs/verdict.md"},
            "load": _load_schema(),
            "faults": {"type": "array", "items": _story_schema()},
            "run": _run_schema(),
            "run_dir": {**_TEXT, "description": "on standard output only: the file does not depend on where it lies"},
        },
    }  # fmt: skip


def _check_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["name", "group", "status", "value", "limit", "unit", "samples", "interval", "reason", "evidence"],
        "properties": {
            "name": {**_TEXT, "examples": ["fault.availability", "expect.slow-llm.alert", "validity.delivered_load"]},
            "group": {**_TEXT, "examples": ["validity", "safety", "expect", "objective"]},
            "status": _STATUS,
            "value": {"type": ["number", "string", "null"], "description": "in `unit`; null where nothing was measured"},
            "limit": {**_OR_NULL, "description": "as written in the scenario"},
            "unit": {"enum": ["", "s", "ratio", "number", "per_s"], "description": "s: seconds; ratio: 0 to 1; per_s: per second"},
            "samples": {"type": ["integer", "null"], "description": "how many observations the value rests on"},
            "interval": {
                "type": ["array", "null"],
                "items": {"type": ["number", "null"]},
                "minItems": 2,
                "maxItems": 2,
                "description": "95 % interval of the value",
            },
            "reason": _TEXT,
            "evidence": {"type": "array", "items": _TEXT},
        },
    }


def _story_schema() -> dict[str, Any]:
    names = ("fault_id", "type", "target", "onset", "alert", "diagnosis", "action", "regained", "outcome")
    return {
        "type": "object",
        "description": "What became of one fault, for people; the numbers to compute with are in `checks`.",
        "required": [*names, "status"],
        "properties": {**dict.fromkeys(names, _TEXT), "status": {"enum": [*_STATUS["enum"], None]}},
    }


def _load_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "The load generator: model, engine, arrivals and their fate, its own lags, and what sweeps found.",
        "required": ["model", "engine", "workers", "arrivals", "sent", "dropped_by_target", "dropped_by_generator", "sweeps"],
        "properties": {
            "model": {"enum": ["open", "closed"], "description": "whether arrivals wait for answers"},
            "engine": {"enum": ["locust", "asyncio"]},
            "sweeps": {"type": "array", "items": {"type": "object"}},
        },
    }


def _run_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["seed", "scenario_sha256", "git_sha", "git_dirty", "started", "reproduce"],
        "properties": {
            "seed": {"type": "integer"},
            "scenario_sha256": {**_OR_NULL, "description": "of the resolved scenario: equal for files that ask for the same"},
            "git_sha": _OR_NULL,
            "git_dirty": {"type": ["boolean", "null"]},
            "started": {**_OR_NULL, "description": "UTC, ISO 8601"},
            "baseline": {**_OR_NULL, "description": "the run that limits of a baseline are relative to, as it was pinned"},
            "reproduce": {**_TEXT, "description": "the command that repeats the run"},
        },
    }


def finite(value: Any) -> Any:
    """The same document without numbers that JSON cannot hold."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    return [finite(v) for v in value] if isinstance(value, list | tuple) else value
