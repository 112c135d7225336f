"""The run on one time axis: phases, faults and claims as lanes; load, latency and failures as panels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from harness.record.events import GAMEDAY, Event
from harness.record.requests import Outcome
from harness.record.views import Action, Diagnosis, Escalation, FaultTruth
from harness.report import svg
from harness.report.axis import Axis
from harness.report.material import Material, clean
from harness.report.series import PERCENTILES, Range, Series, length_s, series
from harness.report.stories import target
from harness.score.detection import Episode, episodes
from harness.score.show import show

LANES = 16  # at most, for claims of one sort


@dataclass(frozen=True, slots=True)
class Drawn:
    """The figure as inline SVG, what is to be said about it, and its figures as a table: titles of columns, and rows."""

    figure: Markup
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def drawn(material: Material) -> Drawn:
    """The run over time. Requests are read once for all of it."""
    data = series(material.history)
    return Drawn(timeline(material, data), _note(data), *_table(data))


def timeline(material: Material, data: Series) -> Markup:
    """The figure as inline SVG."""
    axis = Axis(0.0, length_s(material.history))
    title = "Timeline of the run; its figures are in the table below it"
    return svg.chart(axis, _lanes(material, axis), _panels(data, tuple(_limits(material))), data.times_s(), _readouts(data), title)


def _note(data: Series) -> str:
    """How requests became points."""
    latency = "the pale band spans the fastest and the slowest request; above the axis it is cut off"
    if data.bin_s == 1:
        return f"A point is one second. Of the latency, {latency}."
    return (
        f"A point stands for {data.bin_s:g} seconds: rates are means, percentiles exact. Nothing is averaged away: pale bands span the "
        f"lowest and the highest single second of each point; of the latency, {latency}."
    )


def _table(data: Series) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    columns = ("From", "Offered", "Served", *(f"p{p}" for p in PERCENTILES), "Slowest", "Failed", "Failed, worst second")
    failed = [sum(v or 0.0 for v in column) for column in zip(*data.failures_per_s.values(), strict=True)]
    series_of = (
        (data.offered_per_s, "per_s"), (data.served_per_s, "per_s"), *((data.latency_s[p], "s") for p in PERCENTILES),
        (data.latency_range_s[1], "s"), (failed, "per_s"), (data.failed_range_per_s[1], "per_s"),
    )  # fmt: skip
    cells = [[_shown(v, unit) for v in values] for values, unit in series_of]
    starts = [f"{data.start_s + n * data.bin_s:g}s" for n in range(data.bins)]
    return columns, tuple(zip(starts, *cells, strict=True))


def _shown(value: float | None, unit: str) -> str:
    return "none" if value is None else show(value, unit)


def _lanes(material: Material, axis: Axis) -> list[svg.Lane]:
    history = material.history
    lanes = [svg.Lane("phases", tuple(_phases(material, axis)), height=24)]
    lanes += [svg.Lane(clean(f.id)[:18], tuple(_fault(material, axis, f))) for f in history.faults]
    claims: dict[str, list[svg.Block | svg.Mark]] = {
        "alerts": [_episode(material, axis, e) for e in episodes(history.alerts, history.faults)],
        "diagnoses": [_diagnosis(material, d) for d in history.diagnoses],
        "actions": [_action(material, axis, a) for a in history.actions],
        "escalations": [_escalation(material, e) for e in history.escalations],
        "people": [_person(material, e) for e in history.of_kind(GAMEDAY)],
    }
    for name, items in claims.items():
        if items or name in ("alerts", "actions"):  # none of these is worth a look as well
            lanes += svg.packed(axis, name, items, LANES)
    return lanes


def _phases(material: Material, axis: Axis) -> Iterator[svg.Block]:
    for n, phase in enumerate(material.history.phases):
        end_s = axis.end_s if phase.end_ns is None else _s(material, phase.end_ns)
        start_s = _s(material, phase.start_ns)
        title = f"phase {phase.name}: {start_s:.1f}s to {end_s:.1f}s" + ("" if phase.complete else ", the record ends inside it")
        yield svg.Block(start_s, end_s, f"phase phase-{n % 2}", phase.name, title, through=True)


def _fault(material: Material, axis: Axis, fault: FaultTruth) -> Iterator[svg.Block | svg.Mark]:
    """From intended to healed; the onset is where evidence says that it bit."""
    if fault.intended_ns is None:
        return
    end_ns = fault.gone_ns or fault.healed_ns
    end_s = axis.end_s if end_ns is None else _s(material, end_ns)
    steps = (
        ("intended", fault.intended_ns), ("onset", fault.onset_ns), ("heal intended", fault.heal_intended_ns), ("healed", fault.healed_ns),
        ("gone", fault.gone_ns),
    )  # fmt: skip
    told = ", ".join(f"{name} {_at(material, t_ns)}" for name, t_ns in steps if t_ns is not None)
    label = f"{fault.type} on {target(fault)}"
    failure = f"; {clean(fault.failure)}" if fault.failure else ""
    yield svg.Block(
        _s(material, fault.intended_ns), end_s, "benign" if fault.benign else "fault", label, f"{fault.id}: {label}: {told}{failure}"
    )
    if fault.onset_ns is not None:
        healed_s = end_s if fault.heal_intended_ns is None else _s(material, fault.heal_intended_ns)
        yield svg.Block(_s(material, fault.onset_ns), healed_s, "fault-window", "", "", through=True)


def _episode(material: Material, axis: Axis, episode: Episode) -> svg.Block:
    start_s = _s(material, episode.start_ns)
    end_s = axis.end_s if episode.resolved_ns is None else _s(material, episode.resolved_ns)
    name = clean(f"{episode.name} {episode.service or ''}")
    until = "never resolved" if episode.resolved_ns is None else f"resolved {end_s:.1f}s"
    return svg.Block(start_s, end_s, "alert", name, f"alert {name}: received {start_s:.1f}s, {until}")


def _diagnosis(material: Material, diagnosis: Diagnosis) -> svg.Mark:
    causes = "; ".join(f"{clean(c.service)}/{clean(c.kind)} {c.confidence:.0%} {clean(c.evidence)}".strip() for c in diagnosis.causes)
    label = f"{clean(diagnosis.causes[0].service)}/{clean(diagnosis.causes[0].kind)}" if diagnosis.causes else "abstained"
    return svg.Mark(
        _s(material, diagnosis.t_ns), "diagnosis", label, f"diagnosis at {_at(material, diagnosis.t_ns)}: {causes or 'abstained'}"
    )


def _escalation(material: Material, escalation: Escalation) -> svg.Mark:
    at = _at(material, escalation.t_ns)
    return svg.Mark(
        _s(material, escalation.t_ns), "escalation", clean(escalation.service or ""), f"escalated at {at}: {clean(escalation.reason)}"
    )


def _person(material: Material, event: Event) -> svg.Mark:
    what = f"{clean(event.data.get('by'))}: {clean(event.data.get('do'))}"
    where = f"{clean(event.data['service'])}/{clean(event.data.get('fault_kind'))}" if event.data.get("service") else ""
    told = clean(f"{what} {where or event.data.get('fault', '')} {event.data.get('text') or event.data.get('reason') or ''}")
    return svg.Mark(_s(material, event.t_ns), "person", clean(event.data.get("do")), f"{told} at {_at(material, event.t_ns)}")


def _action(material: Material, axis: Axis, action: Action) -> svg.Block:
    name = clean(f"{action.verb} {action.instance or action.service}")
    end_s = axis.end_s if action.done_ns is None else _s(material, action.done_ns)
    title = f"{name}: requested {_at(material, action.t_ns)}, {clean(action.status)} {end_s:.1f}s {clean(action.detail)}".strip()
    return svg.Block(_s(material, action.t_ns), end_s, f"action action-{'ok' if action.status == 'performed' else 'bad'}", name, title)


def _panels(data: Series, limits: tuple[svg.Limit, ...]) -> tuple[svg.Panel, ...]:
    load = (svg.Line("offered", "offered", data.offered_per_s), svg.Line("served", "served", data.served_per_s))
    latency = tuple(svg.Line(f"p{p}", f"p{p}", data.latency_s[p]) for p in PERCENTILES)
    failures = tuple(svg.Line(o.name.lower(), f"outcome-{o.name.lower()}", values) for o, values in data.failures_per_s.items())
    wide = data.bin_s > 1  # else the extremes of a second are its mean
    rates = (svg.Band("offered", *data.offered_range_per_s), svg.Band("served", *data.served_range_per_s)) if wide else ()
    worst = (svg.Band("failed", *data.failed_range_per_s),) if wide else ()
    most_offered, most_failed = (
        max((v for v in highs if v is not None), default=0.0) if wide else 0.0
        for highs in ([*data.offered_range_per_s[1], *data.served_range_per_s[1]], data.failed_range_per_s[1])
    )
    slowest = (svg.Band("latency", *data.latency_range_s),)
    return (
        svg.Panel("Load: requests per second", "/s", load, bands=rates, at_least=most_offered),
        svg.Panel("Latency from intended start, of answered and timed-out requests", "s", latency, 150, limits=limits, bands=slowest),
        svg.Panel("Requests that failed, per second of their intended start", "/s", failures, 90, True, bands=worst, at_least=most_failed),
    )


def _limits(material: Material) -> Iterator[svg.Limit]:
    """Absolute limits on the latency, in the phases they are asked of."""
    for phase in material.history.phases:
        for of, limit in material.scenario.limits(phase.name):
            if of.family == "latency":
                end_ns = phase.end_ns if phase.end_ns is not None else material.history.end_ns
                yield svg.Limit(_s(material, phase.start_ns), _s(material, end_ns), limit.value, f"{phase.name}: {of.text} {limit.text}")


def _readouts(data: Series) -> list[str]:
    return [_readout(data, n, t_s) for n, t_s in enumerate(data.times_s())]


def _readout(data: Series, n: int, t_s: float) -> str:
    parts = [f"{t_s - data.bin_s / 2:g} to {t_s + data.bin_s / 2:g}s"]
    rates = (("offered", data.offered_per_s, data.offered_range_per_s), ("served", data.served_per_s, data.served_range_per_s))
    parts += [f"{name} {show(values[n], 'per_s')}{_span(data, within, n, 'per_s')}" for name, values, within in rates]
    parts += [f"p{p} {show(values[n], 's')}" for p, values in data.latency_s.items() if values[n] is not None]
    if data.latency_range_s[0][n] is not None:
        parts.append(f"fastest {show(data.latency_range_s[0][n], 's')}, slowest {show(data.latency_range_s[1][n], 's')}")
    parts += [f"{Outcome(o).name.lower()} {show(values[n], 'per_s')}" for o, values in data.failures_per_s.items() if values[n]]
    if data.bin_s > 1 and data.failed_range_per_s[1][n]:
        parts.append(f"in its worst second {show(data.failed_range_per_s[1][n], 'per_s')} failed")
    return "\n".join(parts)


def _span(data: Series, within: Range, n: int, unit: str) -> str:
    """The extremes of a point that stands for more than a second."""
    low, high = within[0][n], within[1][n]
    return "" if data.bin_s == 1 or low is None or high is None else f" ({show(low, unit)} to {show(high, unit)})"


def _s(material: Material, t_ns: int) -> float:
    return material.seconds(t_ns) or 0.0


def _at(material: Material, t_ns: int) -> str:
    return f"{_s(material, t_ns):.1f}s"
