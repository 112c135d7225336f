"""What the operator's direct probes see of real databases and caches, well and not."""

from __future__ import annotations

import threading

import psycopg

from harness.ops.monitoring import stores
from tests.integration.backends import Valkey, free_port


def told(url: str) -> dict[str, float]:
    samples, error = stores.probe(url)
    assert error is None
    return {name: value for name, _, value in samples}


def test_a_database_tells_of_sessions_locks_and_its_mode(database_url: str) -> None:
    calm = told(database_url)
    assert calm.keys() == {name for name in stores.SAMPLES if name.startswith("pg_")}
    assert (calm["pg_stat_activity_waiting_for_locks"], calm["pg_settings_default_transaction_read_only"]) == (0, 0)
    assert calm["pg_settings_max_connections"] > calm["pg_stat_activity_count"] >= 0
    with psycopg.connect(database_url) as holder, psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute("CREATE TABLE held (n int)")
        holder.execute("LOCK TABLE held")
        waiter = threading.Thread(target=_read, args=(database_url,))
        waiter.start()
        while not (held := told(database_url))["pg_stat_activity_waiting_for_locks"]:
            assert waiter.is_alive()
        holder.rollback()
        waiter.join()
        name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
        admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'.encode())
    assert held["pg_stat_activity_count"] >= 3, "who holds, who waits, and we"
    assert held["pg_stat_activity_max_idle_tx_seconds"] > 0
    assert told(database_url)["pg_settings_default_transaction_read_only"] == 1


def _read(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("SELECT * FROM held")


def test_a_cache_tells_of_entries_evictions_and_slow_commands(valkey: Valkey) -> None:
    with valkey.client() as client:
        client.mset({f"k{n}": "x" for n in range(30)})
        calm = told(valkey.url)
        client.config_set("slowlog-log-slower-than", 0)
        client.get("k1")
        client.flushall()
        client.config_set("slowlog-log-slower-than", 10_000)
        flushed = told(valkey.url)
    assert calm.keys() == {name for name in stores.SAMPLES if name.startswith("redis_")}
    assert calm["redis_db_keys"] == 30
    assert "redis_db_keys" not in flushed, "an empty database is not listed"
    assert flushed["redis_slowlog_last_id"] >= calm["redis_slowlog_last_id"] + 2


def test_nobody_there_is_refused() -> None:
    port = free_port()
    assert stores.probe(f"redis://127.0.0.1:{port}/0") == ([], "refused")
    assert stores.probe(f"postgresql://127.0.0.1:{port}/x") == ([], "refused")
