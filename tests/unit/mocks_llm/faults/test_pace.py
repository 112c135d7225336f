"""When tokens are due."""

from itertools import pairwise

import pytest

from mocks.faults.documents import example
from mocks.faults.table import FaultError
from mocks.llm.answer import CHAT, EMBEDDINGS
from mocks.llm.faults import FAULTS
from tests.unit.mocks_llm.faults.answering import Asked, Meetings, meet


def due_s(document: dict[str, object] | list[dict[str, object]], asked: Asked | None = None) -> list[float]:
    plan = meet(document, asked).plan  # type: ignore[arg-type]  # a list of documents is one
    return [plan.due_s(token) for token in range(1, 101)]


def test_the_first_token_is_late_and_the_others_keep_their_pace() -> None:
    assert due_s({"type": "slow_first_token", "ttft_s": 4}) == [pytest.approx(4 + 0.01 * i) for i in range(100)]


def test_every_token_is_late() -> None:
    assert due_s({"type": "slow_tokens", "itl_s": 0.5}) == [pytest.approx(0.1 + 0.5 * i) for i in range(100)]


@pytest.mark.parametrize("spread", [0.2, 1.0])
def test_gaps_vary_about_the_pace(spread: float) -> None:
    moments_s = due_s({"type": "jittered_tokens", "spread": spread})
    gaps_s = [later - earlier for earlier, later in pairwise(moments_s)]
    assert moments_s[0] == pytest.approx(0.1)
    assert all(0.01 * (1 - spread) - 1e-9 <= gap_s <= 0.01 * (1 + spread) + 1e-9 for gap_s in gaps_s)
    assert max(gaps_s) - min(gaps_s) > 0.01 * spread
    assert sum(gaps_s) / 99 == pytest.approx(0.01, abs=0.01 * 4 * spread / (3 * 99) ** 0.5)


def test_asking_out_of_order_draws_the_same_gaps() -> None:
    plan = meet({"type": "jittered_tokens"}).plan
    backwards = [plan.due_s(token) for token in range(100, 0, -1)]
    assert backwards[::-1] == due_s({"type": "jittered_tokens"})


def test_paces_add_up_whatever_came_first() -> None:
    documents: list[dict[str, object]] = [
        {"type": "jittered_tokens"},
        {"type": "slow_first_token", "ttft_s": 4},
        {"type": "slow_tokens", "itl_s": 1},
    ]
    moments_s = due_s(documents)
    assert moments_s[0] == 4.0
    assert 4 + 99 * 0.8 < moments_s[-1] < 4 + 99 * 1.2


def test_the_busier_the_slower() -> None:
    document = {"type": "brownout", "per_in_flight_s": 0.2}
    assert [meet(document, Asked(facts={"in_flight": n})).plan.ttft_s for n in (1, 5)] == [pytest.approx(0.3), pytest.approx(1.1)]


def test_large_batches_are_slow() -> None:
    meetings = Meetings({"type": "embedding_slow_batch", "per_input_s": 0.5})
    plans = [meetings.meet(Asked(EMBEDDINGS, inputs=("text",) * n)).plan for n in (1, 10)]
    assert [plan.due_s(1) for plan in plans] == [pytest.approx(0.6), pytest.approx(5.1)]


def test_a_spread_is_a_share() -> None:
    with pytest.raises(FaultError, match="spread must be more than 0, at most 1, not 2"):
        meet({"type": "jittered_tokens", "spread": 2})


REFUSAL = {"type": "server_error"}
PACES = sorted(FAULTS.of_pace)


@pytest.mark.parametrize("name", PACES)
def test_a_pace_that_a_refusal_leaves_nothing_of_is_not_counted(name: str) -> None:
    asked = Asked(EMBEDDINGS if name.startswith("embedding_") else CHAT)
    pace = example(name, FAULTS[name])
    refused = meet([pace, REFUSAL], asked)
    assert (refused.faults, refused.matched, refused.applied) == (["f1"], 2, 1)
    assert meet([REFUSAL, pace], asked).faults == ["f0"]
    assert meet([pace, {"type": "dead_keep_alive"}], asked).faults == ["f0", "f1"]


def test_all_that_the_module_has_are_of_pace() -> None:
    assert {name for name, kind in FAULTS.items() if kind.__module__ == "mocks.llm.faults.pace"} == FAULTS.of_pace


def test_what_a_refusal_feels_counts_beside_it() -> None:
    assert meet([{"type": "slow_headers"}, {"type": "slow_tokens", "itl_s": 1}, REFUSAL]).faults == ["f0", "f2"]
