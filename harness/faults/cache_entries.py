"""Faults of what a cache holds: entries are lost, or hold what belongs elsewhere. The right ones wait in an empty database of the server.

There they expire as they would have; taking the fault back moves them home, unless somebody has made them anew. One script does that, so
the lease can do it, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from harness.faults.base import Evidence, FaultError, Parameters, Undo, act
from harness.faults.cache_client import CacheFault, connected, entries
from harness.record.clock import NS_PER_S
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.stack.base import CacheClearable

MOSTLY = 0.9  # of the entries, at least, must show it
MADE_ANEW_MS = 500  # an entry that lives so much longer than it had left is a new one
_DRAWS = 20
_DATABASES = 16  # where a server does not tell: the default of every version

# What is kept is listed in a hash under the fault's name: key -> SHA-1 of what was put in its place ('' for nothing).
_PUT_ASIDE = """
local home, aside, name, ttl_ms, key, instead = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
redis.call('SELECT', aside)
if redis.call('HEXISTS', name, key) == 1 then return 0 end
redis.call('SELECT', home)
local left_ms = redis.call('PTTL', key)
if left_ms < 0 or redis.call('MOVE', key, aside) == 0 then return 0 end
if instead ~= '' then redis.call('SET', key, instead, 'PX', math.max(left_ms, ttl_ms)) end
redis.call('SELECT', aside)
redis.call('HSET', name, key, instead ~= '' and redis.sha1hex(instead) or '')
redis.call('PEXPIRE', name, 2 * ttl_ms)
return 1
"""
_PUT_BACK = """
local home, aside, name = ARGV[1], ARGV[2], ARGV[3]
redis.call('SELECT', aside)
local kept, back = redis.call('HGETALL', name), 0
for i = 1, #kept, 2 do
    local key, instead = kept[i], kept[i + 1]
    redis.call('SELECT', home)
    if instead ~= '' and redis.call('TYPE', key).ok == 'string' and redis.sha1hex(redis.call('GET', key)) == instead then
        redis.call('DEL', key)
        back = back + 1
    end
    local made_anew = redis.call('EXISTS', key)
    redis.call('SELECT', aside)
    if made_anew == 1 then redis.call('DEL', key) else back = back + redis.call('MOVE', key, home) end
end
redis.call('DEL', name)
return back
"""


class AsideFault(CacheFault[Parameters]):
    """A fault that puts entries aside, and itself back."""

    _aside: int | None = None  # number of the database

    def undo(self) -> Sequence[Undo]:
        with connected(self.url) as client:
            return (Undo("redis", {"url": self.url, "commands": [["EVAL", _PUT_BACK, 0, *self._places(client)]]}),)

    def put_aside(self, client: Any, replaced: Mapping[bytes, bytes]) -> int:
        """These keys, each with what is to stand in its place (`b""`: nothing); how many were there, all at once."""
        places, ttl_ms, script = self._places(client), round(self.context.ttl_s * 1e3), client.script_load(_PUT_ASIDE)
        pipeline = client.pipeline(transaction=True)
        for key, instead in replaced.items():
            pipeline.evalsha(script, 0, *places, ttl_ms, key, instead)
        return sum(pipeline.execute())

    def put_back(self) -> int:
        """How many entries were changed by that."""
        with connected(self.url) as client:
            return int(client.eval(_PUT_BACK, 0, *self._places(client)))

    def kept_aside(self, client: Any) -> bool:
        """Whether anything is still to be put back."""
        home, aside, name = self._places(client)
        pipeline = client.pipeline(transaction=True)
        pipeline.execute_command("SELECT", aside)
        pipeline.exists(name)
        pipeline.execute_command("SELECT", home)
        return bool(pipeline.execute()[1])

    def _places(self, client: Any) -> tuple[int, int, str]:
        """Number of the server's own database, of the one aside, and the name of the list there."""
        home = int(client.connection_pool.connection_kwargs.get("db") or 0)
        if self._aside is None:
            self._aside = _empty_database(client, home)
        return home, self._aside, self.name


def _empty_database(client: Any, home: int) -> int:
    """The last one that holds nothing. Raises FaultError where there is none."""
    count = int(client.config_get("databases").get("databases", _DATABASES))
    used = {int(name.removeprefix("db")) for name in client.info("keyspace")}
    free = [number for number in range(count) if number not in used and number != home]
    if not free:
        raise FaultError(f"the cache has no empty database to keep entries in (it has {count})")
    return free[-1]


class FlushParameters(FaultParameters):
    """Parameters of `cache.flush`."""

    match: str = Field(default="*", description="glob of the keys that go; only those that expire: the others are no cache", min_length=1)


class CacheFlush(AsideFault[FlushParameters]):
    """Every entry is gone at once, as after FLUSHALL or a fail-over to an empty replica."""

    spec = FaultSpec(
        name="cache.flush",
        summary="Takes every entry out of the cache at once; the cache itself works on, and fills again.",
        kind="latency",
        parameters=FlushParameters,
        targets=("service",),
        needs=(),
        evidence="nine of ten entries known before are missing or were made anew; gone: none that should still live is missing",
        example="{id: cold, type: cache.flush, target: cache, at: fault, for: 30s}",
        only_roles=("redis",),
    )
    _known: Mapping[bytes, int] = {}  # key -> when it expires, in ns of the clock

    def inject(self) -> None:
        with connected(self.url) as client:
            if self.kept_aside(client):
                return
            found = self.warm(lambda: entries(client, self.parameters.match), f"entry that fits {self.parameters.match!r}")
            now_ns = self.context.clock.now_ns()
            self._known = {key: now_ns + left_ms * 1_000_000 for key, left_ms in found.items()}
            self.put_aside(client, dict.fromkeys(found, b""))

    def verify(self) -> Evidence | None:
        if not self._known:
            return None
        missing, anew, due = self._look()
        if not due or (missing + anew) < MOSTLY * due:
            return None
        return {"entries_before": due, "missing": missing, "made_anew": anew}

    def heal(self) -> None:
        self.put_back()

    def gone(self) -> Evidence | None:
        with connected(self.url) as client:
            if self.kept_aside(client):
                return None
        missing, _, due = self._look()
        if missing:
            return None
        self._known = {}
        return {"entries_before": due, "missing": 0}

    def _look(self) -> tuple[int, int, int]:
        """Of the entries known before that should still live: missing, made anew, and all."""
        with connected(self.url) as client:
            now_ns = self.context.clock.now_ns()
            due = {key: (ends_ns - now_ns) // 1_000_000 for key, ends_ns in self._known.items() if ends_ns - now_ns > NS_PER_S}
            pipeline = client.pipeline(transaction=False)
            for key in due:
                pipeline.pttl(key)
            left = pipeline.execute()
        missing = sum(left_ms < 0 for left_ms in left)
        return missing, sum(now > then + MADE_ANEW_MS for now, then in zip(left, due.values(), strict=True)), len(due)


class PoisonedParameters(FaultParameters):
    """Parameters of `cache.poisoned`."""

    match: str = Field(default="*", description="glob of the keys that may be hit; only those that expire: the others are no cache")
    share: float = Field(default=1.0, description="of those entries, drawn", gt=0, le=1, json_schema_extra={"unit": "ratio"})
    content: Literal["foreign", "broken"] = Field(
        default="foreign", description="another entry's content, well formed and wrong; or the first half of its own, which nobody can read"
    )


class CachePoisoned(AsideFault[PoisonedParameters]):
    """Entries hold another entry's content: who asks one thing is served what belongs to another."""

    spec = FaultSpec(
        name="cache.poisoned",
        summary="Overwrites entries with the content of others, or half of their own; counters and what does not expire are left alone.",
        kind="data",
        parameters=PoisonedParameters,
        targets=("service",),
        needs=(),
        evidence="read back, nine of ten of those entries hold what was never written for them; gone: none does, the right ones are back",
        example="{id: mixed-up, type: cache.poisoned, target: cache, at: fault, for: 40s, with: {match: 'retrieval:*', share: 0.5}}",
        recoverable_by=("clear_cache",),
        only_roles=("redis",),
    )
    _wrong: Mapping[bytes, bytes] = {}  # key -> digest of what was put there

    def inject(self) -> None:
        with connected(self.url) as client:
            if self.kept_aside(client):
                return
            wanted = self.warm(lambda: self._draw(client), f"entries that fit {self.parameters.match!r} and differ")
            self._wrong = {key: _digest(value) for key, value in wanted.items()}
            self.put_aside(client, wanted)

    def verify(self) -> Evidence | None:
        wrong = self._still_wrong()
        return {"entries_wrong": wrong, "entries_hit": len(self._wrong)} if wrong and wrong >= MOSTLY * len(self._wrong) else None

    def heal(self) -> None:
        """Services may hold copies in their memory: they are told to forget them, where the stack can."""
        if self.put_back() and isinstance(self.context.stack, CacheClearable):
            act("clearing copies of cache entries", self.context.stack.clear_cache)

    def gone(self) -> Evidence | None:
        with connected(self.url) as client:
            if self.kept_aside(client) or self._still_wrong():
                return None
        self._wrong = {}
        return {"entries_wrong": 0}

    def _still_wrong(self) -> int:
        if not self._wrong:
            return 0
        with connected(self.url) as client:
            now = client.mget(list(self._wrong))
        return sum(value is not None and _digest(value) == digest for value, digest in zip(now, self._wrong.values(), strict=True))

    def _draw(self, client: Any) -> dict[bytes, bytes]:
        """Keys and what they are to hold; empty where there is nothing to mix up."""
        contents = _contents(client, sorted(entries(client, self.parameters.match)))
        kin: dict[bytes, list[bytes]] = {}
        for key, value in contents.items():
            kin.setdefault(_family(key), []).append(value)
        wanted: dict[bytes, bytes] = {}
        rng = self.context.random
        for key, value in contents.items():
            if rng.random() < self.parameters.share:
                instead = value[: len(value) // 2] if self.parameters.content == "broken" else self._foreign(value, kin[_family(key)])
                if instead is not None:
                    wanted[key] = instead
        return wanted

    def _foreign(self, own: bytes, kin: Sequence[bytes]) -> bytes | None:
        """What another of the kind holds; None where all that were drawn hold the same."""
        rng = self.context.random
        drawn = (rng.choice(kin) for _ in range(_DRAWS))
        return next((value for value in drawn if value != own), None)


def _contents(client: Any, keys: Sequence[bytes]) -> dict[bytes, bytes]:
    """What entries hold, without counters and markers: a limit's count is no answer."""
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.type(key)
    texts = [key for key, kind in zip(keys, pipeline.execute(), strict=True) if kind == b"string"]
    values = client.mget(texts) if texts else []
    return {key: value for key, value in zip(texts, values, strict=True) if value is not None and len(value) > 1 and not _is_number(value)}


def _is_number(value: bytes) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _family(key: bytes) -> bytes:
    """What the names of entries of one kind begin with."""
    return key.partition(b":")[0]


def _digest(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()


FAULTS = (CacheFlush, CachePoisoned)
