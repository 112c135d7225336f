"""Expressions mean what they mean to a real Prometheus: any of the subset, on counters with resets, gaps, histograms and odd numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.ops.alerting.promql.evaluate import Moment, evaluate
from harness.ops.alerting.promql.parse import PromqlError, parse
from harness.ops.alerting.promql.series import SeriesStore, labels_of
from harness.ops.alerting.promql.vectors import EvaluationError
from tests.integration.prometheus import Labels, Prometheus, Refused, serving

START_MS = 1_700_000_000_000
LENGTH_S = 1500
NOW_MS = [START_MS + s * 1000 for s in (299, 600, 900, 1200, 1500, 1795)] + [START_MS + 777_345]


def samples() -> dict[Labels, list[tuple[int, float]]]:
    """Two jobs of two instances each. Some are scraped on the second, so that points lie on the ends of ranges; some are not."""
    rng = random.Random(20)
    found: dict[Labels, list[tuple[int, float]]] = {}

    def scraped(every_s: int, jitter_ms: int, gap: tuple[int, int] = (0, 0)) -> list[int]:
        times = range(0, LENGTH_S, every_s)
        return [START_MS + 1000 * s + rng.randint(0, jitter_ms) for s in times if not gap[0] <= s < gap[1]]

    for job in ("rag", "other"):
        for instance in ("a", "b"):
            own = {"job": job, "instance": instance}
            times = scraped(15 if job == "rag" else 10, 0 if instance == "a" else 900, (400, 800) if instance == "b" else (0, 0))
            for code in ("200", "500"):
                count, points = 0.0, []
                for t_ms in times:
                    count = 0.0 if rng.random() < 0.03 else count + rng.choice([0, 1, 2, 30])
                    points.append((t_ms, count))
                found[labels_of({"__name__": "requests_total", "code": code, **own})] = points
            level = [(t, rng.choice([0.0, 1.0, -2.5, 7.0, math.nan, math.inf]) if rng.random() < 0.2 else rng.gauss(5, 3)) for t in times]
            found[labels_of({"__name__": "level", **own})] = level
            found[labels_of({"__name__": "up", **own})] = [(t, float(rng.random() > 0.2)) for t in times]
            counts = dict.fromkeys(("0.1", "0.5", "1", "+Inf"), 0.0)
            series: dict[str, list[tuple[int, float]]] = {le: [] for le in counts}
            for t_ms in times:
                seen = 0
                for le in counts:
                    seen += rng.randint(0, 3)
                    counts[le] += seen
                    series[le].append((t_ms, counts[le]))
            found |= {labels_of({"__name__": "wait_bucket", "le": le, **own}): points for le, points in series.items()}
    found[labels_of({"__name__": "team", "job": "rag", "owner": "search"})] = [(t, 1.0) for t in scraped(60, 0)]
    return found


POINTS = samples()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with serving(POINTS, tmp_path_factory.mktemp("prometheus")) as one:
        yield one


def ours() -> SeriesStore:
    store = SeriesStore()
    for labels, points in POINTS.items():
        for t_ms, value in points:
            store.append(labels, t_ms, value)
    return store


STORE = ours()


def answer(expression: str, t_ms: int) -> dict[Labels, float] | float | Refused:
    try:
        value = evaluate(parse(expression), Moment(STORE, t_ms))
    except (PromqlError, EvaluationError) as error:
        return Refused(str(error))
    assert not isinstance(value, str)
    return {one.labels: one.value for one in value} if isinstance(value, list) else value


def same(a: float, b: float) -> bool:
    """As numbers go that were summed in another order; the server writes them with all their digits."""
    return (math.isnan(a) and math.isnan(b)) or a == b or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)


def agree(server: Prometheus, expression: str, t_ms: int) -> None:
    theirs, mine = server.query(expression, t_ms), answer(expression, t_ms)
    if isinstance(theirs, Refused) or isinstance(mine, Refused):
        assert isinstance(theirs, Refused) and isinstance(mine, Refused), f"{expression} at {t_ms}: {theirs}, and here {mine}"
    elif isinstance(theirs, dict) and isinstance(mine, dict):
        assert theirs.keys() == mine.keys(), f"{expression} at {t_ms}"
        wrong = {labels: (theirs[labels], mine[labels]) for labels in theirs if not same(theirs[labels], mine[labels])}
        assert not wrong, f"{expression} at {t_ms}: {wrong}"
    else:
        assert isinstance(theirs, float) and isinstance(mine, float) and same(theirs, mine), f"{expression} at {t_ms}: {theirs}, {mine}"


LABELS = ("job", "instance", "code", "le")
MATCHERS = st.sampled_from(
    ["", "", "", '{job="rag"}', '{job!="rag"}', '{instance=~"a|c"}', '{code!~"5.."}', '{job=~"rag|other"}', '{job="none"}', '{owner=""}']
)
OFFSETS = st.sampled_from(["", "", "", "", "", " offset 1m", " offset 20m", " offset -30s"])
RANGES = st.sampled_from(["15s", "30s", "1m", "1m", "5m", "5m", "20m"])
NUMBERS = st.sampled_from(["0", "1", "-1", "0.5", "3", "1e3", "NaN", "Inf", "-Inf", "0.95"])
NAMES = st.sampled_from([*["requests_total", "level", "up", "wait_bucket"] * 3, "team", "absent_metric"])
SELECTORS = st.builds(lambda n, m, o: f"{n}{m}{o}", NAMES, MATCHERS, OFFSETS)
RANGED = st.builds(lambda n, m, r, o: f"{n}{m}[{r}]{o}", NAMES, MATCHERS, RANGES, OFFSETS)
OVER = [f"{one}_over_time" for one in ("avg", "min", "max", "sum", "count", "last", "present", "stddev", "stdvar", "absent")]
OF_RANGES = st.sampled_from(["rate", "increase", "irate", "delta", "idelta", "deriv", "changes", "resets", *OVER])
GROUPS = st.lists(st.sampled_from(LABELS), unique=True, max_size=3).flatmap(
    lambda names: st.sampled_from(["", f" by ({', '.join(names)})", f" without ({', '.join(names)})"])
)
MATCHINGS = st.sampled_from(
    [
        *["", "", " on ()", " on (job)", " on (job, instance)", " ignoring (code)"],
        *[" on (job) group_left ()", " on (job) group_right (owner)", " on (job) group_left (owner)"],
        *[" ignoring (le, code) group_right ()", " on (job, instance) group_left (code)"],
    ]
)
SETS = st.sampled_from(["", "", " on (job)", " ignoring (code)", " on ()"])
LEAVES = SELECTORS | st.builds(lambda f, r: f"{f}({r})", OF_RANGES, RANGED)
LEAVES |= st.builds(lambda q, r: f"quantile_over_time({q}, {r})", NUMBERS, RANGED)
LEAVES |= st.builds(lambda r, n: f"predict_linear({r}, {n})", RANGED, NUMBERS)
DATES = st.sampled_from(["minute", "hour", "day_of_week", "day_of_month", "days_in_month", "month", "year"])
LEAVES |= st.builds(lambda f, x: f"{f}({x})", DATES, st.sampled_from(["", "vector(1e9)", "timestamp(up)", "vector(-1)"]))
SCALARS = NUMBERS | st.builds(lambda v: f"scalar({v})", LEAVES) | st.just("time()")
COMPARED = st.sampled_from(["==", "!=", ">", "<", ">=", "<="]).flatmap(lambda op: st.sampled_from([op, op, f"{op} bool"]))
ARITHMETIC = st.sampled_from(["+", "-", "*", "/", "%", "^"])  # atan2 keeps the name in Prometheus 2.42, and in no later one


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    aggregated = st.sampled_from(["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"])
    of_one = st.sampled_from(
        ["abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sgn", "round", "absent", "timestamp", "sort", "-"]
    )
    operators = COMPARED | ARITHMETIC
    return st.one_of(
        st.builds(lambda op, g, v: f"{op}{g}({v})", aggregated, GROUPS, inner),
        st.builds(lambda q, g, v: f"quantile{g}({q}, {v})", NUMBERS, GROUPS, inner),
        st.builds(lambda f, v: f"{f}({v})", of_one, inner),
        st.builds(lambda q, v: f"histogram_quantile({q}, {v})", SCALARS, inner),
        st.builds(lambda v, a, b: f"clamp({v}, {a}, {b})", inner, NUMBERS, NUMBERS),
        st.builds(lambda v, a: f"clamp_min({v}, {a})", inner, NUMBERS),
        st.builds(lambda v, n: f"round({v}, {n})", inner, st.sampled_from(["0.5", "2", "10"])),
        st.builds(
            lambda v, r: f'label_replace({v}, "to", "{r}", "job", "(.)(.*)")', inner, st.sampled_from(["$1", "${2}-$1", "", "$3", "$1x"])
        ),
        st.builds(lambda v: f'label_join({v}, "to", "-", "job", "nothing", "instance")', inner),
        st.builds(lambda a, op, b: f"({a}) {op} {b}", inner, operators, SCALARS),
        st.builds(lambda a, op, b: f"{a} {op} ({b})", SCALARS, operators, inner),
        st.builds(lambda a, op, m, b: f"({a}) {op}{m} ({b})", inner, operators, MATCHINGS, inner),
        st.builds(lambda a, op, m, b: f"({a}) {op}{m} ({b})", inner, st.sampled_from(["and", "or", "unless"]), SETS, inner),
    )


EXPRESSIONS = st.recursive(LEAVES, grown, max_leaves=4)


@settings(max_examples=500, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(expression=EXPRESSIONS, t_ms=st.sampled_from(NOW_MS))
def test_any_expression_of_the_subset(server: Prometheus, expression: str, t_ms: int) -> None:
    agree(server, expression, t_ms)
