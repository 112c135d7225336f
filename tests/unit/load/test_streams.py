"""Messages between master and workers on asyncio: whole whatever the pieces they come in, and nothing of who says something else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.streams import StreamBus, Talk
from tests.unit.load.fakes import FakeClock


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.closed = b"", False

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


def talk(heard: list[Any]) -> tuple[Talk, Wire]:
    one, wire = Talk(lambda kind, data: heard.append((kind, data)), lambda: heard.append("lost")), Wire()
    one.connection_made(wire)
    return one, wire


def frame(kind: str, data: dict[str, Any]) -> bytes:
    one, wire = talk([])
    one.send(kind, data)
    return wire.written


MESSAGES = st.lists(
    st.tuples(
        st.text(max_size=5), st.dictionaries(st.sampled_from(["a", "b"]), st.integers() | st.text(max_size=3)), st.binary(max_size=20)
    ),
    max_size=4,
)


@given(MESSAGES, st.lists(st.integers(1, 9), min_size=1))
def test_messages_are_whole_whatever_the_pieces(messages: list[tuple[str, dict[str, Any], bytes]], sizes: list[int]) -> None:
    said = [(kind, {**data, "rows": rows} if rows else data) for kind, data, rows in messages]
    heard: list[Any] = []
    (sender, wire), (receiver, _) = talk([]), talk(heard)
    for message in said:
        sender.send(*message)
    rest, n = wire.written, 0
    while rest:
        piece, rest = rest[: sizes[n % len(sizes)]], rest[sizes[n % len(sizes)] :]
        receiver.data_received(piece)
        n += 1
    assert heard == said


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", b"\x02\0\0\0\0\0\0\0{}", b"\x02\0\0\0\0\0\0\0no", b"\xff\xff\xff\xff\0\0\0\0"])
def test_who_says_something_else_is_hung_up_on(said: bytes) -> None:
    heard: list[Any] = []
    one, wire = talk(heard)
    one.data_received(said)
    assert wire.closed and heard == []
    one.send("kind", {})
    assert wire.written == b""


def test_a_worker_is_missing_once_it_is_gone_or_silent() -> None:
    clock = FakeClock()
    bus, said = StreamBus(clock), []
    bus.listen(lambda *message: said.append(message))
    assert bus.missing("0")
    one, two = bus._welcome(), bus._welcome()  # what the server does for each connection
    one.data_received(frame("hello", {"x": 1}))
    clock.sleep(4.0)
    one.data_received(frame("gauntlet_beat", {}))
    assert said == [("hello", {"x": 1}, "0")], "a beat is a sign of life, and nothing else"
    clock.sleep(2.0)
    assert (bus.missing("0"), bus.missing("1")) == (False, True)
    one.connection_lost(None)
    two.connection_lost(None)
    assert bus.missing("0") and bus.missing("1")
