"""A mock as the stack that the faults of the catalogue act on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.scenario.catalog import Role, StackInfo
from harness.stack.base import AdminApi, Instance
from harness.testing.mocks import Mock


@dataclass(frozen=True, slots=True)
class MockStack:
    """One service, which has an admin API and nothing else."""

    mock: Mock

    @property
    def info(self) -> StackInfo:
        kind = self.mock.kind
        role: Role = "llm" if kind == "llm" else "vector"
        return StackInfo(
            name="mock",
            services={kind: 1},
            edges=frozenset(),
            capabilities=frozenset({"Programmable"}),
            journeys=frozenset(),
            roles={kind: role},
            programmable=frozenset({kind}),
        )

    def instances(self, service: str) -> Sequence[Instance]:
        return (Instance(service, service, self.mock.url, ""),)

    def admin(self, service: str) -> AdminApi:  # noqa: ARG002  # there is one
        return self.mock.admin
