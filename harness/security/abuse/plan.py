"""What is to be abused: a small YAML file that names routes, and where credentials come from."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, model_validator

from harness.scenario import document
from harness.scenario.explain import problems_of
from harness.scenario.fields import Model
from harness.scenario.problem import Problem, ScenarioError

Family = Literal["tokens", "bodies", "traversal", "smuggling", "injection", "tenants", "admin", "rate"]
FAMILIES: tuple[Family, ...] = ("tokens", "bodies", "traversal", "smuggling", "injection", "tenants", "admin", "rate")
KIND = document.Kind("a plan of abuse", "docs/security.md shows one", 'begin with `url: "http://127.0.0.1:8000"`')


class Reference(Model):
    """Where a secret is read from; never the secret itself."""

    environment: str | None = None
    file: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.environment is None) == (self.file is None):
            raise ValueError("one of environment and file is needed; write {environment: GATEWAY_KEY}")
        return self

    def read(self, root: Path, environment: Mapping[str, str]) -> str:
        """Raises LookupError with one line where there is none."""
        if self.environment is not None:
            value = environment.get(self.environment, "")
            if not value:
                raise LookupError(f"the environment variable {self.environment} is not set")
            return value
        try:
            return (root / str(self.file)).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise LookupError(f"{self.file}: cannot be read: {error.strerror}") from error


class Route(Model):
    """A request; `{id}` and `{text}` in its path and its body are filled in. `field` is what of the JSON answer counts."""

    get: str | None = None
    post: str | None = None
    body: dict[str, Any] | None = Field(default=None, alias="json")
    field: str | None = None
    done: list[str] = Field(default_factory=list, description="values of the field that mean it is over and done")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.get is None) == (self.post is None):
            raise ValueError("one of get and post is needed; write {get: /api/usage}")
        return self

    @property
    def method(self) -> str:
        return "GET" if self.get is not None else "POST"

    @property
    def path(self) -> str:
        return str(self.get or self.post)


class Routes(Model):
    """`protected` must work with the key, and with nothing else; the others are what their families need."""

    protected: Route
    token: Route | None = Field(default=None, description="issues a JWT for a key; `field` holds it")
    ask: Route | None = Field(default=None, description="`{text}` is the question; `field` holds the answer")
    ingest: Route | None = Field(default=None, description="`{id}` and `{text}` of a document")
    document: Route | None = Field(default=None, description="the state of document `{id}`; `field` and `done` say when it can be found")


class Plan(Model):
    """The whole file."""

    url: str = Field(default="", pattern=r"^https?://[^/\s]+/?$", description="without one, it is that of the stack which the step starts")
    allow_hosts: list[str] = Field(default_factory=list, description="hosts that may be abused besides this machine's loopback")
    key: Reference
    second_key: Reference | None = Field(default=None, description="of another tenant")
    signing_key: Reference | None = Field(default=None, description="lets an expired token be made that is right in all else")
    limited_key: Reference | None = Field(default=None, description="whose limit `rate` must meet; without it, that of `key`")
    routes: Routes
    admin: list[Route] = Field(
        default_factory=list, description="what must refuse who has no token; a path, or a whole URL of another port"
    )
    max_body_bytes: Annotated[int, Field(ge=1024, le=64 << 20)] = Field(default=16 << 20, description="what exceeds it must be refused")
    max_requests: Annotated[int, Field(ge=1, le=500)] = Field(
        default=60, description="of one key in a burst: before that many, a limit must be met"
    )
    leave_out: dict[Family, str] = Field(default_factory=dict, description="families that are not tried, each with the reason")


def load(path: Path) -> Plan:
    """Raises ScenarioError with file, line and column."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ScenarioError([Problem(str(path), 1, 1, f"cannot be read: {error}", "give the path of a plan of abuse")]) from error
    return parse(text, str(path))


def parse(text: str, path: str) -> Plan:
    """The same from text."""
    data, positions = document.parse(text, path, KIND)
    try:
        plan = Plan.model_validate(data)
    except ValidationError as error:
        raise ScenarioError(problems_of(error, Plan, data, positions, path)) from None
    for where, url in ((("url",), plan.url or "http://127.0.0.1"), *(((("admin", n)), one.path) for n, one in enumerate(plan.admin))):
        host = urlsplit(url).hostname
        if host is not None and not _is_loopback(host) and host not in plan.allow_hosts:
            at = positions.value(where)
            hint = f"abuse goes to 127.0.0.1 or [::1]; what is yours may be named: allow_hosts: [{host}]"
            raise ScenarioError([Problem(path, at.line, at.column, f"{host} is not this machine", hint)])
    return plan


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name may lead anywhere
        return False
