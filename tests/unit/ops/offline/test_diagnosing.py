"""`gauntlet diagnose`: a wide table, a graph and an onset in; causes out, best first, or none."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from harness.cli import cli

EDGES = [["front", "cart"], ["front", "search"], ["cart", "store"], ["search", "store"]]
SERVICES = ("front", "cart", "search", "store")
ONSET = 300
Table = dict[str, np.ndarray]


def table(seed: int = 1) -> Table:
    """Ten minutes, one row a second, nothing wrong."""
    rng = np.random.default_rng(seed)
    columns: Table = {"timestamp": np.arange(600.0)}
    for service in SERVICES:
        columns[f"{service}/cpu"] = 0.2 * np.exp(0.1 * rng.normal(size=600))
        columns[f"{service}/mem"] = 3e8 * np.exp(0.01 * rng.normal(size=600))
        columns[f"{service}/latency-90"] = 20 * np.exp(0.15 * rng.normal(size=600))
        columns[f"{service}/error"] = rng.poisson(0.02, 600).astype(float)
        columns[f"{service}/workload"] = 50 * np.exp(0.05 * rng.normal(size=600))
    return columns


def after(columns: Table, name: str, change: Callable[[np.ndarray], Any]) -> None:
    columns[name][ONSET:] = change(columns[name][ONSET:])


def slow_store(columns: Table) -> None:
    """The cause lies beneath: everybody above is slow too."""
    for service, more in (("store", 200), ("cart", 190), ("search", 180), ("front", 400)):
        after(columns, f"{service}/latency-90", lambda x, more=more: x + more)


def write(folder: Path, columns: Table, edges: Any = EDGES) -> tuple[Path, Path]:
    metrics, graph = folder / "metrics.csv", folder / "graph.json"
    rows = zip(*columns.values(), strict=True)
    text = [",".join(columns), *(",".join("" if math.isnan(cell) else f"{cell:.9g}" for cell in row) for row in rows)]
    metrics.write_text("\n".join(text) + "\n", encoding="utf-8")
    graph.write_text(json.dumps({"edges": edges}), encoding="utf-8")
    return metrics, graph


def run(metrics: Path, graph: Path, *more: str, onset: str = str(ONSET)) -> Result:
    return CliRunner().invoke(cli, ["diagnose", "--metrics", str(metrics), "--graph", str(graph), "--onset", onset, *more])


def causes(folder: Path, columns: Table, *more: str, onset: int = ONSET) -> list[tuple[str, str]]:
    ended = run(*write(folder, columns), "--json", *more, onset=str(onset))
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)["causes"]
    assert all(set(c) == {"service", "kind", "confidence", "evidence"} and 0 <= c["confidence"] <= 1 and c["evidence"] for c in found)
    assert [c["confidence"] for c in found] == sorted((c["confidence"] for c in found), reverse=True)
    return [(c["service"], c["kind"]) for c in found]


def test_nothing_moved_no_cause(tmp_path: Path) -> None:
    assert causes(tmp_path, table()) == []
    assert run(*write(tmp_path, table())).output == "nothing moved at the onset that would explain anything: no cause\n"


def test_callers_are_explained_away(tmp_path: Path) -> None:
    columns = table()
    slow_store(columns)
    assert causes(tmp_path, columns)[0] == ("store", "latency")
    assert causes(tmp_path, columns, "--slo", "front/latency-90")[0] == ("store", "latency")


@pytest.mark.parametrize(("metric", "kind"), [("cpu", "cpu"), ("mem", "memory")])
def test_a_resource_is_named_though_latency_follows_it(tmp_path: Path, metric: str, kind: str) -> None:
    columns = table()
    slow_store(columns)
    after(columns, f"cart/{metric}", lambda x: x * 4)
    after(columns, "cart/latency-90", lambda x: x + 300)
    assert causes(tmp_path, columns)[0] == ("cart", kind)


def test_errors_that_were_there_before_are_no_cause(tmp_path: Path) -> None:
    columns = table()
    columns["search/error"] += 20.0
    columns["search/cpu"] *= 30.0
    after(columns, "store/error", lambda x: x + 6)
    assert causes(tmp_path, columns)[0] == ("store", "errors")


def test_more_users_are_no_cause(tmp_path: Path) -> None:
    columns = table()
    for service in SERVICES:
        after(columns, f"{service}/workload", lambda x: x * 1.8)
        after(columns, f"{service}/cpu", lambda x: x * 1.8)
    assert causes(tmp_path, columns) == []


def test_a_service_that_went_silent_has_crashed(tmp_path: Path) -> None:
    columns = table()
    for name in columns:
        if name.startswith("store/"):
            columns[name][ONSET:] = np.nan
    after(columns, "cart/error", lambda x: x + 9)
    assert causes(tmp_path, columns)[0] == ("store", "crash")


def test_two_causes_are_both_named(tmp_path: Path) -> None:
    columns = table()
    after(columns, "cart/cpu", lambda x: x * 5)
    after(columns, "search/error", lambda x: x + 8)
    assert set(causes(tmp_path, columns)[:2]) == {("cart", "cpu"), ("search", "errors")}


def test_an_onset_told_a_minute_late_a_unit_and_counters_change_nothing(tmp_path: Path) -> None:
    columns = table()
    slow_store(columns)
    after(columns, "cart/cpu", lambda x: x * 4)
    after(columns, "cart/latency-90", lambda x: x + 300)
    expected = causes(tmp_path, columns)
    assert causes(tmp_path, columns, onset=ONSET + 60)[0] == expected[0]
    for name in columns:
        if name.endswith("latency-90"):
            columns[name] = columns[name] / 1000
        elif name.endswith("mem"):
            columns[name] = columns[name] / 2**20
    assert causes(tmp_path, columns) == expected
    counted = {name.replace("/cpu", "/container_cpu_usage_seconds_total"): v for name, v in columns.items()}
    counted = {name: np.cumsum(v) if name.endswith("total") else v for name, v in counted.items()}
    assert causes(tmp_path, counted)[0] == expected[0]


def test_pods_are_their_service_and_rows_may_come_in_any_order(tmp_path: Path) -> None:
    columns = table()
    slow_store(columns)
    renamed = {name.replace("store/", "store-7d4b9c6f5-x2x8q/"): values for name, values in columns.items()}
    shuffled = np.random.default_rng(0).permutation(600)
    assert causes(tmp_path, {name: values[shuffled] for name, values in renamed.items()})[0] == ("store", "latency")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "metrics.csv:1: there is no column 'timestamp'"),
        (["time,a/cpu", "1,2"], "metrics.csv:1: there is no column 'timestamp'; did you mean 'time'?"),
        (["timestamp", "1"], "metrics.csv:1: has no metric"),
        (["timestamp,cpu", "1,2"], "metrics.csv:1: column 2 is 'cpu'; write <service>/<metric>, such as cart/latency-90"),
        (["timestamp,a/cpu,a/cpu", "1,2,3"], "metrics.csv:1: there are two columns 'a/cpu'; rename one"),
        (["timestamp,a/cpu"], "metrics.csv:2: there are no rows below the header"),
        (["timestamp,a/cpu", "1,2", "3"], "metrics.csv:3: 1 fields where the header has 2"),
        (["timestamp,a/cpu", "1,hot"], "metrics.csv:2:2: a/cpu is 'hot'; write a number, or nothing where it is missing"),
        (["timestamp,a/cpu", "now,1"], "metrics.csv:2:1: timestamp is 'now'; write a number, or a date"),
        (["timestamp,a/cpu", "1,2", "400,3"], "metrics.csv: there are fewer than 8 rows before the onset"),
        (["timestamp,a/cpu", "1,2", "2,3"], "--onset 300 lies outside of"),
    ],
)
def test_a_bad_table_is_one_clear_line(tmp_path: Path, lines: list[str], says: str) -> None:
    metrics, graph = write(tmp_path, table())
    metrics.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    ended = run(metrics, graph)
    assert ended.exit_code == 2 and says in ended.output and ended.output.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "graph.json:1:2: "),
        ("[]", "graph.json:1:1: has no list of edges"),
        ('{"edges": [["a"]]}', 'graph.json: edges[0] is ["a"]; write ["caller", "callee"]'),
    ],
)
def test_a_bad_graph_is_one_clear_line(tmp_path: Path, text: str, says: str) -> None:
    metrics, graph = write(tmp_path, table())
    graph.write_text(text, encoding="utf-8")
    ended = run(metrics, graph)
    assert ended.exit_code == 2 and says in ended.output and ended.output.count("\n") == 1


def test_arguments_that_fit_nothing(tmp_path: Path) -> None:
    metrics, graph = write(tmp_path, table())
    assert (
        "there is no column 'front/latency-9'; did you mean 'front/latency-90'?" in run(metrics, graph, "--slo", "front/latency-9").output
    )
    assert "--onset is 'noon'; write a number" in run(metrics, graph, onset="noon").output


def test_parquet(tmp_path: Path) -> None:
    """The same answer as for CSV; without pyarrow, what to install."""
    columns = table()
    slow_store(columns)
    metrics, graph = write(tmp_path, columns)
    parquet = tmp_path / "metrics.parquet"
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as files

    files.write_table(pyarrow.table(columns), parquet)
    assert json.loads(run(parquet, graph, "--json").stdout) == json.loads(run(metrics, graph, "--json").stdout)
    parquet.write_bytes(b"PAR1 no")
    assert "is no Parquet file that can be read" in run(parquet, graph).output


def test_parquet_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, graph = write(tmp_path, table())
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    ended = run(tmp_path / "metrics.parquet", graph)
    assert ended.exit_code == 2 and "pip install 'rag-gauntlet[parquet]'" in ended.output
