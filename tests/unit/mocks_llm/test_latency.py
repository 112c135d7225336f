"""Latency: drawn by request, from distributions and recorded traffic; and what the load makes of it."""

from __future__ import annotations

import statistics
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mocks.common.checks import ProfileError
from mocks.common.key import Arrivals, generator, request_key, share
from mocks.common.latency import Latency, UnderLoad, parse_distribution, parse_latency
from mocks.common.traces import lengths

KEYS = [request_key(1, "/r", {"n": n}) for n in range(4_000)]


def drawn_ms(document: dict[str, Any], folder: Path = Path()) -> list[float]:
    latency = parse_latency({"ttft": document}, 1, 1, folder)
    return [latency.draw(key, 0).ttft_s * 1_000 for key in KEYS]


def test_constant() -> None:
    assert set(drawn_ms({"constant_ms": 80})) == {80.0}


def test_normal() -> None:
    found = drawn_ms({"normal_ms": {"mean": 100, "std": 10}})
    assert statistics.mean(found) == pytest.approx(100, abs=0.7)
    assert statistics.stdev(found) == pytest.approx(10, abs=0.5)
    assert min(drawn_ms({"normal_ms": {"mean": 1, "std": 10}})) == 0


def test_lognormal() -> None:
    found = sorted(drawn_ms({"lognormal_ms": {"median": 100, "sigma": 0.5}}))
    assert found[2_000] == pytest.approx(100, rel=0.05)
    assert found[3_364] == pytest.approx(100 * 2.718281828**0.5, rel=0.07)  # one standard deviation up


def test_uniform() -> None:
    found = drawn_ms({"uniform_ms": {"low": 10, "high": 20}})
    assert 10 <= min(found) < 10.1
    assert 19.9 < max(found) < 20


def test_a_request_draws_the_same_again_and_its_two_times_independently() -> None:
    same = {"uniform_ms": {"low": 0, "high": 1_000}}
    latency = parse_latency({"ttft": same, "itl": same}, 1, 1, Path())
    draws = [latency.draw(key, 0) for key in KEYS]
    assert draws == [latency.draw(key, 0) for key in KEYS]
    assert abs(statistics.correlation([one.ttft_s for one in draws], [one.itl_s for one in draws])) < 0.05


def test_the_prompt_and_the_load() -> None:
    latency = parse_latency({"per_prompt_token_ms": 0.5, "under_load": {"factor": 3, "at_in_flight": 5}}, 100, 10, Path())
    drawn = latency.draw(KEYS[0], 200)
    assert (drawn.ttft_s, drawn.itl_s) == pytest.approx((0.2, 0.01))
    assert [latency.under_load.times(n) for n in (1, 2, 3, 5, 50)] == [1, 1.5, 2, 3, 3]
    assert UnderLoad().times(50) == 1
    assert Latency().draw_embedding(KEYS[0], 7).ttft_s == 0


def test_keys() -> None:
    assert request_key(1, "/r", {"a": 1, "b": 2}) == request_key(1, "/r", {"b": 2, "a": 1}) == "dcc0bdf073fca1819b61a4e3fef9fc55"
    others = [request_key(2, "/r", {"n": 0}), request_key(1, "/s", {"n": 0}), request_key(1, "/r", {"n": 1})]
    assert len({request_key(1, "/r", {"n": 0}), *others}) == 4
    assert share(KEYS[0], "ttft") != share(KEYS[0], "itl")
    assert generator(KEYS[0]).random() == generator(KEYS[0]).random() != generator(KEYS[1]).random()


AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n"
BURST_OLD = (
    "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,Conversation log\n9,GPT-4,5,0,5,API log\n"
)
BURST_NEW = (
    "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "5,1,3.6,ChatGPT,472,18,490,Conversation log\n9,2,0.5,GPT-4,5,0,5,API log\n11,3,2,GPT-4,5,100,105,API log\n"
)
MOONCAKE = (
    '{"timestamp":0,"input_length":6758,"output_length":500,"hash_ids":[0,1]}\n\n{"timestamp":3000,"input_length":7,"output_length":26}\n'
)


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [("azure", AZURE, [44, 109]), ("burstgpt", BURST_OLD, [18]), ("burstgpt", BURST_NEW, [18, 100]), ("mooncake", MOONCAKE, [500, 26])],
)
def test_traces_give_lengths(tmp_path: Path, kind: str, text: str, found: list[int]) -> None:
    (tmp_path / "trace").write_text(text)
    assert list(lengths({"file": "trace", "format": kind}, "answers.tokens.trace", tmp_path)) == found


def test_lengths_and_named_times_of_a_recording_come_from_the_same_rows_failed_calls_left_out(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text(BURST_NEW)
    trace = {"file": "new.csv", "format": "burstgpt", "column": "Elapsed time", "unit": "s"}
    times = parse_distribution({"trace": trace}, "latency.ttft", tmp_path)
    counts = lengths({"file": "new.csv", "format": "burstgpt"}, "answers.tokens.trace", tmp_path)
    assert [times.at(row / len(counts)) for row in range(len(counts))] == pytest.approx([3_600, 2_000])


def test_a_trace_with_times_gives_times(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text(BURST_NEW)
    (tmp_path / "own.csv").write_text("first,rest\n0.25,20\n0.5,40\n")
    paces = parse_distribution({"trace": {"file": "new.csv", "format": "burstgpt"}}, "latency.itl", tmp_path)
    assert [paces.at(0.0), paces.at(0.99)] == pytest.approx([200, 20])
    document = {
        "ttft": {"trace": {"file": "own.csv", "column": "first", "unit": "s"}},
        "itl": {"trace": {"file": "own.csv", "column": "rest"}},
    }
    latency = parse_latency(document, 1, 1, tmp_path)
    pairs = {(round(one.ttft_s, 6), round(one.itl_s, 6)) for one in (latency.draw(key, 0) for key in KEYS[:100])}
    assert pairs == {(0.25, 0.02), (0.5, 0.04)}  # of one row


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"ttft": {"poisson_ms": 3}}, r"latency.ttft knows no poisson_ms; it may be one of constant_ms, "),
        ({"ttft": 3}, "latency.ttft must be an object with one of"),
        ({"ttft": {"constant_ms": -1}}, "latency.ttft.constant_ms must be a number of milliseconds from 0 to 600000, not -1"),
        ({"itl": {"normal_ms": {"mean": 3}}}, "latency.itl.normal_ms must have std"),
        ({"itl": {"lognormal_ms": {"median": 3, "sigma": 9}}}, "latency.itl.lognormal_ms.sigma must be a number from 0 to 3"),
        ({"itl": {"uniform_ms": {"low": 3, "high": 2}}}, "latency.itl.uniform_ms.high must be a number of milliseconds from 3 to"),
        ({"under_load": {"factor": 2}}, "latency.under_load must say at_in_flight"),
        ({"speed": 2}, "unknown key in latency: speed"),
        ({"ttft": {"trace": {"file": "none.csv", "column": "x"}}}, "cannot read the trace"),
        ({"ttft": {"trace": {"file": "a.csv", "column": "x"}}}, "has no column 'x'; it has TIMESTAMP, ContextTokens, GeneratedTokens"),
        ({"ttft": {"trace": {"file": "a.csv", "format": "azure"}}}, "a trace of format azure records no times"),
        ({"ttft": {"trace": {"file": "a.csv", "column": "TIMESTAMP"}}}, "line 2: TIMESTAMP must be a number of at least 0"),
        ({"ttft": {"trace": {"file": "n.csv", "format": "burstgpt"}}}, "good for latency.itl alone"),
        ({"itl": {"trace": {"file": "o.csv", "format": "burstgpt"}}}, "has no column 'Elapsed time'"),
        ({"itl": {"trace": {"file": "n.csv", "format": "excel"}}}, "format must be one of azure, burstgpt, mooncake, csv"),
        ({"itl": {"trace": {"file": "m.json", "format": "mooncake", "column": "x"}}}, "has no column 'x'"),
        ({"itl": {"trace": {"file": "a.csv", "column": "x", "unit": "h"}}}, "unit must be ms or s"),
        ({"itl": {"trace": {"file": "empty.csv", "column": "x"}}}, "has no rows"),
        (
            {"itl": {"trace": {"file": "bad.json", "format": "mooncake", "column": "x"}}},
            "cannot read the trace .*: line 1 is no JSON object",
        ),
    ],
)
def test_bad_documents_say_what_to_write(tmp_path: Path, document: dict[str, Any], reason: str) -> None:
    for name, text in (
        ("a.csv", AZURE),
        ("o.csv", BURST_OLD),
        ("n.csv", BURST_NEW),
        ("m.json", MOONCAKE),
        ("bad.json", "3\n"),
        ("empty.csv", ""),
    ):
        (tmp_path / name).write_text(text)
    with pytest.raises(ProfileError, match=reason):
        parse_latency(document, 1, 1, tmp_path)


def test_arrivals_are_counted_and_forgotten_after_many_others() -> None:
    arrivals = Arrivals(most=8)
    assert [arrivals.count(key) for key in (KEYS[0], KEYS[1], KEYS[0], KEYS[0])] == [1, 1, 2, 3]
    for key in KEYS[2:6]:
        arrivals.count(key)
    assert arrivals.count(KEYS[0]) == 4
    for key in KEYS[6:30]:
        arrivals.count(key)
    assert arrivals.count(KEYS[0]) == 1


def test_a_generator_draws_what_its_seed_says() -> None:
    later, now = generator(KEYS[0]), Random(int(KEYS[0], 16))
    assert [later.random(), later.randrange(100), later.choice("abcdef")] == [now.random(), now.randrange(100), now.choice("abcdef")]
