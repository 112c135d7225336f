"""An answer is the same however its bytes were cut, and one that breaks off is told from one that never began."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.http import BrokenBodyError, Exchange, Request, UnreachableError
from harness.load.receiver import Receiver

SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 429 No\r\nretry-after: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
ANNOUNCED = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + SIZED
UNSIZED = b"HTTP/1.1 200 OK\r\n\r\nhello"


def asked() -> tuple[Receiver, Exchange]:
    receiver, exchange = Receiver(), Exchange(Request.to("GET", "http://127.0.0.1:1/", {}))
    receiver.expect(exchange)
    return receiver, exchange


@given(
    st.sampled_from([(SIZED, 200, False), (CHUNKED, 429, True), (ANNOUNCED, 200, False)]),
    st.lists(st.integers(1, 100), max_size=6),
)
def test_an_answer_in_pieces_is_the_answer(case: tuple[bytes, int, bool], cuts: list[int]) -> None:
    whole, status, retry_after = case
    receiver, exchange = asked()
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    for start, end in pairwise(places):
        assert not receiver.complete
        receiver.feed(whole[start:end])
    assert (receiver.complete, receiver.reusable) == (True, True)
    assert (exchange.status, exchange.retry_after, exchange.content) == (status, retry_after, b"hello")


def test_one_connection_serves_one_after_another() -> None:
    receiver, _ = asked()
    receiver.feed(SIZED)
    second = Exchange(Request.to("GET", "http://127.0.0.1:1/", {}))
    receiver.expect(second)
    receiver.feed(CHUNKED)
    assert (second.status, second.content, receiver.reusable) == (429, b"hello", True)


@pytest.mark.parametrize("head", [b"connection: close\r\n", b""])
def test_a_connection_that_closes_is_not_used_again(head: bytes) -> None:
    receiver, exchange = asked()
    version = b"HTTP/1.1" if head else b"HTTP/1.0"
    receiver.feed(version + b" 200 OK\r\n" + head + b"content-length: 2\r\n\r\nhi")
    assert (receiver.complete, receiver.reusable, exchange.content) == (True, False, b"hi")


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    receiver, exchange = asked()
    receiver.feed(UNSIZED)
    assert not receiver.complete
    receiver.end()
    assert (receiver.complete, receiver.reusable, exchange.content) == (True, False, b"hello")


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"", UnreachableError),
        (b"HTTP/1.1 200 O", UnreachableError),
        (b"HTTP/1.1 100 Continue\r\n\r\n", UnreachableError),
        (SIZED[:-1], BrokenBodyError),
        (CHUNKED[:-2], BrokenBodyError),
        (CHUNKED[:-15], BrokenBodyError),
        (ANNOUNCED[:-1], BrokenBodyError),
    ],
)
def test_what_breaks_off_is_told_apart(sent: bytes, error: type[Exception]) -> None:
    receiver, _ = asked()
    receiver.feed(sent)
    with pytest.raises(error):
        receiver.end()
    assert not receiver.reusable


def test_what_is_no_http_is_an_error() -> None:
    receiver, _ = asked()
    with pytest.raises(UnreachableError):
        receiver.feed(b"SSH-2.0-x\r\n")
    receiver, _ = asked()
    with pytest.raises(BrokenBodyError):
        receiver.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n")


def test_what_nobody_asked_for_takes_nothing_from_an_answer_and_ends_the_connection() -> None:
    receiver, exchange = asked()
    receiver.feed(SIZED + b"HTTP/1.1 500 Oops\r\ncontent-length: 3\r\n\r\nbad")
    assert (exchange.status, exchange.content, receiver.complete, receiver.reusable) == (200, b"hello", True, False)
    receiver, _ = asked()
    receiver.feed(SIZED)
    receiver.feed(b"x")
    assert not receiver.reusable
