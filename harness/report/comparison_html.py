"""A comparison as one self-contained HTML page: is the candidate worse, by how much, how sure is that, and what else differs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from harness.record.history import History
from harness.report import svg
from harness.report.axis import Axis, nice_step
from harness.report.comparison import Shown, Side
from harness.report.diff import Differences, sections, shown
from harness.report.html import SIGNS
from harness.report.material import clean
from harness.report.series import Series, length_s, series
from harness.scenario.slis import sli_name
from harness.score.check import Status
from harness.score.compare import Compared, points
from harness.score.show import show

MEANING = {
    Status.PASS: "No: every change that would matter is excluded.",
    Status.WARN: "No metric that decides says so; one that only warns does.",
    Status.INCONCLUSIVE: "The samples do not tell. That is not a pass.",
    Status.FAIL: "Yes: at least one metric is worse, and chance is excluded.",
}
_WIDTH, _HEIGHT = 240.0, 26.0


def render(found: Shown, differing: Differences | None = None, runs: tuple[History, History] | None = None) -> str:
    """The page. `differing` and `runs`: of two run records; None for other things that can be compared."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    folder = files("harness.report").joinpath("templates")
    template = environment.from_string(folder.joinpath("comparison.html.j2").read_text(encoding="utf-8"))
    widest = _widest(found.metrics)
    page: str = template.render(
        css=folder.joinpath("report.css").read_text(encoding="utf-8"),
        status=found.verdict.status.value,
        sign=SIGNS[found.verdict.status],
        meaning=MEANING[found.verdict.status],
        reason=clean(found.verdict.reason),
        sides=[(name, *_side(side)) for name, side in _sides(found)],
        remarks=[clean(remark) for remark in found.remarks],
        metrics=[_metric(metric, widest) for metric in found.metrics],
        figure=_figure(series(runs[0]), series(runs[1]), max(map(length_s, runs))) if runs else None,
        changes=[(title, changes) for title, changes in sections(differing) if changes] if differing else [],
        readings=[(r.phase, r.sli, *shown(r), r.change) for r in differing.slis] if differing else [],
    )
    return page.encode("utf-8", errors="replace").decode("utf-8")


def _sides(found: Shown) -> list[tuple[str, Side]]:
    sides = [("Base", found.base), ("Anchor", found.anchor), ("Candidate", found.candidate)]
    return [(name, side) for name, side in sides if side is not None]


def _side(side: Side) -> tuple[str, str]:
    return clean(side.name), clean(side.commit)[:7]


def _metric(metric: Compared, widest: float) -> dict[str, Any]:
    result = metric.result
    return {
        "status": result.status.value,
        "sign": SIGNS[result.status],
        "name": Markup(".<wbr>").join(clean(result.name.removeprefix("compare.")).split(".")),
        "base": "" if metric.base is None else show(metric.base, _unit(result.name)),
        "candidate": "" if metric.candidate is None else show(metric.candidate, _unit(result.name)),
        "effect": "" if metric.effect is None else points(metric.effect),
        "interval": "" if metric.interval is None else " to ".join(points(end) for end in metric.interval),
        "limit": clean(result.limit or ""),
        "samples": " and ".join(f"{n:,}" for n in metric.samples),
        "reason": clean(result.reason),
        "plot": _plot(metric, widest),
    }


def _unit(name: str) -> str:
    """Of both sides' values: a comparison's own unit is that of the change. What is no SLI is a time of pytest-benchmark."""
    parts = name.split(".")
    for first in range(len(parts)):
        with suppress(ValueError):
            return sli_name(".".join(parts[first:])).unit
    return "s"


def _widest(metrics: Sequence[Compared]) -> float:
    """The farthest end that is drawn, of all metrics, so that their plots can be compared."""
    ends = [abs(end) for m in metrics for end in (*(m.interval or ()), *(() if m.effect is None else (m.effect,)))]
    return max(ends, default=0.0) or 0.1


def _plot(metric: Compared, widest: float) -> Markup:
    """The interval, the effect in it, and no change: right of that line is worse."""
    if metric.interval is None or metric.effect is None:
        return Markup("")
    x = [_WIDTH / 2 * (1 + value / widest * 0.94) for value in (*metric.interval, metric.effect)]
    middle = _HEIGHT / 2
    head = Markup('<svg class="interval" viewBox="0 0 {:.0f} {:.0f}" aria-hidden="true">').format(_WIDTH, _HEIGHT)
    zero = Markup('<line x1="{0:.1f}" y1="0" x2="{0:.1f}" y2="{1:.0f}" class="tick"/>').format(_WIDTH / 2, _HEIGHT)
    span = Markup('<line x1="{0:.1f}" y1="{2:.1f}" x2="{1:.1f}" y2="{2:.1f}" class="span {3}"/>').format(
        x[0], x[1], middle, metric.result.status
    )
    at = Markup('<circle cx="{:.1f}" cy="{:.1f}" r="4" class="at {}"/>').format(x[2], middle, metric.result.status)
    return head + zero + span + at + Markup("</svg>")


def _figure(base: Series, candidate: Series, duration_s: float) -> Markup:
    """Both runs over one time axis, from the start of each."""
    finer = base if base.bins >= candidate.bins else candidate
    panels = (
        svg.Panel("Requests served per second", "/s", _both(base, candidate, base.served_per_s, candidate.served_per_s)),
        svg.Panel("Latency p95", "s", _both(base, candidate, base.latency_s[95], candidate.latency_s[95]), 150),
        svg.Panel("Requests that failed, per second", "/s", _both(base, candidate, _failed(base), _failed(candidate)), 90),
    )
    readouts = [
        "\n".join([f"{t:g}s", *(f"{p.title}: {' / '.join(_read(line, n) for line in p.lines)}" for p in panels)])
        for n, t in enumerate(finer.times_s())
    ]
    title = "Base and candidate over time; by phase, their figures are in the table below"
    return svg.chart(Axis(0.0, max(duration_s, nice_step(1, 1))), [], panels, finer.times_s(), readouts, title)


def _read(line: svg.Line, n: int) -> str:
    value = line.values[n]
    return f"{line.name} {'none' if value is None else f'{value:.3g}'}"


def _failed(data: Series) -> list[float | None]:
    return [sum(v or 0.0 for v in column) for column in zip(*data.failures_per_s.values(), strict=True)]


def _both(base: Series, candidate: Series, of_base: Sequence[float | None], of_candidate: Sequence[float | None]) -> tuple[svg.Line, ...]:
    """Two lines on the times of the finer one: the other repeats the value of the bin that a time lies in."""
    times_s = (base if base.bins >= candidate.bins else candidate).times_s()
    return tuple(
        svg.Line(name, name, [values[n] if (n := int(t // data.bin_s)) < len(values) else None for t in times_s])
        for name, data, values in (("base", base, of_base), ("candidate", candidate, of_candidate))
    )
