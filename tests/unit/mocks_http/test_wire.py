"""Bytes of answers."""

from __future__ import annotations

import http.client
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocks.http import wire


@given(st.dictionaries(st.from_regex(r"x-[a-z]{1,8}", fullmatch=True), st.text(max_size=30), max_size=4))
def test_headers_are_read_as_they_were_given_or_refused(headers: dict[str, str]) -> None:
    try:
        lines = wire.header_lines(headers)
    except ValueError:
        assert any(
            ord(character) > 255 or (not character.isprintable() and character != "\t") for value in headers.values() for character in value
        )
        return
    read = http.client.parse_headers(io.BytesIO(lines + b"\r\n"))
    assert lines.count(b"\r\n") == len(headers)
    assert lines.count(b"\r") == lines.count(b"\n") == len(headers)
    assert sorted(read.keys()) == sorted(headers)


@pytest.mark.parametrize(
    "headers",
    [{"x": "a\r\nb: c"}, {"x": "a\nb"}, {"x": "\0"}, {"x": "€"}, {"x y": "a"}, {"x:": "a"}, {"": "a"}, {"x\r\ny": "a"}, {"é": "a"}]
    + [{name: "1"} for name in ("Content-Length", "transfer-encoding", "connection", "Content-Type", "date")],
)
def test_headers_that_would_break_the_answer_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"no header name|control characters|server's to send|can't encode"):
        wire.header_lines(headers)


def test_latin_1_and_tabs_pass() -> None:
    assert wire.header_lines({"x-a": "é\t\xa0", "x-b": ""}) == b"x-a: \xe9\t\xa0\r\nx-b: \r\n"


@pytest.mark.parametrize(
    ("status", "content_type", "length", "head"),
    [
        (200, "application/json", 3, b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 3\r\n"),
        (529, "a/b; q=%d", 0, b"HTTP/1.1 529 Site is overloaded\r\ncontent-type: a/b; q=%d\r\ncontent-length: 0\r\n"),
        (200, "", 0, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n"),
        (204, "application/json", 0, b"HTTP/1.1 204 No Content\r\n"),
        (299, "a/b", 1, b"HTTP/1.1 299 Unknown\r\ncontent-type: a/b\r\ncontent-length: 1\r\n"),
    ],
)
def test_heads(status: int, content_type: str, length: int, head: bytes) -> None:
    assert wire.head_of_whole(status, content_type, length) == head


@pytest.mark.parametrize("status", [0, 99, 100, 103, 1000])
def test_no_status_of_an_answer(status: int) -> None:
    with pytest.raises(ValueError, match="no status of a final answer"):
        wire.status_line(status)


def test_a_content_type_cannot_end_the_head() -> None:
    with pytest.raises(ValueError, match="control characters"):
        wire.content_type_line("a/b\r\n\r\n")


def test_the_date() -> None:
    assert wire.date_line(0.0) == b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
