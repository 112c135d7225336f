"""Faults of a cache, on a real Valkey."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.faults.base import FaultError
from tests.integration.backends import Valkey, wait_until
from tests.integration.store_stack import StoreStack, evidence_of, keeps_its_promises, make

LIVES_MS = 300_000


@pytest.fixture
def client(valkey: Valkey) -> Iterator[Any]:
    """With 40 results of searches, a limiter's counters, and a stream with work to do."""
    with valkey.client() as one:
        for n in range(40):
            one.set(f"retrieval:0:{n:032x}:5", json.dumps([{"doc_id": f"d{n}", "text": "x" * 2_000}]), px=LIVES_MS)
        for n in range(5):
            one.set(f"LIMITS/{n}", n, px=LIVES_MS)
        one.xadd("ingest", {"event": "{}"})
        one.hset("ingest:tries", "1-0", "2")
        yield one


@pytest.fixture
def stack(valkey: Valkey) -> StoreStack:
    return StoreStack("redis", valkey.url)


def contents(client: Any) -> dict[bytes, bytes]:
    """Every key with its serialised value, in all databases."""
    assert set(client.info("keyspace")) == {"db0"}, "nothing is left aside"
    return {key: client.dump(key) for key in sorted(client.keys("*"))}


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("cache.flush", {}),
        ("cache.poisoned", {"match": "retrieval:*"}),
        ("cache.poisoned", {"content": "broken", "share": 0.5}),
        ("cache.slow", {"delay": "40ms"}),
    ],
)
def test_it_bites_and_leaves_the_cache_as_it_was(
    name: str, parameters: dict[str, Any], stack: StoreStack, client: Any, tmp_path: Path
) -> None:
    before, settings = contents(client), client.config_get("*")
    keeps_its_promises(make(name, stack, **parameters), tmp_path)
    assert contents(client) == before
    assert client.config_get("*") == settings
    assert all(LIVES_MS - 60_000 < client.pttl(key) <= LIVES_MS for key in before if not key.startswith(b"ingest"))


@pytest.mark.parametrize(("name", "parameters"), [("cache.eviction_storm", {}), ("cache.stampede", {"every": "300ms"})])
def test_it_bites_and_leaves_only_what_it_took(
    name: str, parameters: dict[str, Any], stack: StoreStack, client: Any, tmp_path: Path
) -> None:
    before, settings = contents(client), client.config_get("*")
    keeps_its_promises(make(name, stack, **parameters), tmp_path)
    assert set(contents(client)) <= set(before)
    assert client.config_get("*") == settings


def test_a_flush_takes_what_expires_and_nothing_else(stack: StoreStack, client: Any) -> None:
    fault = make("cache.flush", stack)
    fault.inject()
    assert sorted(client.keys("*")) == [b"ingest", b"ingest:tries"]
    assert fault.verify() == {"entries_before": 45, "missing": 45, "made_anew": 0}
    client.set("LIMITS/0", 7, ex=60)
    fault.heal()
    assert client.get("LIMITS/0") == b"7", "what was made anew stays"
    assert len(client.keys("*")) == 47
    assert fault.gone() == {"entries_before": 45, "missing": 0}


def test_only_matching_entries_are_flushed(stack: StoreStack, client: Any) -> None:
    fault = make("cache.flush", stack, match="LIMITS/*")
    fault.inject()
    assert len(client.keys("retrieval:*")) == 40 and not client.keys("LIMITS/*")
    fault.heal()


@pytest.mark.parametrize("name", ["cache.flush", "cache.poisoned"])
def test_an_empty_cache_has_nothing_to_lose(name: str, stack: StoreStack, client: Any) -> None:
    with pytest.raises(FaultError, match="warm"):
        make(name, stack, match="nothing:*").inject()


def test_poison_is_well_formed_foreign_and_does_not_expire_before_the_fault(stack: StoreStack, client: Any) -> None:
    own = {key: client.get(key) for key in client.keys("*") if client.type(key) == b"string"}
    for key in sorted(own, key=lambda key: key == b"LIMITS/0"):  # which is the last to expire
        client.pexpire(key, 3_000)
    fault = make("cache.poisoned", stack)
    fault.inject()
    now = {key: client.get(key) for key in own}
    results = {key for key in own if key.startswith(b"retrieval")}
    assert {key for key in own if now[key] != own[key]} == results, "counters are no content"
    assert all(now[key] in own.values() and json.loads(now[key]) for key in results)
    assert fault.verify() == {"entries_wrong": 40, "entries_hit": 40}
    deadline_s = time.monotonic() + 60
    while client.exists("LIMITS/0"):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    assert fault.verify() == {"entries_wrong": 40, "entries_hit": 40}
    fault.heal()
    wait_until(lambda: not client.keys("retrieval:*"), "the right ones have expired meanwhile")  # by the cache's clock, and when it looks
    assert evidence_of(fault.gone)


def test_a_share_is_drawn_with_the_seed(stack: StoreStack, client: Any) -> None:
    def hit() -> list[bytes]:
        before = {key: client.get(key) for key in client.keys("retrieval:*")}
        fault = make("cache.poisoned", stack, match="retrieval:*", share=0.3)
        fault.inject()
        changed = sorted(key for key in before if client.get(key) != before[key])
        fault.heal()
        return changed

    assert hit() == hit()
    assert 0 < len(hit()) < 30


def test_a_right_answer_written_over_poison_stays(stack: StoreStack, client: Any) -> None:
    fault = make("cache.poisoned", stack, match="retrieval:*")
    fault.inject()
    key = sorted(client.keys("retrieval:*"))[0]
    client.set(key, "[1]", ex=60)
    fault.heal()
    assert client.get(key) == b"[1]"
    assert evidence_of(fault.gone)


def test_a_slow_cache_makes_every_command_in_a_row_wait(stack: StoreStack, client: Any) -> None:
    fault = make("cache.slow", stack, delay="60ms")
    fault.inject()
    evidence_of(fault.verify)
    started_s = time.monotonic()
    for _ in range(5):
        client.get("LIMITS/0")
    assert time.monotonic() - started_s > 4 * 0.03
    fault.heal()
    wait_until(lambda: evidence_of(fault.gone)["command_s"] < 0.02, "a command is as quick as before")


def test_a_storm_throws_out_entries_of_others(stack: StoreStack, client: Any) -> None:
    fault = make("cache.eviction_storm", stack, policy="volatile-random")
    fault.inject()
    deadline_s = time.monotonic() + 60
    while len(client.keys("retrieval:*")) > 20:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    assert evidence_of(fault.verify)["evicted_keys"] >= 10
    assert client.xlen("ingest") == 1, "what does not expire is spared by a volatile policy"
    fault.heal()
    assert not client.keys("batch-*")


def test_a_restarted_cache_is_rid_of_a_storm(stack: StoreStack, client: Any, valkey: Valkey) -> None:
    fault = make("cache.eviction_storm", stack)
    fault.inject()
    evidence_of(fault.verify)
    valkey.kill()
    valkey.start()
    fault.heal()
    assert evidence_of(fault.gone) == {"evicted_keys": 0, "maxmemory_policy": "noeviction", "maxmemory": "0"}


def test_names_betray_nothing(stack: StoreStack, client: Any) -> None:
    fault = make("cache.slow", stack, delay="50ms")
    fault.inject()
    names = {entry["name"] for entry in client.client_list()} - {""}
    fault.heal()
    assert len(names) == 1 and all(name.startswith("batch-") for name in names)
    assert evidence_of(fault.gone)
