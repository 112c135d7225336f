"""One fault of several instances: injected and healed as one, and proved only where it holds for each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from harness.faults.base import Evidence, Fault, FaultError, Target, Undo
from harness.scenario.catalog import FaultSpec

Answer = TypeVar("Answer")


class GroupFault:
    """Plays its members side by side. `members` are by instance; there is at least one, all of one type and one service."""

    def __init__(self, members: Mapping[str, Fault]) -> None:
        self._members = members
        first = next(iter(members.values()))
        self.spec: FaultSpec = first.spec
        self._target = Target(first.target.service)

    @property
    def target(self) -> Target:
        """The service; its members have instances."""
        return self._target

    @property
    def instances(self) -> tuple[str, ...]:
        """What it hits."""
        return tuple(self._members)

    def undo(self) -> Sequence[Undo]:
        return tuple(entry for member in self._members.values() for entry in member.undo())

    def inject(self) -> None:
        """All are tried, also after one has failed: what is there is healed, whatever is not."""
        self._each(lambda member: member.inject())

    def verify(self) -> Evidence | None:
        return self._evidence(lambda member: member.verify())

    def heal(self) -> None:
        """All are tried, also after one has failed."""
        self._each(lambda member: member.heal())

    def gone(self) -> Evidence | None:
        return self._evidence(lambda member: member.gone())

    def _evidence(self, look: Callable[[Fault], Evidence | None]) -> Evidence | None:
        """`{"retrieval-1.probe": …}`, once every member has some."""
        found = self._each(look)
        told = {f"{name}.{key}": value for name, evidence in found.items() for key, value in (evidence or {}).items()}
        return None if any(evidence is None for evidence in found.values()) else told

    def _each(self, verb: Callable[[Fault], Answer]) -> dict[str, Answer]:
        """The members' answers. Raises one FaultError that names every member which raised one."""

        def attempt(member: Fault) -> tuple[Any, FaultError | None]:
            try:
                return verb(member), None
            except FaultError as error:
                return None, error

        with ThreadPoolExecutor(len(self._members), thread_name_prefix="member") as pool:
            answers = dict(zip(self._members, pool.map(attempt, self._members.values()), strict=True))
        failed = [f"{name}: {error}" for name, (_, error) in answers.items() if error is not None]
        if failed:
            raise FaultError("; ".join(failed))
        return {name: answer for name, (answer, _) in answers.items()}
