"""Each SLI on a few requests written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.record.gaps import GAP, Gaps
from harness.record.requests import Finish, Outcome
from harness.scenario.slis import sli_name
from harness.scenario.units import limit
from harness.score import sli
from harness.score.context import Context
from harness.score.spans import Span
from tests.history_builder import JOURNEYS, at_ns, questions, together, traffic

CONTEXT = Context(JOURNEYS, questions(10, unanswerable=[9]))


def read(rows: NDArray[Any], name: str) -> tuple[float | None, int]:
    parsed = sli_name(name)
    observations = sli.observe(rows, parsed, CONTEXT)
    return sli.value(observations, parsed), len(observations)


def outcomes(*given: Outcome, **fields: Any) -> NDArray[Any]:
    return together(*(traffic(i, i + 1, rate=1, outcome=o, **fields) for i, o in enumerate(given)))


def test_every_failure_counts_against_availability() -> None:
    rows = outcomes(
        Outcome.OK, Outcome.ERROR, Outcome.TIMEOUT, Outcome.TRUNCATED, Outcome.REJECTED, Outcome.DROPPED, Outcome.OK, Outcome.OK
    )
    assert read(rows, "availability") == (3 / 8, 8)


def test_what_the_generator_dropped_says_nothing_about_the_target() -> None:
    rows = outcomes(Outcome.OK, Outcome.DROPPED, Outcome.DROPPED)
    rows["drop_cause"] = [0, sli.DROPPED_BY_GENERATOR, 0]
    assert read(rows, "availability") == (1 / 2, 2)


def test_latency_counts_from_the_intended_start_and_a_timeout_in_full() -> None:
    rows = together(traffic(0, 9, rate=1, latency_s=0.2), traffic(9, 10, rate=1, outcome=Outcome.TIMEOUT, latency_s=30.0))
    rows["start_ns"] += 1_000_000_000  # sent a second late: the user had waited all the same
    assert read(rows, "latency_p50") == (0.2, 10)
    assert read(rows, "latency_p95") == (30.0, 10)


def test_errors_have_no_latency() -> None:
    assert read(outcomes(Outcome.ERROR, Outcome.REJECTED, Outcome.TRUNCATED, Outcome.DROPPED), "latency_p95") == (None, 0)


def test_time_to_first_token_is_of_streams_only() -> None:
    rows = together(traffic(0, 5, rate=1, latency_s=2.0), traffic(5, 10, rate=1, latency_s=0.4, journey="ask_stream"))
    assert read(rows, "ttft_p95") == (0.2, 5)
    silent = traffic(0, 1, rate=1, journey="ask_stream", outcome=Outcome.TIMEOUT, latency_s=30.0, first_ns=0)
    assert read(silent, "ttft_p50") == (30.0, 1)


def test_time_per_token_is_undefined_for_a_single_token() -> None:
    one = traffic(0, 1, rate=1, journey="ask_stream", latency_s=2.0, tokens=1, chunks=1)
    assert read(one, "tpot_p50") == (None, 0)
    eleven = traffic(0, 1, rate=1, journey="ask_stream", latency_s=2.0, tokens=11, chunks=3)
    assert read(eleven, "tpot_p50") == (0.1, 1)
    by_chunks = traffic(0, 1, rate=1, journey="ask_stream", latency_s=2.0, chunks=3)
    assert read(by_chunks, "tpot_p50") == (0.5, 1)
    stalled = traffic(0, 1, rate=1, journey="ask_stream", outcome=Outcome.TIMEOUT, latency_s=30.0, chunks=1)
    assert read(stalled, "tpot_p50") == (15.0, 1), "a stream that stalled is no fast one"


def test_the_silence_that_a_timeout_ended_in_is_a_gap() -> None:
    stalled = traffic(0, 1, rate=1, journey="ask_stream", outcome=Outcome.TIMEOUT, latency_s=30.0, chunks=2, max_gap_ns=5)
    stalled["last_ns"] = at_ns(10.0)
    assert read(stalled, "max_gap_p50") == (20.0, 1)
    smooth = traffic(0, 1, rate=1, journey="ask_stream", chunks=4, max_gap_ns=30_000_000)
    assert read(smooth, "max_gap_p50") == (0.03, 1)


def test_every_gap_between_tokens_is_a_reading_of_its_own() -> None:
    rows = traffic(0, 4, rate=1)
    rows["journey"] = [JOURNEYS.index(name) for name in ("ask_stream", "ask", "ask_stream", "ask_stream")]
    rows["outcome"][3] = Outcome.TIMEOUT
    rows["last_ns"][3], rows["end_ns"][3] = at_ns(4.0), at_ns(9.0)
    rows["seq"] = [0, 1, 2, 3]
    gaps = np.array([(0, 10_000), (0, 30_000), (1, 70_000), (2, 20_000), (3, 40_000)], dtype=GAP)
    context, itl = Context(JOURNEYS, gaps=Gaps(by_hand=gaps)), sli_name("itl_p50")
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        seen = sli.observe(rows[order], itl, context)
        # Those of streams, and the silence in which the timeout ended; each when its answer was due.
        assert sorted(zip(seen.values.tolist(), seen.t_ns.tolist(), strict=True)) == [
            (10_000_000, at_ns(0)), (20_000_000, at_ns(2)), (30_000_000, at_ns(0)), (40_000_000, at_ns(3)), (5_000_000_000, at_ns(3)),
        ]  # fmt: skip
    good = sli.goodput(rows, [(itl, limit("<= 25ms"))], context, Span(at_ns(0), at_ns(4)))
    assert good == 2 / 4, "an answer with one gap that is too long is not good; one that is no stream has none"
    assert read(rows[1:2], "itl_p50") == (None, 0)


def test_complete_answers_gave_a_finish_reason() -> None:
    rows = together(traffic(0, 2, rate=1), traffic(2, 3, rate=1, journey="ask_stream"), traffic(3, 4, rate=1, journey="ingest"))
    rows["finish"] = [Finish.STOP, Finish.NONE, Finish.LENGTH, Finish.NONE]
    assert read(rows, "complete") == (2 / 3, 3)


def asked(count: int, **fields: Any) -> NDArray[Any]:
    return traffic(0, count, rate=1, **{"question": 1, "canary": 1, "refused": 0, "degraded": 0, "preferred": 1, **fields})


def test_answered_wants_the_canary_or_the_right_refusal() -> None:
    rows = together(
        asked(4),
        asked(1, canary=0),
        asked(1, canary=0, refused=1),  # refused although the answer is there
        asked(1, question=9, canary=-1, refused=1),  # rightly refused
        asked(1, question=9, canary=-1, refused=0),  # made up
        asked(2, outcome=Outcome.ERROR, canary=-1, refused=-1),
    )
    assert read(rows, "answered") == (5 / 10, 10)


def test_questions_without_truth_count_neither_way() -> None:
    assert read(asked(3, question=77), "answered") == (None, 0)
    assert read(asked(3, canary=-1), "answered") == (None, 0)
    assert read(traffic(0, 3, rate=1, journey="ingest"), "answered") == (None, 0)


def test_a_search_is_judged_by_what_it_found_and_owes_no_answer() -> None:
    context = Context((*JOURNEYS, "search"), questions(10, unanswerable=[9]))
    searches = together(
        *(with_sources(*ranked, canary=-1, refused=-1, degraded=flag) for ranked, flag in (((1,), 0), ((2,), 1))),
        asked(1, question=9, canary=-1, refused=-1, degraded=0),
        asked(1, outcome=Outcome.ERROR, canary=-1, refused=-1),
    )
    searches["journey"] = context.journeys.index("search")
    samples = {}
    for name in ("availability", "recall_at_5", "mrr", "ndcg_at_5", "degraded", "answered", "wrong_answers", "citations_valid", "ttft_p95"):
        observations = sli.observe(searches, sli_name(name), context)
        samples[name] = (sli.value(observations, sli_name(name)), len(observations))
    assert samples == {
        "availability": (3 / 4, 4),
        "recall_at_5": (1 / 3, 3),
        "mrr": (1 / 3, 3),
        "ndcg_at_5": (1 / 3, 3),
        "degraded": (1 / 3, 3),
        "answered": (None, 0),
        "wrong_answers": (None, 0),
        "citations_valid": (None, 0),
        "ttft_p95": (None, 0),
    }


def test_wrong_answers_are_confident_ones_to_answerable_questions() -> None:
    rows = together(
        asked(3), asked(2, canary=0), asked(1, canary=0, refused=1), asked(1, question=9, canary=-1), asked(1, outcome=Outcome.ERROR)
    )
    observations = sli.observe(rows, sli_name("wrong_answers"), CONTEXT)
    assert (observations.values.sum(), len(observations)) == (2.0, 6)


def with_sources(*ranked: int, **fields: Any) -> NDArray[Any]:
    rows = asked(1, **fields)
    rows["sources"][0, : len(ranked)] = ranked
    return rows


@pytest.mark.parametrize(
    ("ranked", "recall_1", "recall_5", "mrr", "ndcg_5"),
    [
        ((1, 2, 3), 1.0, 1.0, 1.0, 1.0),
        ((2, 1, 3), 0.0, 1.0, 0.5, 1 / np.log2(3)),
        ((2, 2, 1, 1), 0.0, 1.0, 1 / 3, 0.5),
        ((2, 3, 4, 5, 6, 1), 0.0, 0.0, 1 / 6, 0.0),
        ((-2, 4), 0.0, 0.0, 0.0, 0.0),
    ],
)
def test_ranking_measures(ranked: tuple[int, ...], recall_1: float, recall_5: float, mrr: float, ndcg_5: float) -> None:
    rows = with_sources(*ranked)
    measured = [read(rows, name)[0] for name in ("recall_at_1", "recall_at_5", "mrr", "ndcg_at_5")]
    assert measured == pytest.approx([recall_1, recall_5, mrr, ndcg_5])


def test_a_failed_request_retrieved_nothing_and_an_unanswerable_question_asks_for_nothing() -> None:
    failed = with_sources(1, outcome=Outcome.TIMEOUT)
    assert [read(failed, n) for n in ("recall_at_5", "mrr", "ndcg_at_5")] == [(0.0, 1)] * 3
    nothing = with_sources(1, question=9)
    assert [read(nothing, n) for n in ("recall_at_5", "mrr", "ndcg_at_5")] == [(None, 0)] * 3


def test_the_degraded_flag_must_agree_with_who_answered() -> None:
    rows = together(
        asked(5),
        asked(2, preferred=0, degraded=1),  # honest
        asked(1, preferred=0, degraded=0),  # hidden fallback
        asked(1, preferred=1, degraded=1),  # another part of the path, perhaps: counts neither way
        asked(1, preferred=-1, degraded=0),
        asked(1, outcome=Outcome.ERROR, preferred=0, degraded=0),
    )
    assert read(rows, "degraded_honest") == (7 / 8, 8)
    assert read(rows, "degraded") == (3 / 10, 10)


def test_citations_are_valid_when_all_are_among_the_sources() -> None:
    def cited(*citations: int, **fields: Any) -> NDArray[Any]:
        rows = with_sources(4, 5, **fields)
        rows["citations"][0, : len(citations)] = citations
        return rows

    rows = together(cited(4), cited(5, 4), cited(4, 6), cited(-2), cited(), cited(refused=1), cited(4, outcome=Outcome.ERROR))
    assert read(rows, "citations_valid") == (2 / 5, 5)


def test_goodput_counts_what_met_every_limit() -> None:
    rows = together(
        traffic(0, 8, rate=1, latency_s=0.5),
        traffic(8, 9, rate=1, latency_s=3.0),
        traffic(9, 10, rate=1, outcome=Outcome.ERROR),
        traffic(10, 12, rate=1, latency_s=1.5, journey="ask_stream"),  # first token at 0.75 s
    )
    limits = [
        (sli_name("latency_p95"), limit("<= 2s")),
        (sli_name("ttft_p95"), limit("<= 500ms")),
        (sli_name("availability"), limit(">= 9%")),
    ]
    assert sli.goodput(rows, limits, CONTEXT, Span(at_ns(0), at_ns(10))) == 0.8


def test_limits_compare_in_decimal_digits() -> None:
    assert sli.keeps(limit(">= 99.9%"), 0.999), "99.9 / 100 is a little more than 0.999 in binary"
    assert not sli.keeps(limit("<= 800ms"), 0.800001)


def span(start_s: float, end_s: float) -> Span:
    return Span(at_ns(start_s), at_ns(end_s))


ABORT = (sli_name("availability"), limit("< 50%"), CONTEXT)


def test_an_abort_condition_must_hold_in_every_second() -> None:
    down = traffic(0, 10, outcome=Outcome.ERROR, latency_s=0.01)
    assert sli.held(down, *ABORT, span(0, 10)) == 0.0
    assert sli.held(together(down[:200], traffic(8, 10, latency_s=0.01)), *ABORT, span(0, 10)) is None


def test_an_abort_condition_does_not_hold_in_silence() -> None:
    assert sli.held(traffic(0, 8, outcome=Outcome.ERROR, latency_s=0.01), *ABORT, span(0, 10)) is None
    assert sli.held(traffic(0, 0), *ABORT, span(0, 10)) is None


def test_requests_on_their_way_are_not_yet_counted() -> None:
    waiting = traffic(0, 10, outcome=Outcome.TIMEOUT, latency_s=30.0)
    assert sli.held(waiting, *ABORT, span(0, 10)) is None
    assert sli.held(waiting, *ABORT, span(30, 40)) == 0.0
