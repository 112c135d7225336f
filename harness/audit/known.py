"""What is known of common images and settings: which keep data, how their doors are locked, which names hold secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Role = Literal["store", "dashboard", "proxy", "service"]

# Longest first where one begins with another.
_STORES = (
    "postgresql", "postgres", "pgvector", "timescaledb", "mysql", "mariadb", "redis", "valkey", "keydb", "memcached", "mongodb", "mongo",
    "qdrant", "chromadb", "chroma", "weaviate", "milvus", "elasticsearch", "opensearch", "rabbitmq", "kafka", "minio", "cassandra",
    "clickhouse-server", "clickhouse", "etcd", "neo4j",
)  # fmt: skip
_DASHBOARDS = (
    "grafana", "prometheus", "alertmanager", "kibana", "opensearch-dashboards", "pgadmin4", "pgadmin", "adminer", "phpmyadmin", "flower",
    "redis-commander", "jaeger", "portainer", "mongo-express",
)  # fmt: skip
_PROXIES = ("nginx", "traefik", "caddy", "haproxy", "envoy")
_BESIDE = re.compile(r"exporter|backup|operator|proxy|init|migrat|sentinel|client")
_FORGETFUL = frozenset({"memcached"})

_MUTABLE = frozenset({"latest", "stable", "main", "master", "edge", "nightly", "dev", "develop", "current", "rolling"})
_SECRET_NAME = re.compile(
    r"(?:^|[_.-])(?:password|passwd|pwd|passphrase|secret|token|credentials?"
    r"|(?:api|access|secret|private|signing|encryption|master)[_-]?key)$",
    re.I,
)
_IN_URL = re.compile(r"^[a-z][a-z0-9+.-]*://[^/\s:@]*:(?P<password>[^/\s@]+)@", re.I)
_DOLLAR = "\x00"  # an escaped one, while the rest is replaced; YAML has none
_INTERPOLATION = re.compile(r"\$(?:\$|(?P<bare>[A-Za-z_]\w*)|\{(?P<name>[A-Za-z_]\w*)(?P<rest>[^{}]*)\})")


@dataclass(frozen=True, slots=True)
class Image:
    """A reference to an image, without what is interpolated from outside."""

    text: str

    @property
    def name(self) -> str:
        """`postgres` of `registry:5000/team/postgres:16@sha256:…`."""
        last = self.text.partition("@")[0].rpartition("/")[2]
        return last.partition(":")[0].lower()

    @property
    def tag(self) -> str:
        """Empty where there is none."""
        return self.text.partition("@")[0].rpartition("/")[2].partition(":")[2]

    @property
    def mutable(self) -> bool:
        """May the same reference be another image tomorrow, as a matter of course?"""
        return bool(self.text) and "@sha256:" not in self.text and (not self.tag or self.tag.lower() in _MUTABLE)


def interpolated(text: str) -> str:
    """Text of a compose file as it is where the environment sets nothing: defaults, or nothing."""

    def default(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return _DOLLAR
        rest = found["rest"] or ""
        return rest.lstrip(":")[1:] if rest.lstrip(":")[:1] == "-" else ""

    for _ in range(4):  # a default may hold another
        text, before = _INTERPOLATION.sub(default, text), text
        if text == before:
            break
    return text.replace(_DOLLAR, "$")


def product(image: Image, service: str) -> str:
    """The product's own name (`postgres`), of an image, or of a service that is built here; empty for none that is known."""
    name = image.name if image.text else service.lower()
    if _BESIDE.search(name):
        return ""
    for known in (*_STORES, *_DASHBOARDS, *_PROXIES):
        if name == known or name.startswith((known + "-", known + "_")) or name.endswith("-" + known):
            return known
    return ""


def role(known: str) -> Role:
    """What a product is for."""
    for products, kind in ((_STORES, "store"), (_DASHBOARDS, "dashboard"), (_PROXIES, "proxy")):
        if known in products:
            return kind  # type: ignore[return-value]  # the literals above
    return "service"


def keeps_state(known: str) -> bool:
    """Would its users miss what it holds?"""
    return role(known) == "store" and known not in _FORGETFUL


def secret(name: str, value: str) -> bool:
    """Is a secret written out here? `value` as it is where the environment sets nothing."""
    in_url = _IN_URL.match(value)
    if in_url:
        return "$" not in in_url["password"]
    return bool(value) and value.lower() not in ("true", "false", "null", "none") and bool(_SECRET_NAME.search(name))


def unlocked(known: str, environment: Mapping[str, str], words: Sequence[str]) -> str:
    """Why anybody may enter this store; empty where a lock is seen, or where the product is not known well enough to tell."""
    for name, values in _OPEN_BY_SETTING:
        if environment.get(name, "").lower() in values:
            return f"{name} is {environment[name]}"
    wanted = _LOCKS.get(known)
    if wanted is None:
        return ""
    names, options = wanted
    if any(name in environment or f"{name}_FILE" in environment for name in names):
        return ""
    if any(option in word for option in (*options, ".conf", ".cnf") for word in words):
        return ""
    return f"none of {', '.join((*names, *options))} is given"


_OPEN_BY_SETTING = (
    ("POSTGRES_HOST_AUTH_METHOD", ("trust",)),
    ("MYSQL_ALLOW_EMPTY_PASSWORD", ("yes", "true", "1")),
    ("MARIADB_ALLOW_EMPTY_ROOT_PASSWORD", ("yes", "true", "1")),
    ("ALLOW_EMPTY_PASSWORD", ("yes", "true", "1")),
    ("xpack.security.enabled", ("false",)),
    ("DISABLE_SECURITY_PLUGIN", ("true",)),
    ("AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED", ("true",)),
    ("NEO4J_AUTH", ("none",)),
)
_REDIS = (("REDIS_PASSWORD", "VALKEY_PASSWORD", "REDIS_ARGS", "VALKEY_EXTRA_FLAGS"), ("--requirepass", "--aclfile"))
_POSTGRES = (("POSTGRES_PASSWORD", "POSTGRESQL_PASSWORD", "PGPASSWORD"), ())
_LOCKS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "postgres": _POSTGRES,
    "postgresql": _POSTGRES,
    "pgvector": _POSTGRES,
    "timescaledb": _POSTGRES,
    "mysql": (("MYSQL_ROOT_PASSWORD", "MYSQL_PASSWORD", "MYSQL_RANDOM_ROOT_PASSWORD"), ()),
    "mariadb": (("MARIADB_ROOT_PASSWORD", "MYSQL_ROOT_PASSWORD", "MARIADB_RANDOM_ROOT_PASSWORD", "MARIADB_ROOT_PASSWORD_HASH"), ()),
    "redis": _REDIS,
    "valkey": _REDIS,
    "keydb": _REDIS,
    "mongo": (("MONGO_INITDB_ROOT_PASSWORD",), ("--auth", "--keyFile")),
    "mongodb": (("MONGODB_ROOT_PASSWORD", "MONGO_INITDB_ROOT_PASSWORD"), ("--auth", "--keyFile")),
    "qdrant": (("QDRANT__SERVICE__API_KEY", "QDRANT__SERVICE__JWT_RBAC"), ()),
    "chroma": (("CHROMA_SERVER_AUTHN_CREDENTIALS", "CHROMA_SERVER_AUTHN_PROVIDER"), ()),
    "chromadb": (("CHROMA_SERVER_AUTHN_CREDENTIALS", "CHROMA_SERVER_AUTHN_PROVIDER"), ()),
}
