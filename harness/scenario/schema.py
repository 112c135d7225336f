"""The scenario as a contract for other programs: its JSON Schema, its resolved form for the record, and a hash of that."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from harness.scenario.model import Scenario


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a scenario file, for editors and validators."""
    schema = Scenario.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "gauntlet scenario",
        "description": "A declared experiment: a stack, its load, the faults, and what should come of it.",
    }


def resolved(scenario: Scenario) -> dict[str, Any]:
    """The scenario with every default written out, JSON-ready; `Scenario.model_validate` reads it back to an equal one."""
    return scenario.model_dump(mode="json", by_alias=True, exclude_none=True)


def digest(scenario: Scenario) -> str:
    """SHA-256 of the resolved scenario: equal for files that differ in comments, layout or spelled-out defaults."""
    text = json.dumps(resolved(scenario), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
