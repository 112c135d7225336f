"""The load's shape: segments that fill the phases, and traces that can be replayed."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from harness.scenario.loader import Loaded
from harness.scenario.problem import KeyPath, Problem, did_you_mean
from harness.scenario.segments import TraceUse
from harness.scenario.traces import TraceError, read_trace

_TOLERANCE_S = 1e-6
_SOAK_S = 300.0
_PERIODS = 1.0  # of a sine that a segment must hold


def check_shape(loaded: Loaded, journeys: Collection[str]) -> Iterator[Problem]:
    """Everything about `load.shape`. `journeys` are those that the stack and the scenario know."""
    yield from _lengths(loaded)
    for n, (segment, length_s) in enumerate(zip(loaded.scenario.load.shape, _length_of_each(loaded), strict=True)):
        where: KeyPath = ("load", "shape", n)
        if segment.trace is not None:
            yield from _trace(loaded, segment.trace, where, length_s, () if segment.mix else journeys)
        if segment.sine is not None and segment.sine.period * _PERIODS > length_s + _TOLERANCE_S:
            message = f"the segment lasts {length_s:g}s, and one period {segment.sine.period:g}s: its mean is not the one that is written"
            yield loaded.at((*where, "sine", "period"), message, f"write a period of at most {length_s:g}s, or make the segment longer")
        if segment.soak is not None and length_s < _SOAK_S:
            message = f"a soak of {length_s:g}s is too short for leaks and drift to show"
            yield loaded.at_key((*where, "soak"), message, f"write constant, or let it last {_SOAK_S:g}s", "warning")


def readable(loaded: Loaded) -> bool:
    """Can every trace be read?"""
    try:
        for segment in loaded.scenario.load.shape:
            if segment.trace is not None:
                read_trace(segment.trace.file, segment.trace.format)
    except TraceError:
        return False
    return True


def _lengths(loaded: Loaded) -> Iterator[Problem]:
    """The segments and the phases must be equally long."""
    segments = loaded.scenario.load.shape
    total_s = loaded.scenario.duration_s
    given_s = sum(s.for_s for s in segments if s.for_s is not None)
    where: KeyPath = ("load", "shape")
    open_ended = [n for n, s in enumerate(segments) if s.for_s is None]
    if len(open_ended) > 1:
        yield loaded.at((*where, open_ended[1]), "a second segment without `for`: only one can take what is left", "give it a `for`")
    elif open_ended and given_s >= total_s - _TOLERANCE_S:
        message = f"nothing is left for the segment without `for`: the others take {given_s:g}s of the phases' {total_s:g}s"
        yield loaded.at((*where, open_ended[0]), message, "shorten the others")
    elif segments and not open_ended and abs(given_s - total_s) > _TOLERANCE_S:
        message = f"the segments last {given_s:g}s, the phases {total_s:g}s"
        yield loaded.at(where, message, "make them equal, or drop one `for`: that segment then takes what is left")


def _length_of_each(loaded: Loaded) -> list[float]:
    segments = loaded.scenario.load.shape
    left_s = loaded.scenario.duration_s - sum(s.for_s for s in segments if s.for_s is not None)
    return [max(0.0, left_s) if s.for_s is None else s.for_s for s in segments]


def _trace(loaded: Loaded, use: TraceUse, where: KeyPath, length_s: float, journeys: Collection[str]) -> Iterator[Problem]:
    """`journeys` are those that a replayed run may have had; empty where its own do not count."""
    try:
        trace = read_trace(use.file, use.format)
    except TraceError as error:
        formats = "azure, burstgpt, mooncake, or record for the directory of a run"
        yield loaded.at((*where, "trace", "file"), str(error), f"name a file of format {use.format}, or its format: {formats}")
        return
    unknown = sorted(set(trace.journeys) - set(journeys)) if journeys else []
    if unknown:
        message = f"the run replayed had journeys that are not known here: {', '.join(unknown)}"
        yield loaded.at((*where, "trace", "file"), message, f"{did_you_mean(unknown[0], journeys)}; or give the segment a `mix`")
    lasts_s = trace.offsets_s[-1] / use.speed
    if lasts_s < length_s - max(1.0, 0.05 * length_s):
        message = f"the trace ends after {lasts_s:.6g}s at this speed, and the segment lasts {length_s:g}s: nothing is sent in the rest"
        yield loaded.at_key((*where, "trace"), message, f"write `for: {max(lasts_s, 0.001):.3f}s`, or a lower speed", "warning")
