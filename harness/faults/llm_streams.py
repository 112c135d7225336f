"""Streams that end, stall or break, and answers that were cut off."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from harness.faults.base import Evidence
from harness.faults.llm_answers import Streamed, message_of, streamed
from harness.faults.llm_probe import STREAM, WHOLE
from harness.faults.programmed.row import Row, Sees, View
from harness.faults.programmed.settings import Setting, duration, flag, whole
from harness.faults.programmed.wire import Ended, Exchange

ASKS = (STREAM,)
MOST_SENT = 12
"""The harness's own answer has about twenty tokens: what comes after more than these could not be proved by it."""
TIMES_AS_LONG = 3
FLOOD_BYTES = 60_000


def _after(default: int | None, says: str = "how much of the answer is sent before", nothing: bool = False) -> Setting:
    end = "; null: all of it" if nothing else ""
    return whole("after_tokens", says + end, "tokens", default, ge=0, le=MOST_SENT)


def _stream(view: View, ended: Ended | None, shows: Callable[[Streamed, Exchange], Any]) -> Evidence | None:
    one = view.look.get(STREAM)
    if one is None or one.status != 200 or (ended is not None and not view.ended(one, ended)):
        return None
    found = streamed(one)
    told = shows(found, one)
    return {"ended": one.ended, "text_chars": len(found.text), "finish": found.finish, "found": told} if told else None


def stream(ended: Ended | None, shows: Callable[[Streamed, Exchange], Any]) -> Sees:
    """A stream that ended so, and of which `shows` tells something."""
    return lambda view: _stream(view, ended, shows)


def _stalled(view: View) -> Evidence | None:
    """No text for that long in the middle, or none any more."""
    one = view.look.get(STREAM)
    if one is None or one.status != 200:
        return None
    found, for_s = streamed(one), view.document.get("for_s")
    times = [one.head_s or 0.0, *found.content_at_s]
    if for_s is None:
        silent = one.ended == "silent" and found.finish is None
        return {"ended": "silent", "text_chars": len(found.text), "comments": found.comments} if silent else None
    longest_s = max((late - early for early, late in pairwise(times)), default=0.0)
    return {"longest_gap_s": longest_s, "comments": found.comments} if longest_s >= view.clearly * for_s else None


def _endless(view: View) -> Evidence | None:
    one, healthy = view.look.get(STREAM), view.healthy and view.healthy.get(STREAM)
    if one is None or not healthy:
        return None
    length, usual = len(streamed(one).text), len(streamed(healthy).text)
    return {"text_chars": length, "healthy_chars": usual} if usual and length >= TIMES_AS_LONG * usual else None


def _reordered(view: View) -> Evidence | None:
    """The same pieces in another order."""
    pieces, usual = _pieces(view)
    return {"pieces": len(pieces)} if usual and pieces != usual and sorted(pieces) == sorted(usual) else None


def _doubled(view: View) -> Evidence | None:
    """One piece more, the one before it again."""
    pieces, usual = _pieces(view)
    again = [i for i in range(1, len(pieces)) if pieces[i] == pieces[i - 1] and pieces[:i] + pieces[i + 1 :] == usual]
    return {"piece": pieces[again[0]]} if again else None


def _pieces(view: View) -> tuple[list[str], list[str]]:
    one, healthy = view.look.get(STREAM), view.healthy and view.healthy.get(STREAM)
    return (streamed(one).pieces, streamed(healthy).pieces) if one and one.good and healthy else ([], [])


def _finished(reason: str) -> Sees:
    """That finish reason, and less text than the healthy answer has."""

    def sees(view: View) -> Evidence | None:
        one = view.last
        if not one.good:
            return None
        if STREAM in view.look:
            finish, length = streamed(one).finish, len(streamed(one).text)
        else:
            value = one.value()
            choices = value.get("choices") if isinstance(value, dict) else None
            finish, length = (choices or [{}])[0].get("finish_reason"), len(message_of(value).get("content") or "")
        return {"finish": finish, "text_chars": length} if finish == reason else None

    return sees


def _row(type_: str, kind: str, does: str, shows: str, sees: Sees, *settings: Setting, **more: Any) -> Row:
    return Row(type_, kind, does, shows, sees, ASKS, settings, **more)


ENDINGS = (
    _row(
        "stream_no_finish",
        "errors",
        "The stream ends in order, but before the finish reason: part of the answer is missing, and nothing says so.",
        "the harness's own stream ends in order without a finish reason",
        stream("complete", lambda found, _: found.finish is None and not found.errors and not found.rest and "no finish reason"),
        _after(2, nothing=True),
    ),
    _row(
        "stream_closed",
        "network",
        "The connection is closed in the middle of the stream, without the chunk that ends an answer.",
        "the harness's own stream is closed in the middle",
        stream("fin", lambda *_: "closed before its end"),
        _after(2, nothing=True),
    ),
    _row(
        "stream_reset",
        "network",
        "The connection is reset in the middle of the stream.",
        "the harness's own stream is reset in the middle",
        stream("reset", lambda *_: "reset before its end"),
        _after(2, nothing=True),
    ),
    _row(
        "stream_no_done",
        "errors",
        "The stream ends in order after the finish reason, without `[DONE]`.",
        "the harness's own stream has a finish reason and no `[DONE]`",
        stream("complete", lambda found, _: found.finish is not None and not found.done and "no [DONE]"),
    ),
    _row(
        "stream_cut_mid_event",
        "errors",
        "The stream ends in order in the middle of an event, which clients drop without a word.",
        "the harness's own stream ends within an event",
        stream("complete", lambda found, _: found.rest.decode(errors="replace")),
        _after(2, nothing=True),
    ),
    _row(
        "stream_endless",
        "hang",
        "The content is repeated for ever, at the stream's own pace.",
        "the harness's own stream goes on when it has several times the usual text",
        _endless,
        how=lambda _: {"most_bytes": FLOOD_BYTES, "late_s": 1.0},
    ),
    _row(
        "stream_stall",
        "hang",
        "The stream stops in the middle, for a time or for ever, and the connection stays open; pings may go on.",
        "the harness's own stream says nothing for that long",
        _stalled,
        _after(2, nothing=True),
        duration("lasting", "how long; null: for ever", None, key="for_s", ge=0.1, le=60),
        flag("pings", "whether keep-alive pings come meanwhile", False),
        duration("ping_every", "time between two pings", "1s", ge=0.01, le=60),
        how=lambda document: {"late_s": document.get("for_s", 0.0)},
        example={"lasting": "10s"},
    ),
)

CONTENTS = (
    _row(
        "stream_bad_json",
        "errors",
        "One event's JSON stops half-way; the events after it are good.",
        "an event of the harness's own stream is no JSON",
        stream("complete", lambda found, _: [one for one in found.broken if one and b"\xff" not in one] and "an event that is no JSON"),
        _after(2),
    ),
    _row(
        "stream_empty_data",
        "errors",
        "One more event, whose `data:` is empty; nothing of the answer is lost.",
        "an event of the harness's own stream has no data",
        stream("complete", lambda found, _: b"" in found.broken and "an event without data"),
        _after(2),
    ),
    _row(
        "stream_invalid_utf8",
        "errors",
        "One event's text holds the byte 0xFF, which no UTF-8 has.",
        "an event of the harness's own stream holds that byte",
        stream("complete", lambda _, one: b"\xff" in one.body and "a byte 0xFF"),
        _after(2),
    ),
    _row(
        "stream_duplicate",
        "quality",
        "One event with content comes twice: the text is doubled where the client joins what it gets.",
        "a piece of the harness's own stream comes twice",
        _doubled,
        _after(2),
    ),
    _row(
        "stream_reorder",
        "quality",
        "Two neighbouring events with content change places.",
        "pieces of the harness's own stream come in another order",
        _reordered,
        _after(2),
    ),
    _row(
        "stream_error",
        "errors",
        "An error object as `data:` in the middle, after which the stream ends.",
        "the harness's own stream ends with an error object",
        stream("complete", lambda found, _: found.errors and not found.named and "an error object"),
        _after(2),
    ),
    _row(
        "stream_error_event",
        "errors",
        "`event: error` with an error object in the middle, after which the stream ends.",
        "the harness's own stream ends with an event of the name error",
        stream("complete", lambda found, _: "error" in found.named and "an event of the name error"),
        _after(2),
    ),
)

_LEFT = whole("tokens", "how much of the answer is left; null: half", "tokens", None, ge=0, le=MOST_SENT)
FINISHES = (
    Row(
        "finish_length",
        "quality",
        "The answer is cut off with finish reason `length`, whole or streamed.",
        "the harness's own answer ends by that reason",
        _finished("length"),
        (WHOLE, STREAM),
        (_LEFT,),
    ),
    Row(
        "finish_content_filter",
        "quality",
        "The answer is cut off with finish reason `content_filter`: content null, or part of a stream.",
        "the harness's own answer ends by that reason",
        _finished("content_filter"),
        (WHOLE, STREAM),
        (_LEFT,),
    ),
)

ROWS = (*ENDINGS, *CONTENTS, *FINISHES)
