"""Capabilities of the reference stack that change what its instances find around them: settings, telemetry, clocks, credentials."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.stack.base import StackError
from harness.stack.environment import Environments
from harness.stack.options import StackOptions
from harness.stack.rollout import Rollout, Roster

_GATEWAY = "gateway"


class Conditions:
    """The part of a driver that keeps them; `Environments` does the work."""

    _environments: Environments
    _options: StackOptions
    _roster: Roster
    _rollout: Rollout

    def set_environment(self, instance: str, variables: Mapping[str, str]) -> None:
        self._roster.get(instance)  # there must be one
        self._environments.add(instance, variables)

    def set_telemetry(self, instance: str, telemetry: Mapping[str, str]) -> None:
        self._roster.get(instance)
        self._environments.set_telemetry(instance, telemetry)

    def log_path(self, instance: str) -> Path:
        self._roster.get(instance)
        return self._options.logs_dir / f"{instance}.log"

    def rotate_credential(self, credential: str, rotated: bool) -> None:
        match credential:
            case "api_key":
                self._environments.rotate_api_key(rotated)
            case "jwt_secret":
                self._environments.jwt_rotated = rotated
                for member in self._roster.of(_GATEWAY):
                    self._rollout.restart(member)
            case _:
                raise StackError(f"no credential {credential!r}; there are api_key, jwt_secret")

    def deploy(self, service: str, version: str) -> str:
        """What was added to the environment belonged to the build that goes."""
        for member in self._roster.of(service):
            self._environments.add(member.name, {})
        return self._rollout.deploy(service, version)
