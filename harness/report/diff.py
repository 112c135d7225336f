"""What differs between two runs: shown, never judged. `compare` decides whether one is worse; this says what else changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.record.events import Event
from harness.report.material import Material, clean, dig
from harness.report.stories import stories
from harness.report.verdict_json import finite
from harness.scenario.schema import resolved
from harness.scenario.slis import SliName, sli_name
from harness.score import sli as slis
from harness.score.context import Context
from harness.score.show import show

SCHEMA = 1
SLIS = tuple(
    sli_name(name) for name in ("availability", "latency_p50", "latency_p95", "latency_p99", "ttft_p95", "answered", "recall_at_5")
)
NOT_JUDGED = "differences are shown, not judged; whether one run is worse says: gauntlet compare"


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is not the same; None where one side has no such thing."""

    name: str
    base: str | None
    candidate: str | None


@dataclass(frozen=True, slots=True)
class Reading:
    """One SLI of one phase on both sides, in base units (ratio, seconds); None without samples. Equal ones are listed as well."""

    phase: str
    sli: str
    unit: str
    base: float | None
    candidate: float | None

    @property
    def change(self) -> str:
        """As people write it: points of a ratio, per cent of a duration."""
        if self.base is None or self.candidate is None:
            return ""
        if self.unit == "ratio":
            return f"{(self.candidate - self.base) * 100:+.2f} points"
        return f"{(self.candidate / self.base - 1) * 100:+.1f}%" if self.base else ""


@dataclass(frozen=True, slots=True)
class Differences:
    """All that differs, by what it is of."""

    base: str
    candidate: str
    verdicts: tuple[str, str]
    run: tuple[Change, ...]  # seed, commit, versions, machine
    scenario: tuple[Change, ...]  # by dotted key, every default written out
    checks: tuple[Change, ...]  # whose status changed, or which one side lacks
    slis: tuple[Reading, ...]
    faults: tuple[Change, ...]  # what became of each: alert, diagnosis, action, outcome
    events: tuple[Change, ...]  # how many of each kind


def differences(base: Material, candidate: Material, names: tuple[str, str]) -> Differences:
    """`names` are what people call the two."""
    sides = (base, candidate)
    return Differences(
        base=names[0],
        candidate=names[1],
        verdicts=(base.verdict.status.value, candidate.verdict.status.value),
        run=_changes(*(_facts(side) for side in sides)),
        scenario=_changes(*(dict(_flat(resolved(side.scenario))) for side in sides)),
        checks=_changes(*({r.name: r.status.value for r in side.verdict.results} for side in sides)),
        slis=tuple(_readings(base, candidate)),
        faults=_changes(*(dict(_fates(side)) for side in sides)),
        events=_changes(*(dict(_counts(side.history.events)) for side in sides)),
    )


def document(found: Differences) -> dict[str, Any]:
    """JSON-ready; `judged` is false, so that nobody takes it for a verdict."""
    plain: dict[str, Any] = {"schema": SCHEMA, "judged": False, **asdict(found)}
    for row, reading in zip(plain["slis"], found.slis, strict=True):
        row["change"] = reading.change
    return {name: finite(value) for name, value in plain.items()}


def lines(found: Differences) -> Iterator[str]:
    """As plain text, one difference a line."""
    yield f"base: {found.base} ({found.verdicts[0]})"
    yield f"candidate: {found.candidate} ({found.verdicts[1]})"
    for title, changes in sections(found):
        if changes:
            yield ""
            yield title
            yield from (f"- {change.name}: {_or_none(change.base)} -> {_or_none(change.candidate)}" for change in changes)
    if found.slis:
        yield ""
        yield f"SLIs by phase ({NOT_JUDGED})"
        yield from (f"- {r.phase}.{r.sli}: {' -> '.join(shown(r))} {f'({r.change})' if r.change else ''}".rstrip() for r in found.slis)


def sections(found: Differences) -> Sequence[tuple[str, tuple[Change, ...]]]:
    """(title, changes), in the order in which people ask."""
    return (
        ("The run", found.run),
        ("Scenario", found.scenario),
        ("Checks whose status changed", found.checks),
        ("What became of the faults", found.faults),
        ("Events recorded", found.events),
    )


def shown(reading: Reading) -> tuple[str, str]:
    """Both values."""
    base, candidate = ("none" if v is None else show(v, reading.unit) for v in (reading.base, reading.candidate))
    return base, candidate


def _or_none(text: str | None) -> str:
    return "none" if text is None else text


def _changes(base: Mapping[str, str], candidate: Mapping[str, str]) -> tuple[Change, ...]:
    names = [*base, *(name for name in candidate if name not in base)]
    return tuple(Change(name, base.get(name), candidate.get(name)) for name in names if base.get(name) != candidate.get(name))


def _facts(side: Material) -> dict[str, str]:
    """What a run says of itself: where, of what, by what it was made."""
    run = side.history.run
    given = {
        "seed": side.seed,
        "commit": dig(run, "git", "sha"),
        "uncommitted changes": dig(run, "git", "dirty"),
        "scenario file": run.get("scenario_file"),
        "length": f"{(side.history.end_ns - side.history.start_ns) / 1e9:.0f} s" if side.history.phases else None,
        "requests": f"{len(side.history.requests):,}",
    }
    facts = {name: clean(value) for name, value in given.items() if value is not None}
    host = run.get("host")
    return facts | {f"host.{name}": value for name, value in _flat(host if isinstance(host, Mapping) else {})}


def _flat(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested keys joined by dots; items of lists by their `id`, where they have one, else by number."""
    for key, value in document.items():
        name = f"{prefix}{clean(key)}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            yield from _flat({str(item.get("id", n)): item for n, item in enumerate(value)}, f"{name}.")
        else:
            yield name, clean(value)


def _readings(base: Material, candidate: Material) -> Iterator[Reading]:
    """Of the phases that either side reached, each SLI that has samples on either side."""
    phases = dict.fromkeys(phase.name for side in (base, candidate) for phase in side.history.phases)
    for phase in phases:
        for sli in SLIS:
            before, after = _value(base, phase, sli), _value(candidate, phase, sli)
            if before is not None or after is not None:
                yield Reading(phase, sli.text, sli.unit, before, after)


def _value(side: Material, phase: str, sli: SliName) -> float | None:
    return slis.value(slis.observe(side.history.in_phase(phase), sli, Context.of(side.history)), sli)


def _fates(side: Material) -> Iterator[tuple[str, str]]:
    for story in stories(side):
        for step in ("onset", "alert", "diagnosis", "action", "regained", "outcome"):
            yield f"{story.fault_id}.{step}", clean(getattr(story, step))


def _counts(events: Sequence[Event]) -> Iterator[tuple[str, str]]:
    for (kind, step), count in sorted(Counter((e.kind, str(e.data.get("step") or e.data.get("state") or "")) for e in events).items()):
        yield clean(f"{kind} {step}".strip()), str(count)
