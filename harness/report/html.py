"""The report as one self-contained HTML page: no script, no external resource, readable offline and in print."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from harness.gate import Verdict
from harness.record.history import History
from harness.report.answers import answers
from harness.report.delivery import load_lines
from harness.report.gameday import told
from harness.report.material import Material, clean, counts, dig, groups, shown_value, told_once
from harness.report.series import length_s
from harness.report.stories import stories
from harness.report.timeline import drawn
from harness.scenario.model import Scenario
from harness.scenario.schema import resolved
from harness.score.check import Result, Status
from harness.score.show import show

SIGNS = {Status.PASS: "✓", Status.WARN: "!", Status.INCONCLUSIVE: "?", Status.FAIL: "✗"}


def render(verdict: Verdict, history: History, scenario: Scenario) -> str:
    """The page. Everything that comes from outside is escaped."""
    material = Material(verdict, history, scenario)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    folder = files("harness.report").joinpath("templates")
    template = environment.from_string(folder.joinpath("report.html.j2").read_text(encoding="utf-8"))
    page: str = template.render(
        css=folder.joinpath("report.css").read_text(encoding="utf-8"),
        name=scenario.name,
        hypothesis=clean(scenario.hypothesis),
        status=verdict.status.value,
        sign=SIGNS[verdict.status],
        answers=answers(material),
        seed=material.seed,
        counts=counts(verdict.results),
        length=f"{length_s(history):.0f} s",
        stories=[_story(s) for s in stories(material)],
        timeline=drawn(material) if history.phases else None,
        gameday=told(material),
        groups=[(title, [_check(r, why) for r, why in told_once(results)]) for title, results in groups(verdict.results)],
        facts=_facts(material),
        damage=[clean(d) for d in history.damage],
        complete=history.complete,
        resolved=json.dumps(resolved(scenario), indent=2, ensure_ascii=False),
    )
    return page.encode("utf-8", errors="replace").decode("utf-8")


def _check(result: Result, why: str) -> dict[str, Any]:
    interval = result.interval
    return {
        "name": Markup(".<wbr>").join(clean(result.name).split(".")),  # names are long, and lines break after a dot
        "status": result.status.value,
        "sign": SIGNS[result.status],
        "value": clean(shown_value(result)),
        "limit": clean(result.limit or ""),
        "samples": "" if result.samples is None else f"{result.samples:,}",
        "interval": f"{show(interval[0], result.unit)} to {show(interval[1], result.unit)}" if interval else "",
        "reason": why,
        "evidence": [clean(e) for e in result.evidence],
    }


def _story(story: Any) -> dict[str, Any]:
    """Rows of one fault's card."""
    names = ("onset", "alert", "diagnosis", "action", "regained", "outcome")
    return {
        "id": clean(story.fault_id),
        "what": clean(f"{story.type} on {story.target}"),
        "status": story.status.value if story.status else "none",
        "sign": SIGNS[story.status] if story.status else "·",
        "steps": [(name, clean(getattr(story, name))) for name in names],
    }


def _facts(material: Material) -> list[tuple[str, str]]:
    run = material.history.run
    git = dig(run, "git", "sha")
    dirty = " (with uncommitted changes)" if dig(run, "git", "dirty") else ""
    memory = dig(run, "host", "memory_bytes")
    host = [f"{dig(run, 'host', 'cpus')} CPUs"] if dig(run, "host", "cpus") else []
    host += [f"{memory / 2**30:.1f} GiB memory"] if isinstance(memory, int | float) else []
    host += [f"Linux {dig(run, 'host', 'kernel')}"] if dig(run, "host", "kernel") else []
    versions = dig(run, "host", "versions")
    rows = [
        *load_lines(material),
        ("Repeat it with", material.command),
        ("Command", " ".join(str(a) for a in argv) if isinstance(argv := run.get("argv"), list) else None),
        ("Started", dig(run, "clock", "utc")),
        ("Seed", str(material.seed)),
        ("Git", f"{git}{dirty}" if git else None),
        ("Scenario file", run.get("scenario_file")),
        ("Scenario SHA-256", run.get("scenario_sha256")),
        ("Requests recorded", f"{len(material.history.requests):,}"),
        ("Machine", ", ".join(host)),
        ("Python", dig(run, "host", "python")),
        ("Versions", ", ".join(f"{name} {version}" for name, version in versions.items()) if isinstance(versions, dict) else None),
        (
            "Time scale",
            f"alerting windows compressed {material.scenario.time_scale:g} times" if material.scenario.time_scale != 1 else None,
        ),
    ]
    return [(name, clean(value)) for name, value in rows if value]
