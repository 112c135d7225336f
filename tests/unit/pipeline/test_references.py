"""References are found, filled in, and never guessed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.pipeline.references import Reference, UnresolvedError, references, resolved

OUTPUTS = {"wheel": {"file": "/a.whl"}}


def test_they_are_found_where_they_stand() -> None:
    data = {"a": ["x", "${steps.wheel.file} and ${ env.KEY }"], "b": {"c": "$${no} ${what}"}, "d": 3}
    assert list(references(data)) == [
        (("a", 1), Reference("steps.wheel.file", "wheel", "file")),
        (("a", 1), Reference(" env.KEY ", "", "KEY")),
        (("b", "c"), Reference("what")),
    ]


def test_they_are_filled_in() -> None:
    data = {"a": ["${steps.wheel.file}:${env.KEY}", 3, None, True], "b": "$${env.KEY}"}
    assert resolved(data, OUTPUTS, {"KEY": "v"}) == {"a": ["/a.whl:v", 3, None, True], "b": "${env.KEY}"}


def test_a_value_that_looks_like_a_reference_is_not_read_again() -> None:
    assert resolved("${env.KEY}", {}, {"KEY": "${env.OTHER}"}) == "${env.OTHER}"


@pytest.mark.parametrize("text", ["${steps.wheel.digest}", "${steps.none.file}", "${env.NONE}", "${}"])
def test_one_that_leads_nowhere_is_an_error(text: str) -> None:
    with pytest.raises(UnresolvedError, match="is not there"):
        resolved(text, OUTPUTS, {})


LEAVES = st.none() | st.integers() | st.text(alphabet="ab ${}", max_size=8)


@settings(max_examples=50)
@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner), max_leaves=6))
def test_what_holds_no_reference_stays_as_it_is(data: Any) -> None:
    if not list(references(data)) and "$${" not in repr(data):
        assert resolved(data, {}, {}) == data
