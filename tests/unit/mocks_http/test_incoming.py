"""What the parser makes of bytes: the same however they are cut up, and never more than the limits allow."""

from __future__ import annotations

import itertools
import sys
from dataclasses import replace
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from mocks.http.incoming import Incoming, Refused
from mocks.http.limits import Limits
from mocks.http.message import Request

_LIMITS = Limits(head_bytes=2000, body_bytes=500)
_NAMES = st.from_regex(r"x-[a-z0-9]{1,8}", fullmatch=True)
_VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
_SEGMENTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def parse(pieces: list[bytes], limits: Limits = _LIMITS) -> list[Request | Refused]:
    """What arrives, without the time of it."""
    incoming = Incoming(7, limits)
    found: list[Request | Refused] = []
    for piece in pieces:
        incoming.feed(piece)
        while incoming.queue:
            one = incoming.queue.popleft()
            found.append(one if isinstance(one, Refused) else replace(one[0], arrived_s=0.0))
        if found and isinstance(found[-1], Refused):
            break
    return found


@st.composite
def _requests(draw: st.DrawFn) -> tuple[bytes, Request]:
    """A request as bytes, and what is to be understood of it (but for its number)."""
    segments, query = draw(st.lists(_SEGMENTS, max_size=3)), draw(st.from_regex(r"[a-z=&%0-9]{0,10}", fullmatch=True))
    raw_path = "/" + "/".join(quote(segment, safe="") for segment in segments)
    headers, body = draw(st.dictionaries(_NAMES, _VALUES, max_size=4)), draw(st.binary(max_size=60))
    lines = ["Host: test", *(f"{name.title()}:  {value} " for name, value in headers.items())]
    expected = {"host": "test", **headers}
    switches = draw(st.booleans())
    if switches:
        lines += ["Connection: Upgrade", "Upgrade: h2c"]
        expected["connection"] = "Upgrade"
    if draw(st.booleans()):
        size = draw(st.integers(1, 20))
        chunks = [body[i : i + size] for i in range(0, len(body), size)]
        sent = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\nX-Trailer: 1\r\n\r\n"
        lines.append("Transfer-Encoding: chunked")
        expected["transfer-encoding"] = "chunked"
    else:
        sent = body
        lines.append(f"Content-Length: {len(body)}")
        expected["content-length"] = str(len(body))
    data = f"POST {raw_path}{'?' + query if query else ''} HTTP/1.1\r\n".encode() + "\r\n".join([*lines, "", ""]).encode() + sent
    understood = {name.encode(): value.encode() for name, value in expected.items()}
    return data, Request("POST", "/" + "/".join(segments), query, understood, body, 7, 0, 0.0, raw_path)


@given(st.lists(_requests(), min_size=1, max_size=4), st.lists(st.integers(0, 4000), max_size=12))
def test_requests_are_the_same_however_the_bytes_arrive(requests: list[tuple[bytes, Request]], cuts: list[int]) -> None:
    data = b"".join(sent for sent, _ in requests)
    expected = [replace(request, sequence=number) for number, (_, request) in enumerate(requests, start=1)]
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    roomy = Limits(head_bytes=1 << 20, body_bytes=500)  # a head that is cut up is counted as a whole, and these may be large
    assert parse([data[start:end] for start, end in itertools.pairwise(at)], roomy) == expected


_HEADS = (
    b"POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\n",
    b"POST /b HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\n",
    b"POST /a HTTP/1.1\nHost: t\nContent-Length: 4\n\n",
    b"POST /a HTTP/1.1\r\nHost: t\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\n",
    b"POST /a HTTP/1.0\r\nContent-Length: 4\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: t\r\n\r\n",
)
_BODIES = (b"abcd", b"efgh", b"\r\n\r\n", b"POST", b"", b"0\r\n\r\n")
_REMAINS = (b"", b"", b"", b"\r\n", b"P", b"PO")


@given(st.lists(st.tuples(st.sampled_from(_HEADS), st.sampled_from(_BODIES), st.sampled_from(_REMAINS)), max_size=8))
def test_a_head_that_comes_again_says_what_it_said(pieces: list[tuple[bytes, bytes, bytes]]) -> None:
    whole = [b"".join(piece) for piece in pieces]
    cut_up = [part for head, body, remains in pieces for part in (head[:9], head[9:] + body + remains)]  # no head comes in one piece
    assert parse(whole) == parse(cut_up)


def test_a_body_does_not_outlive_its_request() -> None:
    incoming = Incoming(7, Limits())
    incoming.feed(b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 100000\r\n\r\n" + b"x" * 100_000)
    arrived = incoming.queue.popleft()
    assert not isinstance(arrived, Refused)
    body = arrived[0].body
    del arrived
    referred_to = sys.getrefcount(body)
    assert (len(body), referred_to) == (100_000, 2)  # by this test, and by the call that counts


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=6))
def test_garbage_is_at_most_refused_and_refused_once(data: bytes, cuts: list[int]) -> None:
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    found = parse([data[start:end] for start, end in itertools.pairwise(at)])
    assert sum(isinstance(one, Refused) for one in found) <= 1
    assert all(isinstance(one, Request) for one in found[:-1])


@given(st.integers(0, 700), st.integers(1, 800), st.booleans())
def test_bodies_up_to_the_limit(size: int, piece: int, chunked: bool) -> None:
    body = b"x" * size
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (size, body) if chunked and size else b"0\r\n\r\n" if chunked else body
    data = b"PUT / HTTP/1.1\r\nHost: t\r\n" + framing + b"\r\n\r\n" + sent
    found = parse([data[i : i + piece] for i in range(0, len(data), piece)])
    assert [one.status if isinstance(one, Refused) else len(one.body) for one in found] == [size if size <= 500 else 413]


@given(st.integers(1500, 2600), st.integers(1, 3000))
def test_heads_up_to_the_limit(size: int, piece: int) -> None:
    data = b"GET / HTTP/1.1\r\nHost: t\r\nX: " + b"x" * (size - 32) + b"\r\n\r\n"
    assert len(data) == size
    (found,) = parse([data[i : i + piece] for i in range(0, len(data), piece)])
    if size <= 2000:
        assert isinstance(found, Request)
    elif size > 2000 + 32:  # line ends and the like are not counted where the head came in few pieces
        assert isinstance(found, Refused)
        assert found.status == 431


def test_many_small_requests_at_once_are_no_large_head() -> None:
    data = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n" * 500
    assert [one.sequence for one in parse([data, data]) if isinstance(one, Request)] == list(range(1, 1001))


def test_a_head_that_begins_behind_another_request_is_not_charged_for_it() -> None:
    first = b"PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: 400\r\nX: " + b"x" * 1400 + b"\r\n\r\n" + b"b" * 400
    second = b"GET /second HTTP/1.1\r\nHost: t\r\nX: " + b"x" * 1500 + b"\r\n\r\n"
    found = parse([first + second[:20], second[20:1000], second[1000:]])
    assert [one.path for one in found if isinstance(one, Request)] == ["/", "/second"]
