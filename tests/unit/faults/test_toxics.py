"""What toxics do to pieces, and the table of those in force: no socket, no time."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.faults.proxy import toxics
from harness.faults.proxy.table import FaultTable
from harness.faults.proxy.toxics import TOXICS, Ending, Latency, Piece, ToxicError, make_toxic


class Now:
    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


def test_latency_delays_data_and_the_fin_behind_it() -> None:
    shaper = Latency(delay_s=0.25).shaper(Random(1))
    assert list(shaper(Piece(1.0, 1.0, b"x"))) == [Piece(1.0, 1.25, b"x")]
    assert list(shaper(Piece(1.0, 1.5, b"", Ending.FIN))) == [Piece(1.0, 1.75, b"", Ending.FIN)]


@given(st.floats(0, 10), st.floats(0, 10), st.binary(max_size=20))
def test_jitter_stays_within_its_bounds_and_touches_no_byte(delay_s: float, jitter_s: float, data: bytes) -> None:
    (out,) = Latency(delay_s, jitter_s).shaper(Random(7))(Piece(5.0, 5.0, data))
    assert max(0.0, delay_s - jitter_s) <= out.due_s - 5.0 + 1e-9
    assert out.due_s - 5.0 <= delay_s + jitter_s + 1e-9
    assert (out.data, out.arrived_s) == (data, 5.0)


def test_the_same_seed_draws_the_same_jitter() -> None:
    def draws() -> list[float]:
        table = FaultTable(Now(), seed=3)
        table.put("a", {"type": "latency", "delay_s": 1, "jitter_s": 0.5})
        (entry,) = table.active("upstream")
        shaper = entry.toxic.shaper(entry.random)
        return [out.due_s for _ in range(5) for out in shaper(Piece(0.0, 0.0, b"x"))]

    assert draws() == draws()
    assert len(set(draws())) == 5


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "type must be one of latency"),
        ({"type": "nonsense"}, "type must be one of latency"),
        ({"type": "latency"}, "latency needs delay_s"),
        ({"type": "latency", "delay_s": -1}, "cannot be negative"),
        ({"type": "latency", "delay_s": "1"}, "delay_s must be a number"),
        ({"type": "latency", "delay_s": True}, "delay_s must be a number"),
        ({"type": "latency", "delay_s": 1, "speed": 3}, "unknown parameter speed; latency has delay_s, jitter_s"),
        ({"type": "latency", "delay_s": 1, "direction": "sideways"}, "direction must be both, upstream or downstream"),
        ({"type": "latency", "delay_s": 1, "ttl_s": 0}, "ttl_s must be more than 0"),
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
    told: list[str] = []
    stop = table.watch(lambda: told.append("removed"))
    table.put("down", {"type": "latency", "delay_s": 1, "direction": "downstream"})
    table.put("both", {"type": "latency", "delay_s": 2, "ttl_s": 5})
    assert [e.document["delay_s"] for e in table.active("downstream")] == [1, 2]
    assert [e.document["delay_s"] for e in table.active("upstream")] == [2]
    assert table.view()[0] == {"id": "down", "type": "latency", "delay_s": 1, "direction": "downstream", "chunks": 0, "bytes": 0}
    now.s += 4.9
    table.expire()
    assert told == []
    now.s += 0.2
    table.expire()
    assert ([view["id"] for view in table.view()], told) == (["down"], ["removed"])
    assert (table.remove("nobody"), table.remove("down"), table.view()) == (False, True, [])
    stop()
    table.put("again", {"type": "latency", "delay_s": 1})
    table.clear()
    assert told == ["removed", "removed"]


def test_the_toxic_of_the_documentation_works() -> None:
    page = (Path(__file__).parents[3] / "docs" / "write-your-own-fault.md").read_text(encoding="utf-8")
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "shaper" in block]
    names = dict(vars(toxics))
    exec(code, names)
    cut = names["Cut"](after_bytes=5).shaper(Random(1))
    assert list(cut(Piece(0.0, 0.0, b"abc"))) == [Piece(0.0, 0.0, b"abc")]
    assert list(cut(Piece(0.0, 0.0, b"defg"))) == [Piece(0.0, 0.0, b"de", Ending.RST)]
