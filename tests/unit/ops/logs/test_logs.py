"""Logs: entries of many kinds of line, their analysis, streams over rotation, retention that touches no live file."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from harness.commands.logs import logs
from harness.ops.logs.analysis import Analysis
from harness.ops.logs.entries import Entry, entry_of
from harness.ops.logs.files import LogFileError, found, is_rotated, lines
from harness.ops.logs.retention import keep
from harness.ops.logs.rotation import RotatedLog
from harness.ops.logs.streams import Streams
from harness.telemetry.logs import line_of

ACCESS = {
    "channel": "access", "method": "POST", "route": "/api/search", "status": 200, "duration_ms": 926.23, "event": "request",
    "ts": "2026-11-30T15:04:34.825808Z", "level": "info", "service": "gateway", "instance": "gateway-1",
}  # fmt: skip
AT_S = 1796051074.825808


def entry(**fields: object) -> Entry:
    return entry_of(line_of(json.dumps({**ACCESS, **fields}).encode()))


def test_an_access_line_of_the_reference_stack() -> None:
    assert entry() == Entry(AT_S, "info", "access", "request", "gateway", "/api/search", 200, 0.92623)
    assert (entry(status=503).failed, entry(status=503).error_type, entry(status=404).failed) == (True, "http_503", False)


@pytest.mark.parametrize(
    ("line", "level", "stream", "error_type"),
    [
        (
            '{"channel":"cache","error":"TimeoutError: Timeout reading","event":"cache failed","level":"warning"}',
            "warning",
            "error",
            "TimeoutError",
        ),
        ('{"level":"error","event":"lost it"}', "error", "error", "lost it"),
        ('{"levelname":"FATAL","message":"x","exception":{"type":"OSError"}}', "critical", "error", "OSError"),
        ('{"event":"embedded","duration_ms":3,"level":"debug","model":"m","provider":"p"}', "debug", "performance", ""),
        (
            "2026-11-30 15:04:24.858 UTC [25061] FATAL:  password authentication failed",
            "critical",
            "error",
            "password authentication failed",
        ),
        (
            "23440:M 30 Nov 2026 15:04:19.322 # WARNING Memory overcommit must be enabled!",
            "warning",
            "error",
            "Memory overcommit must be enabled!",
        ),
        ("2026-11-30 15:04:24,858 ERROR app: ValueError: no", "error", "error", "app: ValueError: no"),
        ("hello", "info", "other", ""),
    ],
)
def test_lines_of_many_kinds(line: str, level: str, stream: str, error_type: str) -> None:
    found_ = entry_of(line_of(line.encode()))
    assert (found_.level, found_.stream, found_.error_type) == (level, stream, error_type)
    assert (found_.at_s is not None) == ("2026" in line)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda x: st.lists(x) | st.dictionaries(st.text(max_size=3), x),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*ACCESS, "error", "time", "model", "status_code", "msg"]), JSON_VALUES))
def test_no_line_raises_whatever_its_fields_hold(fields: dict[str, object]) -> None:
    analysis = Analysis()
    analysis.take([entry_of(line_of(json.dumps(fields).encode()))])
    json.dumps(analysis.to_json())
    assert analysis.entries == 1


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    entry_of(line_of(data))


def test_what_some_hours_of_logs_say() -> None:
    analysis = Analysis(since_s=AT_S - 3600, slow_s=1.0)
    analysis.take(entry(duration_ms=float(n), status=500 if n > 990 else 200) for n in range(1, 1_001))
    analysis.take([entry(duration_ms=4_000.0, route="/api/ask"), entry(ts="2026-11-29T15:04:34Z"), entry(ts=None)])
    analysis.take(
        [entry(channel="llm", method=None, status=None, provider="llm", model="rag-chat", level="error", error="TimeoutError: x")]
    )
    told = analysis.to_json()
    assert (told["entries"], told["older"], told["undated"]) == (1_003, 1, 1)
    assert (told["requests"], told["failed"], told["slow"]) == (1_002, 10, 1)
    assert told["error_rate"] == pytest.approx(10 / 1_002)
    assert told["error_types"] == {"http_500": 10, "TimeoutError": 1}
    assert (told["providers"], told["models"], told["statuses"]) == ({"llm": 1}, {"rag-chat": 1}, {"200": 992, "500": 10})
    route = told["routes"]["gateway /api/search"]
    assert (route["p50_s"], route["p95_s"], route["p99_s"]) == (
        pytest.approx(0.5, rel=0.03), pytest.approx(0.95, rel=0.03), pytest.approx(0.99, rel=0.03),
    )  # fmt: skip
    assert (told["slowest"][0]["route"], told["slowest"][0]["duration_s"]) == ("/api/ask", 4.0)


def test_no_request_has_no_error_rate_and_memory_is_bounded() -> None:
    assert Analysis().to_json()["error_rate"] is None
    analysis = Analysis()
    analysis.take(entry(route=f"/r/{n}", duration_ms=9_000.0, status=500, error=f"E{n}Error: x") for n in range(3_000))
    assert len(analysis.to_json()["routes"]) == 1_001 and len(analysis.error_types) == 1_001 and len(analysis._slowest) == 20


def test_rotated_and_compressed_files_belong_to_a_log(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("app.log", "app.log.1", "app.log-20261130", "sub/b.jsonl", "note.txt", "app.log.3.gz.part"):
        (tmp_path / name).write_text(json.dumps(ACCESS) + "\n", encoding="utf-8")
    with gzip.open(tmp_path / "app.log.2.gz", "wt") as packed:
        packed.write(json.dumps(ACCESS) + "\n" + json.dumps(ACCESS) + "\n")
    names = {str(path.relative_to(tmp_path)) for path in found([tmp_path])}
    assert names == {"app.log", "app.log.1", "app.log-20261130", "app.log.2.gz", "sub/b.jsonl"}
    assert {path.name for path in found([tmp_path / "app.log"])} == names - {"sub/b.jsonl"}
    assert [sum(1 for _ in lines(path)) for path in found([tmp_path])] == [1, 1, 1, 2, 1]
    assert [is_rotated(tmp_path / name) for name in ("app.log", "app.log.1", "b.jsonl", "gateway-1.log")] == [False, True, False, False]
    cut = (tmp_path / "app.log.2.gz").read_bytes()[:-12]
    (tmp_path / "app.log.4.gz").write_bytes(cut)
    (tmp_path / "app.log.5.gz").write_bytes(b"no gzip")
    assert sum(1 for _ in lines(tmp_path / "app.log.4.gz")) <= 2 and list(lines(tmp_path / "app.log.5.gz")) == []
    with pytest.raises(LogFileError, match="no such file"):
        found([tmp_path / "absent"])
    with pytest.raises(LogFileError, match="no log there"):
        found([_made(tmp_path / "empty")])


def _made(path: Path) -> Path:
    path.mkdir()
    return path


def test_streams_follow_rotation_within_their_buffers(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text(json.dumps(ACCESS) + "\n", encoding="utf-8")
    streams = Streams([path, tmp_path / "later.log"], kept=3)
    assert streams.poll() == [], "what was there before is past"
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps({**ACCESS, "status": 500 + n}) + "\n" for n in range(5))
    assert len(streams.poll()) == 5
    path.rename(tmp_path / "app.log.1")
    path.write_text('{"level": "error", "event": "new file", "error": "OSError: x"}\n', encoding="utf-8")
    (tmp_path / "later.log").write_text('{"event": "embedded", "duration_ms": 2}\n', encoding="utf-8")
    assert [e.message for e in streams.poll()] == ["new file", "embedded"]
    assert [e.status for e in streams.newest("access")] == [502, 503, 504]
    assert (streams.newest("access", 1)[0].status, streams.newest("access", 0)) == (504, ())
    assert (streams.dropped(), dict(streams.seen)) == (2, {"access": 5, "error": 1, "performance": 1})


def test_retention_compresses_then_removes_and_never_touches_the_live_file(tmp_path: Path) -> None:
    for name, age_s in (("app.log", 9e6), ("app.log.1", 10.0), ("app.log.2", 5_000.0), ("app.log.3", 50_000.0), ("other.txt", 9e6)):
        path = tmp_path / name
        path.write_text("line\n" * 1_000, encoding="utf-8")
        os.utime(path, (1e9 - age_s, 1e9 - age_s))
    files = found([tmp_path])
    would = keep(files, 1e9, 3_600.0, 36_000.0, dry_run=True)
    assert len(list(tmp_path.iterdir())) == 5
    done = keep(files, 1e9, 3_600.0, 36_000.0)
    assert ([p.name for p in done.compressed], [p.name for p in done.removed]) == (["app.log.2"], ["app.log.3"])
    assert (would.compressed, would.removed) == (done.compressed, done.removed) and done.freed_bytes > 9_000
    assert {p.name for p in tmp_path.iterdir()} == {"app.log", "app.log.1", "app.log.2.gz", "other.txt"}
    packed = tmp_path / "app.log.2.gz"
    assert gzip.decompress(packed.read_bytes()) == b"line\n" * 1_000
    assert packed.stat().st_mtime == pytest.approx(1e9 - 5_000.0), "its age goes on counting"
    again = keep(found([tmp_path]), 1e9 + 40_000, 3_600.0, 36_000.0)
    assert ([p.name for p in again.compressed], [p.name for p in again.removed]) == ([], ["app.log.1", "app.log.2.gz"])


def test_the_commands(tmp_path: Path) -> None:
    log = tmp_path / "gateway-1.log"
    log.write_text("".join(json.dumps({**ACCESS, "status": s}) + "\n" for s in (200, 500)) + "plain\n", encoding="utf-8")
    run = CliRunner()
    told = run.invoke(logs, ["analyze", str(tmp_path), "--json"])
    assert (told.exit_code, json.loads(told.stdout)["error_rate"], json.loads(told.stdout)["unstructured"]) == (0, 0.5, 1)
    shown = run.invoke(logs, ["analyze", str(tmp_path)])
    assert shown.exit_code == 0 and "2 requests, 1 failed (50.00%), 0 slower than 2 s" in shown.stdout
    dated = tmp_path / "dated"
    dated.mkdir()
    (dated / "a.log").write_text(json.dumps({**ACCESS, "ts": "2001-01-01T00:00:00Z"}) + "\n", encoding="utf-8")
    young = run.invoke(logs, ["analyze", str(dated), "--hours", "1"])
    assert (young.exit_code, young.stdout) == (3, "no entry in that time; 1 are older\n")
    absent = run.invoke(logs, ["analyze", str(tmp_path / "absent")])
    assert absent.exit_code == 2 and "there is no such file or folder" in absent.stderr
    assert run.invoke(logs, ["analyze", str(tmp_path), "--slow", "soon"]).exit_code == 2
    pruned = run.invoke(logs, ["prune", str(tmp_path), "--json"])
    assert json.loads(pruned.stdout) == {"compressed": [], "removed": [], "freed_bytes": 0}


def test_a_log_of_our_own_is_put_aside_when_it_is_large(tmp_path: Path) -> None:
    log = RotatedLog(tmp_path / "events.jsonl", most_bytes=100, kept=2)
    for n in range(41):
        log.append(json.dumps({"n": n, "pad": "x" * 10}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.jsonl", "events.jsonl.1.gz", "events.jsonl.2.gz"]
    aside = b"".join(gzip.decompress((tmp_path / f"events.jsonl.{n}.gz").read_bytes()) for n in (2, 1))
    kept = [json.loads(line)["n"] for line in (aside + (tmp_path / "events.jsonl").read_bytes()).splitlines()]
    assert kept == list(range(kept[0], 41)) and kept[0] > 0, "the newest, without a gap"
