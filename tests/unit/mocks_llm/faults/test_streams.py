"""Streams that break, frame by frame, in all three formats."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocks.llm.answer import CHAT, MESSAGES, RESPONSES, ChatCall, Turn
from mocks.llm.plan import Frame
from mocks.llm.words import tokens
from tests.unit.mocks_llm.faults.answering import MOST_FRAMES, TEXT, Asked, Met, joined, meet

ROUTES = (CHAT, RESPONSES, MESSAGES)
WRITTEN = len(tokens(TEXT))
FIRST_TWO = "".join(tokens(TEXT)[:2])

pytestmark = pytest.mark.parametrize("route", ROUTES)


def met(document: dict[str, Any] | list[Any], route: str, **asked: Any) -> Met:
    return meet(document, Asked(route, stream=True, **asked))


def contents(frames: list[Frame]) -> list[bytes]:
    return [frame.data for frame in frames if frame.kind == "content"]


def good(route: str) -> list[Frame]:
    return met([], route).frames


@pytest.mark.parametrize(("name", "ending"), [("stream_no_finish", "clean"), ("stream_closed", "fin"), ("stream_reset", "reset")])
def test_it_ends_early(route: str, name: str, ending: str) -> None:
    found = met({"type": name}, route)
    assert found.frames == [
        frame for frame in good(route) if frame.kind in ("open", "comment") or (frame.kind == "content" and frame.token <= 2)
    ]
    assert (joined(found.body, route), found.ending) == (FIRST_TWO, ending)
    everything = met({"type": name, "after_tokens": None}, route)
    assert (joined(everything.body, route), everything.ending) == (TEXT, ending)
    assert {frame.kind for frame in everything.frames} <= {"open", "comment", "content"}
    assert met({"type": name, "after_tokens": 10_000}, route).frames == everything.frames


def test_the_end_is_not_marked(route: str) -> None:
    found = met({"type": "stream_no_done"}, route)
    if route == RESPONSES:
        assert (found.matched, found.frames) == (0, good(route))
    else:
        assert found.frames == good(route)[:-1]
        assert found.frames[-1].kind in ("finish", "usage")


def test_it_is_cut_in_the_middle_of_an_event(route: str) -> None:
    found, before = met({"type": "stream_cut_mid_event"}, route), met({"type": "stream_no_finish"}, route)
    assert found.frames[:-1] == before.frames
    whole = next(frame.data for frame in good(route) if frame.kind == "content" and frame.token == 3)
    assert found.frames[-1].data == whole[: len(whole) // 2]
    assert found.ending == "clean"


def test_it_never_ends_and_keeps_its_pace(route: str) -> None:
    found = met({"type": "stream_endless"}, route)
    assert len(found.frames) == MOST_FRAMES
    assert not {"finish", "usage", "done"} & {frame.kind for frame in found.frames}
    endless = [frame for frame in found.frames if frame.kind == "content"]
    assert [frame.token for frame in endless] == list(range(1, len(endless) + 1))
    assert joined(found.body, route).startswith(TEXT * 5)
    if route == RESPONSES:
        numbers = [json.loads(frame.data.partition(b"data: ")[2])["sequence_number"] for frame in found.frames]
        assert numbers == list(range(MOST_FRAMES))


def test_endless_twice_is_endless(route: str) -> None:
    found = met([{"type": "stream_endless"}, {"type": "stream_endless"}], route)
    assert found.frames == met({"type": "stream_endless"}, route).frames
    assert found.faults == ["f0"]


def test_what_never_ends_may_still_break(route: str) -> None:
    found = met([{"type": "stream_closed", "after_tokens": 100}, {"type": "stream_endless"}], route)
    assert (len(contents(found.frames)), found.ending, found.applied) == (100, "fin", 2)


def test_it_stalls_for_ever(route: str) -> None:
    found = met({"type": "stream_stall"}, route)
    assert found.frames == met({"type": "stream_no_finish"}, route).frames
    assert found.ending == "hang"


def test_it_stalls_for_ever_with_pings(route: str) -> None:
    found = met({"type": "stream_stall", "pings": True, "ping_every_s": 0.5}, route)
    silent = met({"type": "stream_stall"}, route).frames
    ping = b'event: ping\ndata: {"type":"ping"}\n\n' if route == MESSAGES else b": ping\n\n"
    pings = found.frames[len(silent) :]
    assert (found.frames[: len(silent)], found.ending, len(found.frames)) == (silent, "hang", MOST_FRAMES)
    assert pings[:3] == [Frame(ping, 2, "comment", late_s) for late_s in (0.5, 1.0, 1.5)]


def test_it_stalls_for_a_while_and_goes_on(route: str) -> None:
    found = met({"type": "stream_stall", "for_s": 2.5, "pings": True}, route)
    assert [frame.late_s for frame in found.frames if frame.data.endswith((b": ping\n\n", b'{"type":"ping"}\n\n'))] == [1.0, 2.0]
    rest = [frame for frame in found.frames if frame.kind != "comment"]
    assert [frame._replace(late_s=0.0) for frame in rest] == [frame for frame in good(route) if frame.kind != "comment"]
    assert all(frame.late_s == (2.5 if frame.token > 2 else 0.0) for frame in rest)
    assert found.ending == "clean"


def test_the_json_of_one_event_is_broken(route: str) -> None:
    found, before = met({"type": "stream_bad_json"}, route).frames, good(route)
    changed = [i for i, (one, other) in enumerate(zip(found, before, strict=True)) if one != other]
    assert [before[i].token for i in changed] == [3]
    data = found[changed[0]].data
    assert data.endswith(b"\n\n")
    assert data.split(b"data: ")[0] == before[changed[0]].data.split(b"data: ")[0]
    with pytest.raises(ValueError, match="line 1 column"):
        json.loads(data.split(b"data: ")[1])


def test_one_event_more_is_empty(route: str) -> None:
    found = met({"type": "stream_empty_data"}, route)
    name = {CHAT: b"", RESPONSES: b"event: response.output_text.delta\n", MESSAGES: b"event: content_block_delta\n"}[route]
    extra = [frame.data for frame in found.frames if frame not in good(route)]
    assert extra == [name + b"data:\n\n"]
    assert joined(found.body, route) == TEXT


def test_one_event_is_no_utf8(route: str) -> None:
    found = met({"type": "stream_invalid_utf8"}, route)
    assert found.body.count(b"\xff") == 1
    assert joined(found.body.replace(b"\xff", b""), route) == TEXT
    with pytest.raises(UnicodeDecodeError):
        found.body.decode()


def test_one_event_comes_twice(route: str) -> None:
    pieces = tokens(TEXT)
    assert joined(met({"type": "stream_duplicate"}, route).body, route) == "".join([*pieces[:3], pieces[2], *pieces[3:]])


def test_two_events_change_places_and_the_pace_stays(route: str) -> None:
    found = met({"type": "stream_reorder"}, route)
    pieces = tokens(TEXT)
    assert joined(found.body, route) == "".join([*pieces[:2], pieces[3], pieces[2], *pieces[4:]])
    assert [frame.token for frame in found.frames] == [frame.token for frame in good(route)]


ERRORS = {
    CHAT: {
        "error": {
            "message": "The server had an error while processing your request. Sorry about that!",
            "type": "server_error",
            "param": None,
            "code": None,
        }
    },
    RESPONSES: {
        "type": "error",
        "code": "server_is_overloaded",
        "message": "Our servers are currently overloaded. Please try again later.",
        "param": None,
        "sequence_number": 6,
    },
    MESSAGES: {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": None},
}


@pytest.mark.parametrize(("name", "head"), [("stream_error", b"data: "), ("stream_error_event", b"event: error\ndata: ")])
def test_an_error_comes_in_the_middle(route: str, name: str, head: bytes) -> None:
    found = met({"type": name}, route)
    assert found.frames[:-1] == met({"type": "stream_no_finish"}, route).frames
    last = found.frames[-1]
    assert last.data.startswith(head)
    assert json.loads(last.data.removeprefix(head)) == ERRORS[route]
    assert (last.token, found.ending) == (2, "clean")


@pytest.mark.parametrize(
    "name", ["stream_bad_json", "stream_empty_data", "stream_invalid_utf8", "stream_duplicate", "stream_reorder", "stream_endless"]
)
def test_without_content_there_is_nothing_to_break(route: str, name: str) -> None:
    found = met({"type": name}, route, text="")
    assert (found.matched, found.applied, found.faults) == (1, 0, [])
    assert found.frames == met([], route, text="").frames


@pytest.mark.parametrize("name", ["stream_bad_json", "stream_empty_data", "stream_invalid_utf8", "stream_duplicate"])
def test_a_short_answer_breaks_at_its_last_event(route: str, name: str) -> None:
    assert met({"type": name, "after_tokens": 50}, route, text="One, two.").applied == 1


LEGAL: list[dict[str, Any]] = [
    {"type": "stream_split_code_point"},
    {"type": "stream_crlf"},
    {"type": "stream_chunking"},
    {"type": "stream_chunking", "bytes": 7},
    {"type": "stream_chunking", "tokens": 5},
    {"type": "stream_comments"},
]
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@pytest.mark.parametrize("document", LEGAL, ids=str)
@given(text=texts)
def test_what_is_legal_changes_no_text(route: str, document: dict[str, Any], text: str) -> None:
    found = met(document, route, text=text, most_frames=100_000)
    assert joined(found.body, route) == text
    assert found.ending == "clean"
    assert all(frame.data for frame in found.frames), "no empty chunk: it would end the answer"
    moments_s = [frame.token * 0.01 + frame.late_s for frame in found.frames]
    assert all(later >= earlier - 0.01001 for earlier, later in pairwise(moments_s))


def test_all_that_is_legal_at_once(route: str) -> None:
    for documents in (LEGAL, LEGAL[::-1]):
        found = met(documents, route, most_frames=100_000)
        assert (joined(found.body, route), found.applied) == (TEXT, len(LEGAL))
        assert all(frame.data for frame in found.frames)


def test_a_character_comes_in_two_chunks(route: str) -> None:
    found = met({"type": "stream_split_code_point"}, route)
    halves = [(one, other) for one, other in pairwise(found.frames) if one.data.endswith(b"\xc3")]
    assert len(halves) == sum("é".encode() in frame.data for frame in good(route)) > 0
    assert all(other.data.startswith(b"\xa9") and other.late_s == pytest.approx(one.late_s + 0.01) for one, other in halves)
    ascii_only = met({"type": "stream_split_code_point"}, route, text="No such character.")
    assert (ascii_only.matched, ascii_only.applied) == (1, 0)


def test_chunks_are_no_events(route: str) -> None:
    assert {len(frame.data) for frame in met({"type": "stream_chunking"}, route).frames} == {1}
    assert max(len(frame.data) for frame in met({"type": "stream_chunking", "bytes": 7}, route).frames) == 7
    joined_up = [frame for frame in met({"type": "stream_chunking", "tokens": 5}, route).frames if frame.kind == "content"]
    assert [frame.token for frame in joined_up] == [*range(5, WRITTEN, 5), WRITTEN]
    assert [frame.data.count(b"data: ") - frame.data.count(b"event: ping") for frame in joined_up] == [5] * (WRITTEN // 5) + [WRITTEN % 5]


def test_lines_end_with_two_characters(route: str) -> None:
    body = met({"type": "stream_crlf"}, route).body
    assert body.count(b"\r\n") == body.count(b"\n") == met([], route).body.count(b"\n")


def test_usage_is_told_or_not(route: str) -> None:
    def call(*, usage: bool) -> ChatCall:
        return ChatCall("m", (Turn("user", "Hi."),), include_usage=usage)

    missing = met({"type": "stream_usage_chunk", "how": "missing"}, route, call=call(usage=True))
    added = met({"type": "stream_usage_chunk"}, route, call=call(usage=False))
    if route != CHAT:
        assert (missing.matched, added.matched) == (0, 0)
        return
    assert missing.frames == [frame for frame in met([], route, call=call(usage=True)).frames if frame.kind != "usage"]
    (extra,) = [frame for frame in added.frames if frame.kind == "usage"]
    assert added.frames.index(extra) == len(added.frames) - 2
    value = json.loads(extra.data.removeprefix(b"data: "))
    assert (value["choices"], value["usage"]) == ([], {"prompt_tokens": 100, "completion_tokens": 32, "total_tokens": 132})
    assert met({"type": "stream_usage_chunk"}, route, call=call(usage=True)).matched == 0
    assert met({"type": "stream_usage_chunk", "how": "missing"}, route, call=call(usage=False)).matched == 0
