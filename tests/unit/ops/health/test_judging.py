"""From answers to health, over the graph."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from harness.ops.health.answer import Answer, Health
from harness.ops.health.daily import append
from harness.ops.health.judging import StackHealth, judge

EDGES = (("gateway", "retrieval"), ("gateway", "generation"), ("retrieval", "postgres"), ("retrieval", "cache"), ("generation", "llm"))
SERVICES = ("gateway", "retrieval", "generation", "postgres", "cache", "llm")


def whole(critical: dict[str, bool] | None = None, **bad: Health) -> StackHealth:
    answers = [Answer(s, f"{s}-1", bad.get(s, "healthy"), 0.01, "well" if s not in bad else "refused") for s in SERVICES]
    return judge(answers, EDGES, critical or {})


def told(found: StackHealth) -> dict[str, tuple[str, str]]:
    return {s.service: (s.status, s.detail) for s in found.services if s.status != "healthy"}


def test_all_is_well() -> None:
    assert (whole().status, told(whole())) == ("healthy", {})


def test_who_depends_on_what_is_down_is_told_so() -> None:
    found = whole(postgres="unhealthy")
    assert found.status == "unhealthy"
    assert told(found) == {
        "gateway": ("degraded", "degraded because postgres is down (well)"),
        "retrieval": ("degraded", "degraded because postgres is down (well)"),
        "postgres": ("unhealthy", "refused"),
    }


def test_the_deepest_that_is_down_is_the_reason_and_several_are_named() -> None:
    found = whole(postgres="unhealthy", retrieval="unhealthy", llm="unhealthy")
    assert told(found)["retrieval"] == ("unhealthy", "unhealthy because postgres is down (refused)")
    assert told(found)["gateway"][1] == "degraded because llm and postgres are down (well)"


def test_one_that_is_not_critical_degrades_the_whole_and_nobody_else() -> None:
    found = whole({"cache": False}, cache="unhealthy")
    assert (found.status, told(found)) == ("degraded", {"cache": ("unhealthy", "refused")})


def test_what_could_not_be_asked_is_never_healthy() -> None:
    assert whole(llm="unknown").status == "unknown"
    assert whole({"llm": False}, llm="unknown").status == "degraded"
    assert judge([], EDGES, {}).status == "unknown"


def test_one_of_two_instances_or_models_is_a_degraded_service() -> None:
    answers = [Answer("llm", "llm-1/a", "healthy", 0.1, "a generates"), Answer("llm", "llm-1/b", "unhealthy", 0.2, "HTTP 404")]
    (found,) = judge(answers, (), {}).services
    assert (found.status, found.detail, found.response_s) == ("degraded", "1 of 2: llm-1/b unhealthy: HTTP 404", 0.2)
    (found,) = judge([Answer("a", f"a-{n}", "unhealthy", None, "refused") for n in (1, 2)], (), {}).services
    assert (found.status, found.response_s) == ("unhealthy", None)


def test_a_cycle_ends() -> None:
    answers = [Answer(s, s, "unhealthy", None, "refused") for s in ("a", "b")]
    found = judge(answers, (("a", "b"), ("b", "a")), {})
    assert [s.because for s in found.services] == [("b",), ("a",)]


def test_a_report_a_day(tmp_path: Path) -> None:
    at = datetime(2026, 11, 30, 9, tzinfo=UTC)
    append(tmp_path, whole(), at, "shop")
    with (tmp_path / "health-2026-11-30.jsonl").open("a", encoding="utf-8") as cut:
        cut.write('{"at": "2026')
    with (tmp_path / "health-2026-11-30.jsonl").open("a", encoding="utf-8") as end:
        end.write("\n")
    report = append(tmp_path, whole(postgres="unhealthy"), at.replace(hour=10), "shop")
    text = report.read_text(encoding="utf-8")
    assert "2 checks; last: unhealthy." in text
    assert "| postgres | 1 (50%) | 0 (0%) | 1 (50%) | 0 (0%) | 0.010 | 0.010 | refused |" in text
    assert "- 09:00:00 healthy\n- 10:00:00 unhealthy: degraded because postgres is down" in text
    lines = (tmp_path / "health-2026-11-30.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[-1])["services"][3]["status"] == "unhealthy"
    assert append(tmp_path, whole(), at.replace(day=29), "shop").name == "health-2026-11-29.md"
