"""What the instances of the reference stack are told by their environment, and the files that it names. The same for every driver."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.stack import faketime
from harness.stack.credentials import Credentials, write_private
from harness.stack.options import StackOptions
from harness.stack.registry import RegistryFile
from harness.stack.supervise import Member
from harness.stack.topology import CHAT_MODEL, PROVIDERS, SNAPSHOTS, VECTOR, Topology, Variable

VECTOR_LATENCY = {"read": {"lognormal_ms": {"median": 3.0, "sigma": 0.3}}, "write": {"lognormal_ms": {"median": 5.0, "sigma": 0.3}}}
"""Of the mock vector store: about what pgvector takes here, or the choice of a store would show in every latency."""

EngineUrl = Callable[[str, str], str]
"""(caller, engine) -> where that caller finds the engine."""


class Environments:
    """Variables for members of every kind but the engines, and the files behind them, all below the work directory.

    Three folders, because a driver may have to show each service its own: `secrets`, `profiles`, and `state/<instance>`, which is the
    instance's to write.
    """

    def __init__(
        self,
        options: StackOptions,
        topology: Topology,
        credentials: Credentials,
        registry: RegistryFile,
        engine_url: EngineUrl,
        hand_over: Callable[[Path], None],
    ) -> None:
        """`hand_over` makes a private file belong to who reads it, where that is another user."""
        self._options = options
        self._topology = topology
        self._credentials = credentials
        self._registry = registry
        self._engine_url = engine_url
        self._hand_over = hand_over
        self._additions: dict[str, Mapping[str, str]] = {}  # by instance
        self._clocked: dict[str, Mapping[str, str]] = {}
        self._rotated = Credentials.fresh()
        self.jwt_rotated = False

    def prepare(self) -> None:
        """Write the files that services are given the paths of."""
        for folder in (self._secrets, self._profiles):
            folder.mkdir(exist_ok=True)
        self._write_keys(self._credentials, self._secrets / "keys.json")
        for provider in PROVIDERS:
            profile = provider_profile(provider, self._options, self._credentials)
            self._write_profile(provider, profile)
        if VECTOR in self._topology.services:
            kept_in = self.state_of(f"{VECTOR}-1") / "vectors"
            self._write_profile(VECTOR, vector_profile(kept_in, self._options))

    def add(self, instance: str, variables: Mapping[str, str]) -> None:
        """What its next starts get in addition."""
        self._additions[instance] = dict(variables)

    def added_to(self, instance: str) -> Mapping[str, str]:
        """What was added last."""
        return {**self._clocked.get(instance, {}), **self._additions.get(instance, {})}

    def set_telemetry(self, instance: str, telemetry: Mapping[str, str]) -> None:
        """Tell an instance how it can be observed; it looks by itself."""
        path = self._telemetry_file(instance)
        if telemetry:
            _replace(path, json.dumps(dict(telemetry)))
        else:
            path.unlink(missing_ok=True)

    def rotate_api_key(self, rotated: bool) -> None:
        """The gateway reads the file again within a second."""
        fresh = self._secrets / "keys.new"
        fresh.unlink(missing_ok=True)
        self._write_keys(self._rotated if rotated else self._credentials, fresh)
        fresh.replace(self._secrets / "keys.json")

    def set_clock(self, instance: str, library: Path, offset_s: float, rate: float) -> bool:
        """Let its clock follow a file, and write that; True where it follows it from its next start on only."""
        path = self.state_of(instance) / "clock"
        _replace(path, faketime.content(offset_s, rate))
        fresh = instance not in self._clocked
        if (offset_s, rate) == (0.0, 1.0):
            self._clocked.pop(instance, None)  # the running one follows a true clock; the next one needs none
            return False
        self._clocked[instance] = faketime.environment(library, path)
        return fresh

    def of(self, member: Member, listening: Mapping[str, str], admin: Mapping[str, str]) -> dict[str, str]:
        """Everything for a service or mock. `listening` says where (HOST, PORT), `admin` where its admin API does, if it is a mock."""
        service = self._topology.services[member.service]
        particular = self._of_service(member) if service.kind == "http" else {**self._of_mock(member), **admin}
        return {
            **listening,
            "INSTANCE": member.name,
            "VERSION": member.version,
            **particular,
            **self._declared(member),
            **self.added_to(member.name),
        }

    def _declared(self, member: Member) -> Mapping[str, str]:
        return self._options.environment.get(member.service, {})

    def state_of(self, instance: str) -> Path:
        """The folder that is the instance's own; made here."""
        folder = self._options.work_dir / "state" / instance
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _of_mock(self, member: Member) -> dict[str, str]:
        return {
            "VECTOR_PROFILE" if member.service == VECTOR else "LLM_PROFILE": str(self._profile_file(member.service)),
            "ADMIN_TOKEN": self._credentials.admin_token,
            # where it keeps its faults over a restart, which therefore heals nothing that is wrong with a provider
            "FAULTS_FILE": str(self.state_of(member.name) / "faults.json"),
        }

    def _of_service(self, member: Member) -> dict[str, str]:
        environment = {
            "REGISTRY_FILE": str(self._registry.path_for(member.service)),
            "TELEMETRY_FILE": str(self._telemetry_file(member.name)),
        }
        for variable in self._topology.services[member.service].variables:
            environment[variable] = self._value(variable, member)
        return environment

    def _value(self, variable: Variable, member: Member) -> str:
        match variable:
            case "DATABASE_URL":
                return self._engine_url(member.service, "postgres")
            case "REDIS_URL":
                return self._engine_url(member.service, "cache")
            case "KEYS_FILE":
                return str(self._secrets / "keys.json")
            case "JWT_SECRET":
                return self._rotated.jwt_secret if self.jwt_rotated else self._credentials.jwt_secret
            case "LLM_API_KEY":
                return self._credentials.provider_key
            case "VECTOR_STORE":
                return self._options.vector_store
            case "SPOOL_DIR":
                return str(self.state_of(member.name) / "spool")

    def _telemetry_file(self, instance: str) -> Path:
        return self.state_of(instance) / "telemetry.json"

    @property
    def _secrets(self) -> Path:
        return self._options.work_dir / "secrets"

    @property
    def _profiles(self) -> Path:
        return self._options.work_dir / "profiles"

    def _write_keys(self, credentials: Credentials, path: Path) -> None:
        credentials.write_keys_file(path)
        self._hand_over(path)

    def _write_profile(self, mock: str, profile: Mapping[str, Any]) -> None:
        write_private(self._profile_file(mock), profile)
        self._hand_over(self._profile_file(mock))

    def _profile_file(self, mock: str) -> Path:
        return self._profiles / f"{mock}.json"


def provider_profile(provider: str, options: StackOptions, credentials: Credentials) -> dict[str, Any]:
    """Of a mock provider."""
    timing = options.timing[provider]
    return {
        "ttft_ms": timing.ttft_ms,
        "itl_ms": timing.itl_ms,
        "seed": options.seed,
        "snapshots": {CHAT_MODEL: SNAPSHOTS[provider]},
        "api_keys": [credentials.provider_key],
    }


def vector_profile(kept_in: Path, options: StackOptions) -> dict[str, Any]:
    """Of the mock vector store, which keeps its data in that folder."""
    return {"seed": options.seed, "persist_dir": str(kept_in), "latency": VECTOR_LATENCY}


def _replace(path: Path, text: str) -> None:
    """Nobody ever reads half of it."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
