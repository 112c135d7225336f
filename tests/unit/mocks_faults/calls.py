"""A mock of the tests' own: what its plans and facts are, two faults, a clock."""

from dataclasses import dataclass
from random import Random
from typing import Annotated, Any, ClassVar, Literal

from mocks.faults.base import Registry
from mocks.faults.documents import Param
from mocks.faults.match import Criterion
from mocks.faults.table import FaultTable

FAULTS = Registry(
    {
        "routes": Criterion("routes", "names", lambda facts: facts.route, frozenset({"/a", "/b"})),
        "tenants": Criterion("tenants", "names", lambda facts: facts.tenant),
        "stream": Criterion("streams", "flag", lambda facts: facts.stream),
        "prompt": Criterion("texts", "text", lambda facts: facts.prompt),
    }
)


@dataclass
class Facts:
    key: str = "k"
    attempt: int = 1
    route: str = "/a"
    tenant: str | None = None
    stream: bool = False
    prompt: str | None = None


@dataclass
class Plan:
    broken: bool = False
    decided: bool = False
    drawn: float | None = None


class OfAny:
    def concerns(self, plan: Plan) -> bool:
        return True


@FAULTS.register("broken")
@dataclass
class Broken(OfAny):
    summary: ClassVar[str] = "Broken."

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:
        plan.broken = True
        plan.drawn = rng.random()
        return True


@FAULTS.register("refused", match={"routes": ["/a"]})
@dataclass
class Refused(OfAny):
    summary: ClassVar[str] = "Refused."
    after_s: Annotated[float, Param("a number", "s", above=0, most=60, example=2.0)]
    count_of: Annotated[int, Param("a whole number", least=1)] = 1
    how: Annotated[Literal["fin", "reset"], Param("a choice")] = "fin"
    sure: Annotated[bool, Param("a flag")] = True
    name: Annotated[str | None, Param("a text or null")] = None

    def __post_init__(self) -> None:
        if self.name == "nobody":
            raise ValueError("name must be somebody's")

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:
        plan.decided = True
        return True


@FAULTS.register("slow", of_pace=True)
@dataclass
class Slow(OfAny):
    summary: ClassVar[str] = "Late."

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:
        return True


@FAULTS.register("lame")
@dataclass
class Lame(OfAny):
    summary: ClassVar[str] = "Finds nothing to change."

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:
        return False


@FAULTS.register("shut", standing=True)
@dataclass
class Shut(OfAny):
    summary: ClassVar[str] = "Shut."

    def apply(self, plan: Plan, now_s: float, rng: Random) -> bool:
        plan.decided = True
        return True


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def table(clock: Clock | None = None, seed: int = 0) -> FaultTable[Plan]:
    return FaultTable(FAULTS, clock or Clock(), seed)


def hit(faults: FaultTable[Plan], **facts: Any) -> bool:
    """Whether one call with these facts was changed."""
    return bool(faults.apply(Plan(), Facts(**facts)))
