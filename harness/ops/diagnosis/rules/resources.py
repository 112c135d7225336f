"""Memory, processors and descriptors of single instances, by what the kernel says of their control groups and they of themselves."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.ops.diagnosis.rules.base import Streaks, View
from harness.ops.monitoring.symptoms import Symptom

MB = 1 << 20
LEAK_MB_PER_S = 3.0  # faster than a healthy service warms up
LEAK_LEAST_MB = 12.0
LEAK_OVER_S = 3.0
DROP = 0.7  # to less than that share of what it was: another process
WARM_UP_S = 10.0  # of a process: it may load what it likes
NEARLY_ALL = 0.92  # of a memory limit
THROTTLED_SHARE = 0.25  # of the periods: where CPUThrottlingHigh of the kubernetes-mixin begins
MOSTLY_THROTTLED = 0.5  # of them: no burst any more, and told at once
BESIDE_CPU_SHARE = 0.1  # of a processor, by others in the instance's own group, where nobody has any business


@dataclass(slots=True)
class MemoryRules:
    """Memory that only grows, and memory that is nearly all used."""

    _held: dict[str, deque[tuple[float, float]]] = field(default_factory=dict)
    _begun_s: dict[str, float] = field(default_factory=dict)
    _started: dict[str, float] = field(default_factory=dict)  # by its own account
    _full: Streaks = field(default_factory=Streaks)

    def look(self, view: View) -> Iterator[Symptom]:
        for key, started in view.now("process_start_time_seconds"):
            if self._started.setdefault(key.instance, started) != started:
                self._started[key.instance] = started
                self._held.pop(key.instance, None)
                self._begun_s[key.instance] = view.t_s
        limits = {key.instance: value for key, value in view.now("container_spec_memory_limit_bytes")}
        grouped = set()
        for key, used in view.now("container_memory_usage_bytes"):
            grouped.add(key.instance)
            yield from self._growth(view, key.service, key.instance, used)
            most = limits.get(key.instance)
            if self._full.count(key.instance, most is not None and used >= NEARLY_ALL * most) >= 2:
                evidence = f"{key.instance} uses {used / MB:.0f} MB of the {limits[key.instance] / MB:.0f} that it may have"
                yield Symptom("MemoryNearLimit", key.service, "memory", evidence, instance=key.instance, directness=0.9, for_s=0.4)
        for key, used in view.now("process_resident_memory_bytes"):
            if key.instance not in grouped:
                yield from self._growth(view, key.service, key.instance, used)

    def _growth(self, view: View, service: str, instance: str, used: float) -> Iterator[Symptom]:
        """Every look of the last seconds is above the one before, and the pace is one that no warm-up has."""
        held = self._held.setdefault(instance, deque())
        if held and (used < DROP * held[-1][1] or view.t_s - held[-1][0] > LEAK_OVER_S / view.time_scale):
            held.clear()
            self._begun_s[instance] = view.t_s
        held.append((view.t_s, used))
        over_s = LEAK_OVER_S / view.time_scale
        while len(held) > 2 and held[1][0] <= view.t_s - over_s:
            held.popleft()
        first_s, first = held[0]
        lasted_s = view.t_s - first_s
        warming = view.t_s - self._begun_s.get(instance, float("-inf")) < WARM_UP_S / view.time_scale
        if warming or lasted_s < 0.9 * over_s or len(held) < 4:
            return
        grown_mb = (used - first) / MB
        steps = [later - earlier for (_, earlier), (_, later) in zip(held, list(held)[1:], strict=False)]
        rising = sum(step > 0.3 * MB for step in steps) >= len(steps) - 1
        if rising and grown_mb >= LEAK_LEAST_MB and grown_mb / lasted_s >= LEAK_MB_PER_S:
            evidence = f"memory of {instance} grows by {grown_mb / lasted_s:.0f} MB a second, to {used / MB:.0f} MB"
            yield Symptom("MemoryGrowing", service, "memory", evidence, instance=instance, directness=0.88, for_s=0.9)


@dataclass(slots=True)
class ProcessorRules:
    """An instance that the kernel holds back, or that must share what it has with others in its own group."""

    def look(self, view: View) -> Iterator[Symptom]:
        periods = {key.instance: grown for key, grown in view.grown("container_cpu_cfs_periods_total")}
        for key, held_back in view.grown("container_cpu_cfs_throttled_periods_total"):
            of = periods.get(key.instance, 0.0)
            if of >= 5 and held_back / of >= THROTTLED_SHARE:
                evidence = f"{key.instance} was held back in {held_back:.0f} of {of:.0f} periods of its processor quota"
                for_s = 0.4 if held_back / of >= MOSTLY_THROTTLED else 4.9
                yield Symptom("ProcessorThrottled", key.service, "cpu", evidence, instance=key.instance, directness=0.9, for_s=for_s)
        for key, spent_s in view.grown("container_beside_cpu_seconds_total"):
            if spent_s >= BESIDE_CPU_SHARE * view.signals.window_s:
                share = spent_s / view.signals.window_s
                evidence = f"others in the group of {key.instance} use {share:.0%} of a processor"
                # For longer than two processes of one instance, the old and the new one, are there side by side.
                yield Symptom("ProcessorContended", key.service, "cpu", evidence, instance=key.instance, directness=0.9, for_s=2.9)


@dataclass(slots=True)
class DescriptorRules:
    """No descriptor left: open connections go on, and nothing new does."""

    _none: Streaks = field(default_factory=Streaks)

    def look(self, view: View) -> Iterator[Symptom]:
        for key, free in view.now("container_descriptors_free"):
            if self._none.count(key.instance, free < 1) >= 2:
                evidence = f"{key.instance} has no file descriptor left"
                yield Symptom(
                    "DescriptorsExhausted", key.service, "descriptors", evidence, instance=key.instance, directness=0.96, for_s=0.0
                )
