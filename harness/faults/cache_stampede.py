"""Everything in a cache expires at the same moment, again and again: one client lets it, and it ends with that client."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from harness.faults.base import Evidence
from harness.faults.cache_client import RepeatedFault, connected, entries
from harness.record.clock import NS_PER_S
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.scenario.model import Duration

_EXPIRE = """
local cursor, expired = '0', 0
repeat
    local found = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000)
    cursor = found[1]
    for _, key in ipairs(found[2]) do
        if redis.call('PTTL', key) > 1 then expired = expired + redis.call('PEXPIRE', key, 1) end
    end
until cursor == '0'
return expired
"""


class StampedeParameters(FaultParameters):
    """Parameters of `cache.stampede`."""

    every: Duration = Field(
        default=5.0, description="time from one expiry of everything to the next", ge=0.2, le=10.0, json_schema_extra={"unit": "duration"}
    )
    match: str = Field(default="*", description="glob of the keys that expire, with `*` as its only sign; those without expiry stay")

    @field_validator("match")
    @classmethod
    def _plain(cls, match: str) -> str:
        if "*" not in match or any(sign in match for sign in "?[]\\"):
            raise ValueError("write a glob with * and no other sign: retrieval:*")
        return match


class CacheStampede(RepeatedFault[StampedeParameters]):
    """Whatever is hot expires at the same moment, again and again: all who want it come to the source together."""

    spec = FaultSpec(
        name="cache.stampede",
        summary="Lets every entry expire at the same moment, again and again: all who want them ask the source at once.",
        kind="latency",
        parameters=StampedeParameters,
        targets=("service",),
        needs=(),
        evidence="an entry written with a minute to live is gone after seconds; gone: one outlives the interval",
        example="{id: herd, type: cache.stampede, target: cache, at: fault, for: 30s, with: {every: 3s}}",
        recoverable_by=("restart",),
        only_roles=("redis",),
    )
    LIVES_S = 60
    OUTLIVES = 1.3  # intervals
    _written_ns: int | None = None
    _witness_ns: int | None = None  # written to see whether it is gone
    _known = 0

    def repairs(self) -> list[list[str | int]]:
        return [["UNLINK", self._witness]]

    def inject(self) -> None:
        if self.alive:
            return
        with connected(self.url) as client:
            self._known = len(entries(client, self.parameters.match))
            self._written_ns = self._write(client)
        self.begin()

    def act_once(self, client: Any) -> float:
        client.eval(_EXPIRE, 0, self.parameters.match)
        return self.parameters.every

    def verify(self) -> Evidence | None:
        if self._written_ns is None:
            return None
        with connected(self.url) as client:
            if client.exists(self._witness):
                return None
            age_s = (self.context.clock.now_ns() - self._written_ns) / NS_PER_S
        return {"lived_s_at_most": age_s, "asked_to_live_s": self.LIVES_S, "entries_before": self._known} if age_s < self.LIVES_S else None

    def heal(self) -> None:
        super().heal()
        self._written_ns = self._witness_ns = None

    def gone(self) -> Evidence | None:
        """Takes several looks: an entry is written, and must be there after the interval."""
        with connected(self.url) as client:
            if not self.cut_off(client):
                return None
            if self._witness_ns is None or not client.exists(self._witness):
                self._witness_ns = self._write(client)
                return None
            age_s = (self.context.clock.now_ns() - self._witness_ns) / NS_PER_S
            if age_s < self.OUTLIVES * self.parameters.every:
                return None
            client.unlink(self._witness)
        self._witness_ns = None
        return {"lives_s": age_s, "interval_s": self.parameters.every}

    @property
    def _witness(self) -> str:
        """An entry of our own that the glob fits."""
        return self.parameters.match.replace("*", self.name)

    def _write(self, client: Any) -> int:
        client.set(self._witness, b"1", ex=self.LIVES_S)
        return self.context.clock.now_ns()


FAULTS = (CacheStampede,)
