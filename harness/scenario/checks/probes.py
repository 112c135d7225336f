"""Probes that could not be asked, or not often enough to say anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from harness.scenario.catalog import StackInfo
from harness.scenario.hosts import is_loopback
from harness.scenario.loader import Loaded
from harness.scenario.probes import Probe
from harness.scenario.problem import KeyPath, Problem, did_you_mean

FEWEST = 3  # answers of a probe that is asked again and again
_NAMED = re.compile(r"\{([a-z][a-z0-9_-]*)\}")


def check_probes(loaded: Loaded, stack: StackInfo) -> Iterator[Problem]:
    """Everything about `probes`."""
    seen: set[str] = set()
    for n, probe in enumerate(loaded.scenario.probes):
        where: KeyPath = ("probes", n)
        if probe.id in seen:
            yield loaded.at((*where, "id"), f"probe {probe.id!r} is there twice", "give each probe its own id")
        seen.add(probe.id)
        yield from _target(loaded, stack, probe, where)
        yield from _time(loaded, probe, where)


def _target(loaded: Loaded, stack: StackInfo, probe: Probe, where: KeyPath) -> Iterator[Problem]:
    names = [*stack.services, *(f"{s}-{n + 1}" for s, replicas in stack.services.items() for n in range(replicas))]
    if probe.http is not None and probe.http.service is not None and probe.http.service not in names:
        message = f"the stack {stack.name!r} has no {probe.http.service!r}"
        yield loaded.at((*where, "http", "service"), message, did_you_mean(probe.http.service, stack.services))
    if probe.http is not None and probe.http.url is not None:
        yield from _address(loaded, probe.http.url, (*where, "http", "url"))
    if probe.metric is not None and probe.metric.service not in names:
        message = f"the stack {stack.name!r} has no {probe.metric.service!r}"
        yield loaded.at((*where, "metric", "service"), message, did_you_mean(probe.metric.service, stack.services))
    for n, part in enumerate(probe.command or ()):
        for name in _NAMED.findall(part):
            if name not in names:
                message = f"the stack {stack.name!r} has no {name!r} whose address could stand here"
                yield loaded.at((*where, "command", n), message, did_you_mean(name, stack.services))


def _address(loaded: Loaded, url: str, where: KeyPath) -> Iterator[Problem]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        yield loaded.at(where, f"{url!r} is no address of a web server", 'write "http://127.0.0.1:8000/health"')
    elif not is_loopback(parts.hostname) and parts.hostname not in loaded.scenario.stack.allow_hosts:
        message = f"{parts.hostname!r} is not this machine"
        yield loaded.at(where, message, f"add it to `stack.allow_hosts` if it may be asked: [{parts.hostname}]")


def _time(loaded: Loaded, probe: Probe, where: KeyPath) -> Iterator[Problem]:
    scenario = loaded.scenario
    fault = next((f for f in scenario.faults if f.id == probe.fault), None)
    if probe.fault is not None and fault is None:
        yield loaded.at(
            (*where, "fault"), f"there is no fault with id {probe.fault!r}", did_you_mean(probe.fault, (f.id for f in scenario.faults))
        )
        return
    if probe.mode in ("before", "after") and not scenario.faults:
        message = f"there is no fault that it could be asked {probe.mode}"
        yield loaded.at((*where, "mode"), message, "write mode: continuous")
        return
    if probe.mode == "during" and "fault" not in scenario.phases:
        yield loaded.at((*where, "mode"), "the scenario has no phase `fault`", "add it to `phases`, or write mode: continuous")
        return
    lasts_s = scenario.duration_s
    if probe.mode == "during":
        lasts_s = scenario.phases["fault"]
    if fault is not None:
        phase_s = scenario.phases.get(fault.phase, 0.0)  # type: ignore[call-overload]  # a phase that is missing is told elsewhere
        lasts_s = fault.for_s if fault.for_s is not None else phase_s - fault.offset_s
    if not probe.once and lasts_s / max(probe.every, probe.timeout) < FEWEST:
        message = f"{lasts_s:g}s are too few for a probe that is asked every {probe.every:g}s and answered within {probe.timeout:g}s"
        yield loaded.at_key((*where, "every"), message, f"ask it at least {FEWEST} times: write a shorter `every` or `timeout`")
