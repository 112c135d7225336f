"""Availability algebra: which services a system needs together, how often they fail and how long they take to repair.

A = MTBF / (MTBF + MTTR); in series all must be up (the product), in parallel one must, of n at least k. Parts are taken to fail
independently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, PlainSerializer, Tag, WithJsonSchema, model_validator

from harness.scenario import units
from harness.scenario.fields import Duration, LimitText, Model, Percent

_LONGEST_S = 100 * 8766 * 3600.0  # a hundred years
_LifeTime = Annotated[
    float,
    BeforeValidator(lambda value: units.duration_s(value, _LONGEST_S)),
    AfterValidator(units.positive),
    PlainSerializer(lambda s: f"{units.plain(s)}s", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?(ms|s|m|h)$", "examples": ["720h"]}),
]


class Figures(Model):
    """Of one component: `{mtbf: 24h, mttr: 30s}`, or `{availability: 99.9%}` of something bought."""

    mtbf: _LifeTime | None = None
    mttr: Duration | None = None
    availability: Percent | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.availability is None) == (self.mtbf is None) or (self.mtbf is None) != (self.mttr is None):
            raise ValueError("a component has mtbf and mttr, or an availability; write {mtbf: 24h, mttr: 30s} or {availability: 99.9%}")
        return self

    def expected(self, mttr_s: float | None = None) -> float:
        """The availability; with another time to repair than the declared one, where that is known and counts."""
        if self.mtbf is None or self.mttr is None:
            return units.percent(self.availability)
        repair_s = self.mttr if mttr_s is None else mttr_s
        return self.mtbf / (self.mtbf + repair_s)


class Block(Model):
    """Parts that stand in series, in parallel, or of which at least so many are needed. A part is a service, an instance or a block."""

    series: Annotated[list[Part], Field(min_length=1)] | None = None
    parallel: Annotated[list[Part], Field(min_length=1)] | None = None
    at_least: Annotated[int, Field(ge=1)] | None = None
    of: Annotated[list[Part], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [name for name in ("series", "parallel", "of") if getattr(self, name) is not None]
        if len(given) != 1 or (self.at_least is None) != (self.of is None):
            raise ValueError("a block is one of {series: [a, b]}, {parallel: [a, b]}, {at_least: 2, of: [a, b, c]}")
        if self.at_least is not None and self.at_least > len(self.of or ()):
            raise ValueError(f"there are {len(self.of or ())} parts, and at least {self.at_least} are needed: it is never up; write fewer")
        return self

    @property
    def parts(self) -> list[Part]:
        return self.series or self.parallel or self.of or []

    @property
    def needed(self) -> int:
        """How many of its parts must be up."""
        return len(self.parts) if self.series is not None else 1 if self.parallel is not None else self.at_least or 1


Part = Annotated[
    Annotated[str, Tag("name")] | Annotated[Block, Tag("block")],
    Discriminator(lambda value: "block" if isinstance(value, dict | Block) else "name"),
]

Block.model_rebuild()  # now that its parts are known


class Reliability(Model):
    """What is predicted of the system, and what of it is compared with the run."""

    system: Part
    components: dict[str, Figures] = Field(default_factory=dict, description="by service or instance")
    target: LimitText | None = Field(default=None, description="availability predicted from mtbf and from the repair times of the run")
    shortfall: LimitText | None = Field(
        default=None, description="share of the requests that its parts would have served, minus that of those that were served"
    )

    @property
    def leaves(self) -> list[str]:
        """Services and instances in the order of the file, each once."""
        return list(dict.fromkeys(_leaves(self.system)))

    def figures(self, service: str, instance: str) -> Figures | None:
        """Of an instance: its own, else those of its service."""
        return self.components.get(instance) or self.components.get(service)

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.target is None and self.shortfall is None:
            raise ValueError('nothing is asked of the system; write `target: ">= 99.5%"` or `shortfall: "<= 2%"`')
        for name, limit, ops, example in (
            ("target", self.target, (">=", ">"), ">= 99.5%"),
            ("shortfall", self.shortfall, ("<=", "<"), "<= 2%"),
        ):
            if limit is None:
                continue
            if limit.of is not None or limit.unit not in ("ratio", "number") or limit.op not in ops or limit.value > 1:
                raise ValueError(f"{name} is a share, and {limit.text!r} does not limit one; write {example!r}")
        return self


def _leaves(part: Part) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    else:
        for inner in part.parts:
            yield from _leaves(inner)


def availability(part: Part, of: Callable[[str], float]) -> float:
    """Of a part whose leaves are up independently of one another, each with the given probability."""
    if isinstance(part, str):
        return of(part)
    return at_least(part.needed, [availability(inner, of) for inner in part.parts])


def at_least(needed: int, shares: list[float]) -> float:
    """The probability that at least so many of independent parts are up, exactly, whatever their shares."""
    up = [1.0]  # up[k]: probability that k of the parts looked at so far are up
    for share in shares:
        up = [(up[k] if k < len(up) else 0.0) * (1.0 - share) + (up[k - 1] * share if k else 0.0) for k in range(len(up) + 1)]
    return min(1.0, sum(up[needed:]))
