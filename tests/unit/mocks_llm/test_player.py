"""When the pieces of a stream leave, on a clock of the test's own; and what stops them."""

from __future__ import annotations

import pytest

from mocks.llm.entry import Entry
from mocks.llm.plan import Facts, Frame, Plan, Stream
from mocks.llm.player import BATCH, Player
from mocks.llm.vllm import Generations
from tests.unit.mocks_llm.served import ANSWER, ANSWER_TOKENS, Clock, FakeReply, Served, chat


def stream(tokens_per_chunk: int = 1, late_s: float = 0.0, **profile: object) -> tuple[Served, FakeReply]:
    served = Served(Clock(late_s), tokens_per_chunk=tokens_per_chunk, **profile)
    return served, served.answered(chat(stream=True))


def test_every_token_leaves_when_it_is_due_and_the_head_with_the_first() -> None:
    served, reply = stream()
    assert [at_ms for at_ms, _ in reply.contents()] == [100 + 10 * i for i in range(ANSWER_TOKENS)]
    assert reply.text() == ANSWER
    assert reply.said[0][0] == 100
    assert (reply.status, reply.content_type, reply.ended) == (200, "text/event-stream; charset=utf-8", "complete")
    assert reply.said[-1] == (230, b"data: [DONE]\n\n")
    row = served.last()
    assert (row["ending"], row["finish_reason"], row["completion_tokens"], row["ttft_ms"]) == ("complete", "stop", ANSWER_TOKENS, 100)
    assert row["last_sent_ms"] == 230


def test_larger_chunks_leave_with_their_last_token_and_the_first_token_alone() -> None:
    _, reply = stream(3)
    assert [at_ms for at_ms, _ in reply.contents()] == [100, 130, 160, 190, 220, 230]
    assert [text for _, text in reply.contents()][:3] == ["The", " colour of a", ".b is"]


def test_what_a_late_wake_up_left_behind_leaves_at_once_each_for_itself_and_the_schedule_stays() -> None:
    _, reply = stream(late_s=0.025)
    moments = [at_ms for at_ms, _ in reply.contents()]
    assert {at_ms: moments.count(at_ms) for at_ms in moments} == {125: 3, 155: 3, 185: 3, 215: 3, 245: 2}
    assert reply.text() == ANSWER


@pytest.mark.parametrize("pings", [False, True])
def test_the_journal_says_since_when_a_stalled_stream_has_been_silent_whatever_pings_come(pings: bool) -> None:
    served = Served()
    served.faults.put("f", {"type": "stream_stall", "after_tokens": 3, "pings": pings, "ping_every_s": 0.05})
    reply = served.ask(chat(stream=True))
    served.clock.run(110)
    reply.leave()
    row = served.last()
    assert (row["ttft_ms"], row["last_sent_ms"], row["disconnected_after_ms"]) == (100, 120, 10_000)


def test_a_client_that_goes_is_sent_no_more_and_the_journal_says_when() -> None:
    served = Served()
    reply = served.ask(chat(stream=True))
    served.clock.run(100.125)
    reply.leave()
    served.clock.run()
    assert [at_ms for at_ms, _ in reply.contents()] == [100, 110, 120]
    row = served.last()
    assert (row["ending"], row["finish_reason"], row["completion_tokens"], row["disconnected_after_ms"]) == ("disconnected", None, 3, 125)
    assert served.engine.slots.running == 0


@pytest.mark.parametrize(
    ("fault", "sent", "n"), [("usage_missing", ANSWER_TOKENS, 1), ("usage_missing", ANSWER_TOKENS, 2), ("stream_endless", 91, 1)]
)
def test_tokens_are_counted_as_they_are_generated_whatever_the_answer_says(fault: str, sent: int, n: int) -> None:
    served = Served()
    served.faults.put("f", {"type": fault})
    reply = served.ask(chat(stream=True, n=n, stream_options={"include_usage": True}))
    series = served.metrics.model("rag-chat")
    counted = []
    for now_s in (100.15, 100.25, 101):
        served.clock.run(now_s)
        counted.append(series.generation_tokens)
    if reply.ended is None:
        reply.leave()
    row = served.last()
    assert counted == sorted(counted)
    assert (row["content_sent_tokens"], row["completion_tokens"], series.generation_tokens) == (sent, sent * n, sent * n)


def test_whole_answers_leave_when_their_last_token_is_due() -> None:
    served = Served()
    reply = served.answered(chat())
    assert [at_ms for at_ms, _ in reply.said] == [230]
    assert reply.document["choices"][0]["message"]["content"] == ANSWER
    row = served.last()
    assert (row["ttft_ms"], row["duration_ms"] >= 0, row["content_sent_tokens"]) == (100, True, ANSWER_TOKENS)


def test_a_congested_client_gets_the_rest_when_it_has_drained() -> None:
    served = Served()
    reply = served.ask(chat(stream=True))
    served.clock.run(100.105)
    reply.congested = True
    served.clock.run(101)
    assert len(reply.contents()) == 1
    reply.drain()
    served.clock.run()
    assert [at_ms for at_ms, _ in reply.contents()] == [100, *[1_000] * (ANSWER_TOKENS - 1)]
    assert reply.ended == "complete"


class Call:
    """What a player needs of a call."""

    start_s = 100.0
    finish_reason = "stop"

    def __init__(self) -> None:
        self.series = Generations()
        self.endings: list[str] = []
        self.errors: list[Exception] = []
        self.entry = Entry.__new__(Entry)
        self.entry.arrived_s = self.start_s

    def headers(self) -> dict[str, str]:
        return {}

    def finish(self, ending: str) -> None:
        self.endings.append(ending)

    def failed(self, error: Exception) -> None:
        self.errors.append(error)


def played(frames: Stream, plan: Plan | None = None) -> tuple[Call, FakeReply]:
    call, reply = Call(), FakeReply(Clock())
    facts = Facts("/v1/chat/completions", "openai", "m", "k")
    Player(reply, call, plan or Plan(facts, 0.1, 0.01), frames).play()
    return call, reply


def frame(token: int, late_s: float = 0.0) -> Frame:
    return Frame(b"%d" % token, token, "content", late_s)


def test_late_frames_hold_up_those_behind_them() -> None:
    call, reply = played(Stream([frame(1), frame(2, 0.5), frame(3)]))
    reply.clock.run()
    assert reply.said == [(100, b"1"), (610, b"2"), (610, b"3")]
    assert call.endings == ["complete"]


def test_a_frame_that_never_comes_is_silence_until_the_client_leaves() -> None:
    call, reply = played(Stream([frame(1), frame(2, float("inf")), frame(3)]))
    reply.clock.run()
    assert reply.said == [(100, b"1")]
    assert (call.endings, call.entry.silent, reply.ended) == ([], True, None)


@pytest.mark.parametrize("ending", ["fin", "reset"])
def test_a_stream_that_is_cut(ending: str) -> None:
    call, reply = played(Stream([frame(1)], ending))  # type: ignore[arg-type]  # parametrize has no Literals
    reply.clock.run()
    assert (call.endings, reply.ended) == ([ending], ending)


def test_a_stream_that_hangs_at_its_end() -> None:
    call, reply = played(Stream([frame(1)], "hang"))
    reply.clock.run()
    assert (call.endings, call.entry.silent, reply.ended) == ([], True, "hang")


def test_an_empty_stream_begins_and_ends_when_the_first_token_was_due() -> None:
    call, reply = played(Stream([]))
    assert reply.status == 0
    reply.clock.run()
    assert (reply.status, reply.said, reply.ended, call.endings) == (200, [], "complete", ["complete"])
    assert reply.clock.now_s == pytest.approx(100.1)


def test_the_pace_of_a_plan_goes_before_its_times() -> None:
    plan = Plan(Facts("/v1/chat/completions", "openai", "m", "k"), 9.0, 9.0, pace=lambda token: token**2 / 10)
    _, reply = played(Stream([frame(1), frame(2), frame(3)]), plan)
    reply.clock.run()
    assert [at_ms for at_ms, _ in reply.said] == [100, 400, 900]


def test_an_endless_stream_without_pauses_lets_others_have_their_turn() -> None:
    plan = Plan(Facts("/v1/chat/completions", "openai", "m", "k"), 0.0, 0.0)

    def endless() -> object:
        number = 0
        while True:
            number += 1
            yield frame(number)

    call, reply = played(Stream(endless()), plan)  # type: ignore[arg-type]  # an iterable of frames all the same
    for turn in (1, 2, 3):
        assert len(reply.said) == turn * BATCH
        _one_turn(reply)
    reply.leave()
    _one_turn(reply)
    assert len(reply.said) == 4 * BATCH
    assert call.endings == []


def _one_turn(reply: FakeReply) -> None:
    _, _, timer = reply.clock._due.pop(0)
    assert timer.callback is not None
    timer.callback()


def test_a_bug_in_a_stream_ends_that_stream() -> None:
    def broken() -> object:
        yield frame(1)
        raise RuntimeError("bug")

    call, reply = played(Stream(broken()))  # type: ignore[arg-type]  # an iterable of frames all the same
    reply.clock.run()
    assert [str(error) for error in call.errors] == ["bug"]
    assert call.endings == []


def test_gaps_and_first_tokens_are_counted() -> None:
    served, _ = stream(late_s=0.025)
    text = served.metrics.render().decode()
    labels = 'engine="0",model_name="rag-chat"'
    assert f"vllm:time_to_first_token_seconds_count{{{labels}}} 1.0" in text
    assert f"vllm:inter_token_latency_seconds_count{{{labels}}} {ANSWER_TOKENS - 1}.0" in text
    assert f"vllm:generation_tokens_total{{{labels}}} {ANSWER_TOKENS}.0" in text
    assert 'vllm:request_success_total{engine="0",finished_reason="stop",model_name="rag-chat"} 1.0' in text


def test_whole_answers_are_counted_as_streams_are() -> None:
    def counted(*, stream: bool) -> dict[str, float]:
        served = Served()
        for _ in range(3):
            served.answered(chat(stream=stream))
        lines = (line for line in served.metrics.render().decode().splitlines() if line.startswith("vllm:") and "_bucket" not in line)
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    whole, streamed = counted(stream=False), counted(stream=True)
    assert whole == pytest.approx(streamed)
    label = '{engine="0",model_name="rag-chat"}'
    assert whole[f"vllm:time_to_first_token_seconds_sum{label}"] == pytest.approx(0.3)
    assert whole[f"vllm:inter_token_latency_seconds_count{label}"] == 3 * (ANSWER_TOKENS - 1)
    assert whole[f"vllm:e2e_request_latency_seconds_sum{label}"] == pytest.approx(0.69)
