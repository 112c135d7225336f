"""Direct probes of databases and caches: do they answer, and what do they say of themselves? Nothing is written.

The names are those of the usual exporters (postgres_exporter, redis_exporter), as far as these have them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from harness.lazy import Lazy

if TYPE_CHECKING:
    import psycopg
    import redis
else:
    psycopg, redis = Lazy("psycopg"), Lazy("redis")  # what reads exported files knows the names of these metrics, and asks no store

PROBE_TIMEOUT_S = 1.0

Samples = list[tuple[str, Mapping[str, str], float]]

SAMPLES = (
    "pg_up",
    "pg_stat_activity_count",
    "pg_settings_max_connections",
    "pg_stat_activity_waiting_for_locks",
    "pg_stat_activity_waiting_for_io",
    "pg_stat_activity_max_idle_tx_seconds",
    "pg_settings_default_transaction_read_only",
    "redis_db_keys",
    "redis_evicted_keys_total",
    "redis_expired_keys_total",
    "redis_slowlog_last_id",
    "redis_uptime_in_seconds",
    "redis_memory_used_bytes",
    "redis_memory_max_bytes",
)

_POSTGRES = """
SELECT count(*),
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
       count(*) FILTER (WHERE wait_event_type = 'Lock'),
       count(*) FILTER (WHERE wait_event_type = 'IO' OR wait_event = 'WALWrite'),
       coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)) FILTER (WHERE state = 'idle in transaction'), 0),
       (current_setting('default_transaction_read_only') = 'on')::int
FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


def probe(url: str) -> tuple[Samples, str | None]:
    """What it says of itself, and the reason if it does not answer: refused, timeout, or its own words."""
    try:
        return (_ask_redis(url) if url.startswith(("redis:", "valkey:")) else _ask_postgres(url)), None
    except (psycopg.errors.ConnectionTimeout, redis.TimeoutError, TimeoutError):
        return [], "timeout"
    except (psycopg.OperationalError, redis.ConnectionError) as error:
        return [], "refused" if "refused" in str(error).lower() else str(error).strip().splitlines()[0]
    except (psycopg.Error, redis.RedisError, OSError) as error:
        return [], f"{type(error).__name__}: {error}"


def _ask_postgres(url: str) -> Samples:
    with psycopg.connect(url, connect_timeout=max(2, round(PROBE_TIMEOUT_S)), autocommit=True) as connection:
        row = connection.execute(_POSTGRES).fetchone()
    assert row is not None, "an aggregate has one row"
    sessions, most, waiting, for_io, idle_s, read_only = row
    return [
        ("pg_up", {}, 1.0),
        ("pg_stat_activity_count", {}, float(sessions)),
        ("pg_settings_max_connections", {}, float(most)),
        ("pg_stat_activity_waiting_for_locks", {}, float(waiting)),
        ("pg_stat_activity_waiting_for_io", {}, float(for_io)),
        ("pg_stat_activity_max_idle_tx_seconds", {}, float(idle_s)),
        ("pg_settings_default_transaction_read_only", {}, float(read_only)),
    ]


def _ask_redis(url: str) -> Samples:
    client = redis.Redis.from_url(url, socket_timeout=PROBE_TIMEOUT_S, socket_connect_timeout=PROBE_TIMEOUT_S, decode_responses=True)
    try:
        client.ping()
        info: dict[str, Any] = client.info()
        slow: Any = _or_none(lambda: client.slowlog_get(1))
    finally:
        client.close()
    held = {name: v for name, v in info.items() if name.startswith("db") and isinstance(v, dict) and "keys" in v}  # those not empty
    samples: Samples = [("redis_db_keys", {"db": name}, float(v["keys"])) for name, v in held.items()]
    for name, field in (
        ("redis_evicted_keys_total", "evicted_keys"),
        ("redis_expired_keys_total", "expired_keys"),
        ("redis_uptime_in_seconds", "uptime_in_seconds"),
        ("redis_memory_used_bytes", "used_memory"),
        ("redis_memory_max_bytes", "maxmemory"),
    ):
        if field in info:
            samples.append((name, {}, float(info[field])))
    if slow is not None:
        samples.append(("redis_slowlog_last_id", {}, float(slow[0]["id"] + 1 if slow else 0)))
    return samples


def _or_none(ask: Callable[[], Any]) -> Any:
    """A user of the cache need not be allowed every command; what it may not ask is not known."""
    try:
        return ask()
    except redis.ResponseError:
        return None
