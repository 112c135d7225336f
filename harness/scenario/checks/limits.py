"""Limits on SLIs: of the right unit, in the good direction, and not always kept."""

from __future__ import annotations

from collections.abc import Iterator

from harness.scenario.slis import SliName
from harness.scenario.units import Limit

EXAMPLES = {"s": "<= 800ms", "ratio": ">= 99%", "number": "<= 0", "per_s": ">= 20/s"}
UNITS = {"s": "a time", "ratio": "a ratio", "number": "a number", "per_s": "a rate"}


def wrong_limit(sli: SliName, limit: Limit) -> Iterator[tuple[str, str]]:
    """What is wrong with a limit, at most one thing, and what to write instead."""
    wanted = (">=", ">") if sli.good == "higher" else ("<=", "<")
    example = EXAMPLES[sli.unit].replace(">=", wanted[0]).replace("<=", wanted[0])
    if limit.of is None and not same_unit(sli, limit):
        yield f"{sli.text} is {UNITS[sli.unit]}, and {limit.text!r} is not", f'write "{example}"'
    elif limit.op not in (*wanted, "=="):
        yield f"{limit.text!r} asks {sli.text} to be bad: {sli.good} is better", f'turn it round: "{example}"'
    elif limit.op == "==" and sli.unit != "number":
        yield f"{sli.text} is measured, it never equals a number exactly", f'write "{example}"'
    elif limit.of is None and sli.unit == "ratio" and limit.value > 1.0:
        yield f"{sli.text} is at most 100%", 'write a percentage ("99%") or a ratio (0.99)'
    elif limit.of is None and sli.good == "higher" and limit.value == 0.0:
        yield f"{limit.text!r} always holds: it asserts nothing", f'write "{example}"'


def same_unit(sli: SliName, limit: Limit) -> bool:
    """A ratio may be written as a percentage or as a plain number."""
    return limit.unit == sli.unit or (sli.unit == "ratio" and limit.unit == "number")
