"""What an objective asks of its SLI: the criteria for passing and for a warning, and how much it counts in the gate's score.

Criteria are those of Keptn: limits joined by `and`, and alternatives of such lists joined by `or`, which binds less tightly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, PlainSerializer, WithJsonSchema, model_serializer, model_validator
from pydantic_core import CoreSchema

from harness.scenario.fields import Model, Weight
from harness.scenario.units import Limit, limit

_OR, _AND = re.compile(r"\s+or\s+", re.IGNORECASE), re.compile(r"\s+and\s+", re.IGNORECASE)
_EXAMPLES = ["<= 800ms", ">= 99.5%", "<= +25% of steady_state", "<= +10%", "<= 800ms and <= +10%", "<= 200ms or <= +10%"]
_JSON_SCHEMA: dict[str, Any] = {"type": ["string", "number"], "examples": _EXAMPLES}


@dataclass(frozen=True, slots=True)
class Criteria:
    """Alternatives, one of which must be kept; each is a list of limits, all of which must be kept. Neither is empty."""

    alternatives: tuple[tuple[Limit, ...], ...]

    @property
    def text(self) -> str:
        return " or ".join(" and ".join(one.text for one in together) for together in self.alternatives)

    @property
    def limits(self) -> tuple[Limit, ...]:
        """All of them, in the order of the text."""
        return tuple(one for together in self.alternatives for one in together)

    @property
    def bounds(self) -> tuple[Limit, ...]:
        """The absolute limits that whatever keeps the criteria keeps; none where there is a choice."""
        return tuple(one for one in self.alternatives[0] if one.of is None) if len(self.alternatives) == 1 else ()


def criteria(text: object) -> Criteria:
    """Parse `<= 800ms`, `<= 800ms and <= +10%`, `<= 200ms or <= +10%`. Raises ValueError that says what to write instead."""
    if not isinstance(text, str):
        return Criteria(((limit(text),),))
    return Criteria(tuple(tuple(limit(one) for one in _AND.split(together)) for together in _OR.split(text.strip())))


CriteriaText = Annotated[
    Criteria,
    BeforeValidator(lambda v: v if isinstance(v, Criteria) else criteria(v)),
    PlainSerializer(lambda v: v.text, return_type=str),
    WithJsonSchema(_JSON_SCHEMA),
]


class Objective(Model):
    """`">= 99%"`, or `{pass: "<= 800ms", warn: "<= 1s", weight: 2, key: true}`."""

    pass_: CriteriaText = Field(alias="pass", description="what it must keep")
    warn: CriteriaText | None = Field(default=None, description="what it must keep to be WARN rather than FAIL, where `pass` is broken")
    weight: Weight | None = Field(default=None, description="in the score of the gate; default 1")
    key: bool = Field(default=False, description="must pass by itself, whatever the score of the gate")

    @property
    def of_baseline(self) -> bool:
        """Is any of its limits relative to another run?"""
        return any(one.of == "baseline" for asked in (self.pass_, self.warn) if asked is not None for one in asked.limits)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        """Criteria alone are what must be kept."""
        return value if isinstance(value, dict | Objective) else {"pass": value}

    @model_validator(mode="after")
    def _warning_is_wider(self) -> Self:
        if self.warn is not None:
            _wider(self.pass_, self.warn)
        return self

    @model_serializer(mode="plain")
    def _as_written(self) -> str | dict[str, Any]:
        full = {
            "pass": self.pass_.text,
            "warn": self.warn.text if self.warn else None,
            "weight": self.weight,
            "key": self.key or None,
        }
        given = {name: value for name, value in full.items() if value is not None}
        return self.pass_.text if len(given) == 1 else given

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        full = handler.resolve_ref_schema(handler(core_schema))
        return {"anyOf": [_JSON_SCHEMA, {**full}]}


def _wider(asked: Criteria, warning: Criteria) -> None:
    """Raises ValueError where two plain limits show that the warning comes no earlier than the failure."""
    if len(asked.limits) != 1 or len(warning.limits) != 1:
        return
    one, other = asked.limits[0], warning.limits[0]
    if (one.of, one.unit, one.op[0]) != (other.of, other.unit, other.op[0]):
        return
    narrower = other.value <= one.value if one.op[0] == "<" else other.value >= one.value
    if narrower and other != one:
        raise ValueError(f"warn {other.text!r} is no wider than pass {one.text!r}; write a warn that is easier to keep than pass")
    if other == one:
        raise ValueError(f"warn and pass are both {one.text!r}; write a warn that is easier to keep, or leave it out")
