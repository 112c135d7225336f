"""What may be written in a STACK.yaml. Whatever a run writes into targets.yaml for its operator is valid here, too."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from harness.ops.monitoring.detectors.registry import MULTIVARIATE
from harness.ops.monitoring.detectors.registry import names as detector_names
from harness.ops.monitoring.levels import LIMITED, check_limit
from harness.ops.stackfile.profiles import DEFAULT as DEFAULT_PROFILE
from harness.ops.stackfile.profiles import Name as ProfileName
from harness.ops.targets import RecoveryMode
from harness.scenario.fields import LimitText, Model, PositiveDuration, Rate
from harness.scenario.problem import did_you_mean
from harness.scenario.units import Limit, duration_s

Kind = Literal["http", "tls", "llm", "embedding", "vector", "postgres", "redis", "external"]
SCHEMES: dict[str, tuple[str, ...]] = {
    "postgres": ("postgresql", "postgres"),
    "redis": ("redis", "rediss", "valkey", "unix"),
}
_HTTP = ("http", "https")


def _http_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in _HTTP or not parts.hostname:
        raise ValueError(f"{url!r} is no URL of HTTP; write http://host:port/path")
    return url


HttpUrl = Annotated[str, AfterValidator(_http_url)]


class Health(Model):
    """How to ask a service whether it is well. What is left out follows from its kind."""

    path: str | None = Field(default=None, pattern=r"^/", description="http, external: what is asked for; default /health")
    url: HttpUrl | None = Field(default=None, description="http, external: asked instead of every instance")
    method: Literal["GET", "POST"] | None = Field(default=None, description="default: POST where there is a `body`, else GET")
    body: Any = Field(default=None, description="http, external: JSON that is sent")
    headers: dict[str, str] = Field(default_factory=dict, description="sent along; values may name the environment as ${NAME}")
    status: Annotated[int, Field(ge=100, le=599)] | Literal["any"] = Field(default=200, description="the healthy answer; any: below 500")
    contains: str | None = Field(default=None, min_length=1, description="text that the answer must contain")
    api: Literal["openai", "anthropic"] = Field(default="openai", description="llm: the protocol of the provider")
    models: list[str] = Field(default_factory=list, description="llm, embedding: each is asked; default: the first that is listed")
    key_env: str | None = Field(default=None, description="llm, embedding, vector: the variable that holds the API key")
    product: Literal["qdrant", "chroma"] | None = Field(default=None, description="vector: default: found out")
    trusted: str | None = Field(default=None, description="certificates (PEM) that are trusted, too; default: those of the whole file")
    collection: str | None = Field(default=None, description="vector: what is queried; default: the first that is listed")
    timeout: PositiveDuration = Field(default=5.0, description="no answer by then is unhealthy")
    slow: PositiveDuration | None = Field(default=None, description="a later answer is degraded; default: half the timeout")


class Service(Model):
    """One service, and its instances by address."""

    kind: Kind = "http"
    url: str | None = None
    urls: list[str] = Field(default_factory=list, min_length=1)
    url_env: str | None = Field(default=None, description="the variable that holds the address, where that is a secret")
    metrics: HttpUrl | None = None
    calls: list[str] = Field(default_factory=list)
    critical: bool = True
    health: HttpUrl | Health | None = None
    pid_file: str | None = Field(
        None, description="whose processor time and memory count; default: who listens at the address, if it is here"
    )
    cgroup: str | None = Field(default=None, description="folder of its control group: a container's")

    @model_validator(mode="after")
    def _one_address(self) -> Service:
        given = [name for name in ("url", "urls", "url_env") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} both say where the service is; keep one")
        return self


class Client(Model):
    """What users see."""

    metrics: HttpUrl | None = None


class Claims(Model):
    """Where alerts, diagnoses and escalations are posted."""

    alerts: HttpUrl | None = None
    diagnoses: HttpUrl | None = None
    escalations: HttpUrl | None = None


def _folder(text: str) -> str:
    path = PurePosixPath(text)
    if not path.is_absolute() or ".." in path.parts or (len(path.parts) < 3 and text.rstrip("/") != "/tmp"):
        raise ValueError(f"{text!r} is no folder to be cleaned; write an absolute path below the first level, such as /var/tmp/ours")
    return text


class Pressure(Model):
    """What is done when processors, memory or a disk of this machine stay past their limit."""

    temporary: list[Annotated[str, AfterValidator(_folder)]] = Field(default_factory=list, description="folders whose old files may go")
    older_than: PositiveDuration = Field(default=3600.0, description="files that were not changed for so long are old")
    restart: bool = Field(default=False, description="whether the instance that takes most may be restarted then")


def _multivariate(name: str) -> str:
    if name not in MULTIVARIATE:
        raise ValueError(f"there is no detector of several readings {name!r}; {did_you_mean(name, MULTIVARIATE)}")
    return name


class Together(Model):
    """Readings that are looked at as one row: what is usual for each may be strange for all."""

    detector: Annotated[str, AfterValidator(_multivariate)]
    readings: list[Annotated[str, Field(pattern=r"^[^*/]+/.+$")]] = Field(min_length=2, description="SERVICE/READING, each")


class Actions(Model):
    """Where actions are asked for. Without it nothing is done: a dry run."""

    url: HttpUrl


def _duration(text: object) -> str:
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is no duration; write 30s or 5m")
    if duration_s(text) <= 0:
        raise ValueError(f"{text!r} is no time at all; write 30s or 5m")
    return text


DurationText = Annotated[str, BeforeValidator(_duration)]
"""Kept as it is written: targets.yaml says it in the same words."""


class Recovery(Model):
    """Who decides on actions."""

    mode: RecoveryMode = "act"
    approvals: str | None = Field(default=None, description="mode approve: where a person writes what may be done")
    most_actions: int | None = Field(default=None, ge=0, description="in any window of `within`; default 4")
    within: DurationText | None = Field(default=None, description="default 1m")
    cooldown: dict[str, DurationText] = Field(default_factory=dict, description="by verb, where the usual does not fit")
    strategies: list[str] = Field(default_factory=list, description="of other distributions, tried first, by their entry points")


class Forecasts(Model):
    """What is looked at ahead; what is left out follows from the profile."""

    every: PositiveDuration | None = Field(default=None, description="between two forecasts")
    limits: bool | None = Field(default=None, description="also when a key metric will pass its limit")


class Prometheus(Model):
    """Who has scraped already: one server, or several that share the targets."""

    urls: list[HttpUrl] = Field(min_length=1)
    token_env: str | None = Field(default=None, description="the variable that holds its bearer token")


def _detector(name: str) -> str:
    if name not in detector_names():
        raise ValueError(f"there is no detector {name!r}; {did_you_mean(name, detector_names())}")
    return name


def _limits(given: dict[str, Limit]) -> dict[str, Limit]:
    for name, one in given.items():
        if name not in LIMITED:
            raise ValueError(f"there is no key metric {name!r}; {did_you_mean(name, LIMITED)}")
        check_limit(name, one)
    return given


class StackDocument(Model):
    """A whole STACK.yaml."""

    name: str = Field(default="stack", min_length=1)
    services: dict[str, Service] = Field(min_length=1)
    registry: str | None = None
    static: dict[str, list[str]] = Field(default_factory=dict)
    edges: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = Field(default_factory=list)
    client: Client = Field(default_factory=Client)
    slos: dict[str, str] = Field(default_factory=dict)
    claims: Claims = Field(default_factory=Claims)
    actions: Actions | None = None
    canaries: dict[Literal["embedding", "search", "generation"], str] = Field(
        default_factory=dict, description="the service that takes each question of the operator's own"
    )
    recovery: Recovery = Field(default_factory=Recovery)
    pressure: Pressure = Field(default_factory=Pressure)
    rules: list[str] = Field(default_factory=list, description="Prometheus rule files; their alerts are told, not the operator's own")
    notify: dict[str, Any] | None = Field(default=None, description="who is told of alerts, and how: docs/alerts.md")
    token: str | None = None
    token_env: str | None = None
    trusted: str | None = Field(default=None, description="certificates (PEM) of authorities that are trusted beside this machine's")
    time_scale: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    profile: ProfileName = Field(default=DEFAULT_PROFILE, description="how closely it is watched; the keys below go before it")
    every: PositiveDuration | None = Field(default=None, description="between two rounds of looking")
    health_every: PositiveDuration | None = Field(default=None, description="between two questions to what has no metrics")
    detect_every: PositiveDuration | None = Field(default=None, description="a detector gets the mean of that long; default: every reading")
    forecasts: Forecasts = Field(default_factory=Forecasts)
    prometheus: Prometheus | None = Field(default=None, description="where metrics come from, instead of from the services")
    limits: Annotated[dict[str, LimitText], AfterValidator(_limits)] = Field(default_factory=dict)
    detectors: dict[str, Annotated[str, AfterValidator(_detector)] | None] = Field(
        default_factory=dict, description="by SERVICE/READING or */READING; null: none, whatever the profile says"
    )
    together: dict[str, Together] = Field(default_factory=dict, description="by a name of yours: detectors of several readings at once")
    logs: list[str] = Field(default_factory=list, description="files that are followed, over their rotation")
    sources: list[str] = Field(default_factory=list, description="further sources of readings, by the name of their entry point")
    disks: list[str] = Field(default_factory=lambda: ["/"], description="file systems that are watched, by a path in each")
    capacity: dict[str, Rate] = Field(default_factory=dict, description="requests a second that a service can serve, as a sweep found")
    keep: PositiveDuration | None = Field(default=None, description="how long the history reaches back")
