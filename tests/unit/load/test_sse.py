"""Events come out whole, however the bytes were cut."""

import json

from hypothesis import given
from hypothesis import strategies as st

from harness.load.sse import payloads

TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\n"), max_size=20)


@given(st.lists(TEXTS, max_size=6), st.sampled_from(["\n", "\r\n"]))
def test_what_was_framed_comes_back(texts: list[str], newline: str) -> None:
    body = "".join(f"data: {json.dumps(text, ensure_ascii=False)}{newline}{newline}" for text in texts).encode()
    lines = [line + b"\n" for line in body.split(b"\n")[:-1]]
    assert [json.loads(p) for p in payloads(lines)] == texts


def test_comments_other_fields_and_several_data_lines() -> None:
    lines = [b": ping\n", b"\n", b"event: x\n", b"id: 1\n", b"data:a\n", b"data: b\n", b"data:  c\n", b"\n", b"data\n", b"\n"]
    assert list(payloads(lines)) == ["a\nb\n c"]


def test_an_event_without_its_blank_line_is_none() -> None:
    assert list(payloads([b"data: a\n", b"\n", b"data: b\n"])) == ["a"]


def test_invalid_utf8_is_replaced() -> None:
    assert list(payloads([b"data: \xff\n", b"\n"])) == ["�"]
