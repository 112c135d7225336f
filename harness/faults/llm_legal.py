"""Streams that are unusual but right: nothing may fail on them, and nobody should react."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.faults.base import Evidence
from harness.faults.llm_answers import Streamed, streamed
from harness.faults.llm_probe import STREAM
from harness.faults.programmed.row import Row, Sees, View
from harness.faults.programmed.settings import Setting, choice, whole
from harness.faults.programmed.wire import Exchange


def _whole_but(shows: Callable[[Streamed, Exchange, View], Any]) -> Sees:
    """A stream that is complete by every rule, and of which `shows` tells something."""

    def sees(view: View) -> Evidence | None:
        one = view.look.get(STREAM)
        if one is None or not one.good:
            return None
        found = streamed(one)
        if not (found.done and found.finish and found.text) or found.broken or found.errors:
            return None
        told = shows(found, one, view)
        return {"text_chars": len(found.text), "found": told} if told else None

    return sees


def _in_halves(_found: Streamed, one: Exchange, _view: View) -> str:
    halves = sum(not _decodes(piece) for _, piece in one.pieces)
    return f"{halves} chunks that are no text by themselves" if halves else ""


def _decodes(piece: bytes) -> bool:
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return True


def _other_chunks(found: Streamed, one: Exchange, view: View) -> str:
    """Several events in one chunk, or chunks that end within one."""
    sizes = [len(piece) for _, piece in one.pieces]
    if "tokens" in view.document:
        several = sum(piece.count(b"\n\n") > 1 for _, piece in one.pieces)
        return f"{several} chunks of several events" if several else ""
    parts = sum(not piece.endswith(b"\n\n") for _, piece in one.pieces)
    return f"{parts} chunks that end within an event, {max(sizes)} bytes at most" if parts >= len(found.pieces) else ""


def _usage_chunk(found: Streamed, _one: Exchange, view: View) -> str:
    missing = view.document["how"] == "missing"
    return "" if found.usage is missing else f"a usage chunk is {'missing' if missing else 'there'}"


def _legal(type_: str, does: str, shows: str, sees: Sees, *settings: Setting, **more: Any) -> Row:
    shows = f"the harness's own stream {shows}, and is complete"
    return Row(type_, "none", f"Legal: {does}", shows, sees, (STREAM,), settings, benign=True, **more)


ROWS = (
    _legal(
        "stream_split_code_point",
        "a character of several bytes is split between two chunks that come 10 ms apart.",
        "has chunks that are no text by themselves",
        _whole_but(_in_halves),
    ),
    _legal(
        "stream_crlf",
        "lines end with CR LF.",
        "has such lines",
        _whole_but(lambda _f, one, _v: b"\r\n\r\n" in one.body and "lines that end with CR LF"),
    ),
    _legal(
        "stream_chunking",
        "events do not coincide with chunks: those of `tokens` in one chunk, or chunks of `bytes`.",
        "comes in such chunks",
        _whole_but(_other_chunks),
        whole("tokens", "tokens in one chunk, which leaves when the last is due; not with `bytes`", "tokens", None, ge=2, le=16),
        whole("bytes", "size of a chunk; null, and no tokens: 1", "bytes", None, ge=1, le=64),
        refuses=lambda document: "tokens and bytes exclude each other; write one of them" if {"tokens", "bytes"} <= set(document) else "",
    ),
    _legal(
        "stream_comments",
        "a comment line `: ping` before every event with content.",
        "has comments",
        _whole_but(lambda found, *_: found.comments),
    ),
    _legal(
        "stream_usage_chunk",
        "the usage chunk is missing although asked for, or is there although nobody asked.",
        "has it against what was asked",
        _whole_but(_usage_chunk),
        choice("how", "there, or missing", ("empty_choices", "missing")),
        how=lambda document: {"body": {"stream_options": {"include_usage": True}}} if document["how"] == "missing" else {},
    ),
)
