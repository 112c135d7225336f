"""Objectives, abort rules and the gate: units, directions, and whether the phase can carry what is asked of it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from harness.scenario import arrivals
from harness.scenario.catalog import StackInfo
from harness.scenario.loader import Loaded
from harness.scenario.problem import KeyPath, Problem, did_you_mean
from harness.scenario.slis import SliName, sli_name
from harness.scenario.units import Limit

_EXAMPLES = {"s": "<= 800ms", "ratio": ">= 99%", "number": "<= 0", "per_s": ">= 20/s"}
_UNITS = {"s": "a time", "ratio": "a ratio", "number": "a number", "per_s": "a rate"}


def check_objectives(loaded: Loaded, stack: StackInfo) -> Iterator[Problem]:
    """Everything about `objectives`."""
    scenario = loaded.scenario
    for phase, objectives in scenario.objectives.items():
        if phase not in scenario.phases:
            yield loaded.at_key(("objectives", phase), f"the scenario has no phase {phase!r}", did_you_mean(phase, scenario.phases))
            continue
        for name, limit in objectives.items():
            where: KeyPath = ("objectives", phase, name)
            sli = sli_name(name)
            found = [*_limit(loaded, sli, limit, where), *_reference(loaded, phase, limit, where), *_measurable(loaded, sli, stack, where)]
            yield from found or _carries(loaded, sli, limit, phase, where)
            if sli.percentile and "availability" not in objectives:
                message = f"{name} alone is passed by a service that answers nothing"
                yield loaded.at_key(where, message, f'add `availability: ">= 99%"` to objectives of {phase}')


def check_abort(loaded: Loaded) -> Iterator[Problem]:
    """Everything about `abort`: a rule's condition is the bad one."""
    for n, rule in enumerate(loaded.scenario.abort):
        sli, limit = rule.condition
        where: KeyPath = ("abort", n, sli.text)
        bad = ("<", "<=") if sli.good == "higher" else (">", ">=")
        if not _same_unit(sli, limit):
            yield loaded.at(where, f"{sli.text} is {_UNITS[sli.unit]}, and {limit.text!r} is not", f'write "{_abort_example(sli)}"')
        elif limit.op not in bad:
            yield loaded.at(
                where, f"{limit.text!r} is when {sli.text} is good; it would abort a healthy run", f'write "{_abort_example(sli)}"'
            )
        elif sli.family == "itl":
            message = f"{sli.text} is known once answers are over; it cannot abort a run that is live"
            yield loaded.at_key(where, message, f"write max_gap_p{sli.argument:g}")
        elif limit.of is not None:
            yield loaded.at(where, "an abort rule cannot be relative: it must be decided while the run is live", "write a plain limit")
        if rule.for_s > loaded.scenario.duration_s:
            message = f"the rule can never fire: it must hold {rule.for_s:g}s in a run of {loaded.scenario.duration_s:g}s"
            yield loaded.at(("abort", n, "for"), message, "write a shorter `for`")


def check_gate(loaded: Loaded) -> Iterator[Problem]:
    """`gate.key` and `gate.weights` name objectives."""
    gate = loaded.scenario.gate
    if gate is None:
        return
    known = [f"{phase}.{name}" for phase, objectives in loaded.scenario.objectives.items() for name in objectives]
    for n, name in enumerate(gate.key):
        if name not in known:
            yield loaded.at(("gate", "key", n), f"there is no objective {name!r}", did_you_mean(name, known))
    for name in gate.weights:
        if name not in known:
            yield loaded.at_key(("gate", "weights", name), f"there is no objective {name!r}", did_you_mean(name, known))


def check_anything_asserted(loaded: Loaded) -> Iterator[Problem]:
    """Legal, and never a pass."""
    scenario = loaded.scenario
    compares = scenario.compare is not None and scenario.compare.candidate is not None
    if not scenario.objectives and not scenario.expect and not compares:
        yield loaded.at((), "nothing is asserted: the verdict can only be INCONCLUSIVE", "add `objectives` or `expect`", "warning")


def _limit(loaded: Loaded, sli: SliName, limit: Limit, where: KeyPath) -> Iterator[Problem]:
    wanted = (">=", ">") if sli.good == "higher" else ("<=", "<")
    example = _EXAMPLES[sli.unit].replace(">=", wanted[0]).replace("<=", wanted[0])
    if limit.of is None and not _same_unit(sli, limit):
        yield loaded.at(where, f"{sli.text} is {_UNITS[sli.unit]}, and {limit.text!r} is not", f'write "{example}"')
    elif limit.op not in (*wanted, "=="):
        yield loaded.at(where, f"{limit.text!r} asks {sli.text} to be bad: {sli.good} is better", f'turn it round: "{example}"')
    elif limit.op == "==" and sli.unit != "number":
        yield loaded.at(where, f"{sli.text} is measured, it never equals a number exactly", f'write "{example}"')
    elif limit.of is None and sli.unit == "ratio" and limit.value > 1.0:
        yield loaded.at(where, f"{sli.text} is at most 100%", 'write a percentage ("99%") or a ratio (0.99)')
    elif limit.of is None and sli.good == "higher" and limit.value == 0.0:
        yield loaded.at(where, f"{limit.text!r} always holds: it asserts nothing", f'write "{example}"')


def _reference(loaded: Loaded, phase: str, limit: Limit, where: KeyPath) -> Iterator[Problem]:
    """What a relative limit is relative to must exist, and lie elsewhere."""
    if limit.of != "steady_state":
        return
    if "steady_state" not in loaded.scenario.phases:
        yield loaded.at(where, "the scenario has no steady_state to compare with", "add `steady_state: 30s` to `phases`")
    elif phase in ("warmup", "steady_state"):
        yield loaded.at(where, f"{phase} cannot be compared with steady_state", "write a plain limit")


def _measurable(loaded: Loaded, sli: SliName, stack: StackInfo, where: KeyPath) -> Iterator[Problem]:
    if sli.family in arrivals.QUALITY and not stack.quality:
        message = f"{sli.text} needs questions with known answers, which the stack {stack.name!r} does not have"
        yield loaded.at_key(where, message, "drop it, or use `stack: {use: reference}`")


def _carries(loaded: Loaded, sli: SliName, limit: Limit, phase: str, where: KeyPath) -> Iterator[Problem]:
    """Will the phase bring enough samples for the verdict to mean something?"""
    phases = (phase, "steady_state") if limit.of == "steady_state" else (phase,)
    for name in phases:
        n = arrivals.for_sli(loaded.scenario, name, sli)
        needed = arrivals.samples_needed(sli)
        if n < needed:
            journeys = arrivals.JOURNEYS_OF.get(sli.family)
            of = f" of {' and '.join(sorted(journeys))}" if journeys else ""
            message = f"{sli.text} needs {needed} samples, and {name} brings about {math.floor(n)} arrivals{of}"
            yield loaded.at(where, message, "lengthen the phase, raise the rate" + (", or add the journey to `mix`" if journeys else ""))
            return
    n = arrivals.for_sli(loaded.scenario, phase, sli)
    if sli.family in arrivals.PROPORTIONS and limit.of is None:
        yield from _provable(loaded, sli, limit, phase, n, where)
    if sli.family == "goodput" and limit.of is None and limit.value > n / loaded.scenario.phases[phase]:  # type: ignore[index]  # checked above
        offered = n / loaded.scenario.phases[phase]  # type: ignore[index]  # checked above
        yield loaded.at(where, f"goodput cannot reach {limit.text!r}: {phase} offers {offered:g}/s", "write less than what is offered")
    timeout_s = loaded.scenario.load.timeout
    if sli.percentile and limit.of is None and limit.value >= timeout_s:
        message = f"{limit.text!r} can hardly fail: requests are given up after {timeout_s:g}s"
        yield loaded.at(where, message, "write a limit below `load.timeout`", "warning")


def _provable(loaded: Loaded, sli: SliName, limit: Limit, phase: str, n: float, where: KeyPath) -> Iterator[Problem]:
    """Rule of three: so many arrivals without one failure still leave this much room for doubt."""
    share = limit.value if sli.good == "higher" else 1.0 - limit.value
    needed = arrivals.arrivals_to_prove(share)
    if n >= needed:
        return
    best = math.floor(arrivals.provable_ratio(n) * 1000) / 10
    write = f">= {best:g}%" if sli.good == "higher" else f"<= {100 - best:.3g}%"
    message = f"{phase} brings about {math.floor(n)} arrivals, which without one failure prove {write!r} and not {limit.text!r}"
    if math.isfinite(needed):
        yield loaded.at(where, f"{message}; {math.ceil(needed)} are needed", f"write {write!r}, or lengthen the phase")
    else:
        yield loaded.at(where, f"{message}: no number of arrivals proves certainty", f"write {write!r}", "warning")


def _same_unit(sli: SliName, limit: Limit) -> bool:
    """A ratio may be written as a percentage or as a plain number."""
    return limit.unit == sli.unit or (sli.unit == "ratio" and limit.unit == "number")


def _abort_example(sli: SliName) -> str:
    return {"s": "> 10s", "ratio": "< 50%" if sli.good == "higher" else "> 50%", "number": "> 10", "per_s": "< 1/s"}[sli.unit]
