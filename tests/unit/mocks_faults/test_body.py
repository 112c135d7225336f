"""Bodies that are broken whatever they say."""

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from mocks.faults.body import TYPES
from mocks.faults.edits import edit_json


@dataclass
class Whole:
    body: bytes
    content_type: str = "application/json"
    length: int | None = None


@dataclass
class Plan:
    whole_edits: list[Any] = field(default_factory=list)
    void: list[object] = field(default_factory=list)

    def leaves(self, whole: Whole) -> Whole:
        """The answer once all edits have run."""
        for edit in self.whole_edits:
            whole = edit(whole)
        return whole


def broken(names: list[str], body: bytes) -> tuple[Whole, list[bool]]:
    """What leaves, and which of these faults have changed something."""
    plan = Plan()
    faults = [TYPES[name]() for name in names]
    for fault in faults:
        assert fault.apply(plan, 0.0, Random(0))
    whole = plan.leaves(Whole(body))
    return whole, [all(fault is not one for one in plan.void) for fault in faults]


@pytest.mark.parametrize(
    ("name", "body", "left"),
    [
        ("empty_body", b'{"a":1}', Whole(b"")),
        ("truncated_json", b'{"a":1}', Whole(b'{"a')),
        ("truncated_json", b"7", Whole(b"")),
        ("invalid_json", b'{"a":1}', Whole(b'{"a":1,}')),
        ("invalid_json", b"[]", Whole(b"[,]")),
        ("invalid_json", b'"1.5.9"', Whole(b'"1.5.9",')),
        ("invalid_json", b"3", Whole(b"3,")),
        ("invalid_json", b'{"a":NaN}', Whole(b'{"a":NaN,}')),
        ("short_body", b'{"a":1}', Whole(b'{"a', length=7)),
        ("short_body", b"7", Whole(b"", length=1)),
    ],
)
def test_a_body_is_broken(name: str, body: bytes, left: Whole) -> None:
    assert broken([name], body) == (left, [True])
    if name != "empty_body":
        with pytest.raises(ValueError, match="line 1 column"):
            json.loads(left.body)


@pytest.mark.parametrize("name", sorted(TYPES))
def test_there_is_nothing_to_break_where_nothing_is(name: str) -> None:
    assert broken([name], b"") == (Whole(b""), [False])


@pytest.mark.parametrize(
    ("names", "left", "bit"),
    [
        (["truncated_json", "invalid_json"], Whole(b'{"a'), [True, False]),
        (["invalid_json", "invalid_json"], Whole(b'{"a":1,}'), [True, False]),
        (["empty_body", "empty_body"], Whole(b""), [True, False]),
        (["empty_body", "short_body"], Whole(b""), [True, False]),
        (["invalid_json", "truncated_json"], Whole(b'{"a"'), [True, True]),
    ],
)
def test_what_an_earlier_fault_left_nothing_of_is_void(names: list[str], left: Whole, bit: list[bool]) -> None:
    assert broken(names, b'{"a":1}') == (left, bit)


@pytest.mark.parametrize(
    ("whole", "left"),
    [
        (Whole(b'{"a":1,"b":"\xc3\xa9"}'), Whole(b'{"b":"\xc3\xa9"}')),
        (Whole(b'{"a": 1, "b": NaN}'), Whole(b'{"b":NaN}')),
        (Whole(b'{ "b": NaN }'), None),
        (Whole(b'["a"]'), None),
        (Whole(b'"a"'), None),
        (Whole(b"a: 1", "text/plain"), None),
    ],
)
def test_members_of_an_object_are_edited_and_nothing_else_is(whole: Whole, left: Whole | None) -> None:
    plan, fault = Plan(), object()
    edit_json(plan, fault, lambda value: value.pop("a", None))
    found = plan.leaves(whole)
    assert (found is whole, plan.void == [fault]) == ((True, True) if left is None else (False, False))
    assert found == (left or whole)


def test_members_are_edited_before_bytes_are_broken() -> None:
    plan = Plan()
    TYPES["invalid_json"]().apply(plan, 0.0, Random(0))
    edit_json(plan, object(), lambda value: value.pop("a"))
    assert plan.leaves(Whole(b'{"a":1,"b":2}')) == Whole(b'{"b":2,}')
    assert plan.void == []
