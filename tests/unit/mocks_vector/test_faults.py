"""The pieces of the vector services' faults: what they do to a text, and what they refuse."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocks.faults.documents import FaultError
from mocks.faults.table import FaultTable
from mocks.vector.faults import FAULTS, reference
from mocks.vector.faults.catalogue import FAMILIES
from mocks.vector.faults.contents import contradicted
from mocks.vector.faults.texts import TEXT_KEYS, edited
from mocks.vector.plan import Hit, VectorPlan

PAGE = Path(__file__).parents[3] / "docs" / "mock-vector-faults.md"


def _table() -> FaultTable[VectorPlan]:
    return FaultTable(FAULTS, lambda: 0.0, 0)


def test_the_page_is_that_of_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference.text()


def test_every_type_stands_in_one_family() -> None:
    modules = [module.__name__ for family in FAMILIES.values() for module in family]
    assert sorted(modules) == sorted(set(modules))
    assert {kind.__module__ for kind in FAULTS.values()} == set(modules)


@given(st.text())
def test_a_contradiction_keeps_the_look_of_a_text(text: str) -> None:
    other = contradicted(text)
    if re.search(r"[0-9]", text):
        assert [re.sub(r"[0-9]", "0", word) for word in (text, other)] == [re.sub(r"[0-9]", "0", text)] * 2


@given(st.from_regex(r"[A-Z]{1,4}-[0-9]{1,6}", fullmatch=True))
def test_every_digit_of_a_value_is_another_and_the_same_one_everywhere(value: str) -> None:
    first, second = contradicted(f"Code {value}."), contradicted(f"In short: {value}")
    other = first.removeprefix("Code ").removesuffix(".")
    assert second == f"In short: {other}"
    assert all(a != b for a, b in zip(value, other, strict=True) if a.isdigit())


def test_a_text_without_values_is_negated() -> None:
    assert contradicted("The cache is cold.") == "The cache is not cold."
    assert contradicted("Nothing to deny here") == "Nothing to deny here"


@pytest.mark.parametrize("key", TEXT_KEYS)
def test_the_text_of_a_payload_is_found(key: str) -> None:
    hit = Hit(1, 0.5, {"n": 1, key: "old"}, {})
    assert edited(hit, str.upper) == Hit(1, 0.5, {"n": 1, key: "OLD"}, {})


def test_a_document_goes_before_a_payload_and_a_node_after_it() -> None:
    assert edited(Hit("a", None, {"text": "x"}, {}, "doc"), str.upper) == Hit("a", None, {"text": "x"}, {}, "DOC")
    node = {"_node_content": json.dumps({"text": "node", "id_": "n-1"})}
    assert edited(Hit(1, None, node, {}), str.upper).payload == {"_node_content": json.dumps({"text": "NODE", "id_": "n-1"})}


@pytest.mark.parametrize("payload", [None, {}, {"text": 3}, {"_node_content": "no json"}, {"_node_content": "[]"}, {"_node_content": 1}])
def test_a_point_without_text_is_left_alone(payload: dict[str, object] | None) -> None:
    hit = Hit(1, None, payload, {})
    assert edited(hit, str.upper) is hit


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"type": "poisoned_document", "token": "XYZ"}, "token must be INJ- and at least four letters or digits, not 'XYZ'"),
        ({"type": "degraded_recall", "recall": 1.5}, "recall must be at least 0, at most 1, not 1.5"),
        ({"type": "service_error", "status": 418}, "status must be 400 or 404 or 408 or 429 or 500 or 503, not 418"),
        ({"type": "connection_refused", "first": 2}, "connection_refused holds between calls and cannot take first"),
        ({"type": "empty_results", "match": {"kinds": ["reads"]}}, "match.kinds may list probe, read, write, not reads"),
    ],
)
def test_a_document_that_makes_no_sense_is_refused(document: dict[str, object], why: str) -> None:
    with pytest.raises(FaultError, match=re.escape(why)):
        _table().put("one", document)
