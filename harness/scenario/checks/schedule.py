"""When a fault begins and ends: at its place in a phase, or after another one has shown its effect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.scenario.loader import Loaded
from harness.scenario.model import FaultUse
from harness.scenario.problem import KeyPath, Problem, did_you_mean


def begins_s(fault: FaultUse, faults: Sequence[FaultUse]) -> float:
    """Seconds into its phase, at the earliest: those that it follows may take their time to show an effect."""
    chain, known = _chain(fault, faults), {one.id for one in faults}
    root = chain[-1]
    return root.offset_s + sum(one.after_s for one in chain if one.after_id in known)


def check_schedule(loaded: Loaded, fault: FaultUse, where: KeyPath) -> Iterator[Problem]:
    """That it follows a fault there is, in the same phase, and ends within that."""
    phases, faults = loaded.scenario.phases, loaded.scenario.faults
    length_s = phases.get(fault.phase)  # type: ignore[call-overload]  # the model admits names of phases only
    begin_s = begins_s(fault, faults)
    if length_s is None:
        yield loaded.at((*where, "at"), f"the scenario has no phase {fault.phase!r}", did_you_mean(fault.phase, phases))
    elif fault.after_id is not None and (wrong := list(_followed(loaded, fault, where))):
        yield from wrong
    elif begin_s >= length_s:
        said = f"{fault.at!r} is" if fault.after is None else f"{fault.after!r} is, at the earliest,"
        key = "at" if fault.after is None else "after"
        yield loaded.at((*where, key), f"{said} after the end of {fault.phase}, which lasts {length_s:g}s", "write a smaller offset")
    elif fault.for_s is not None and begin_s + fault.for_s > length_s:
        message = f"the fault would outlast phase {fault.phase!r}: {begin_s + fault.for_s:g}s of {length_s:g}s"
        yield loaded.at((*where, "for"), message, f"write at most {length_s - begin_s:g}s, or lengthen the phase")


def _followed(loaded: Loaded, fault: FaultUse, where: KeyPath) -> Iterator[Problem]:
    at, faults = (*where, "after"), loaded.scenario.faults
    first = next((one for one in faults if one.id == fault.after_id), None)
    if first is None:
        others = [one.id for one in faults if one.id != fault.id]
        yield loaded.at(at, f"there is no fault with id {fault.after_id!r}", did_you_mean(str(fault.after_id), others))
    elif _chain(fault, faults)[-1].after_id in {one.id for one in faults}:
        yield loaded.at(at, f"{fault.id!r} would follow itself", "let one of them begin at a time: `at: fault+5s`")
    elif first.phase != fault.phase:
        message = f"{first.id!r} is in phase {first.phase!r}, and {fault.id!r} in {fault.phase!r}"
        yield loaded.at(at, message, f"write `at: {first.phase}`: one follows the other within a phase")


def _chain(fault: FaultUse, faults: Sequence[FaultUse]) -> list[FaultUse]:
    """It, the one that it follows, the one that this follows …; up to where that is none, or one that was met before."""
    by_id = {one.id: one for one in faults}
    chain = [fault]
    while (first := by_id.get(chain[-1].after_id or "")) is not None and first not in chain:
        chain.append(first)
    return chain
