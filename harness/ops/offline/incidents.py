"""A recorded incident from files: a wide table of metrics, and who calls whom."""

from __future__ import annotations

import csv
import json
import re
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.ops.diagnosis.graph import Graph
from harness.ops.diagnosis.incident import Incident
from harness.ops.diagnosis.shift import Values
from harness.ops.offline.cells import TableError, index_of, number, readable, seconds

TIMESTAMP = "timestamp"
_POD = re.compile(r"(-[0-9a-f]{6,10})?-[0-9a-z]{5}$|-\d+$")


def load(metrics: Path, graph: Path, onset: str, slo: str | None) -> Incident:
    """Raises TableError. Rows may come in any order; of several with one timestamp, all count."""
    calls = _graph(graph)
    times, columns = _parquet(metrics) if metrics.suffix.lower() in (".parquet", ".pq") else _csv(metrics)
    if slo is not None and slo not in columns:
        index_of(metrics, [TIMESTAMP, *columns], slo)
    services = calls.services()
    names = {name: _key(name, services) for name in columns}
    order = np.argsort(times, kind="stable")
    series = {names[name]: values[order] for name, values in columns.items()}
    onset_s = _onset(onset, metrics, times[order])
    return Incident(times[order], series, calls, onset_s, names[slo] if slo is not None else None)


def _onset(text: str, metrics: Path, times: Values) -> float:
    try:
        onset_s = seconds(text)
    except (ValueError, OverflowError):
        raise TableError(
            f"--onset is {text!r}; write a number as in the column {TIMESTAMP}, or a date such as 2026-01-31 12:00:00"
        ) from None
    if not times[0] < onset_s <= times[-1]:
        raise TableError(
            f"--onset {text} lies outside of {metrics}, whose {TIMESTAMP} goes from {times[0]:.15g} to {times[-1]:.15g} (seconds)"
        )
    return onset_s


def _key(column: str, services: frozenset[str]) -> tuple[str, str]:
    """Service and metric of a column; a pod of a service in the graph is that service, its other columns keep the pod's name."""
    service, _, metric = column.partition("/")
    general = _POD.sub("", service)
    if service not in services and general in services:
        return general, f"{metric} of {service}"
    return service, metric


def _graph(path: Path) -> Graph:
    with readable(path):
        text = path.read_text(encoding="utf-8-sig")
    try:
        document: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise TableError(f'{path}:{error.lineno}:{error.colno}: {error.msg}; write {{"edges": [["caller", "callee"]]}}') from None
    edges = document.get("edges") if isinstance(document, Mapping) else None
    if not isinstance(edges, Sequence) or isinstance(edges, str):
        raise TableError(f'{path}:1:1: has no list of edges; write {{"edges": [["caller", "callee"]]}}')
    for n, edge in enumerate(edges):
        if not (isinstance(edge, list) and len(edge) == 2 and all(isinstance(end, str) and end for end in edge)):
            raise TableError(f'{path}: edges[{n}] is {json.dumps(edge)}; write ["caller", "callee"]')
    return Graph((caller, callee) for caller, callee in edges)


def _header(path: Path, header: Sequence[str]) -> None:
    index_of(path, header, TIMESTAMP)
    seen: set[str] = set()
    for column, name in enumerate(header, 1):
        service, slash, metric = name.partition("/")
        if name != TIMESTAMP and not (slash and service and metric):
            raise TableError(f"{path}:1: column {column} is {name!r}; write <service>/<metric>, such as cart/latency-90")
        if name in seen:
            raise TableError(f"{path}:1: there are two columns {name!r}; rename one")
        seen.add(name)
    if len(header) < 2:
        raise TableError(f"{path}:1: has no metric; write columns <service>/<metric> beside {TIMESTAMP}")


def _csv(path: Path) -> tuple[Values, dict[str, Values]]:
    with readable(path), path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, [])
            _header(path, header)
            at = header.index(TIMESTAMP)
            cells = [array("d") for _ in header]
            for row in reader:
                if row:
                    _append(path, reader.line_num, header, row, at, cells)
        except csv.Error as error:
            raise TableError(f"{path}:{reader.line_num}: {error}") from error
    if not len(cells[at]):
        raise TableError(f"{path}:2: there are no rows below the header")
    columns = {name: np.array(column) for name, column in zip(header, cells, strict=True)}
    return columns.pop(TIMESTAMP), columns


def _append(path: Path, line: int, header: Sequence[str], row: Sequence[str], at: int, cells: Sequence[array[float]]) -> None:
    if len(row) != len(header):
        raise TableError(f"{path}:{line}: {len(row)} fields where the header has {len(header)}")
    for column, text in enumerate(row):
        try:
            cells[column].append(seconds(text) if column == at else number(text))
        except (ValueError, OverflowError):
            wanted = "a number, or a date such as 2026-01-31 12:00:00" if column == at else "a number, or nothing where it is missing"
            raise TableError(f"{path}:{line}:{column + 1}: {header[column]} is {text!r}; write {wanted}") from None


def _parquet(path: Path) -> tuple[Values, dict[str, Values]]:
    try:
        import pyarrow  # optional, and heavy
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise TableError(
            f"{path}: Parquet needs the package pyarrow: pip install 'rag-gauntlet[parquet]'; or write the table as CSV"
        ) from None
    with readable(path):
        try:
            table = parquet.read_table(path)
        except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError) as error:
            raise TableError(f"{path}: is no Parquet file that can be read: {str(error).splitlines()[0]}") from error
    _header(path, table.column_names)
    if not table.num_rows:
        raise TableError(f"{path}: there are no rows")
    columns = {name: _numbers(path, name, table.column(name)) for name in table.column_names if name != TIMESTAMP}
    return _times(path, table.column(TIMESTAMP)), columns


def _numbers(path: Path, name: str, column: Any) -> Values:
    try:
        values = np.asarray(column.to_numpy(), dtype=float)
    except (ValueError, TypeError):
        raise TableError(f"{path}: column {name} is of type {column.type}; write numbers") from None
    return np.where(np.isfinite(values), values, np.nan)


def _times(path: Path, column: Any) -> Values:
    try:
        return np.array([seconds(str(value)) for value in column.to_pylist()])
    except ValueError as error:
        raise TableError(f"{path}: {TIMESTAMP} is {error}; write numbers, or dates") from None
