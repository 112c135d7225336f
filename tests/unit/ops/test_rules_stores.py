"""Databases and caches, by what they say of themselves."""

from __future__ import annotations

from harness.ops.diagnosis.rules.stores import CacheRules, DatabaseRules
from tests.unit.ops.stage import Stage, told


def database(
    stage: Stage, *, waiting: float = 0, for_io: float = 0, idle_s: float = 0, sessions: float = 12, read_only: float = 0
) -> list[tuple[str, str, str]]:
    samples = [
        ("pg_stat_activity_waiting_for_locks", {}, waiting),
        ("pg_stat_activity_waiting_for_io", {}, for_io),
        ("pg_stat_activity_max_idle_tx_seconds", {}, idle_s),
        ("pg_stat_activity_count", {}, sessions),
        ("pg_settings_max_connections", {}, 97.0),
        ("pg_settings_default_transaction_read_only", {}, read_only),
    ]
    return told(stage.show(stage.look("postgres-1", samples)))


def test_a_healthy_database_says_nothing() -> None:
    stage = Stage(DatabaseRules())
    assert [database(stage, waiting=n % 7 == 0, sessions=20 + n % 5) for n in range(40)] == [[]] * 40


def test_a_lock_that_is_held_is_told_from_locks_that_come_and_go() -> None:
    held, busy = Stage(DatabaseRules()), Stage(DatabaseRules())
    assert database(held, waiting=3, idle_s=0.4) == []
    assert database(held, waiting=5, idle_s=2.0) == [("LockHeld", "postgres", "hang")]
    said = [database(busy, waiting=2, idle_s=0.3) for _ in range(4)]
    assert said[-1] == [("LockWaits", "postgres", "latency")]


def test_a_disk_that_sessions_wait_for_now_and_did_not_before() -> None:
    slowed, always = Stage(DatabaseRules()), Stage(DatabaseRules())
    assert [database(slowed, for_io=n % 8 == 0) for n in range(24)] == [[]] * 24, "a sync is met now and then"
    assert [database(slowed, for_io=2) for _ in range(5)][-1] == [("DiskWaits", "postgres", "disk")]
    assert [database(slowed) for _ in range(4)][-1] == []
    assert [database(always, for_io=1) for _ in range(30)] == [[]] * 30, "its disk was never any faster"


def test_a_database_without_sessions_is_full() -> None:
    stage = Stage(DatabaseRules())
    assert [database(stage, sessions=96) for _ in range(2)] == [[], [("SessionsExhausted", "postgres", "pool")]]


def test_read_only_is_a_fault_where_it_was_not_so_before() -> None:
    replica, primary = Stage(DatabaseRules()), Stage(DatabaseRules())
    assert [database(replica, read_only=1) for _ in range(5)] == [[]] * 5
    assert database(primary) == []
    assert database(primary, read_only=1) == [("DatabaseReadOnly", "postgres", "config")]


def cache(stage: Stage, keys: float, *, evicted: float = 0, slow: float = 0, up_s: float | None = None) -> list[tuple[str, str, str]]:
    stage.count("cache-1", "redis_evicted_keys_total", evicted)
    stage.count("cache-1", "redis_slowlog_last_id", slow)
    samples = [("redis_db_keys", {"db": "db7"}, 500.0 - keys), ("redis_uptime_in_seconds", {}, stage.t_s if up_s is None else up_s)]
    samples += [("redis_db_keys", {"db": "db0"}, keys)] if keys else []
    return told(stage.show(stage.look("cache-1", samples)))


def test_a_cache_that_fills_and_forgets_one_by_one_says_nothing() -> None:
    stage = Stage(CacheRules())
    assert [cache(stage, 100 + 10 * (n % 3), slow=n == 5) for n in range(30)] == [[]] * 30


def test_entries_that_are_gone_at_once_are_told_for_a_moment() -> None:
    stage = Stage(CacheRules())
    for _ in range(3):
        cache(stage, 200)
    said = [cache(stage, keys) for keys in (0, 20, 40, 60, 80, 100, 120)]
    assert said[0] == [("CacheEmptied", "cache", "latency")]
    assert said[-1] == []


def test_a_cache_that_was_restarted_is_not_one_that_was_emptied() -> None:
    stage = Stage(CacheRules())
    for n in range(3):
        cache(stage, 200, up_s=100 + n)
    assert cache(stage, 2, up_s=0) == []


def test_evictions_and_slow_commands() -> None:
    stage = Stage(CacheRules())
    cache(stage, 100)
    assert cache(stage, 100, evicted=30) == [("CacheEvicting", "cache", "memory")]
    slow = Stage(CacheRules())
    cache(slow, 100)
    assert [cache(slow, 100, slow=1) for _ in range(3)] == [[], [], [("CacheSlow", "cache", "latency")]]
