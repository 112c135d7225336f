"""The load in a sentence or two, for people: which model it was decides what its latencies mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.report.material import Material
from harness.score.delivery import delivery

_ENGINES = {"locust": "Locust", "asyncio": "asyncio"}


def load_lines(material: Material) -> Iterator[tuple[str, str]]:
    """(name, sentence)."""
    found = delivery(material.history, material.scenario)
    yield "Load", _sent(found)
    yield "Generator", _health(found)
    for sweep in found["sweeps"]:
        yield "Sweep", _sweep(sweep)


def _sent(found: Mapping[str, Any]) -> str:
    engine = _ENGINES.get(found["engine"], found["engine"])
    on = f"on {engine}" + (f", {found['workers']:g} workers" if found["workers"] != 1 else "")
    dropped = "".join(f", {n:,} dropped for the {who}'s sake" for who in ("target", "generator") if (n := found[f"dropped_by_{who}"]))
    sent = f"{found['arrivals']:,} arrivals, {found['sent']:,} sent{dropped}"
    if found["model"] != "closed":
        return f"open model {on}: arrivals came whatever the answers did, and latency counts from when each was due; {sent}"
    users = f"{found['users']:g} users" if found["users"] is not None else "the users of a locustfile"
    think = f", think time {found['think_s']:g}s" if found["think_s"] is not None else ""
    why = "a slow service was asked less, and latencies leave out what other callers would have waited"
    return f"closed model {on} ({users}{think}): {why}; {sent}"


def _health(found: Mapping[str, Any]) -> str:
    parts = [
        _part("dispatch delay p50 {:.2f} ms", found["dispatch_lag_ms_p50"]),
        _part("p99 {:.2f} ms", found["dispatch_lag_ms_p99"]),
        _part("worst {:.1f} ms", found["dispatch_lag_ms_max"]),
        _part("event loop held up at most {:.1f} ms", found["loop_lag_ms_max"]),
        _part("processor at most {:.0%} of a core in a second", found["cpu_ratio_max"]),
        _part("steal at most {:.0%}", found["steal_ratio_max"]),
    ]
    return ", ".join(part for part in parts if part) or "it said nothing of itself"


def _part(form: str, value: object) -> str:
    return form.format(value) if isinstance(value, int | float) else ""


def _sweep(sweep: Mapping[str, Any]) -> str:
    served = f"at most {sweep['served_per_s_max']:g}/s served"
    if sweep["saturated_at_per_s"] is None:
        return f"not saturated up to {sweep['sustained_per_s']:g}/s; {served}"
    kept = f"kept up to {sweep['sustained_per_s']:g}/s" if sweep["sustained_per_s"] is not None else "saturated from the first step"
    return f"{kept}, saturated at {sweep['saturated_at_per_s']:g}/s; {served}"
