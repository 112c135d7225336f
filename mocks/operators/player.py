"""Plays a script over HTTP, against the URLs of a targets file."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import yaml

from mocks.operators.script import Step

TIMEOUT_S = 5.0
_PLACES = {"alert": "alerts", "diagnosis": "diagnoses", "escalation": "escalations"}


class TargetsError(ValueError):
    """The targets file does not say where claims go."""


def read_targets(path: Path) -> Mapping[str, Any]:
    """The parts of targets.yaml that an operator speaks to. Raises TargetsError."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError) as error:
        raise TargetsError(f"{path}: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("claims"), dict):
        raise TargetsError(f"{path}: no `claims` with the URLs of alerts, diagnoses and escalations")
    return document


def url_of(step: Step, targets: Mapping[str, Any]) -> str:
    """Where a step is posted. Raises TargetsError."""
    place = targets.get("actions", {}).get("url") if step.claim == "action" else targets["claims"].get(_PLACES[step.claim])
    if not place:
        raise TargetsError(f"the targets file has no URL for an {step.claim}")
    return str(place)


def play(steps: Sequence[Step], targets: Mapping[str, Any], stop: Event) -> list[str]:
    """Post every step at its time, whatever the answers are, until `stop`; returns what was refused or could not be sent."""
    start_s = time.monotonic()
    failed = []
    for step in steps:
        if stop.wait(max(0.0, step.at_s - (time.monotonic() - start_s))):
            break
        problem = _post(url_of(step, targets), step.body, targets.get("token"))
        if problem is not None:
            failed.append(f"{step.claim} at {step.at_s:g}s: {problem}")
    return failed


def _post(url: str, body: Mapping[str, Any], token: str | None) -> str | None:
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    try:
        with urlopen(Request(url, json.dumps(body).encode(), headers, method="POST"), timeout=TIMEOUT_S) as answer:
            answer.read()
    except HTTPError as error:
        with error:
            return str(error)
    except OSError as error:  # URLError and time-outs
        return f"{type(error).__name__}: {error}"
    return None
