"""What is not ours: a service that runs already, by its URL; one of a compose file, by its port there; a node of a swarm; a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, GetJsonSchemaHandler, Tag, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from harness.scenario.catalog import Role
from harness.scenario.fields import Model

DeclaredRole = Literal["http", "postgres", "redis", "llm", "vector"]
"""Of `Role`, what may be said of a service that is not ours."""
PORTS: Mapping[Role, int] = {"postgres": 5432, "redis": 6379}
"""Where a service of that role listens unless it says otherwise."""
LLM = "llm"
"""The service that a scenario gets with `llm: true`, and its name in the network."""

MOCK_TOKEN = "GAUNTLET_MOCK_TOKEN"
"""Environment variable with the token of the admin API of a mock that runs by itself."""

Command = Annotated[list[str], Field(min_length=1)]
Actuator = Literal["kill", "stop", "restart", "pause", "resume", "scale", "deploy"]


class ServiceUrl(Model):
    """A service of an external stack. Faults and recovery act on it by the commands it names, and by no other means."""

    url: str
    metrics: str | None = Field(default=None, description="URL of its Prometheus metrics, if it has any")
    health: str | None = Field(default=None, description="URL that answers 200 while the service works")
    role: DeclaredRole = Field(default="http", description="what it speaks: faults of databases and caches fit what is one")
    admin: str | None = Field(
        default=None, description=f"URL of the admin API of a mock that plays it, for faults; its token is read from ${MOCK_TOKEN}"
    )
    actuators: dict[Actuator, Command] = Field(
        default_factory=dict, description="argv by verb, run without a shell; {replicas} in scale and {version} in deploy are replaced"
    )

    @model_validator(mode="after")
    def _can_be_healed(self) -> Self:
        given = set(self.actuators)
        if given & {"kill", "stop"} and "restart" not in given:
            raise ValueError("what can be killed or stopped must be healed: add `restart` to `actuators`")
        if len(given & {"pause", "resume"}) == 1:
            raise ValueError("`pause` and `resume` belong together: give both, or neither")
        for verb, word in {"scale": "{replicas}", "deploy": "{version}"}.items():
            command = self.actuators.get(verb)  # type: ignore[call-overload]  # both are verbs
            if command is not None and not any(word in part for part in command):
                raise ValueError(f"`{verb}` does not say where its number goes: write {word} in one of its arguments")
        if self.admin is not None and self.role not in ("llm", "vector"):
            raise ValueError("`admin` is of a mock, of an LLM provider or a vector store: add `role: llm` or `role: vector`")
        return self


class ComposeService(Model):
    """A service that is loaded, watched or broken. Those of the file that are not named here just run."""

    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None, description="where it listens in its container; default for postgres: 5432, for redis: 6379"
    )
    health: str | None = Field(default=None, description="path that answers 200 while the service works")
    metrics: str | None = Field(default=None, description="path of its Prometheus metrics, if it has any")
    role: DeclaredRole = Field(default="http", description="what it speaks: faults of databases and caches fit what is one")
    entry: bool = Field(default=False, description="whether the load goes here; default: the first service")
    environment: dict[str, str] = Field(
        default_factory=dict, description="variables over those of the file; {llm} and {llm_key} are the address and key of the mock LLM"
    )

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if self.port is None and self.role not in PORTS:
            raise ValueError("nothing says where it listens; write `port: 8080`: the port in its container, published or not")
        return self

    @property
    def listens_on(self) -> int:
        """The port in its container."""
        return self.port if self.port is not None else PORTS[self.role]


HostActuator = Literal["kill", "start", "pause", "resume", "cut", "mend"]
_BACK: Mapping[HostActuator, HostActuator] = {"kill": "start", "pause": "resume", "cut": "mend"}


class SwarmNode(Model):
    """One node of a swarm that runs already. Faults take the node itself away by the commands it names, and by no other means."""

    engine: str = Field(description="the Unix socket of its Docker engine; of another machine's, one that is forwarded here")
    kill: Command | None = Field(default=None, description="argv, run without a shell, that ends the node at once, as a power cut does")
    start: Command | None = Field(default=None, description="argv that brings a killed node back, with what was on its disk")
    pause: Command | None = Field(default=None, description="argv that stops everything on the node, as a suspended virtual machine")
    resume: Command | None = Field(default=None, description="argv that lets a paused node go on")
    cut: Command | None = Field(default=None, description="argv that cuts the node off the network")
    mend: Command | None = Field(default=None, description="argv that connects a cut node again")

    @model_validator(mode="before")
    @classmethod
    def _engine_alone(cls, given: Any) -> Any:
        return {"engine": given} if isinstance(given, str) else given

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "description": "the engine alone"}, handler(core)]}

    @model_validator(mode="after")
    def _can_be_healed(self) -> Self:
        if not self.engine.startswith("unix:///"):
            hint = "write unix:///…; of another machine: ssh -nNT -L /run/b.sock:/var/run/docker.sock b"
            raise ValueError(f"{self.engine!r} is no Unix socket; {hint}")
        for verb, back in _BACK.items():
            if self.command(verb) is not None and self.command(back) is None:
                raise ValueError(f"`{verb}` without `{back}`: what a fault does to a node must be healed; give both, or neither")
        return self

    def command(self, verb: HostActuator) -> list[str] | None:
        """The argv of a verb; None where the node names none."""
        found: list[str] | None = getattr(self, verb)
        return found

    @property
    def verbs(self) -> frozenset[HostActuator]:
        """Those that can be done to the node and be undone."""
        return frozenset(verb for verb in _BACK if self.command(verb) is not None)


class ClusterSpec(Model):
    """Where the driver `kubernetes` works."""

    context: str | None = Field(default=None, description="of the kubeconfig; default: the current one")
    images: str = Field(
        default="rag-gauntlet/{image}:latest", description="how nodes call an image; {image} is its name in `gauntlet images list`"
    )

    @model_validator(mode="after")
    def _has_a_place(self) -> Self:
        if "{image}" not in self.images:
            raise ValueError("`images` does not say where the name of an image goes: write, e.g., registry.example/rag/{image}:1.0")
        return self


class _Composed(dict[str, Any]):
    """Marks the raw description of a service of a compose stack, so that errors speak of what it can have."""


def marked(services: Any, use: str | None) -> Any:
    """The raw `services` of a stack, marked where they are those of a compose file. `use` None: the stack's kind is not known."""
    if not isinstance(services, dict):
        return services
    if use != "compose" and (use is not None or any(isinstance(s, dict) and "url" in s for s in services.values())):
        return services
    return {name: _Composed(service) if isinstance(service, dict) else service for name, service in services.items()}


def kind_of(service: Any) -> str:
    """The tag of the model for one service."""
    return "compose" if isinstance(service, (_Composed, ComposeService)) else "external"


Service = Annotated[Annotated[ServiceUrl, Tag("external")] | Annotated[ComposeService, Tag("compose")], Discriminator(kind_of)]
