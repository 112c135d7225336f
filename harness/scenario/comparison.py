"""What two versions are compared by, and how a candidate is served beside the base in one run."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, model_validator

from harness.scenario.fields import Model, Percent, PositiveDuration
from harness.scenario.slis import PHASES, sli_name
from harness.scenario.units import percent

ComparedPhase = Literal["warmup", "steady_state", "fault", "recovery", "cooldown"]
_COUNTED = ("goodput", "wrong_answers", "lost_ingest")  # one number a run: nothing to resample


def _comparable(text: str) -> str:
    """An SLI with a reading for each request. Raises ValueError for one of the others."""
    sli = sli_name(text)
    if sli.family in _COUNTED:
        raise ValueError(f"{text} is one number for a whole run, so chance cannot be told; compare a share or a percentile")
    return sli.text


class Metric(Model):
    """What is asked of one SLI: how much worse the candidate may be at most."""

    worse_by: Percent = Field(description="of a percentile, by how much it may grow; of a share, the points that it may lose")
    critical: bool = Field(default=True, description="whether it decides; otherwise it warns at most")
    must_have_data: bool = Field(default=True, description="whether a candidate fails that has no reading where the base has")
    min_samples: int | None = Field(
        default=None, ge=1, le=10**9, description="readings that each side needs; default: 59, or what reaches beyond the percentile"
    )

    @model_validator(mode="after")
    def _can_be_told(self) -> Self:
        if percent(self.worse_by) <= 0:
            raise ValueError("worse_by: 0% can never be shown, whatever the sample; write the smallest change that matters, such as 5%")
        return self

    @property
    def margin(self) -> float:
        """`worse_by` as a ratio."""
        return percent(self.worse_by)


def _in_short(value: Any) -> Any:
    return {"worse_by": value} if isinstance(value, str) else value


_SHORT = {"type": "string", "pattern": r"^\d+(\.\d+)?%$", "examples": ["10%"]}


class _OrInShort:
    """In the JSON Schema too, a metric may be written as its `worse_by` alone."""

    @staticmethod
    def __get_pydantic_json_schema__(core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [_SHORT, handler(core)]}


MetricText = Annotated[Metric, BeforeValidator(_in_short), _OrInShort]
ComparedSli = Annotated[str, AfterValidator(_comparable)]

DEFAULT_METRICS = {
    "availability": Metric(worse_by="1%", must_have_data=False),
    "latency_p50": Metric(worse_by="10%", must_have_data=False),
    "latency_p95": Metric(worse_by="10%", must_have_data=False),
    "ttft_p95": Metric(worse_by="15%", must_have_data=False),
    "answered": Metric(worse_by="5%", must_have_data=False),
    "recall_at_5": Metric(worse_by="5%", must_have_data=False),
}
"""What is compared where a scenario says nothing: all of these that have readings."""


class CandidateSpec(Model):
    """A second version of the stack, served beside the base in the same run. What is not named is as the base has it."""

    environment: dict[str, dict[str, str]] = Field(default_factory=dict, description="by service of the reference stack")
    version: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", description="of the reference stack")
    replicas: dict[str, Annotated[int, Field(ge=1, le=8)]] = Field(default_factory=dict)
    vector_store: Literal["pgvector", "qdrant", "chroma"] | None = None
    url: str | None = Field(default=None, description="where an external candidate answers")


class Comparison(Model):
    """`compare:` of a scenario. Without `candidate` it says how a run is compared with another one."""

    phases: Annotated[list[ComparedPhase], Field(min_length=1)] | None = Field(
        default=None, description="default: steady_state, else the first phase after the warm-up"
    )
    metrics: dict[ComparedSli, MetricText] = Field(default_factory=lambda: dict(DEFAULT_METRICS), min_length=1)
    candidate: CandidateSpec | None = Field(default=None, description="a version to serve beside the base")
    split: Literal["arrivals", "blocks"] = Field(
        default="arrivals", description="who serves a request: drawn for each arrival, or by blocks of time in the order A B B A"
    )
    block: PositiveDuration = Field(default=5.0, description="length of a block of `split: blocks`")

    @model_validator(mode="after")
    def _decides(self) -> Self:
        if not any(metric.critical for metric in self.metrics.values()):
            raise ValueError("no metric is critical, so no candidate could fail; let at least one be")
        if len(set(self.phases or ())) < len(self.phases or ()):
            raise ValueError(f"phases: one is named twice; write each of {', '.join(PHASES)} at most once")
        return self

    def phases_of(self, declared: Collection[str]) -> tuple[str, ...]:
        """The phases that are compared, of those that a scenario has."""
        if self.phases is not None:
            return tuple(self.phases)
        return ("steady_state",) if "steady_state" in declared else tuple(p for p in PHASES if p in declared and p != "warmup")[:1]
