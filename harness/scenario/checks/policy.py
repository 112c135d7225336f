"""Abort rules and the gate, and whether anything is asserted at all."""

from __future__ import annotations

from collections.abc import Iterator

from harness.scenario.catalog import StackInfo
from harness.scenario.checks.limits import UNITS, same_unit
from harness.scenario.checks.scopes import check_scope
from harness.scenario.loader import Loaded
from harness.scenario.problem import KeyPath, Problem, did_you_mean
from harness.scenario.slis import SliName


def check_abort(loaded: Loaded, stack: StackInfo) -> Iterator[Problem]:
    """Everything about `abort`: a rule's condition is the bad one."""
    for n, rule in enumerate(loaded.scenario.abort):
        of, limit = rule.condition
        sli = of.sli
        where: KeyPath = ("abort", n, next(iter(rule.model_extra or {})))
        yield from check_scope(loaded, stack, of, where)
        bad = ("<", "<=") if sli.good == "higher" else (">", ">=")
        if sli.unit != "ratio" and not sli.percentile:
            message = f"{sli.text} is not known from second to second, so no rule can watch it"
            yield loaded.at_key(where, message, "write a rule on a share or a percentile: {availability: '< 50%'}")
        elif sli.family == "itl":
            message = f"{sli.text} is known once answers are over; it cannot abort a run that is live"
            yield loaded.at_key(where, message, f"write max_gap_p{sli.argument:g}")
        elif limit.of is not None:
            yield loaded.at(where, "an abort rule cannot be relative: it must be decided while the run is live", "write a plain limit")
        elif not same_unit(sli, limit):
            yield loaded.at(where, f"{sli.text} is {UNITS[sli.unit]}, and {limit.text!r} is not", f'write "{_example(sli)}"')
        elif limit.op not in bad:
            yield loaded.at(where, f"{limit.text!r} is when {sli.text} is good; it would abort a healthy run", f'write "{_example(sli)}"')
        if rule.for_s + rule.grace > loaded.scenario.duration_s:
            name = "grace" if rule.for_s <= loaded.scenario.duration_s else "for"
            held = f"it must hold {rule.for_s:g}s" + (f" after {rule.grace:g}s of grace" if rule.grace else "")
            message = f"the rule can never fire: {held} in a run of {loaded.scenario.duration_s:g}s"
            yield loaded.at(("abort", n, name), message, f"write a shorter `{name}`")


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
    if not (compares or scenario.objectives or scenario.expect or scenario.burn_rates or scenario.probes or scenario.reliability):
        message = "nothing is asserted: the verdict can only be INCONCLUSIVE"
        yield loaded.at((), message, "add `objectives` or `expect`", "warning")


def _example(sli: SliName) -> str:
    return {"s": "> 10s", "ratio": "< 50%" if sli.good == "higher" else "> 50%", "number": "> 10", "per_s": "< 1/s"}[sli.unit]
