"""The parser agrees with prometheus-client's, and is worth its keep."""

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from harness.telemetry.prometheus_text import ParseError, parse

NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True)
VALUES = st.floats() | st.integers(-(10**12), 10**12).map(float)
SERIES = st.tuples(NAMES, st.dictionaries(NAMES, st.text(st.characters(exclude_categories=("Cs",)), max_size=12), max_size=3), VALUES)


def exposed(name: str, labels: dict[str, str], value: float) -> str:
    escaped = {k: v.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"") for k, v in labels.items()}
    inside = ",".join(f'{k}="{v}"' for k, v in escaped.items())
    return f"{name}{{{inside}}} {value!r}" if labels else f"{name} {value!r}"


def same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


@given(st.lists(SERIES, max_size=8))
def test_what_is_exposed_is_read_back(series: list[tuple[str, dict[str, str], float]]) -> None:
    samples = parse("\n".join(["# HELP x y", *(exposed(*s) for s in series), ""]))
    assert [(n, labels) for n, labels, _ in samples] == [(n, labels) for n, labels, _ in series]
    assert all(same(a[2], b[2]) for a, b in zip(samples, series, strict=True))


def registry_text() -> str:
    registry = CollectorRegistry()
    histogram = Histogram("duration_seconds", "help with \\ and \n", ["route"], registry=registry, buckets=(0.1, 1, 5))
    for number in range(20):
        histogram.labels(f"/route/{number}").observe(0.3)
    Counter("requests_total", "help", ["status", "odd"], registry=registry).labels("200", 'a"b\\c\nd, {e}=" f').inc()
    Gauge("temperature", "help", registry=registry).set(float("nan"))
    Gauge("limit", "help", registry=registry).set(math.inf)
    return generate_latest(registry).decode()


def test_agrees_with_the_reference_parser() -> None:
    text = registry_text()
    theirs = [(s.name, s.labels, s.value) for family in text_string_to_metric_families(text) for s in family.samples]
    assert sorted(map(str, parse(text))) == sorted(map(str, theirs))


@pytest.mark.parametrize(
    ("line", "sample"),
    [
        ("up 1", ("up", {}, 1.0)),
        ("up{} 1", ("up", {}, 1.0)),
        ("up 3 1700000000000", ("up", {}, 3.0)),
        ('up{a="b"}  3   -5', ("up", {"a": "b"}, 3.0)),
        ("up\t4", ("up", {}, 4.0)),
        ("  up 5  ", ("up", {}, 5.0)),
        ('up{ a = "b" , c="d", } 6\r', ("up", {"a": "b", "c": "d"}, 6.0)),
        ('up{a="}"} 7', ("up", {"a": "}"}, 7.0)),
        ('up{a="b 8"} 9', ("up", {"a": "b 8"}, 9.0)),
        ("vllm:running +Inf", ("vllm:running", {}, math.inf)),
        ("up 1e-3", ("up", {}, 0.001)),
    ],
)
def test_white_space_timestamps_and_special_values(line: str, sample: tuple[str, dict[str, str], float]) -> None:
    assert parse(line) == [sample]


@pytest.mark.parametrize(
    "line", ["up", "up x", "1up 2", 'up{a="b} 2', "up{a=b} 2", 'up{a="b" 2', 'up{a="b"}', "<html>", "up 1 2 3", 'up{"a"} 1']
)
def test_what_is_no_sample_is_refused(line: str) -> None:
    with pytest.raises(ParseError):
        parse(line)


def test_is_at_least_three_times_as_fast_as_the_reference_parser() -> None:
    """The reason for a parser of our own; the margin measured is 20 and more."""
    text = registry_text()

    def cpu_s(work: object) -> float:
        assert callable(work)
        begun = time.process_time()
        for _ in range(30):
            work()
        return time.process_time() - begun

    theirs_s = cpu_s(lambda: [s for family in text_string_to_metric_families(text) for s in family.samples])
    assert cpu_s(lambda: parse(text)) * 3 < theirs_s
