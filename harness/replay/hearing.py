"""What an operator thinks while it is shown a run: every symptom that a rule of its own names, before anything is made of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.ops.diagnosis.rules.base import View
from harness.ops.monitoring.rounds import Round
from harness.ops.monitoring.signals import Signals
from harness.ops.monitoring.symptoms import Symptom, SymptomRules
from harness.ops.operator import Operator

Sign = tuple[str, str, str, str, tuple[str, str] | None]
"""Name, service, kind, instance and edge of a symptom; not its words, in which numbers stand."""


@dataclass(slots=True)
class Thoughts:
    """The symptoms of each round, in order; of the last `kept` ones, where it is watched for long."""

    kept: int | None = None
    rounds: list[frozenset[Sign]] = field(default_factory=list)

    def begin(self) -> None:
        """A round."""
        self.rounds.append(frozenset())
        if self.kept is not None:
            del self.rounds[: -self.kept]

    @property
    def names(self) -> frozenset[str]:
        """Of all symptoms that were ever named."""
        return frozenset(sign[0] for signs in self.rounds for sign in signs)

    def note(self, found: Iterable[Symptom]) -> None:
        """They belong to the round that was begun last."""
        self.rounds[-1] |= {(s.name, s.service, s.kind, s.instance, s.edge) for s in found}


def listen(operator: Operator, thoughts: Thoughts, without: str = "") -> None:
    """Note what its rules name from now on. Symptoms called `without` are noted, and go no further: nobody would have named them."""
    operator.rules = _General(operator.rules, thoughts, without)  # type: ignore[assignment]  # the part of the rules that an operator asks
    families = operator.families
    families.rules = tuple(_OfFamily(rule, thoughts, without) for rule in families.rules)
    families.builds = _OfBuilds(families.builds, thoughts, without)  # type: ignore[assignment]  # the two parts that are asked


@dataclass(slots=True)
class _General:
    """Asked first in each round."""

    rules: SymptomRules
    thoughts: Thoughts
    without: str

    def look(self, round_: Round, signals: Signals) -> tuple[Symptom, ...]:
        self.thoughts.begin()
        return _heard(self.rules.look(round_, signals), self.thoughts, self.without)


@dataclass(slots=True)
class _OfFamily:
    rule: Any
    thoughts: Thoughts
    without: str

    def look(self, view: View) -> tuple[Symptom, ...]:
        return _heard(self.rule.look(view), self.thoughts, self.without)


@dataclass(slots=True)
class _OfBuilds(_OfFamily):
    """Its last word changes symptoms of other rules, and names none of its own."""

    def suspect(self, view: View, symptoms: Sequence[Symptom]) -> tuple[Symptom, ...]:
        found: tuple[Symptom, ...] = self.rule.suspect(view, tuple(symptoms))
        return found


def _heard(found: Iterable[Symptom], thoughts: Thoughts, without: str) -> tuple[Symptom, ...]:
    listed = tuple(found)
    thoughts.note(listed)
    return tuple(s for s in listed if s.name != without)
