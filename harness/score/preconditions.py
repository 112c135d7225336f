"""Why a check cannot be decided. Each answer is a reason, or None where nothing stands in the way.

A check whose preconditions fail is INCONCLUSIVE with that reason: never PASS, and never FAIL.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.record import events as ev
from harness.record.history import History
from harness.record.pieces import Requests, Rows
from harness.record.requests import Outcome
from harness.record.views import FaultTruth
from harness.scenario import arrivals
from harness.scenario.model import FaultUse, Scenario
from harness.scenario.slis import PHASES
from harness.score import stats
from harness.score.sli import DROPPED_BY_GENERATOR
from harness.score.spans import NS_PER_S, of_phase, seconds

# Delivered load (docs/architecture.md, "SLIs"): a generator beyond these limits measured itself.
LAG_S_P99 = 0.020  # start - intended start
GENERATOR_CPU = 0.90  # of one core: the generator is one process; Locust's own warning level
STEAL = 0.10  # of the machine's time, taken by its host
GENERATOR_DROPS = 0.01  # share of arrivals that the generator never sent
RECORDED = 0.95  # share of the offered arrivals that must be in the record, less three sigma of a Poisson count
HEALTH_KNOWN = 0.5  # share of the seconds of a phase for which the generator must say how it is
CUT_SHORT_S = 0.5  # a phase that ends earlier than planned by more was cut


@dataclass(frozen=True)
class Preconditions:
    """`live` is for a run that still goes on: what only its end can show is not asked for."""

    history: History
    scenario: Scenario
    live: bool = False

    @cached_property
    def requests(self) -> str | None:
        """Is the record of the requests whole? A lost frame or a dead load process takes the slowest requests with it."""
        if self.history.damage:
            return f"the record is damaged: {'; '.join(self.history.damage)}"
        load = {str(e.data.get("state")): e for e in self.history.of_kind(ev.LOAD)}
        if "failed" in load:
            data = load["failed"].data
            return f"the load process failed: {data.get('detail') or data.get('error') or 'no detail recorded'}"
        if not self.live and "finished" not in load:
            return "the load process never finished, so requests that were in flight are missing from the record"
        missing = _missing(load["finished"].data, len(self.history.requests)) if "finished" in load else None
        missing = missing or (_unoffered(load) if "finished" in load else None)
        return missing or self.history.once(("impossible",), lambda: _impossible(self.history.requests))

    def phase(self, name: str) -> str | None:
        """Can an objective of this phase be decided?"""
        own = (self.fault(use.id) for use in self.scenario.faults if use.phase == name)
        return self.measured(name) or next(filter(None, own), None)

    def measured(self, name: str) -> str | None:
        """Can anything be told of this phase, whatever its own faults did? Those of earlier phases must have bitten, and be gone."""
        earlier = (use for use in self.scenario.faults if PHASES.index(use.phase) < PHASES.index(name))
        left = (self.fault(use.id) or self.gone(use) for use in earlier)
        return self.requests or self._reached(name) or self.generator(name) or next(filter(None, left), None)

    def _reached(self, name: str) -> str | None:
        span = self.history.phase(name)
        if span is None:
            return f"the run never reached {name}"
        if span.end_ns is None and not self.live:
            return f"the record ends inside {name}"
        if span.end_ns is not None and span.end_ns < span.planned_end_ns - round(CUT_SHORT_S * NS_PER_S):
            return f"{name} was cut short, {seconds(span.end_ns, span.planned_end_ns):g}s before its planned end"
        if len(self.history.in_phase(name)) == 0:
            return f"no requests in {name}"
        return None

    def generator(self, name: str) -> str | None:
        """Did the load generator deliver what it offered in this phase?"""
        return self._generators.get(name)

    @cached_property
    def _generators(self) -> dict[str, str | None]:
        return self.history.once(
            ("generators", self.live),
            lambda: {p.name: next(self._generator_faults(p.name), None) for p in self.history.phases},
            of=self.scenario,
        )

    def _generator_faults(self, name: str) -> Iterator[str]:
        rows = self.history.in_phase(name)
        if not len(rows):
            return
        predictable = name in self.scenario.phases and self.scenario.load.predictable
        offered = arrivals.expected(self.scenario, name) if predictable else 0.0
        yield from _undelivered(rows, under_way=max(0, round(offered) - len(rows)) if self.live else 0)
        if self.live:
            yield from self._behind()
        elif _short(len(rows), offered):
            yield f"the generator sent {len(rows)} of {offered:.0f} offered arrivals in {name}"
        yield from self._unwell(name)
        yield from self._deserted(name)

    def _deserted(self, name: str) -> Iterator[str]:
        """A closed load has no schedule that it could fall short of. Where a worker is lost, its users ask nothing more, and what they were
        waiting for is not in the record: at most for the time limit of a request before the worker was last heard of.
        """
        span = self.history.phase(name)
        if span is None or self.scenario.load.model != "closed":
            return
        end_ns = of_phase(self.history, span).end_ns
        for event in self.history.of_kind(ev.LOAD):
            if event.data.get("state") == "worker_lost":
                heard_ns = int(_number(event.data.get("heard_ns")) or event.t_ns)
                if end_ns > heard_ns - round(self.scenario.load.timeout * NS_PER_S):
                    lost_s = seconds(self.history.start_ns, heard_ns)
                    yield f"worker {event.data.get('worker')} was lost {lost_s:.1f}s into the run, and its users asked nothing more"

    def _behind(self) -> Iterator[str]:
        """While a run goes on, the record lacks what has no answer yet: how many arrivals came is then what the generator has counted."""
        t0_ns = next((e.data.get("t0_ns") for e in self.history.of_kind(ev.LOAD) if e.data.get("state") == "begun"), None)
        told = {e.data.get("worker"): e for e in self.history.of_kind(ev.LOAD) if e.data.get("state") == "health"}
        lost = {e.data.get("worker") for e in self.history.of_kind(ev.LOAD) if e.data.get("state") == "worker_lost"}
        alive_ns = [e.t_ns for worker, e in told.items() if worker not in lost]
        counted = [_number(e.data.get("arrivals")) for e in told.values()]
        if not self.scenario.load.predictable or not isinstance(t0_ns, int) or not alive_ns or None in counted:
            return
        until_s = (min(alive_ns) - t0_ns) / NS_PER_S
        sent, offered = math.fsum(n or 0.0 for n in counted), arrivals.between(self.scenario, 0.0, until_s)
        if _short(sent, offered):
            yield f"the generator sent {sent:.0f} of {offered:.0f} offered arrivals in the first {until_s:.0f}s of the run"

    def _unwell(self, name: str) -> Iterator[str]:
        """Was the generator short of a processor in this phase, or is that not even known?"""
        span = self.history.phase(name)
        if span is None:
            return
        held = of_phase(self.history, span)
        health = [e.data for e in self.history.of_kind(ev.LOAD) if e.data.get("state") == "health" and held.holds(e.t_ns)]
        known = len(health)
        for field, limit, what in (("cpu_ratio", GENERATOR_CPU, "generator CPU"), ("steal_ratio", STEAL, "machine steal")):
            values = [value for data in health if (value := _number(data.get(field))) is not None]
            mean = math.fsum(values) / len(values) if values else 0.0
            if mean > limit:
                yield f"{what} was {mean:.0%} on average in {name}, more than {limit:.0%}: the measurements are the generator's own"
            known = min(known, len(values))
        if known < HEALTH_KNOWN * math.floor(held.length_s):
            yield f"the generator told {known} times in the {held.length_s:.0f}s of {name} how it was, instead of every second"

    def fault(self, fault_id: str) -> str | None:
        """Is there evidence that the fault bit? `first_failure` says why not, once, in validity.fault.<id>."""
        truth = self.history.fault(fault_id)
        if truth is None:
            skipped = next((e.data.get("reason") for e in self.history.fault_steps(fault_id) if e.data.get("step") == "skipped"), None)
            return f"fault {fault_id} was never injected" + (f": {skipped}" if skipped is not None else "")
        return None if truth.onset_ns is not None else f"fault {fault_id} was not effective"

    def gone(self, use: FaultUse) -> str | None:
        """Is there evidence that nothing of the fault is left?"""
        truth = self.history.fault(use.id)
        if truth is None or None not in (truth.heal_intended_ns, truth.healed_ns, truth.gone_ns):
            return None
        return f"fault {use.id} is not proved gone"

    def first_failure(self, fault_id: str, *steps: str) -> str:
        """What the record says of the first failure of these steps, the most telling one given first; later ones mostly follow from it."""
        for step in steps:
            for event in self.history.fault_steps(fault_id):
                if event.data.get("step") == step:
                    return f"{step}: {event.data.get('reason', 'no reason recorded')}"
        return "no evidence recorded"

    def operator_until(self, t_ns: int) -> str | None:
        """Was an operator on call up to that time?"""
        if not self.scenario.operator.enabled:
            return "the scenario switches the operator off"
        states = [(e.t_ns, str(e.data.get("state")), e.data.get("returncode")) for e in self.history.of_kind(ev.OPERATOR)]
        if not any(state == "started" for _, state, _ in states):
            return "no operator was started"
        for at_ns, state, code in states:
            if state == "exited" and at_ns < t_ns:
                return f"the operator process died {seconds(self.history.start_ns, at_ns):g}s into the run (exit status {code})"
        return None

    def operator_throughout(self) -> str | None:
        """Was an operator on call to the end of the record? Silence of a dead one is no evidence."""
        reason = cut_off(self.history) or self.operator_until(self.history.end_ns + 1)
        if reason is None and not any(e.data.get("state") == "stopped" for e in self.history.of_kind(ev.OPERATOR)):
            reason = "the record does not say that the operator was still alive when it was stopped"
        return reason

    def operator_for(self, fault: FaultTruth) -> str | None:
        """Was an operator on call at the onset? One that dies later has missed the fault, which is its own failure."""
        return self.operator_until(fault.onset_ns) if fault.onset_ns is not None else None


def cut_off(history: History) -> str | None:
    """Did the record stop before the run did?"""
    if history.complete:
        return None
    last = history.phases[-1].name if history.phases else "the first phase"
    return f"the record stops {seconds(history.start_ns, history.end_ns):g}s into the run, in or after {last}: the harness was cut off"


def _missing(finished: Mapping[str, Any], recorded: int) -> str | None:
    """Does the record hold as many requests as the generator counted?

    A run that was stopped early cancels what is in flight; it cannot pass anyway, and what it broke before stays broken.
    """
    counted = finished.get("arrivals")
    if not isinstance(counted, int):
        return "the load process does not say how many requests there were"
    if recorded < counted and not finished.get("early"):
        return f"{counted - recorded} requests are missing from the record: they were under way when the load ended"
    if recorded > counted:
        return f"the record holds {recorded} requests, and the load process counted {counted}"
    return None


def _unoffered(load: Mapping[str, ev.Event]) -> str | None:
    """Did the generator come to the end of its schedule? Of a replay, no other number is known than the one it began with."""
    begun, finished = load.get("started"), load["finished"]
    expected = _number(begun.data.get("expected_arrivals")) if begun is not None else None
    counted = _number(finished.data.get("arrivals"))
    if expected is None or counted is None or finished.data.get("early"):
        return None
    if _short(counted, expected):
        return f"the generator offered {counted:.0f} of the {expected:.0f} arrivals of its schedule"
    return None


def _short(counted: float, expected: float) -> bool:
    """Are these clearly fewer arrivals than the schedule has?"""
    return counted < RECORDED * expected - 3.0 * math.sqrt(expected)


def _impossible(requests: Requests) -> str | None:
    """Rows that no generator writes would be read as fast, or counted twice."""
    unknown, disordered = 0, 0

    def look(rows: Rows) -> NDArray[np.uint32]:
        nonlocal unknown, disordered
        unknown += int(np.count_nonzero(rows["outcome"] > max(Outcome)))
        disordered += _disordered(rows)
        seq: NDArray[np.uint32] = rows["seq"]
        return seq

    seq = requests.gather(look, np.uint32)
    seq.sort()
    twice = np.count_nonzero(seq[1:] == seq[:-1])
    if twice:
        return f"{twice} requests are in the record more than once"
    if unknown:
        return f"{unknown} requests ended in a way that this program does not know"
    if disordered:
        return f"the times of {disordered} requests are out of order (due, sent, first and last content, end)"
    return None


def _disordered(rows: Rows) -> int:
    sent = rows[rows["outcome"] != Outcome.DROPPED]
    due, start, first, last, end = (sent[f"{name}_ns"] for name in ("intended", "start", "first", "last", "end"))
    disordered = (due <= 0) | (start < due) | (end < start) | ((first > 0) & ((first < start) | (last < first) | (end < last)))
    return int(np.count_nonzero(disordered))


def _number(value: object) -> float | None:
    """A finite number, or nothing."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _undelivered(requests: Requests, under_way: int) -> Iterator[str]:
    """Too many not sent, or sent late? Of those that are `under_way`, and so not in the record yet, nothing bad is known."""
    never_sent = 0

    def look(rows: Rows) -> NDArray[Any]:
        nonlocal never_sent
        never_sent += int(np.count_nonzero((rows["outcome"] == Outcome.DROPPED) & (rows["drop_cause"] == DROPPED_BY_GENERATOR)))
        sent = rows[rows["start_ns"] > 0]
        lags: NDArray[Any] = sent["start_ns"] - sent["intended_ns"]
        return lags

    lags_ns = requests.gather(look, np.int64)
    share = never_sent / (len(requests) + under_way)
    if share > GENERATOR_DROPS:
        yield f"the generator never sent {share:.1%} of the arrivals (limit {GENERATOR_DROPS:.0%})"
    if len(lags_ns):
        lags_ns = np.concatenate([lags_ns, np.zeros(under_way, np.int64)])
        lag_s = stats.nearest_rank(lags_ns, 99.0) / NS_PER_S
        if lag_s > LAG_S_P99:
            yield f"the generator sent late: p99 of the lag is {lag_s * 1000:.0f}ms (limit {LAG_S_P99 * 1000:.0f}ms)"
