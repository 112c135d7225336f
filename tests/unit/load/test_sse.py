"""Events come out whole, however the bytes were cut."""

import json

from hypothesis import given
from hypothesis import strategies as st

from harness.load.sse import EventStream


def payloads(pieces: list[bytes]) -> list[str]:
    stream = EventStream()
    return [payload for piece in pieces for payload in stream.feed(piece)]


TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\n"), max_size=20)


@given(st.lists(TEXTS, max_size=6), st.sampled_from(["\n", "\r\n"]), st.integers(1, 12))
def test_what_was_framed_comes_back(texts: list[str], newline: str, size: int) -> None:
    body = "".join(f"data: {json.dumps(text, ensure_ascii=False)}{newline}{newline}" for text in texts).encode()
    assert [json.loads(p) for p in payloads([body[i : i + size] for i in range(0, len(body), size)])] == texts


def test_comments_other_fields_and_several_data_lines() -> None:
    lines = [b": ping\n", b"\n", b"event: x\n", b"id: 1\n", b"data:a\n", b"data: b\n", b"data:  c\n", b"\n", b"data\n", b"\n"]
    assert payloads(lines) == ["a\nb\n c"]


def test_an_event_without_its_blank_line_is_none() -> None:
    assert payloads([b"data: a\n", b"\n", b"data: b\n"]) == ["a"]


def test_invalid_utf8_is_replaced() -> None:
    assert payloads([b"data: \xff\n", b"\n"]) == ["�"]
