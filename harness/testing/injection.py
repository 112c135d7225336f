"""`inject`: a fault for as long as a block of a test takes, proved to have bitten, and proved to be gone."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol, cast

import pytest

from harness.testing.mocks import Mock
from harness.testing.proof import InconclusiveError

if TYPE_CHECKING:
    from harness.faults.base import Context
    from harness.faults.programmed.fault import ProgrammedFault
    from harness.testing.stack import StackProcess

FAULTS_OF = {"llm": ("llm",), "embedding": ("llm",), "vector": ("qdrant", "chroma")}
"""Families of faults that mocks play, and which mocks."""
REFUSED_BY_SHARE: Mapping[str, Mapping[str, Any]] = {"llm.rate_limited": {"rate": "1/s", "spent": True}}
"""Parameters of faults that a bare `ratio` leaves open: each request that is drawn is refused."""
GONE_WITHIN_S = 15.0
POLL_S = 0.05
_numbers = count(1)


class Injected(Protocol):
    """One fault while it is in force."""

    def begin(self) -> None:
        """Put it in force. Raises InconclusiveError where it cannot be."""
        ...

    def unproved(self) -> str | None:
        """Why it is not known to have bitten anybody; None where it is."""
        ...

    def end(self) -> None:
        """Take it back. Raises InconclusiveError where it cannot be proved gone."""
        ...


class InForce:
    """The block of a test. What fails in it under a fault that has not bitten is no failure of what is tested: it is inconclusive too."""

    def __init__(self, fault: Injected) -> None:
        self._fault = fault

    def __enter__(self) -> Injected:
        __tracebackhide__ = True
        try:
            self._fault.begin()
        except BaseException:
            self._fault.end()
            raise
        return self._fault

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> None:
        __tracebackhide__ = True
        try:
            why = self._fault.unproved() if error is None or isinstance(error, Exception | pytest.fail.Exception) else None
            if why is not None:
                raise InconclusiveError(why) from error
        finally:
            self._fault.end()


def checked(type_: str, ratio: float | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a fault of the catalogue (`gauntlet faults show NAME`); `ratio` is the test's word for `probability`.

    Raises InconclusiveError for a type or a parameter that there is not, with what to write instead.
    """
    from pydantic import ValidationError

    from harness.faults import registry
    from harness.scenario.problem import did_you_mean

    __tracebackhide__ = True
    if type_ not in registry.CATALOG:
        raise InconclusiveError(f"no such fault: {type_!r}; {did_you_mean(type_, registry.CATALOG)}")
    if ratio is not None and "probability" in given:
        raise InconclusiveError(f"{type_}: ratio and probability are the same; write one of them")
    model, parameters = registry.CATALOG[type_].parameters, dict(given)
    if ratio is not None:
        left_open = REFUSED_BY_SHARE.get(type_, {})
        parameters = {**({} if set(left_open) & set(given) else left_open), **given, "probability": ratio}
    known = [field.alias or name for name, field in model.model_fields.items()]
    for name in parameters:
        if name not in known:
            raise InconclusiveError(f"{type_} has no {name!r}; {did_you_mean(name, known)}")
    try:
        model.model_validate(parameters)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ") for one in error.errors())
        raise InconclusiveError(f"{type_}: {problems}") from None
    return parameters


class MockFault:
    """A fault of the catalogue in a mock. It has bitten once the mock's journal holds a request of somebody else that it has changed.

    No request of ours is made while one is in force: it would be counted where a fault counts, and hit in the place of another.
    """

    def __init__(self, mock: Mock, type_: str, parameters: Mapping[str, Any]) -> None:
        self.type = type_
        self._mock = mock
        self._parameters = parameters
        self._id = f"inject-{next(_numbers)}"
        self._fault: ProgrammedFault | None = None

    @property
    def hits(self) -> int:
        """Requests that it has changed so far."""
        return int(self._guarded(self._made.hit))

    def begin(self) -> None:
        __tracebackhide__ = True
        self._mock.start()
        self._fault = fault = self._guarded(self._build)
        self._guarded(fault.put if self._guarded(fault.in_force) else fault.inject)

    def unproved(self) -> str | None:
        if self._made.row.standing:
            return self._nobody_refused()
        if self.hits:
            return None
        asked, (matched, probability) = len(self._mock.requests), self._counted()
        if not matched:
            among = f"none of the {asked} requests of this test is one that it concerns" if asked else "no request has reached the mock"
            return (
                f"{self.type} did not bite: while it was in force, {among}; let what is tested ask within the block, and see that it asks "
                f"{self._mock.base_url}"
            )
        chance = f"; at {probability:g} that happens in {(1 - probability) ** matched:.0%} of all tests" if probability < 1 else ""
        concerned = f"it concerned {matched} request{'s' * (matched != 1)} and changed none{chance}"
        return f"{self.type} did not bite: {concerned}; let more of them come within the block"

    def end(self) -> None:
        from harness.record.clock import NS_PER_S, SystemClock

        if self._fault is None:
            return
        clock = SystemClock()
        self._guarded(self._fault.heal)
        deadline_ns = clock.now_ns() + round(GONE_WITHIN_S * NS_PER_S)
        while not self._gone():
            if clock.now_ns() > deadline_ns:
                raise InconclusiveError(f"{self.type} is not gone: {GONE_WITHIN_S:g} s after its end the mock does not answer as before it")
            clock.sleep(POLL_S)

    def _gone(self) -> bool:
        """Not in force; and where no other is, a request of ours meets nothing of it."""
        left = self._guarded(self._made.in_force)
        return self._id not in left and (bool(left) or self._guarded(self._made.gone) is not None)

    def _nobody_refused(self) -> str | None:
        """A connection that is refused leaves no row: who it would have been has to be known from before."""
        if self._guarded(self._made.verify) is not None:
            return None
        return (
            f"{self.type} did not bite as far as can be told: whom it keeps out leaves no trace, and nobody has asked the mock in the last "
            "seconds before it; let what is tested ask once before the block"
        )

    def _counted(self) -> tuple[int, float]:
        """Requests concerned, and the share of them that is drawn."""
        listed = self._mock.call("GET", "/admin/faults")["faults"]
        matched = sum(int(one.get("matched", 0)) for one in listed if one["id"] == self._id)
        return matched, float(self._made.document().get("probability", 1.0))

    def _build(self) -> ProgrammedFault:
        from harness.faults import registry
        from harness.faults.programmed.fault import ProgrammedFault
        from harness.scenario.model import FaultUse

        use = FaultUse.model_validate({"id": self._id, "type": self.type, "target": self._mock.kind, "with": self._parameters})
        fault = registry.build(use, _context(self._mock)).fault
        if not isinstance(fault, ProgrammedFault):
            raise InconclusiveError(f"{self.type} is no fault of a mock: use gauntlet_stack, and name a target")
        return fault

    @property
    def _made(self) -> ProgrammedFault:
        assert self._fault is not None, "begun"
        return self._fault

    def _guarded(self, verb: Any) -> Any:
        """What the verb returns. Raises InconclusiveError where it cannot be done."""
        from harness.faults.base import FaultError

        __tracebackhide__ = True
        try:
            return verb()
        except (FaultError, OSError, ValueError) as error:
            raise InconclusiveError(f"{self.type}: {error}") from None


class StackFault:
    """A fault in the standing stack, played there (`harness/lifecycle/served_stack.py`) as a run would."""

    def __init__(self, stack: StackProcess, type_: str, target: str, instances: str | int, parameters: Mapping[str, Any]) -> None:
        self.type = type_
        self._stack = stack
        self._use = {"id": f"inject-{next(_numbers)}", "type": type_, "target": target, "instances": instances, "with": dict(parameters)}
        self._begun = False
        self._healed: Mapping[str, Any] | None = None

    def begin(self) -> None:
        __tracebackhide__ = True
        self._begun = True
        answer = self._stack.ask({"do": "inject", "use": self._use})
        if "refused" in answer:
            self._begun = False
            raise InconclusiveError(f"{self.type}: {answer['refused']}")
        if answer.get("reason"):
            raise InconclusiveError(f"{self.type} did not bite: {answer['reason']}")

    def unproved(self) -> str | None:
        self._heal()
        assert self._healed is not None, "just healed"
        return None if self._healed["effective"] else f"{self.type} did not bite: {self._healed['reason']}"

    def end(self) -> None:
        if not self._begun:
            return
        self._heal()
        assert self._healed is not None, "just healed"
        if not self._healed["gone"]:
            raise InconclusiveError(f"{self.type} is not gone: {self._healed['reason']}; the stack is not used again")

    def _heal(self) -> None:
        if self._healed is None:
            self._healed = self._stack.ask({"do": "heal", "id": self._use["id"]})


def _context(mock: Mock) -> Context:
    from random import Random

    from harness.faults.base import Context
    from harness.record.clock import SystemClock
    from harness.stack.base import Stack
    from harness.testing.mock_stack import MockStack

    # what faults of mocks use of a stack: where it is, and its admin API
    return Context(cast(Stack, MockStack(mock)), SystemClock(), Random(1))
