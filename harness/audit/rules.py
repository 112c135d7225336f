"""The rules of the review: what each says, how grave it is, and what to do instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.audit.catalogue import rules
from harness.audit.compose_rules import COMPOSE
from harness.audit.kubernetes_rules import KUBERNETES
from harness.findings import Rule
from harness.scenario.problem import Position


@dataclass(frozen=True, slots=True)
class Remark:
    """A rule that is broken: by whom, and where. Remarks of one rule at one place become one finding."""

    rule: str
    subject: str
    at: Position
    detail: str = ""


_AUDIT = rules(
    "audit",
    (
        "unused_suppression",
        "warning",
        "this comment allows what is not found",
        "delete it",
        "A comment that allows nothing hides the finding that somebody brings back later.",
    ),
    (
        "unknown_suppression",
        "warning",
        "this comment allows a rule that does not exist",
        "write a rule of `gauntlet audit --rules`",
        "With a misspelt rule nothing is allowed, and nobody notices.",
    ),
    (
        "suppression_without_reason",
        "error",
        "this comment does not say why",
        "write `# gauntlet: allow RULE because …`",
        "An exception that nobody can explain is not one that was decided. It allows nothing.",
    ),
    (
        "not_followed",
        "note",
        "refers to another file, which is not read with this one",
        "review that file as well",
        "What `extends` and `include` bring in is reviewed in its own file.",
    ),
)

RULES: Mapping[str, Rule] = {**_AUDIT, **COMPOSE, **KUBERNETES}
