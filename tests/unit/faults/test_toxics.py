"""What toxics do to pieces, and the table of those in force: no socket, no time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.faults.proxy.harm import Blackhole, Corruption, DataLimit, Duplicate, Partition, Reset
from harness.faults.proxy.pace import SEGMENT_BYTES, Bandwidth, Latency, Loss, Losses, Slicer, SlowClose
from harness.faults.proxy.piece import UNTIL_TAKEN_AWAY, Ending, Piece, Toxic, ToxicError
from harness.faults.proxy.table import FaultTable
from harness.faults.proxy.toxics import TOXICS, make_toxic

CHUNKS = st.lists(st.binary(min_size=1, max_size=4000), min_size=1, max_size=8)


class Now:
    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


def play(toxic: Toxic, chunks: Iterable[bytes], seed: int = 1) -> list[Piece]:
    """What becomes of chunks that come 1 ms apart, and of the FIN behind them."""
    shaper = toxic.shaper(Random(seed))
    pieces = [Piece(n / 1000, chunk) for n, chunk in enumerate(chunks)]
    return [out for piece in (*pieces, Piece(1.0, b"", Ending.FIN)) for out in shaper(piece)]


def bytes_of(pieces: Iterable[Piece]) -> bytes:
    return b"".join(piece.data for piece in pieces)


PACES: tuple[Toxic, ...] = (
    Latency(0.2, 0.1), Bandwidth(10_000), Loss(0.3), Loss(0.3, 4), Slicer(100, 30, 0.001), SlowClose(2.0), Partition(),
)  # fmt: skip


@pytest.mark.parametrize("toxic", PACES, ids=lambda toxic: f"{toxic.name}-{PACES.index(toxic)}")
@given(chunks=CHUNKS, seed=st.integers(0, 1000))
def test_what_is_late_is_whole_in_order_and_ends_once(toxic: Toxic, chunks: list[bytes], seed: int) -> None:
    out = play(toxic, chunks, seed)
    assert bytes_of(out) == b"".join(chunks)
    assert [piece.ending for piece in out if piece.ending] == [Ending.FIN] == [out[-1].ending]
    assert all(piece.due_s >= 0.0 for piece in out)


@given(chunks=CHUNKS, left=st.integers(0, 9000), seed=st.integers(0, 1000))
def test_what_is_cut_is_a_beginning_and_says_how_it_ended(chunks: list[bytes], left: int, seed: int) -> None:
    whole = b"".join(chunks)
    for toxic, ending in ((Reset(left), Ending.RST), (DataLimit(left), Ending.CLOSE)):
        out = play(toxic, chunks, seed)
        endings = [n for n, piece in enumerate(out) if piece.ending is ending]
        passed = bytes_of(out[: endings[0] + 1]) if endings else bytes_of(out)
        assert passed == whole[:left]
        assert bool(endings) == (len(whole) > left)


@given(chunks=CHUNKS, seed=st.integers(0, 1000))
def test_what_is_damaged_keeps_its_length_but_for_what_comes_twice(chunks: list[bytes], seed: int) -> None:
    whole = b"".join(chunks)
    flipped = bytes_of(play(Corruption(1.0), chunks, seed))
    assert len(flipped) == len(whole)
    assert sum((a ^ b).bit_count() for a, b in zip(flipped, whole, strict=True)) == len(chunks)
    assert bytes_of(play(Corruption(0.0), chunks, seed)) == bytes_of(play(Duplicate(0.0), chunks, seed)) == whole
    assert bytes_of(play(Duplicate(1.0), chunks, seed)) == b"".join(chunk * 2 for chunk in chunks)
    assert play(Blackhole(), chunks, seed) == []


def test_latency_delays_data_and_the_fin_behind_it() -> None:
    shaper = Latency(delay_s=0.25).shaper(Random(1))
    assert list(shaper(Piece(1.0, b"x"))) == [Piece(1.25, b"x")]
    assert list(shaper(Piece(1.5, b"", Ending.FIN))) == [Piece(1.75, b"", Ending.FIN)]


@given(st.floats(0, 10), st.floats(0, 10))
def test_jitter_stays_within_its_bounds(delay_s: float, jitter_s: float) -> None:
    (out,) = Latency(delay_s, jitter_s).shaper(Random(7))(Piece(5.0, b"x"))
    assert max(0.0, delay_s - jitter_s) - 1e-9 <= out.due_s - 5.0 <= delay_s + jitter_s + 1e-9


def test_a_bandwidth_is_shared_by_the_connections_of_a_direction() -> None:
    toxic = Bandwidth(bytes_per_s=1000)
    one, two = toxic.shaper(Random(1)), toxic.shaper(Random(2))
    assert max(piece.due_s for piece in one(Piece(0.0, b"x" * 500))) == pytest.approx(0.5)
    assert max(piece.due_s for piece in two(Piece(0.0, b"y" * 500))) == pytest.approx(1.0)
    assert [len(piece.data) for piece in one(Piece(5.0, b"z" * 45))] == [20, 20, 5]
    assert toxic.holds_bytes == 256 * 1024


@pytest.mark.parametrize(("rate", "burst"), [(0.2, 1.0), (0.1, 5.0), (0.5, 10.0)])
def test_losses_are_as_many_and_as_long_as_asked(rate: float, burst: float) -> None:
    lost = Losses(rate, burst, Random(3))
    drawn = "".join("x" if lost.next() else " " for _ in range(100_000))
    runs = [len(run) for run in drawn.split()]
    assert drawn.count("x") / len(drawn) == pytest.approx(rate, rel=0.1)
    assert sum(runs) / len(runs) == pytest.approx(burst if burst > 1 else 1 / (1 - rate), rel=0.1)


def test_a_lost_segment_holds_up_what_follows_and_not_what_precedes() -> None:
    class Second(Random):
        """The second segment is lost, and then its first repetition."""

        def __init__(self) -> None:
            super().__init__(0)
            self._drawn = iter([1.0, 0.0, 0.0, 1.0, 1.0])

        def random(self) -> float:
            return next(self._drawn)

    data = bytes(range(256)) * 12  # three segments
    out = list(Loss(0.5, resend_s=0.25).shaper(Second())(Piece(7.0, data, Ending.FIN)))
    assert out == [Piece(7.0, data[:SEGMENT_BYTES]), Piece(7.0 + 0.25 + 0.5, data[SEGMENT_BYTES:], Ending.FIN)]


def test_slices_keep_their_distance_also_from_chunk_to_chunk() -> None:
    shaper = Slicer(bytes=2, delay_s=0.1).shaper(Random(1))
    assert list(shaper(Piece(0.0, b"abcde"))) == [Piece(0.0, b"ab"), Piece(0.1, b"cd"), Piece(0.2, b"e")]
    (late,) = shaper(Piece(0.05, b"f"))
    assert late.due_s == pytest.approx(0.3)


def test_only_the_end_is_late_when_closing_is_slow() -> None:
    shaper = SlowClose(2.0).shaper(Random(1))
    assert list(shaper(Piece(1.0, b"x", Ending.FIN))) == [Piece(1.0, b"x"), Piece(3.0, b"", Ending.FIN)]
    assert list(shaper(Piece(1.0, b"", Ending.RST))) == [Piece(1.0, b"", Ending.RST)]


def test_a_partition_holds_everything_and_takes_no_connections() -> None:
    assert [piece.due_s for piece in play(Partition(), [b"x"])] == [UNTIL_TAKEN_AWAY] * 2
    assert (Partition.deaf, Partition.farewell, Blackhole.deaf, Blackhole.farewell) == (True, None, False, Ending.RST)


def test_a_reset_may_greet_those_that_are_open() -> None:
    assert [Reset(open=1.0).greeting(Random(1)), Reset().greeting(Random(1)), Latency(1).greeting(Random(1))] == [Ending.RST, None, None]
    drawn = [Reset(open=1.0, probability=0.25).greeting(rng) for rng in [Random(5)] for _ in range(4000)]
    assert drawn.count(Ending.RST) == pytest.approx(1000, rel=0.1)


def test_the_same_seed_draws_the_same_jitter() -> None:
    def draws() -> list[float]:
        table = FaultTable(Now(), seed=3)
        table.put("a", {"type": "latency", "delay_s": 1, "jitter_s": 0.5})
        (entry,) = table.active("upstream")
        shaper = entry.toxics["upstream"].shaper(entry.random)
        return [out.due_s for _ in range(5) for out in shaper(Piece(0.0, b"x"))]

    assert draws() == draws()
    assert len(set(draws())) == 5


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "type must be one of bandwidth, "),
        ({"type": "nonsense"}, "type must be one of bandwidth, "),
        ({"type": "latency"}, "latency needs delay_s"),
        ({"type": "latency", "delay_s": -1}, "delay_s must be at least 0, not -1"),
        ({"type": "latency", "delay_s": "1"}, "delay_s must be a number"),
        ({"type": "latency", "delay_s": True}, "delay_s must be a number"),
        ({"type": "latency", "delay_s": 1, "speed": 3}, "unknown parameter speed; latency has delay_s, jitter_s"),
        ({"type": "partition", "speed": 3}, "unknown parameter speed; partition has none"),
        ({"type": "latency", "delay_s": 1, "direction": "sideways"}, "direction must be both, upstream or downstream"),
        ({"type": "latency", "delay_s": 1, "ttl_s": 0}, "ttl_s must be more than 0"),
        ({"type": "bandwidth", "bytes_per_s": 0}, "bytes_per_s must be at least 1"),
        ({"type": "loss", "rate": 0.95}, "rate must be at most 0.9"),
        ({"type": "loss", "rate": 0.1, "burst": 0}, "burst must be at least 1"),
        ({"type": "slicer", "bytes": 10, "variation": 10}, "variation must be less than bytes"),
        ({"type": "corruption", "probability": 2}, "probability must be from 0 to 1, not 2"),
        ({"type": "status", "path": "health"}, "path must begin with /"),
        ({"type": "status", "status": 204}, "status must be one from 200 to 599 with a body"),
        ({"type": "status", "path": 3}, "path must be printable ASCII text"),
        ({"type": "header_dropped", "header": "Content-Length"}, "header must be the name of one that does not frame the message"),
        ({"type": "content_type", "content_type": "a\r\nb"}, "content_type must be printable ASCII text"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_write(document: dict[str, Any], says: str) -> None:
    with pytest.raises(ToxicError, match=says):
        FaultTable(Now(), seed=0).put("a", document)


def test_every_toxic_is_known_by_its_name() -> None:
    assert {name: kind.name for name, kind in TOXICS.items()} == {name: name for name in TOXICS}  # type: ignore[attr-defined]  # classes
    assert make_toxic({"type": "latency", "delay_s": 1}) == Latency(1.0, 0.0)


def test_the_table_knows_what_is_in_force_where() -> None:
    now = Now()
    table = FaultTable(now, seed=0)
    told: list[list[str]] = []
    stop = table.watch(lambda: told.append([view["id"] for view in table.view()]))
    table.put("down", {"type": "latency", "delay_s": 1, "direction": "downstream"})
    table.put("both", {"type": "partition", "ttl_s": 5})
    table.put("asked", {"type": "status"})
    assert [e.document["type"] for e in table.active("downstream")] == ["latency", "partition"]
    assert [e.document["type"] for e in table.active("upstream")] == ["partition"]
    assert ([e.document["type"] for e in table.http], table.deaf) == (["status"], True)
    assert table.view()[0] == {
        "id": "down",
        "type": "latency",
        "delay_s": 1,
        "direction": "downstream",
        "connections": 0,
        "chunks": 0,
        "bytes": 0,
    }
    assert table.view()[2] == {"id": "asked", "type": "status", "requests": 0}
    now.s += 4.9
    table.expire()
    now.s += 0.2
    table.expire()
    assert told == [["down"], ["down", "both"], ["down", "both", "asked"], ["down", "asked"]]
    assert (table.deaf, table.remove("nobody"), table.remove("down")) == (False, False, True)
    stop()
    table.clear()
    assert (table.view(), len(told)) == ([], 5)


def test_the_toxic_of_the_documentation_works() -> None:
    page = (Path(__file__).parents[3] / "docs" / "write-your-own-fault.md").read_text(encoding="utf-8")
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "shaper" in block]
    names: dict[str, Any] = {"__name__": __name__}
    exec(compile(code, "documentation", "exec", dont_inherit=True), names)
    cut = names["Cut"](after_bytes=5).shaper(Random(1))
    assert list(cut(Piece(0.0, b"abc"))) == [Piece(0.0, b"abc")]
    assert list(cut(Piece(0.0, b"defg"))) == [Piece(0.0, b"de", Ending.RST)]
