"""Whom faults concern."""

from typing import Any

import pytest

from mocks.faults.table import FaultError
from tests.unit.mocks_faults.calls import hit, table


@pytest.mark.parametrize(
    ("match", "facts", "expected"),
    [
        ({}, {}, True),
        ({"routes": ["/a"]}, {"route": "/a"}, True),
        ({"routes": ["/a"]}, {"route": "/b"}, False),
        ({"routes": ["/a", "/b"]}, {"route": "/b"}, True),
        ({"tenants": ["t1"]}, {"tenant": "t1"}, True),
        ({"tenants": ["t1"]}, {"tenant": "t2"}, False),
        ({"tenants": ["t1"]}, {}, False),
        ({"stream": True}, {"stream": True}, True),
        ({"stream": True}, {}, False),
        ({"stream": False}, {}, True),
        ({"prompt": "ell"}, {"prompt": "hello"}, True),
        ({"prompt": "ELL"}, {"prompt": "hello"}, False),
        ({"prompt": "ell"}, {}, False),
        ({"routes": ["/a"], "tenants": ["t1"]}, {"route": "/a", "tenant": "t1"}, True),
        ({"routes": ["/a"], "tenants": ["t1"]}, {"route": "/b", "tenant": "t1"}, False),
    ],
)
def test_all_keys_must_hold(match: dict[str, Any], facts: dict[str, Any], expected: bool) -> None:
    faults = table()
    faults.put("x", {"type": "broken", "match": match})
    assert hit(faults, **facts) is expected
    assert [view["matched"] for view in faults.views()] == [int(expected)]


@pytest.mark.parametrize(
    ("match", "hits"), [(None, [True, False]), ({"routes": ["/b"]}, [False, True]), ({"routes": ["/a", "/b"]}, [True, True])]
)
def test_a_types_own_match_holds_where_the_document_says_nothing(match: dict[str, Any] | None, hits: list[bool]) -> None:
    faults = table()
    faults.put("x", {"type": "refused", "after_s": 1, **({} if match is None else {"match": match})})
    assert [hit(faults, route=route) for route in ("/a", "/b")] == hits


def test_what_does_not_match_is_not_counted() -> None:
    faults = table()
    faults.put("x", {"type": "broken", "first": 1, "match": {"routes": ["/b"]}})
    assert [hit(faults, route=route) for route in ("/a", "/a", "/b", "/b")] == [False, False, True, False]


@pytest.mark.parametrize(
    ("match", "reason"),
    [
        ([], "match must be an object with any of routes, tenants, stream, prompt, not []"),
        ({"route": ["/a"]}, "match knows no route; it may have routes, tenants, stream, prompt"),
        ({"routes": "/a"}, "match.routes must be a list of texts, not '/a'"),
        ({"routes": []}, "match.routes must be a list of texts, not []"),
        ({"routes": ["/c", "/a"]}, "match.routes may list /a, /b, not /c"),
        ({"tenants": [1]}, "match.tenants must be a list of texts, not [1]"),
        ({"stream": "yes"}, "match.stream must be true or false, not 'yes'"),
        ({"prompt": ""}, "match.prompt must be the text to look for, not ''"),
    ],
)
def test_a_match_that_makes_no_sense_is_refused_with_what_to_write(match: object, reason: str) -> None:
    with pytest.raises(FaultError) as refused:
        table().put("x", {"type": "broken", "match": match})
    assert str(refused.value) == reason
