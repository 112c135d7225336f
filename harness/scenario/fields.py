"""Types of the scenario's fields: quantities as people write them, and the base of all its models."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from harness.scenario import units

# Kept as text when written out again, so that the record's scenario reads like the file.
Duration = Annotated[
    float,
    BeforeValidator(units.duration_s),
    PlainSerializer(lambda s: f"{units.plain(s)}s", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?(ms|s|m|h)$", "examples": ["10s", "250ms"]}),
]
PositiveDuration = Annotated[Duration, AfterValidator(units.positive)]
Rate = Annotated[
    float,
    BeforeValidator(units.rate_per_s),
    PlainSerializer(lambda r: f"{units.plain(r)}/s", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?/(s|m|min|h)$", "examples": ["25/s"]}),
]
LimitText = Annotated[
    units.Limit,
    BeforeValidator(lambda v: v if isinstance(v, units.Limit) else units.limit(v)),
    PlainSerializer(lambda v: v.text, return_type=str),
    WithJsonSchema({"type": ["string", "number"], "examples": ["<= 800ms", ">= 99.5%", "<= +25% of steady_state"]}),
]
Percent = Annotated[
    str,
    AfterValidator(units.percent_text),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?%$", "examples": ["90%"]}),
]
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _instances(value: object) -> str | int:
    """`one`, `all`, a number or a share. Raises ValueError that says what to write instead."""
    if value in ("one", "all"):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    if isinstance(value, str) and value.strip().endswith("%") and units.percent(value.strip()) > 0:
        return units.percent_text(value.strip())
    raise ValueError(f"{value!r} is no number of instances; write one, all, a number (2) or a share (50%)")


Instances = Annotated[
    str | int,
    BeforeValidator(_instances),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["one", "all"]},
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": r"^\d+(\.\d+)?%$"},
            ],
            "examples": ["all", 2, "50%"],
        }
    ),
]


class Model(BaseModel):
    """Unknown keys are refused, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, populate_by_name=True, serialize_by_alias=True)
