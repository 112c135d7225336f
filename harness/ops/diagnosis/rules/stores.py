"""Databases and caches, by what they say of themselves."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from harness.ops.diagnosis.rules.base import Streaks, View
from harness.ops.monitoring.symptoms import Symptom

LOCKED_S = 1.5  # a transaction that idles that long while others wait for it holds them up
IO_ROUNDS = 4  # so many of the last rounds with somebody waiting for the disk: a sync that takes its usual time is seldom met
IO_SELDOM = 0.2  # share of the looks of calm times
IO_LEARNT_FROM = 8
WAITING_ROUNDS = 3  # so many of the last rounds with somebody waiting
RECENT_ROUNDS = 6
NEARLY_FULL = 0.95
EMPTIED_SHARE = 0.35
EMPTIED_FROM_KEYS = 20
SLOW_COMMANDS = 3  # in a window: on a busy machine a stray one is slow by no fault of its own
EVICTED_KEYS = 3  # in a window


@dataclass(slots=True)
class DatabaseRules:
    """Locks that others wait for, a disk that does not keep up, read-only sessions, no session left."""

    _waited: dict[str, list[bool]] = field(default_factory=dict)
    _for_io: dict[str, deque[bool]] = field(default_factory=dict)
    _io_usual: dict[str, tuple[int, int]] = field(default_factory=dict)  # looks of calm times, and those that met somebody
    _full: Streaks = field(default_factory=Streaks)
    _writable: set[str] = field(default_factory=set)

    def look(self, view: View) -> Iterator[Symptom]:
        idle_s = {key.instance: value for key, value in view.now("pg_stat_activity_max_idle_tx_seconds")}
        most = {key.instance: value for key, value in view.now("pg_settings_max_connections")}
        for key, waiting in view.now("pg_stat_activity_waiting_for_locks"):
            yield from self._locks(key.service, key.instance, waiting, idle_s.get(key.instance, 0.0))
        for key, waiting in view.now("pg_stat_activity_waiting_for_io"):
            yield from self._disk(key.service, key.instance, waiting)
        for key, sessions in view.now("pg_stat_activity_count"):
            full = sessions >= NEARLY_FULL * most.get(key.instance, float("inf"))
            if self._full.count(key.instance, full) >= 2:
                evidence = f"{sessions:.0f} of {most[key.instance]:.0f} sessions of {key.instance} are taken"
                yield Symptom("SessionsExhausted", key.service, "pool", evidence, instance=key.instance, directness=0.9, for_s=0.0)
        for key, on in view.now("pg_settings_default_transaction_read_only"):
            if not on:
                self._writable.add(key.instance)
            elif key.instance in self._writable:  # a replica that never took a write is as it should be
                evidence = f"{key.instance} admits reading sessions only"
                yield Symptom("DatabaseReadOnly", key.service, "config", evidence, directness=0.92, for_s=0.0)

    def _disk(self, service: str, instance: str, waiting: float) -> Iterator[Symptom]:
        """By the wait events of sessions: who waits for the disk in most looks has a slow one, if that was not always so."""
        recent = self._for_io.setdefault(instance, deque(maxlen=RECENT_ROUNDS))
        recent.append(waiting > 0)
        looks, met = self._io_usual.get(instance, (0, 0))
        if sum(recent) >= IO_ROUNDS and looks >= IO_LEARNT_FROM and met <= IO_SELDOM * looks:
            evidence = (
                f"sessions of {instance} waited for its disk in {sum(recent)} of the last {len(recent)} looks, before in {met} of {looks}"
            )
            yield Symptom("DiskWaits", service, "disk", evidence, directness=0.88, for_s=0.0)
        elif len(recent) == RECENT_ROUNDS and (sum(recent) < IO_ROUNDS or looks < IO_LEARNT_FROM):
            self._io_usual[instance] = (looks + 1, met + recent[0])

    def _locks(self, service: str, instance: str, waiting: float, idle_s: float) -> Iterator[Symptom]:
        recent = self._waited.setdefault(instance, [])
        recent.append(waiting > 0)
        del recent[:-RECENT_ROUNDS]
        if waiting > 0 and idle_s >= LOCKED_S:
            evidence = f"{waiting:.0f} sessions of {instance} wait for a lock, that one transaction holds idle for {idle_s:.1f} s"
            yield Symptom("LockHeld", service, "hang", evidence, directness=0.9, for_s=0.0)
        elif sum(recent) >= WAITING_ROUNDS and idle_s < LOCKED_S:
            evidence = f"sessions of {instance} waited for locks in {sum(recent)} of the last {len(recent)} looks"
            yield Symptom("LockWaits", service, "latency", evidence, "warning", directness=0.86, for_s=1.9)


@dataclass(slots=True)
class CacheRules:
    """Slow commands, evictions, and entries that are gone at once."""

    _keys: dict[str, list[float]] = field(default_factory=dict)  # in the database that the services use
    _up_s: dict[str, float] = field(default_factory=dict)
    _emptied: dict[str, tuple[float, str]] = field(default_factory=dict)

    def look(self, view: View) -> Iterator[Symptom]:
        for key, grown in view.grown("redis_evicted_keys_total"):
            if grown >= EVICTED_KEYS:
                evidence = f"{key.instance} evicts {grown / view.signals.window_s:.0f} entries a second"
                yield Symptom("CacheEvicting", key.service, "memory", evidence, "warning", directness=0.88, for_s=0.4)
        for key, grown in view.grown("redis_slowlog_last_id"):
            if grown >= SLOW_COMMANDS:
                evidence = f"{grown:.0f} slow commands on {key.instance} in {view.signals.window_s:g} s"
                yield Symptom("CacheSlow", key.service, "latency", evidence, "warning", directness=0.87, for_s=0.9)
        restarted = {key.instance: self._restarted(key.instance, up_s) for key, up_s in view.now("redis_uptime_in_seconds")}
        held = {(key.instance, key.label("db")): keys for key, keys in view.now("redis_db_keys")}
        for endpoint in (look.endpoint for look in view.round_.looks if look.endpoint.instance in restarted):
            own = f"db{urlsplit(endpoint.url).path.strip('/') or 0}"
            keys = held.get((endpoint.instance, own), held.get((endpoint.instance, ""), 0.0))  # one that holds nothing is not listed
            yield from self._entries(view, endpoint.service, endpoint.instance, keys, restarted[endpoint.instance])

    def _restarted(self, instance: str, up_s: float) -> bool:
        before, self._up_s[instance] = self._up_s.get(instance, up_s), up_s
        return up_s < before

    def _entries(self, view: View, service: str, instance: str, keys: float, restarted: bool) -> Iterator[Symptom]:
        """Entries that go one by one leave no gap between two looks; a flush, or a common moment of expiry, does."""
        known = self._keys.setdefault(instance, [])
        if restarted:
            known.clear()
            self._emptied.pop(instance, None)
        usual = max(known[-3:], default=0.0)
        known.append(keys)
        del known[:-3]
        if usual >= EMPTIED_FROM_KEYS and keys < EMPTIED_SHARE * usual:
            del known[:-1]
            self._emptied[instance] = (view.t_s, f"{instance} held {usual:.0f} entries, and {keys:.0f} a moment later")
        at_s, evidence = self._emptied.get(instance, (float("-inf"), ""))
        if view.t_s - at_s < 5.0 / view.time_scale:
            yield Symptom("CacheEmptied", service, "latency", evidence, "warning", directness=0.84, for_s=0.0)
