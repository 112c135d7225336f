"""Who answers the next request, and what is remembered of those that passed."""

from __future__ import annotations

from collections import Counter

import pytest

from harness.deploy.router import table as of_table
from harness.deploy.router.table import Table, Weights

URLS = {"blue": "http://127.0.0.1:1", "green": "http://127.0.0.1:2"}


def test_nobody_is_asked_before_somebody_has_a_weight() -> None:
    table = Table(1)
    assert table.choose() is None
    table.shift(Weights(URLS, {"blue": 0.0}))
    assert table.choose() is None


def test_a_shift_holds_from_the_next_request_on_and_for_each() -> None:
    table = Table(1)
    table.shift(Weights(URLS, {"blue": 100.0}))
    assert {table.choose() for _ in range(200)} == {("blue", URLS["blue"])}
    table.shift(Weights(URLS, {"green": 100.0}))
    assert {table.choose() for _ in range(200)} == {("green", URLS["green"])}


def test_shares_follow_the_weights() -> None:
    table = Table(7)
    table.shift(Weights(URLS, {"blue": 95.0, "green": 5.0}))
    drawn = Counter(chosen[0] for _ in range(10_000) if (chosen := table.choose()) is not None)
    assert 400 < drawn["green"] < 600


@pytest.mark.parametrize("weights", [{"red": 100.0}, {"blue": -1.0}, {"blue": 101.0}])
def test_a_weight_for_nobody_or_beyond_all_is_refused_whole(weights: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"weight|no side"):
        Weights(URLS, weights)


def test_what_is_under_way_is_counted_by_side() -> None:
    table = Table(1)
    table.shift(Weights(URLS, {"blue": 100.0}))
    table.begin("blue")
    table.begin("blue")
    table.end("blue", 1, 2, "/api/ask", 200, "1.0.0")
    assert table.state()["in_flight"] == {"blue": 1}


def test_answers_are_numbered_so_that_a_gap_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_table, "KEPT", 3)
    table = Table(1)
    for n in range(5):
        table.end(None, n, n + 1, "/api/ask", 503, None)
    assert [a["number"] for a in table.answers_after(0, 10)] == [3, 4, 5]
    assert [a["number"] for a in table.answers_after(4, 10)] == [5]
    assert [a["number"] for a in table.answers_after(3, 1)] == [4]
    assert table.answers_after(5, 10) == []
