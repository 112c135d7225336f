"""Faults of how a cache works: it stalls, or it is too small for what is in it.

Each is something that one client does to it again and again. It ends with that client: with the harness, or when the cache is restarted.
"""

from __future__ import annotations

from contextlib import suppress
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from harness.faults.base import Evidence
from harness.faults.cache_client import RepeatedFault, connected
from harness.lazy import Lazy
from harness.record.clock import NS_PER_S
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.scenario.model import Duration

if TYPE_CHECKING:
    import redis
else:
    redis = Lazy("redis")

CLEARLY = 0.5  # of the delay asked for, at least, must show: one slow command
HARDLY = 0.3  # of it, at most, may show when it is gone
PINGS = 4

# Not CLIENT PAUSE, whose end the server notices only ten times a second; by the processor's clock, for TIME stands still in a script.
_KEEP_BUSY = "local ends_s = os.clock() + tonumber(ARGV[1]) repeat until os.clock() >= ends_s"
_REMOVE = """
local cursor = '0'
repeat
    local found = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000)
    cursor = found[1]
    for _, key in ipairs(found[2]) do redis.call('UNLINK', key) end
until cursor == '0'
"""


class SlowParameters(FaultParameters):
    """Parameters of `cache.slow`."""

    delay: Duration = Field(
        description="how long commands wait: for one or two slow ones, of half that each, with nothing between them",
        ge=0.02,
        le=1.0,
        json_schema_extra={"unit": "duration"},
    )


class CacheSlow(RepeatedFault[SlowParameters]):
    """The one thread that answers everybody is kept busy by a client with slow commands, as KEYS or a large script would."""

    spec = FaultSpec(
        name="cache.slow",
        summary="Keeps the cache busy with slow commands (and so a processor): every other command waits for one or two of them.",
        kind="latency",
        parameters=SlowParameters,
        targets=("service",),
        needs=(),
        evidence="commands on one connection, each sent after the answer to the last, take that long; gone: they do not",
        example="{id: slow-cache, type: cache.slow, target: cache, at: fault, for: 30s, with: {delay: 80ms}}",
        recoverable_by=("restart",),
        only_roles=("redis",),
    )

    CLIENTS = 2  # one waits while the other is served: nobody finds the server idle between two slow commands

    _busy_s = 0.0  # processor time of a command; less of it where the server has to share its processor, and takes longer for it

    def inject(self) -> None:
        if not self.alive:
            self._busy_s = self.parameters.delay / self.CLIENTS
            self.begin()

    def act_once(self, client: Any) -> float:
        started_ns = self.context.clock.now_ns()
        client.eval(_KEEP_BUSY, 0, self._busy_s)
        took_s = (self.context.clock.now_ns() - started_ns) / NS_PER_S  # with the one of the other client before it: all of the delay
        self._busy_s = min(self.parameters.delay / self.CLIENTS, self._busy_s * self.parameters.delay / took_s)
        return 0.0

    def verify(self) -> Evidence | None:
        took_s = self._round_trip_s()
        return {"command_s": took_s, "asked_s": self.parameters.delay} if took_s >= CLEARLY * self.parameters.delay else None

    def gone(self) -> Evidence | None:
        with connected(self.url) as client:
            if not self.cut_off(client):
                return None
        took_s = self._round_trip_s()
        return {"command_s": took_s, "asked_s": 0.0} if took_s <= HARDLY * self.parameters.delay else None

    def _round_trip_s(self) -> float:
        """Median of commands in a row. The first is not among them: it comes while a slow one is half done."""
        took = []
        with connected(self.url) as client:
            for _ in range(PINGS):
                started_ns = self.context.clock.now_ns()
                client.ping()
                took.append((self.context.clock.now_ns() - started_ns) / NS_PER_S)
        return median(took[1:])


class EvictionParameters(FaultParameters):
    """Parameters of `cache.eviction_storm`."""

    turnover: Duration = Field(
        default=2.0, description="in which as much is written as is held now", ge=0.5, le=60.0, json_schema_extra={"unit": "duration"}
    )
    policy: Literal["allkeys-random", "allkeys-lru", "allkeys-lfu", "volatile-random", "volatile-ttl", "volatile-lru"] = Field(
        default="allkeys-random",
        description="what is thrown out; allkeys-… throws out queues and streams, too, as it does where one server is cache and queue",
    )


class CacheEvictionStorm(RepeatedFault[EvictionParameters]):
    """Hardly more memory than the data needs, and a client that writes all the time: entries are thrown out as fast as they come in."""

    spec = FaultSpec(
        name="cache.eviction_storm",
        summary="Lowers `maxmemory` to what is held, with an evicting policy, and writes on: entries are thrown out all the time.",
        kind="memory",
        parameters=EvictionParameters,
        targets=("service",),
        needs=(),
        evidence="`evicted_keys` grows and young entries are missing; gone: the old settings, it stands still, no filling left",
        example="{id: crowded, type: cache.eviction_storm, target: cache, at: fault, for: 30s, with: {turnover: 2s}}",
        recoverable_by=("restart",),
        only_roles=("redis",),
    )
    PAUSE_S = 0.02
    SMALLEST_BYTES, LARGEST_BYTES = 16 * 1024, 4 * 1024 * 1024  # of what is written at once
    HEADROOM_BYTES = 1024 * 1024  # the server's own buffers come and go; without room for them nothing at all could be written
    EVICTED_MIN = 10
    _before: dict[str, str] | None = None
    _evicted = 0
    _value = b""
    _room_bytes = 0
    _written = 0

    def repairs(self) -> list[list[str | int]]:
        if self._before is None:
            with connected(self.url) as client:
                self._before = self._settings(client)
        settings: list[list[str | int]] = [["CONFIG", "SET", name, value] for name, value in self._before.items()]
        return [*settings, ["EVAL", _REMOVE, 0, f"{self.name}:*"]]

    def inject(self) -> None:
        if self.alive:
            return
        with connected(self.url) as client:
            self._before = self._before or self._settings(client)
            memory = client.info("memory")
            self._evicted = self._count(client)
            wanted_bytes = round(int(memory["used_memory_dataset"]) * self.PAUSE_S / self.parameters.turnover)
            self._value = b"\0" * min(self.LARGEST_BYTES, max(self.SMALLEST_BYTES, wanted_bytes))
            self._room_bytes = max(self.HEADROOM_BYTES, 4 * len(self._value))
            limit_bytes = int(memory["used_memory"]) + self._room_bytes
            client.config_set("maxmemory-policy", self.parameters.policy)
            client.config_set("maxmemory", min(limit_bytes, int(self._before["maxmemory"]) or limit_bytes))
        self.begin()

    def act_once(self, client: Any) -> float:
        self._written += 1
        with suppress(redis.exceptions.OutOfMemoryError):  # nothing was left to throw out at this moment
            client.set(f"{self.name}:{self._written}", self._value, ex=round(self.context.ttl_s))
        return self.PAUSE_S if self._written * len(self._value) > self._room_bytes else 0.0

    def verify(self) -> Evidence | None:
        if not self._written:
            return None
        with connected(self.url) as client:
            evicted = self._count(client) - self._evicted
            lost = self._written - len(client.keys(f"{self.name}:*"))
        if evicted < self.EVICTED_MIN or lost <= 0:
            return None
        return {"evicted_keys": evicted, "entries_written": self._written, "entries_lost": lost}

    def heal(self) -> None:
        super().heal()
        self._written = 0

    def gone(self) -> Evidence | None:
        with connected(self.url) as client:
            now = {name: self.setting(client, name) for name in self._before or ()}
            evicted, self._evicted = self._evicted, self._count(client)
            if now != (self._before or {}) or not self.cut_off(client) or client.keys(f"{self.name}:*") or evicted != self._evicted:
                return None
        self._before = None
        return {"evicted_keys": 0, **{name.replace("-", "_"): value for name, value in now.items()}}

    def _settings(self, client: Any) -> dict[str, str]:
        return {name: self.setting(client, name) for name in ("maxmemory-policy", "maxmemory")}

    @staticmethod
    def _count(client: Any) -> int:
        return int(client.info("stats")["evicted_keys"])


FAULTS = (CacheSlow, CacheEvictionStorm)
