"""Plots as inline SVG, written on the server: several panels over one shared time axis. Colours come from the page's classes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from harness.report.axis import LEFT, PLOT, WIDTH, Axis, nice_step

CHARACTER = 6.4  # width of a small letter, on average
GAP = 34.0


@dataclass(frozen=True, slots=True)
class Line:
    """A line with gaps where a value is None. `css` is its class."""

    name: str
    css: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Band:
    """An area between two lines, behind those of the panel. What lies above the axis is cut off: bands do not set its height."""

    css: str
    lows: Sequence[float | None]
    highs: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that holds for a stretch of time."""

    start_s: float
    end_s: float
    value: float
    title: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot. Lines are drawn as such, with `stacked` as bars on top of one another."""

    title: str
    unit: str  # suffix of the tick labels
    lines: tuple[Line, ...]
    height: float = 120.0
    stacked: bool = False
    limits: tuple[Limit, ...] = ()  # those beyond the highest value are left out
    bands: tuple[Band, ...] = ()
    at_least: float = 0.0  # that the axis reaches


@dataclass(frozen=True, slots=True)
class Block:
    """Something that lasted: a phase, a fault window, an alert. In a lane, or with `through` as a band behind all panels."""

    start_s: float
    end_s: float
    css: str
    label: str
    title: str
    through: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened: a diagnosis, an action, an escalation. Its line goes through all panels."""

    t_s: float
    css: str
    label: str
    title: str


@dataclass(frozen=True, slots=True)
class Lane:
    """A named row of blocks and marks above the panels."""

    name: str
    items: tuple[Block | Mark, ...]
    height: float = 20.0


def packed(axis: Axis, name: str, items: Sequence[Block | Mark], most: int) -> list[Lane]:
    """One lane, or several below one another where items and their labels would overlap; what is more than `most` overlaps in the last."""
    rows: list[list[Block | Mark]] = [[]]
    ends: list[float] = [0.0]
    for item in sorted(items, key=_start_s):
        x = axis.x(_start_s(item))
        row = next((n for n, end in enumerate(ends) if end <= x), len(rows))
        if row == len(rows) and row < most:
            rows.append([])
            ends.append(0.0)
        row = min(row, len(rows) - 1)
        rows[row].append(item)
        ends[row] = max(ends[row], _extent(axis, item))
    return [Lane(name if n == 0 else "", tuple(row)) for n, row in enumerate(rows)]


def _extent(axis: Axis, item: Block | Mark) -> float:
    """Where an item and its label end."""
    x, length = axis.x(_start_s(item)), CHARACTER * len(item.label) + 8
    if isinstance(item, Mark):
        return x + 6 + length
    end = max(x + 2, axis.x(item.end_s))
    return end if end - x > length else end + length


def chart(
    axis: Axis, lanes: Sequence[Lane], panels: Sequence[Panel], times_s: Sequence[float], readouts: Sequence[str], title: str
) -> Markup:
    """The whole figure. `times_s` are the middles of the bins that lines are made of, `readouts` what hovering over each of them says."""
    lanes_height = sum(lane.height for lane in lanes)
    height = lanes_height + sum(p.height + GAP for p in panels) + 26
    parts: list[Markup] = []
    parts.extend(_bands(axis, lanes, height - 26))
    y = 0.0
    for lane in lanes:
        parts.extend(_lane(axis, lane, y))
        y += lane.height
    for panel in panels:
        y += GAP
        parts.extend(_panel(axis, panel, times_s, y))
        y += panel.height
    parts.extend(_mark_lines(axis, lanes, lanes_height, y))
    parts.extend(_time_axis(axis, y))
    parts.extend(_readouts(axis, times_s, readouts, lanes_height, y))
    head = Markup('<svg class="chart" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}" xmlns="http://www.w3.org/2000/svg">')
    return head.format(WIDTH, height, title) + Markup("").join(parts) + Markup("</svg>")


def _rect(x: float, y: float, width: float, height: float, css: str, title: str = "") -> Markup:
    body = Markup("<title>{}</title>").format(title) if title else Markup("")
    rect = Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="{}">{}</rect>')
    return rect.format(x, y, max(0.0, width), max(0.0, height), css, body)


def _text(x: float, y: float, css: str, text: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" class="{}">{}</text>').format(x, y, css, text)


def _segment(x1: float, y1: float, x2: float, y2: float, css: str) -> Markup:
    return Markup('<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>').format(x1, y1, x2, y2, css)


def _bands(axis: Axis, lanes: Sequence[Lane], height: float) -> Iterator[Markup]:
    for lane in lanes:
        for item in lane.items:
            if isinstance(item, Block) and item.through:
                x = axis.x(item.start_s)
                yield _rect(x, 0, axis.x(item.end_s) - x, height, f"band {item.css}")


def _lane(axis: Axis, lane: Lane, top: float) -> Iterator[Markup]:
    middle = top + lane.height / 2
    yield _text(LEFT - 8, middle + 4, "label end", lane.name)
    yield _segment(LEFT, top + lane.height, LEFT + PLOT, top + lane.height, "grid")
    items = sorted((i for i in lane.items if i.title), key=_start_s)  # without a title, it is a band alone
    borders = [*(axis.x(_start_s(i)) for i in items[1:]), LEFT + PLOT]
    for item, border in zip(items, borders, strict=False):  # an empty lane still has its right border
        yield from _item(axis, item, border, middle, lane.height)


def _item(axis: Axis, item: Block | Mark, border: float, middle: float, height: float) -> Iterator[Markup]:
    """A block or mark, and its label inside, or beside it where there is room up to the next one at `border`."""
    x, length = axis.x(_start_s(item)), CHARACTER * len(item.label) + 8
    if isinstance(item, Mark):
        yield Markup('<path d="M{:.1f} {:.1f}l6 6l-6 6l-6 -6z" class="mark {}"><title>{}</title></path>').format(
            x, middle - 6, item.css, item.title
        )
        end = x + 6
    else:
        end = max(x + 2, axis.x(item.end_s))
        yield _rect(x, middle - height / 2 + 3, end - x, height - 6, f"block {item.css}", item.title)
        if end - x > length:
            yield _text(x + 5, middle + 4, "on-block", item.label)
            return
    if border - end > length:
        yield _text(end + 5, middle + 4, "label", item.label)


def _start_s(item: Block | Mark) -> float:
    return item.t_s if isinstance(item, Mark) else item.start_s


def _panel(axis: Axis, panel: Panel, times_s: Sequence[float], top: float) -> Iterator[Markup]:
    highest = max(_highest(panel), panel.at_least)
    step = nice_step(highest, 4)
    ceiling = math.ceil(highest / step - 1e-9) * step
    yield _text(LEFT, top - 8, "panel-title", panel.title)
    yield from _legend(panel, top)
    for n in range(round(ceiling / step) + 1):
        y = top + panel.height * (1 - n * step / ceiling)
        yield _segment(LEFT, y, LEFT + PLOT, y, "grid")
        yield _text(LEFT - 8, y + 4, "label end", f"{n * step:g}{panel.unit}")
    for limit in panel.limits:
        if limit.value <= ceiling:
            y = top + panel.height * (1 - limit.value / ceiling)
            yield Markup('<path d="M{0:.1f} {2:.1f}H{1:.1f}" class="limit-line"><title>{3}</title></path>').format(
                axis.x(limit.start_s), axis.x(limit.end_s), y, limit.title
            )
    for band in panel.bands:
        yield from _area(axis, panel, band, times_s, top, ceiling)
    draw = _bars if panel.stacked else _lines
    yield from draw(axis, panel, times_s, top, ceiling)


def _highest(panel: Panel) -> float:
    if panel.stacked:
        sums = [sum(v or 0.0 for v in column) for column in zip(*(line.values for line in panel.lines), strict=True)]
        return max([*sums, 0.0]) or 1.0
    return max((v for line in panel.lines for v in line.values if v is not None), default=0.0) or 1.0


def _legend(panel: Panel, top: float) -> Iterator[Markup]:
    x = LEFT + PLOT
    for line in reversed(panel.lines):
        x -= 7.2 * len(line.name) + 34
        # as it is drawn: dashes tell lines apart where colours do not
        yield (
            _rect(x, top - 16, 12, 8, f"fill {line.css}")
            if panel.stacked
            else _segment(x - 6, top - 12, x + 13, top - 12, f"line {line.css}")
        )
        yield _text(x + 16, top - 8, "label", line.name)


def _lines(axis: Axis, panel: Panel, times_s: Sequence[float], top: float, ceiling: float) -> Iterator[Markup]:
    for line in panel.lines:
        for stretch in stretches(line.values):
            points = [(axis.x(times_s[n]), top + panel.height * (1 - (line.values[n] or 0.0) / ceiling)) for n in stretch]
            if len(points) == 1:
                yield Markup('<circle cx="{:.1f}" cy="{:.1f}" r="1.8" class="fill {}"/>').format(*points[0], line.css)
            else:
                path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
                yield Markup('<path d="{}" class="line {}"/>').format(path, line.css)


def _area(axis: Axis, panel: Panel, band: Band, times_s: Sequence[float], top: float, ceiling: float) -> Iterator[Markup]:
    for stretch in stretches([None if low is None else high for low, high in zip(band.lows, band.highs, strict=True)]):
        edges = ([band.highs[n] for n in stretch], [band.lows[n] for n in stretch])
        above, below = ([top + panel.height * (1 - min(1.0, (v or 0.0) / ceiling)) for v in values] for values in edges)
        x = [axis.x(times_s[n]) for n in stretch]
        way = [*zip(x, above, strict=True), *reversed(list(zip(x, below, strict=True)))]
        yield Markup('<path d="{}" class="area {}"/>').format("M" + "L".join(f"{px:.1f} {py:.1f}" for px, py in way) + "Z", band.css)


def stretches(values: Sequence[float | None]) -> Iterator[Sequence[int]]:
    """Runs of indices whose values are there."""
    run: list[int] = []
    for n, value in enumerate(values):
        if value is not None:
            run.append(n)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _bars(axis: Axis, panel: Panel, times_s: Sequence[float], top: float, ceiling: float) -> Iterator[Markup]:
    width = PLOT / max(1, len(times_s)) * 0.9
    floors = [top + panel.height] * len(times_s)
    for line in panel.lines:
        for n, value in enumerate(line.values):
            if value:
                height = panel.height * value / ceiling
                floors[n] -= height
                yield _rect(axis.x(times_s[n]) - width / 2, floors[n], width, height, f"fill {line.css}")


def _mark_lines(axis: Axis, lanes: Sequence[Lane], top: float, bottom: float) -> Iterator[Markup]:
    for lane in lanes:
        for item in lane.items:
            if isinstance(item, Mark) or not item.through:
                x = axis.x(_start_s(item))
                yield _segment(x, top, x, bottom, f"through {item.css}")


def _time_axis(axis: Axis, bottom: float) -> Iterator[Markup]:
    for t_s in axis.ticks_s():
        x = axis.x(t_s)
        yield _segment(x, bottom, x, bottom + 4, "tick")
        yield _text(x, bottom + 17, "label middle", f"{t_s:g}s")


def _readouts(axis: Axis, times_s: Sequence[float], readouts: Sequence[str], top: float, bottom: float) -> Iterable[Markup]:
    """Invisible columns over everything that say on hover what the figures are."""
    width = PLOT / max(1, len(times_s))
    for t_s, readout in zip(times_s, readouts, strict=True):
        yield _rect(axis.x(t_s) - width / 2, top, width, bottom - top, "hover", readout)
