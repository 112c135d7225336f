"""Each finding about a caller: shown, not shown, and where it begins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.record.provider import parse_rows
from harness.score.check import Status
from harness.score.clients import grade
from harness.score.clients_calls import calls_of
from harness.score.clients_rules import LEVELS, Limits
from tests.journal_builder import START_S, journal

FAIL, WARN, PASS, INCONCLUSIVE = Status.FAIL, Status.WARN, Status.PASS, Status.INCONCLUSIVE


def found(*lines: str, **limits: float) -> list[str]:
    """Codes of the findings."""
    return [f.code for f in grade(journal(*lines), Limits(**limits)).findings]  # type: ignore[arg-type]  # names of the table below


def often(*times_s: float) -> list[str]:
    """Refused each time but the last."""
    return [*(f"{t}s 500" for t in times_s[:-1]), f"{times_s[-1]}s 200"]


CASES = {
    "retry-after kept": (["0s 429 told=1", "1.02s 200"], []),
    "retry-after kept to the millisecond": (["0s 429 told=1 for=0.5", "1.5s 200"], []),
    "retry-after within tolerance": (["0s 429 told=2 for=0", "1.91s 200"], []),
    "retry-after ignored": (["0s 429 told=2 for=0", "1.89s 200"], ["retry_after_ignored"]),
    "a short retry-after within tolerance": (["0s 429 told=0.1 for=0", "0.051s 200"], []),
    "a short retry-after ignored": (["0s 429 told=0.2 for=0", "0.14s 200"], ["retry_after_ignored"]),
    "retry-after of a 503 ignored": (["0s 503 told=5", "1s 200"], ["retry_after_ignored"]),
    "retry-after by the SDK's own count": (["0s 429 told=9 retry=0", "1s 200 retry=1"], ["retry_after_ignored"]),
    "told by one provider, asked of the other": (["0s 429 told=9 trace=t", "0.1s 200 trace=t service=llm_fallback"], []),
    "400 not repeated": (["0s 400"], []),
    "400 repeated": (["0s 400", "1s 200"], ["retried_non_retryable"]),
    "400 repeated where the header allows it": (["0s 400 should=true", "1s 200"], []),
    "401 asked of another provider": (["0s 401 trace=t", "1s 200 trace=t service=llm_fallback"], []),
    "400 repeated with another key": (["0s 401 trace=t account=a", "1s 200 trace=t account=b"], []),
    "404 of one deployment, asked of another": (["0s 404 path=/a/chat", "1s 200 path=/b/chat"], []),
    "429 told to one key, asked with another": (["0s 429 told=9 trace=t account=a", "1s 200 trace=t account=b"], []),
    "twelve things looked for": ([f"{n}s 404 method=GET path=/v1/models/{n}" for n in range(12)], []),
    "one thing looked for twice": (
        ["0s 404 method=GET path=/v1/models/a", "1s 404 method=GET path=/v1/models/a"],
        ["retried_non_retryable"],
    ),
    "429 repeated": (["0s 429", "1s 200"], []),
    "429 repeated against x-should-retry": (["0s 429 should=false", "1s 200"], ["retried_non_retryable"]),
    "an empty account asked again": (["0s 429 fault=insufficient_quota", "1s 200"], ["retried_non_retryable"]),
    "an account at its limit asked again": (["0s 429 code=insufficient_quota", "1s 200"], ["retried_non_retryable"]),
    "ten attempts": (often(*(10.0 * n for n in range(10))), ["retry_amplification"]),
    "eleven attempts": (often(*(10.0 * n for n in range(11))), ["retry_storm"]),
    "five attempts a second": (often(0, 0.2, 0.4, 0.6, 0.8), ["retry_amplification"]),
    "six attempts a second": (often(0, 0.11, 0.3, 0.5, 0.7, 1.0), ["retry_storm", "retry_amplification"]),
    "one repetition without pause": (often(0, 0.02), []),
    "two repetitions without pause": (often(0, 0.02, 0.04), ["no_backoff"]),
    "two repetitions, one with a pause": (often(0, 0.02, 0.14), []),
    "pauses of a tenth of a second": (often(0, 0.11, 0.22), []),
    "no pause, but as the provider told": (["0s 429 told=0.02", "0.03s 429 told=0.02", "0.06s 200"], []),
    "gave up at once": (["0s 503"], ["gave_up"]),
    "gave up in the end": (["0s 503", "1s 503", "3s 503"], ["gave_up"]),
    "gave up on a broken connection": (["0s 0 ending=reset"], ["gave_up"]),
    "told to wait for too long": (["0s 429 told=121"], []),
    "told to wait for as long as is bearable": (["0s 429 told=120"], ["gave_up"]),
    "served by the other provider": (["0s 503 trace=t", "0.2s 200 trace=t service=llm_fallback"], []),
    "a truncated stream repeated": (["0s stream 200 fault=stream_no_finish", "1s stream 200"], []),
    "a truncated stream taken": (["0s stream 200 fault=stream_no_finish"], ["truncated_stream_accepted"]),
    "a stream cut inside an event taken": (["0s stream 200 fault=stream_cut_mid_event ending=fin"], ["truncated_stream_accepted"]),
    "a whole stream": (["0s stream 200 fault=stream_crlf"], []),
    "a malformed stream repeated": (["0s stream 200 fault=stream_bad_json", "1s stream 200"], []),
    "a malformed stream left": (["0s stream 200 fault=stream_bad_json left=0.2"], []),
    "a malformed stream taken": (["0s stream 200 fault=stream_bad_json"], ["malformed_chunk_ignored"]),
    "an error inside a stream": (["0s stream 200 fault=stream_error"], []),
    "a hang left in time": (["0s 0 fault=connection_hang left=30"], []),
    "a hang left late": (["0s 0 fault=connection_hang left=30.1"], ["no_read_timeout"]),
    "a stall left late": (["0s stream 200 fault=stream_stall left=31"], ["no_read_timeout"]),
    "a stall after a slow beginning left in time": (["0s stream 200 fault=stream_stall left=50 last=25"], []),
    "a stall after a slow beginning left late": (["0s stream 200 fault=stream_stall left=56 last=25"], ["no_read_timeout"]),
    "a stall at the end of a slow stream left in time": (["0s stream 200 fault=stream_stall left=95 last=70"], []),
    "a stall with pings left late": (["0s stream 200 fault=stream_stall left=31 ending=disconnected"], ["no_read_timeout"]),
    "a hang that is still waited for": (["0s 0 fault=connection_hang ending=open for=40"], ["no_read_timeout"]),
    "a hang that began too lately to tell": (["0s 0 fault=connection_hang ending=open for=3"], []),
    "an answer that is under way": (["0s stream 200 fault=slow_tokens ending=open for=90"], []),
    "a short stall that went on": (["0s stream 200 fault=stream_stall for=40 finish=stop"], []),
    "four attempts": (often(0, 1, 3, 7), []),
    "five attempts": (often(0, 1, 3, 7, 15), ["retry_amplification"]),
    "five and three": ([*often(0, 1, 3, 7, 15), "0s 500 body=c", "1s 500 body=c", "3s 200 body=c"], []),
    "layers: three times three": (
        [f"{outer * 5 + inner}s 500 retry={inner} trace=t" for outer in range(3) for inner in range(3)] + ["20s 200 retry=0 trace=t"],
        ["retry_amplification"],
    ),
    "the harness's own": (["0s 429 agent=gauntlet told=9", "1s 200 agent=gauntlet"], []),
    "somebody of a similar name": (["0s 429 agent=gauntlet-bot/1 told=9", "1s 200 agent=gauntlet-bot/1"], ["retry_after_ignored"]),
}


@pytest.mark.parametrize(("lines", "codes"), CASES.values(), ids=CASES)
def test_findings(lines: list[str], codes: list[str]) -> None:
    assert found(*lines) == codes


def test_every_finding_has_a_case() -> None:
    assert {code for _, codes in CASES.values() for code in codes} == set(LEVELS)


CALLS = {
    "after a success comes another call": (["0s 200", "1s 200"], [1, 1]),
    "another body is another call": (["0s 500", "1s 200 body=c"], [1, 1]),
    "another caller is another call": (["0s 500", "1s 200 agent=other/2"], [1, 1]),
    "another account is another call": (["0s 500 account=a", "1s 200 account=b"], [1, 1]),
    "another trace is another call": (["0s 500 trace=a", "1s 200 trace=b"], [1, 1]),
    "one trace, two layers' names": (["0s 500 trace=a", "1s 200 trace=a agent=other/2"], [2]),
    "a pause of thirty seconds": (["0s 500 for=0", "30s 200"], [2]),
    "a longer pause": (["0s 500 for=0", "30.1s 200"], [1, 1]),
    "a longer pause in one trace": (["0s 500 trace=a", "300s 200 trace=a"], [2]),
    "a longer pause that was told": (["0s 429 told=60 for=0", "99s 200"], [2]),
    "longer than was told": (["0s 429 told=60 for=0", "101s 200"], [1, 1]),
    "a caller that hung up comes back before that is noticed": (["0s 200 left=2", "1.9s 200"], [2]),
    "side by side, by the SDK's count": (
        ["0s 500 retry=0 for=1", "0.5s 500 retry=0 for=1", "2s 500 retry=1", "2.6s 200 retry=1", "3s 200 retry=2"],
        [3, 2],
    ),
    "an attempt that never arrived": (["0s 500 retry=0", "4s 200 retry=2"], [2]),
}


@pytest.mark.parametrize(("lines", "sizes"), CALLS.values(), ids=CALLS)
def test_attempts_make_calls(lines: list[str], sizes: list[int]) -> None:
    assert [len(c.attempts) for c in calls_of(journal(*lines), idle_s=30.0)] == sizes


def test_equal_requests_side_by_side_accuse_nobody() -> None:
    report = grade(journal("0s 429 told=9 for=1", "0.5s 429 told=9 for=1", "2s 200"))
    assert (report.status, report.findings) == (INCONCLUSIVE, ())
    assert report.reason == "nothing to grade: 3 requests with equal bodies ran side by side without a trace id"
    assert report.callers[0].unattributed == 3


def test_the_figures_of_a_caller() -> None:
    report = grade(
        journal("0s 429 told=1 body=a", "1.02s 200 body=a", "0s 429 told=1 body=b", "0.5s 503 body=b", "2s 503 body=b", "0s 200 body=c")
    )
    (caller,) = report.callers
    assert caller.to_json() == {
        "name": "client/1",
        "attempts": 6,
        "calls": 3,
        "troubled": 2,
        "outcomes": {"refused for now": 1, "served": 2},
        "attempts_per_troubled_call_mean": 2.5,
        "attempts_per_call_max": 3,
        "retry_after_told": 2,
        "retry_after_honoured_share": 0.5,
        "unattributed": 0,
    }
    assert [(f.code, f.level, f.count, f.of) for f in report.findings] == [("retry_after_ignored", FAIL, 1, 2), ("gave_up", WARN, 1, 2)]
    assert report.findings[0].evidence == (
        "llm #3 429, #4 503, POST /v1/chat/completions at 0.00s: told to wait 1s, came back after 0.49s",
    )
    assert report.status is FAIL
    assert report.reason == "retry_after_ignored by client/1: told to wait 1s, came back after 0.49s (and 1 more)"


def test_attempts_per_trace() -> None:
    report = grade(journal("0s 200 trace=a", "0s 200 trace=a body=c", "0s 200 trace=b", "0s 200"))
    assert (report.attempts_per_trace_mean, report.attempts_per_trace_max) == (1.5, 2)


@pytest.mark.parametrize(
    ("lines", "missing", "status", "reason"),
    [
        ([], [], INCONCLUSIVE, "the journal holds no request of any caller"),
        (["0s 200"], [], INCONCLUSIVE, "nothing to grade: no caller met any trouble"),
        (["0s 500", "1s 200"], [], PASS, "3 occasions to misbehave, none taken"),
        (["0s 500", "1s 200"], ["7 rows were lost"], INCONCLUSIVE, "7 rows were lost"),
        (["0s 500"], [], WARN, "gave_up by client/1: no attempt followed after 1 attempt, the last of which got 500"),
        (["0s 500"], ["7 rows were lost"], INCONCLUSIVE, "7 rows were lost"),
        (["0s stream 200 fault=stream_no_finish"], ["7 rows were lost"], INCONCLUSIVE, "7 rows were lost"),
        (["0s 400", "1s 400"], ["7 rows were lost"], FAIL, "retried_non_retryable by client/1: asked again after 400"),
    ],
)
def test_verdict(lines: list[str], missing: list[str], status: Status, reason: str) -> None:
    report = grade(journal(*lines), missing=missing)
    assert (report.status, report.reason) == (status, reason)


_TIMES = st.floats(0, 100).map(lambda t: round(t, 3))
_ROWS = st.fixed_dictionaries(
    {"seq": st.integers(1, 999), "arrived_s": _TIMES, "duration_ms": _TIMES},
    optional={
        "status": st.sampled_from([0, 200, 400, 429, 500, "x"]),
        "user_agent": st.sampled_from(["a", "b", None, 3]),
        "trace_id": st.sampled_from(["t", "u", None]),
        "body_sha": st.sampled_from(["x", "y", None]),
        "client_attempt": st.sampled_from(["0", "1", "2", 1, -1, "many"]),
        "retry_after_s": st.sampled_from([0, 1, 1e9, float("nan"), "1"]),
        "should_retry": st.sampled_from(["true", "false", True, "perhaps"]),
        "stream": st.booleans(),
        "ending": st.sampled_from(["complete", "disconnected", "hang", "reset", "fin"]),
        "faults": st.lists(
            st.sampled_from(["f", {"id": "f", "type": "stream_no_finish"}, {"type": "connection_hang"}, {"type": "stream_bad_json"}])
        ),
    },
)


@given(st.lists(_ROWS, max_size=12, unique_by=lambda row: row["seq"]))
def test_whatever_a_journal_holds_is_graded(documents: list[dict[str, object]]) -> None:
    """Every row is in exactly one call, in order; counts agree."""
    rows = parse_rows("llm", documents).rows
    calls = calls_of(rows, idle_s=30.0)
    assert sorted(map(id, rows)) == sorted(id(a.row) for c in calls for a in c.attempts)
    assert all(a.row.arrived_s <= b.row.arrived_s for c in calls for a, b in zip(c.attempts, c.attempts[1:], strict=False))
    report = grade(rows)
    assert sum(c.attempts for c in report.callers) == len(rows)
    assert all(0 < f.count <= f.of <= report.checked[f.code] for f in report.findings)
    assert grade(tuple(reversed(rows)), start_s=START_S).status is grade(rows, start_s=START_S).status
