"""What an operator says and does, and when: the script that a mock operator plays."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

Claim = Literal["alert", "diagnosis", "escalation", "action"]


class ScriptError(ValueError):
    """The file is no script."""


@dataclass(frozen=True, slots=True)
class Step:
    """One claim. `at_s` counts from the start of the operator; `body` is posted as it is."""

    at_s: float
    claim: Claim
    body: Mapping[str, Any]


def alert(at_s: float, service: str, status: str = "firing") -> Step:
    """An Alertmanager webhook with one alert."""
    one = {"status": status, "labels": {"alertname": "ServiceUnhealthy", "service": service, "severity": "page"}, "annotations": {}}
    return Step(at_s, "alert", {"version": "4", "status": status, "alerts": [one]})


def diagnosis(at_s: float, *causes: tuple[str, str, float]) -> Step:
    """Ranked causes: (service, kind, confidence), best first."""
    return Step(at_s, "diagnosis", {"causes": [{"service": s, "kind": k, "confidence": c} for s, k, c in causes]})


def action(at_s: float, verb: str, service: str) -> Step:
    """A recovery action."""
    return Step(at_s, "action", {"verb": verb, "service": service})


def escalation(at_s: float, service: str) -> Step:
    """The incident goes to a person."""
    return Step(at_s, "escalation", {"service": service, "reason": "no action heals this"})


def dump(steps: Iterable[Step]) -> str:
    """The script as JSON."""
    return json.dumps({"steps": [asdict(step) for step in steps]}, indent=1)


def load(path: Path) -> tuple[Step, ...]:
    """The inverse of `dump`, in order of time. Raises ScriptError."""
    try:
        steps = [Step(float(s["at_s"]), s["claim"], s["body"]) for s in json.loads(path.read_text(encoding="utf-8"))["steps"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ScriptError(f"{path}: {type(error).__name__}: {error}") from error
    if unknown := {s.claim for s in steps} - set(get_args(Claim)):
        raise ScriptError(f"{path}: no such claim: {', '.join(sorted(unknown))}; there are: {', '.join(get_args(Claim))}")
    return tuple(sorted(steps, key=lambda s: s.at_s))
