"""The fault table and the faults, on a clock of the test's own."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocks.llm.fault_table import FaultError, FaultTable
from mocks.llm.fault_types import CHAT, EMBEDDINGS, Plan, RateLimited, spell_duration

SLOW = {"type": "slow_first_token", "ttft_s": 4.0}


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def plan() -> Plan:
    return Plan("rag-chat", ttft_s=0.1, itl_s=0.01)


def test_a_fault_is_in_force_until_it_is_removed() -> None:
    table = FaultTable(Clock())
    assert table.put("slow", SLOW) == {**SLOW, "id": "slow", "expires_in_s": None, "matched": 0, "applied": 0}
    changed = plan()
    assert table.apply(changed, CHAT, "k") == ["slow"]
    assert changed == Plan("rag-chat", ttft_s=4.0, itl_s=0.01)
    assert table.views() == [{**SLOW, "id": "slow", "expires_in_s": None, "matched": 1, "applied": 1}]
    table.remove("slow")
    table.remove("slow")
    unchanged = plan()
    assert table.apply(unchanged, CHAT, "k") == []
    assert (unchanged, table.views()) == (plan(), [])


def test_a_fault_with_a_time_to_live_ends_by_itself() -> None:
    clock = Clock()
    table = FaultTable(clock)
    table.put("slow", {**SLOW, "ttl_s": 5})
    table.put("other", SLOW)
    clock.now_s += 4.9
    assert [view["expires_in_s"] for view in table.views()] == [pytest.approx(0.1), None]
    clock.now_s += 0.2
    assert [view["id"] for view in table.views()] == ["other"]
    table.clear()
    assert table.views() == []


def test_putting_again_replaces_and_counts_anew() -> None:
    table = FaultTable(Clock())
    table.put("slow", SLOW)
    table.apply(plan(), CHAT, "k")
    table.put("slow", {**SLOW, "ttft_s": 2})
    assert table.views() == [{"type": "slow_first_token", "ttft_s": 2, "id": "slow", "expires_in_s": None, "matched": 0, "applied": 0}]


def test_other_routes_are_left_alone() -> None:
    table = FaultTable(Clock())
    table.put("slow", SLOW)
    assert table.apply(plan(), EMBEDDINGS, "k") == []
    assert table.views()[0]["matched"] == 0


def test_a_probability_takes_its_share_and_always_the_same_requests() -> None:
    def taken() -> list[str]:
        table = FaultTable(Clock())
        table.put("slow", {**SLOW, "probability": 0.3})
        hit = [f"key-{i}" for i in range(1_000) if table.apply(plan(), CHAT, f"key-{i}")]
        assert table.views()[0] | {"matched": 1_000, "applied": len(hit)} == table.views()[0]
        return hit

    first = taken()
    assert 240 <= len(first) <= 360  # 300 +- 4 standard deviations
    assert taken() == first


@pytest.mark.parametrize(
    ("fault_id", "document", "reason"),
    [
        ("x", {}, "type must be one of rate_limited, slow_first_token"),
        ("x", {"type": "nope"}, "type must be one of"),
        ("x", {"type": "slow_first_token"}, "ttft_s must be given"),
        ("x", {**SLOW, "ttft_s": "4"}, "ttft_s must be a number"),
        ("x", {**SLOW, "ttft_s": True}, "ttft_s must be a number"),
        ("x", {**SLOW, "ttft_s": 0}, "ttft_s must be more than 0"),
        ("x", {**SLOW, "ttft_s": float("nan")}, "ttft_s must be a number"),
        ("x", {**SLOW, "tfft_s": 1}, "unknown parameter tfft_s; this type has ttft_s"),
        ("x", {**SLOW, "probability": 1.5}, "probability must be from 0 to 1"),
        ("x", {**SLOW, "ttl_s": 0}, "ttl_s must be more than 0"),
        ("x", {**SLOW, "ttl_s": "5"}, "ttl_s must be a number"),
        ("x", {"type": "rate_limited", "requests_per_s": 1, "burst": 0.5}, "burst must be at least 1"),
        ("x", {"type": "rate_limited", "requests_per_s": 1, "_available": 3}, "unknown parameter _available"),
        ("a b", SLOW, "an id has 1 to 64"),
    ],
)
def test_what_cannot_be_put_in_force_is_refused_with_the_reason(fault_id: str, document: dict[str, Any], reason: str) -> None:
    table = FaultTable(Clock())
    with pytest.raises(FaultError, match=reason):
        table.put(fault_id, document)
    assert table.views() == []


def test_the_bucket_refuses_with_the_providers_own_words() -> None:
    bucket = RateLimited(requests_per_s=0.5, burst=2)
    quota = []
    for _ in range(3):
        answered = plan()
        bucket.apply(answered, 100.0)
        quota.append(answered)
    assert [one.headers for one in quota] == [
        {"x-ratelimit-limit-requests": "30", "x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "2s"},
        {"x-ratelimit-limit-requests": "30", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "4s"},
        {"x-ratelimit-limit-requests": "30", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "4s"},
    ]
    assert [one.error for one in quota[:2]] == [None, None]
    error = quota[2].error
    assert error is not None
    assert (error.status, error.type, error.param, error.code) == (429, "requests", None, "rate_limit_exceeded")
    assert error.headers == {"retry-after": "2", "retry-after-ms": "2000"}
    assert error.message == (
        "Rate limit reached for rag-chat in organization org-gauntlet on requests per min (RPM): Limit 30, Used 30, Requested 1. "
        "Please try again in 2s. Visit https://platform.openai.com/account/rate-limits to learn more."
    )


@given(
    rate=st.floats(0.01, 50),
    burst=st.integers(1, 10),
    gaps_s=st.lists(st.floats(0, 3), min_size=1, max_size=60),
)
def test_the_bucket_is_honest(rate: float, burst: int, gaps_s: list[float]) -> None:
    """Who waits as long as it was told is admitted; who comes a tenth of it earlier is not; nobody gets more than the quota."""
    bucket = RateLimited(requests_per_s=rate, burst=burst)
    now_s = 0.0
    admitted = 0
    for gap_s in gaps_s:
        now_s += gap_s
        answered = plan()
        refused = bucket.apply(answered, now_s)
        assert refused == (answered.error is not None)
        if answered.error is None:
            admitted += 1
            continue
        wait_s = int(answered.error.headers["retry-after-ms"]) / 1_000
        assert int(answered.error.headers["retry-after"]) >= wait_s
        if wait_s > 0.02:
            assert bucket.apply(plan(), now_s + 0.9 * wait_s - 0.001)
        now_s += wait_s
        assert not bucket.apply(plan(), now_s)
        admitted += 1
    assert admitted <= burst + rate * now_s + 1e-3


def test_an_error_ends_the_plan_and_later_faults_do_not_count() -> None:
    table = FaultTable(Clock())
    table.put("limit", {"type": "rate_limited", "requests_per_s": 1})
    table.put("slow", SLOW)
    assert [table.apply(plan(), CHAT, "k") for _ in range(2)] == [["slow"], ["limit"]]
    assert [(view["matched"], view["applied"]) for view in table.views()] == [(2, 1), (1, 1)]


@pytest.mark.parametrize(("seconds", "text"), [(0, "0ms"), (0.0119, "12ms"), (1, "1s"), (59.2, "1m0s"), (360, "6m0s")])
def test_durations_are_spelled_as_the_provider_does(seconds: float, text: str) -> None:
    assert spell_duration(seconds) == text
